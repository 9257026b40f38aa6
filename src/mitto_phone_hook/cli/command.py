"""The command line: its subcommands and its exit status."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TextIO

from mitto_phone_hook.cli.env_file import env_file
from mitto_phone_hook.cli.terminal import Terminal

COMMANDS = (
    *("demo", "init", "run", "check", "simulate", "text", "tail", "trace", "costs"),
    *("secret", "key", "capacity", "sandbox", "completion"),
)
"""Modules of this package. Each adds a parser whose ``run`` takes options, environment and terminal, and returns the exit status."""

_READ_SETTINGS = ("run", "check", "simulate", "text", "key")
"""The commands that read settings of the function, from the environment or from the file of ``--env``."""

_NEED_THE_SANDBOX = ("demo", "init", "sandbox")
"""The commands that a deployment does not have: ``deploy/bundle.py`` leaves the sandbox out."""

INTERRUPTED = 130
_FAILED = 1

Run = Callable[[argparse.Namespace, Mapping[str, str], Terminal], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand with this process's environment and output. Returns 0: no error, 1: an error was found, 2: wrong usage."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A pipe gets each line at once. A terminal that cannot show a character shows "?".
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    return run(arguments, os.environ, sys.stdout)


def run(arguments: Sequence[str] | None, environment: Mapping[str, str], stream: TextIO) -> int:
    """Run one subcommand. Raises ``SystemExit(2)`` on wrong usage, as argparse does."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser_of(words[0] if words else "").parse_args(words)
    command: Run = options.run
    # As with Docker Compose and Node, what the environment has comes before the file.
    environment = {**getattr(options, "env", {}), **{name: value for name, value in environment.items() if value}}
    try:
        return command(options, environment, Terminal(stream, environment))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe. The interpreter must not fail on its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def parser_of(command: str = "") -> argparse.ArgumentParser:
    """Make the parser with one command only, where that is known: the function starts with ``run``, and must not wait for the others."""
    parser = argparse.ArgumentParser(
        prog="mitto-phone-hook", description="Commands for operators of the hook that sends phone messages through Mitto."
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    has_sandbox = find_spec("mitto_phone_hook.sandbox") is not None
    names = [name for name in COMMANDS if has_sandbox or name not in _NEED_THE_SANDBOX]
    for name in [command] if command in names else names:
        import_module(f"mitto_phone_hook.cli.{name}").add_to(parsers)
        if name in _READ_SETTINGS:
            said = "file with lines NAME=value; a variable of the environment comes first"
            parsers.choices[name].add_argument("--env", type=env_file, default={}, metavar="FILE", help=said)
    return parser
