"""``python -m mitto_phone_hook.sandbox``: a fake Mitto that shows each SMS in the terminal, as a handset would."""

import argparse
import asyncio
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mitto_phone_hook.sandbox.handset import draw
from mitto_phone_hook.sandbox.page import tables
from mitto_phone_hook.sandbox.reports import is_loopback
from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sandbox.server import FakeMitto

DESCRIPTION: dict[str, Any] = {
    "description": "A fake Mitto: it accepts messages like Mitto's SMS API, sends nothing, and shows each message.",
    "epilog": tables(),
    "formatter_class": argparse.RawDescriptionHelpFormatter,
}
"""What a parser says of it."""

DEFAULT_PORT = 8081
DEFAULT_KEY = "sandbox-key"

_PORT_MAX = 65_535
_USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; return the exit status: 0, or 2 if it cannot listen."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A pipe gets each line at once. A terminal that cannot show a character shows "?".
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    return run(add_options(argparse.ArgumentParser(prog="python -m mitto_phone_hook.sandbox", **DESCRIPTION)).parse_args(arguments))


def run(options: argparse.Namespace) -> int:
    """Run the fake Mitto until a signal comes; return the exit status."""
    try:
        asyncio.run(_run(options))
    except (ValueError, OSError) as error:
        print(f"cannot start the fake Mitto: {_reason(error, options)}", file=sys.stderr)
        return _USAGE_ERROR
    except KeyboardInterrupt:
        return 0
    return 0


async def _run(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    # Event loops on Windows have no signal handlers: Ctrl-C raises KeyboardInterrupt there.
    with suppress(NotImplementedError):
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    if options.reports_to and not is_loopback(options.reports_to):
        raise ValueError("delivery reports stay on this machine: --reports-to http://127.0.0.1:8080/reports/...")
    mitto = FakeMitto(
        api_key=options.api_key,
        host=options.host,
        port=options.port,
        allow_public=options.allow_public,
        on_message=None if options.quiet else _show,
    )
    mitto.reports.url = options.reports_to
    async with mitto:
        _say(f"fake Mitto listening on {mitto.url}")
        _say(f"set MITTO_BASE_URL={mitto.url} MITTO_API_KEY={options.api_key}")
        _say(f"Its faults and how to use them: {mitto.url}/")
        await stopped.wait()


def _show(message: Message) -> None:
    _say(f"\n{draw(message)}")


def _say(text: str) -> None:
    try:
        print(text)
    except BrokenPipeError:
        # The reader has closed the pipe. The server goes on, and the interpreter must not fail on its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reason(error: Exception, options: argparse.Namespace) -> str:
    if not isinstance(error, OSError):
        return str(error)
    # Python adds the address to the text of a failed bind(). It is already in front.
    reason = f"{options.host} port {options.port}: {str(error.strerror).partition(' (while')[0]}"
    return f"{reason}; choose another one with --port, and put it into MITTO_BASE_URL, too"


def add_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options to a parser, and return it."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="port to listen on; 0: any free port (default: %(default)s)")
    parser.add_argument("--api-key", default=DEFAULT_KEY, metavar="KEY", help="the API key that clients must send (default: %(default)s)")
    parser.add_argument("--allow-public", action="store_true", help="allow an address that other machines can reach")
    parser.add_argument("--reports-to", metavar="URL", help="where delivery reports go if a message has no callback (this machine only)")
    parser.add_argument("--quiet", action="store_true", help="do not show the messages")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or (port := int(text)) > _PORT_MAX:
        raise argparse.ArgumentTypeError(f"a port is 0 to {_PORT_MAX}")
    return port


if __name__ == "__main__":
    sys.exit(main())
