"""``mitto-phone-hook demo``: one message through the whole system, on this machine."""

import argparse
from collections.abc import Mapping
from typing import Any

from mitto_phone_hook.cli.terminal import Terminal

_HELP = """\
Start the real function with a fake Mitto behind it, send one message, and show what happens: the responses, and the SMS
on the handset. It needs no account, no settings and no network.

With --stay both go on running for your own calls, and a ready-made curl command is shown. PORT sets the function's port.
"""


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "demo", help="try the function with a fake Mitto", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stay", action="store_true", help="leave both running until Ctrl-C")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _environment: Mapping[str, str], _terminal: Terminal) -> int:
    """Run the demo. Returns 1 where something fails."""
    from mitto_phone_hook.sandbox import demo  # noqa: PLC0415 - `demo --help` needs no server

    return demo.run(is_staying=options.stay)
