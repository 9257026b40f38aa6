"""``mitto-phone-hook sandbox``: the fake Mitto alone, for a function that you run yourself."""

import argparse
from collections.abc import Mapping
from typing import Any

from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.sandbox import __main__ as sandbox


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    sandbox.add_options(parsers.add_parser("sandbox", help="run the fake Mitto", **sandbox.DESCRIPTION)).set_defaults(run=run)


def run(options: argparse.Namespace, _environment: Mapping[str, str], _terminal: Terminal) -> int:
    """Run until a signal comes. Returns 2 where it cannot listen."""
    return sandbox.run(options)
