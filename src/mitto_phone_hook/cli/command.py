"""The command line: which subcommands there are, and how the program ends."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from mitto_phone_hook.cli.capacity import add_to as add_capacity
from mitto_phone_hook.cli.check import add_to as add_check
from mitto_phone_hook.cli.secret import add_to as add_secret
from mitto_phone_hook.cli.terminal import Terminal

COMMANDS = (add_secret, add_check, add_capacity)
"""Each adds its parser, whose ``run`` takes options, environment and screen, and gives the exit status."""

INTERRUPTED = 130
_FAILED = 1

Run = Callable[[argparse.Namespace, Mapping[str, str], Terminal], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand with this process's environment and output. 0: all right, 1: something is not, 2: wrong usage."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A pipe gets each line as soon as it is known, and a terminal that lacks a character shows "?".
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    return run(arguments, os.environ, sys.stdout)


def run(arguments: Sequence[str] | None, environment: Mapping[str, str], stream: TextIO) -> int:
    """Run one subcommand. Wrong usage raises ``SystemExit`` with 2, as argparse does."""
    options = _parser().parse_args(arguments)
    command: Run = options.run
    try:
        return command(options, environment, Terminal(stream, environment))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more; the interpreter must not fail on its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mitto-phone-hook", description="Helps whoever runs the hook that sends phone messages by Mitto.")
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_command in COMMANDS:
        add_command(parsers)
    return parser
