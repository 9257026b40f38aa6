"""``mitto-phone-hook tail``: the log as a person wants to read it, or a summary of it."""

import argparse
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mitto_phone_hook.cli.columns import fit, padded_left
from mitto_phone_hook.cli.delivery_summary import Summary
from mitto_phone_hook.cli.event_words import duration, mark_of, platform_of, words_of
from mitto_phone_hook.cli.log_line import LogLine
from mitto_phone_hook.cli.log_reading import LogReader
from mitto_phone_hook.cli.log_source import add_log_argument, growing_pieces, pieces
from mitto_phone_hook.cli.price_file import add_prices_argument, prices_of
from mitto_phone_hook.cli.report import COLOURS, DIM, Mark, Style, coloured, counted
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.policy.limits import UNITS

FAILURES = "failures"

_HELP = """\
Show the function's log, one event per line: time (UTC), platform, masked
number, region, how long the call took, and what came of it. A message that was
accepted has another line when Mitto reports that it is on the handset.

The log is a file, or standard input. Each line may be alone, behind what
`docker logs --timestamps` or `kubectl logs --prefix` puts before it, or inside
what `gcloud logging read --format=json --order=asc` and
`gcloud beta logging tail --format=json` print. A line's own time is shown, or
else the one that its collector gave it. Lines that are not the function's are
passed over and counted.
"""

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {name[0]: seconds for name, seconds in UNITS.items()}


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "tail", help="show the log for people, or a summary", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_log_argument(parser)
    parser.add_argument("--since", type=_since, metavar="TIME", help="only events of the last 90s, 15m, 2h or 7d")
    parser.add_argument("--only", choices=[FAILURES], help="only warnings, errors, and messages that did not arrive")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--follow", action="store_true", help="go on with what is added to the file; a line without a time gets the current one"
    )
    shown.add_argument(
        "--summary",
        action="store_true",
        help="a table by region: accepted, delivered, seconds to the handset (half of the messages took at most `median`, "
        "95 %% at most `p95`), cost, and what was not accepted",
    )
    add_prices_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Show the log."""
    prices = prices_of(options.prices, environment) if options.summary else {}
    reader = LogReader()
    chosen = _Choice(datetime.now(UTC) - options.since if options.since else None, options.only == FAILURES and not options.summary)
    lines = filter(chosen, _following(options.log, reader) if options.follow else reader.read_all(pieces(options.log)))
    if options.summary:
        summary = Summary()
        for line in lines:
            summary.add(line)
        terminal.write(summary.text(prices, terminal.style))
    else:
        page = Page(terminal.style)
        for line in lines:
            terminal.write(page.row(line))
    terminal.write(coloured(_notes(reader, chosen.untimed), DIM, terminal.style))
    return 0


def _notes(reader: LogReader, untimed: int) -> str:
    """Say how many lines were not shown, and why."""
    passed_over = "passed over: not the function's" if reader.found else "passed over: none is the function's (gcloud needs --format json)"
    notes = ((reader.passed_over, passed_over), (untimed, "left out: without a time"))
    return "".join(f"{counted(number, 'line')} {words}\n" for number, words in notes if number)


class _Choice:
    """Which lines are shown. Counts those that cannot be placed in time."""

    def __init__(self, since: datetime | None, is_only_failures: bool) -> None:  # noqa: FBT001 - two filters
        self._since = since
        self._is_only_failures = is_only_failures
        self.untimed = 0

    def __call__(self, line: LogLine) -> bool:
        if self._since is not None:
            self.untimed += line.at is None
            if line.at is None or line.at < self._since:
                return False
        return not self._is_only_failures or mark_of(line) is not Mark.OK


class Page:
    """Rows of one event each, under the day that they belong to."""

    def __init__(self, style: Style) -> None:
        """Start above the first row."""
        self._style = style
        self._day = ""

    def row(self, line: LogLine) -> str:
        """Give the row of an event with its line break, and before it the day where that is a new one."""
        day = f"{line.at:%Y-%m-%d} UTC" if line.at else self._day
        heading = f"{coloured(day, DIM, self._style)}\n" if day != self._day else ""
        self._day = day
        mark = mark_of(line)
        took = line.number("duration_ms")
        cells = (
            coloured(f"{line.at:%H:%M:%S}" if line.at else " " * 8, DIM, self._style),
            coloured(self._style.marks[mark], COLOURS[mark], self._style),
            fit(platform_of(line), 10),
            fit(line.text("recipient"), 16),
            fit(line.text("region"), 3),
            f"{padded_left(duration(took / 1000) if took is not None else '', 7)} ",
            words_of(line) if mark is Mark.OK else coloured(words_of(line), COLOURS[mark], self._style),
        )
        return f"{heading}{' '.join(cells)}\n"


def _following(log: str, reader: LogReader) -> Iterator[LogLine]:
    for piece, is_new in growing_pieces(log):
        yield from reader.read(piece, datetime.now(UTC) if is_new else None)
    yield from reader.end(datetime.now(UTC))


def _since(text: str) -> timedelta:
    if not (found := _DURATION.fullmatch(text)):
        raise argparse.ArgumentTypeError("must be a duration such as 90s, 15m, 2h or 7d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
