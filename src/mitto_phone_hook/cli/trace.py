"""``mitto-phone-hook trace``: everything that the log knows about one message, in the order in which it happened."""

import argparse
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import IO, Any

from mitto_phone_hook.cli.event_words import OUTCOME_WORDS, duration, mark_of, platform_of, words_of
from mitto_phone_hook.cli.log_line import LogLine, key_of_id
from mitto_phone_hook.cli.log_reading import LogReader
from mitto_phone_hook.cli.log_source import add_log_argument, pieces
from mitto_phone_hook.cli.report import Line, Mark, counted
from mitto_phone_hook.cli.terminal import Terminal

_PIECE_BYTES = 64 * 1024
_IN_MEMORY_BYTES = 16 * 1024 * 1024

_PARTS = (
    ("claim_ms", "claiming the message in the store"),
    ("wait_ms", "waiting for another call with the same message"),
    ("count_ms", "counting for the limits"),
    ("upstream_ms", "Mitto"),
    ("settle_ms", "storing the result"),
)
"""Where the time of a call went, in the order of the call."""

_HELP = """\
Show everything that the log knows about one message: the call, where its time
went, repeated calls, and Mitto's delivery reports. The message is named by our
request_id (also in our response, and at Mitto as reference) or by Mitto's
message_id. The log may have any form that `tail` reads.

Exit status: 0 found, 1 not found, 2 wrong usage.
"""


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "trace", help="what the log knows about one message", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("id", type=_id, metavar="ID", help="request_id or message_id")
    add_log_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _: Mapping[str, str], terminal: Terminal) -> int:
    """Show the message. Returns 1 if it is not in the log."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as copy:
        # Standard input can be read only once, and which ids belong together is known only at its end.
        copy.writelines(pieces(options.log))
        lines = _lines_about(options.id, copy)
    if not lines:
        terminal.write("not in this log\n")
        return 1
    terminal.heading(_heading(lines))
    for line in lines:
        terminal.show(*_steps(line))
    return 0


def _lines_about(wanted: str, log: IO[bytes]) -> list[LogLine]:
    """Find the lines about a message by all its ids, oldest first."""
    ids, known = {key_of_id(wanted)}, 0
    found: list[LogLine] = []
    while len(ids) > known:
        known = len(ids)
        log.seek(0)
        found = [line for line in LogReader().read_all(_pieces(log)) if ids.intersection(line.ids)]
        ids.update(*(line.ids for line in found))
    # Lines without a time keep the log's order.
    return sorted(found, key=lambda line: line.at.timestamp() if line.at else 0)


def _pieces(log: IO[bytes]) -> Iterator[bytes]:
    while piece := log.read(_PIECE_BYTES):
        yield piece


def _heading(lines: list[LogLine]) -> str:
    """Say what message it is, from the first line that knows each part."""

    def first(*names: str) -> str:
        return next((text for line in lines if (text := line.text(*names))), "")

    ids = "  ".join(f"{name} {text}" for name in ("request_id", "message_id") if (text := first(name)))
    what = "  ".join(filter(None, (first("recipient"), first("region"), platform_of(lines[0]), first("purpose"))))
    return "\n".join(filter(None, (ids, what)))


def _steps(line: LogLine) -> Iterator[Line]:
    """Give the steps of one line: of a call its begin and its end, of any other event itself."""
    took = line.number("duration_ms")
    if line.event not in OUTCOME_WORDS or took is None:
        network = line.text("network")
        yield Line(mark_of(line), _clock(line.at), words_of(line), more=(f"network {network}",) if network else ())
        return
    began = line.at - timedelta(milliseconds=took) if line.at else None
    yield Line(Mark.OK, _clock(began), f"call received on {line.text('route') or 'an unknown path'}")
    parts = [f"{duration(ms / 1000)} {words}" for name, words in _PARTS if (ms := line.number(name)) is not None]
    sent = [
        counted(int(segments), "segment") if (segments := line.number("segments")) else "",
        line.text("encoding"),
        counted(int(attempts), "attempt") if (attempts := line.number("attempts")) else "",
    ]
    parts += [", ".join(filter(None, sent))] if any(sent) else []
    yield Line(mark_of(line), _clock(line.at), f"{words_of(line)} after {duration(took / 1000)}", more=parts)


def _clock(at: datetime | None) -> str:
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}" if at else "time unknown"


def _id(text: str) -> str:
    if not re.fullmatch("[!-~]{1,100}", text):
        raise argparse.ArgumentTypeError("must be an id from the log, without spaces")
    return text
