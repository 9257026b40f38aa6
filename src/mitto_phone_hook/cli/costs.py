"""``mitto-phone-hook costs``: the estimate by price file against what Mitto charged, and a corrected price file."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mitto_phone_hook.cli.columns import table
from mitto_phone_hook.cli.delivery_summary import NOTHING, Summary
from mitto_phone_hook.cli.log_reading import LogReader
from mitto_phone_hook.cli.log_source import add_log_argument, pieces
from mitto_phone_hook.cli.price_file import add_prices_argument, amount, price, price_of, prices_of
from mitto_phone_hook.cli.report import BOLD, Line, Mark, coloured, counted
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.cli.usage import MAX_BYTES, Usage, read_usage
from mitto_phone_hook.cli.usage_call import UsageUnknown, ask_usage

TOLERANCE = 0.02
"""How far Mitto's count may be from ours: a few messages fall on the other side of midnight."""

_HELP = """\
Compare what the messages in the log should have cost, by the price file, with
what Mitto charged, and propose prices of a segment that fit.

With --account it asks Mitto's API for the usage from the first to the last day
of the log, with the function's MITTO_API_KEY. With --usage it reads a file about
the same days: CSV with the columns country, messages and cost, or a response of
Mitto's API (POST /usage/bycountry). Countries are ISO 3166 codes of two or three
letters. A call whose outcome is unknown is not in the estimate.

Exit status: 0 the counts agree, 1 they do not, 2 wrong usage.
"""


class Row(NamedTuple):
    """One region. Money is in millionths."""

    region: str
    messages: int
    segments: int
    old_price: int | None
    """``None`` without a price file."""
    usage: Usage | None
    """``None`` where Mitto has none for the region."""

    @property
    def estimate(self) -> int:
        """The cost by the price file."""
        return self.segments * (self.old_price or 0)

    @property
    def agrees(self) -> bool:
        """Whether Mitto counted what the log has: messages or segments, for it is not documented which."""
        counted_by_mitto = self.usage.messages if self.usage else 0
        return any(abs(counted_by_mitto - ours) <= TOLERANCE * ours for ours in (self.messages, self.segments))

    @property
    def new_price(self) -> int | None:
        """The price of a segment by what Mitto charged, rounded up; ``None`` where nothing is known."""
        if self.usage is None or not self.usage.messages:
            return None
        # Where the counts do not agree, Mitto's is taken for segments: a price that is too high stops a budget early, not late.
        segments = self.segments if self.agrees else self.usage.messages
        return -(-self.usage.cost // segments)


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "costs",
        help="compare the estimated cost with what Mitto charged",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_log_argument(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--usage", type=_usage, metavar="FILE", help="Mitto's usage by country")
    source.add_argument("--account", metavar="NAME", help="ask Mitto for the usage of the account with this name")
    add_prices_argument(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the proposed price file here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Print the comparison. Returns 1 if the counts do not agree or the file cannot be written."""
    summary = Summary()
    for line in LogReader().read_all(pieces(options.log)):
        summary.add(line)
    prices = prices_of(options.prices, environment)
    try:
        usage = options.usage if options.account is None else _asked(options.account, summary, environment)
    except UsageUnknown as unknown:
        terminal.show(unknown.line)
        return 1
    rows = compare(summary.segments(), usage, prices)
    first, *others = table([*_cells(rows)], numbers=range(1, 9))
    terminal.write(f"{coloured(first, BOLD, terminal.style)}\n" + "".join(f"{other}\n" for other in others) + "\n")
    proposed = price_file(rows, prices)
    lines = [*_findings(rows, prices), *(_written(proposed, options.out) if options.out else [])]
    terminal.show_all(lines)
    if not options.out:
        terminal.write(f"\n{proposed}")
    return int(any(line.mark is not Mark.OK for line in lines))


def _asked(account: str, summary: Summary, environment: Mapping[str, str]) -> Mapping[str, Usage]:
    if (days := summary.days()) is None:
        raise UsageUnknown("not asked: no accepted message in the log has a time", "give a log with times, or the usage as a file: --usage")
    return ask_usage(environment, account, *days)


def compare(sent: Mapping[str, tuple[int, int]], usage: Mapping[str, Usage], prices: Mapping[str, int]) -> list[Row]:
    """Put both counts side by side: messages and segments by region, Mitto's usage, prices of a segment. The highest cost comes first."""
    rows = [
        Row(region, *sent.get(region, (0, 0)), price_of(region, prices) if prices else None, usage.get(region))
        for region in {*sent, *usage}
        if region != NOTHING
    ]
    return sorted(rows, key=lambda row: (-(row.usage.cost if row.usage else row.estimate), row.region))


def price_file(rows: Sequence[Row], prices: Mapping[str, int]) -> str:
    """Give a price file with the new prices, and the old ones of regions without usage. All others cost as before, or as the dearest."""
    new = dict(prices) | {row.region: row.new_price for row in rows if row.new_price is not None}
    others = prices.get("", max(new.values(), default=0))
    lines = [f"{region},{price(micro)}" for region, micro in sorted(new.items()) if region]
    return "\n".join(["region,price", *lines, f"*,{price(others)}", ""])


def _cells(rows: Sequence[Row]) -> Iterator[Sequence[str]]:
    yield ("region", "messages", "segments", "Mitto's count", "estimate", "charged", "difference", "price", "new price")
    for row in rows:
        usage = row.usage
        yield (
            row.region,
            f"{row.messages:,}",
            f"{row.segments:,}",
            f"{usage.messages:,}" if usage else NOTHING,
            *_money(row.estimate if row.old_price is not None else None, usage.cost if usage else None),
            price(row.old_price) if row.old_price is not None else NOTHING,
            price(row.new_price) if row.new_price is not None else NOTHING,
        )
    if len(rows) > 1:
        charged, has_prices = sum(row.usage.cost for row in rows if row.usage), rows[0].old_price is not None
        ours, theirs = (f"{sum(row.segments for row in rows):,}", f"{sum(row.usage.messages for row in rows if row.usage):,}")
        estimate = sum(row.estimate for row in rows) if has_prices else None
        yield ("all", f"{sum(row.messages for row in rows):,}", ours, theirs, *_money(estimate, charged), "", "")


def _money(estimate: int | None, charged: int | None) -> Sequence[str]:
    difference = NOTHING
    if estimate is not None and charged is not None:
        sign = "+" if charged >= estimate else "-"
        share = f" ({sign}{abs(charged - estimate) / estimate:.0%})" if estimate else ""
        difference = f"{sign}{amount(abs(charged - estimate))}{share}"
    return (*(amount(micro) if micro is not None else NOTHING for micro in (estimate, charged)), difference)


def _findings(rows: Sequence[Row], prices: Mapping[str, int]) -> Iterator[Line]:
    apart = [row.region for row in rows if not row.agrees]
    if apart:
        step = "compare the days of the log and of the usage; other systems may use the account, too"
        yield Line(Mark.WARNING, "counts", f"Mitto's differ by more than {TOLERANCE:.0%} from the log: {', '.join(apart)}", step)
    else:
        yield Line(Mark.OK, "counts", f"Mitto's are those of the log, within {TOLERANCE:.0%}")
    if not prices:
        yield Line(Mark.OK, "price file", "none given, so there is no estimate: --prices")


def _written(proposed: str, path: Path) -> list[Line]:
    try:
        path.write_text(proposed, encoding="utf-8")
    except OSError:
        return [Line(Mark.ERROR, "new price file", "cannot be written", "give --out a path that can be written")]
    return [Line(Mark.OK, "new price file", f"{counted(len(proposed.splitlines()) - 1, 'price')} in {path}")]


def _usage(path: str) -> Mapping[str, Usage]:
    try:
        with Path(path).open("rb") as file:
            return read_usage(file.read(MAX_BYTES + 1))
    except OSError:
        raise argparse.ArgumentTypeError("cannot be read") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
