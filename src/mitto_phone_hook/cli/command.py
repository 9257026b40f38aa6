"""The command line: its subcommands and its exit status."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from mitto_phone_hook.cli.capacity import add_to as add_capacity
from mitto_phone_hook.cli.check import add_to as add_check
from mitto_phone_hook.cli.costs import add_to as add_costs
from mitto_phone_hook.cli.secret import add_to as add_secret
from mitto_phone_hook.cli.simulate import add_to as add_simulate
from mitto_phone_hook.cli.tail import add_to as add_tail
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.cli.trace import add_to as add_trace

COMMANDS = (add_secret, add_check, add_simulate, add_capacity, add_tail, add_trace, add_costs)
"""Each adds a parser whose ``run`` takes options, environment and terminal, and returns the exit status."""

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
    options = _parser().parse_args(arguments)
    command: Run = options.run
    try:
        return command(options, environment, Terminal(stream, environment))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe. The interpreter must not fail on its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mitto-phone-hook", description="Commands for operators of the hook that sends phone messages through Mitto."
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_command in COMMANDS:
        add_command(parsers)
    return parser
