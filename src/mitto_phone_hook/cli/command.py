"""The command line: its subcommands and its exit status."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TextIO

from mitto_phone_hook.cli.terminal import Terminal

COMMANDS = ("run", "secret", "check", "simulate", "text", "tail", "trace", "costs", "capacity")
"""Modules of this package. Each adds a parser whose ``run`` takes options, environment and terminal, and returns the exit status."""

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
    options = _parser(words[0] if words else "").parse_args(words)
    command: Run = options.run
    try:
        return command(options, environment, Terminal(stream, environment))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe. The interpreter must not fail on its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _parser(command: str) -> argparse.ArgumentParser:
    """Make the parser with one command only, where that is known: the function starts with ``run``, and must not wait for the others."""
    parser = argparse.ArgumentParser(
        prog="mitto-phone-hook", description="Commands for operators of the hook that sends phone messages through Mitto."
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in [command] if command in COMMANDS else COMMANDS:
        import_module(f"mitto_phone_hook.cli.{name}").add_to(parsers)
    return parser
