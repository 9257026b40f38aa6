"""The summary of a log: by region what was accepted, what arrived and when, what it cost, and what was not accepted, and why."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from mitto_phone_hook.cli.columns import table
from mitto_phone_hook.cli.event_words import DELIVERED, FAILED_REPORTS, OUTCOME_WORDS, REPORT_WORDS, duration, handset_seconds
from mitto_phone_hook.cli.log_line import LogLine
from mitto_phone_hook.cli.price_file import amount, price_of
from mitto_phone_hook.cli.report import BOLD, DIM, Style, coloured, counted
from mitto_phone_hook.domain.outcome import Outcome

MAX_MESSAGES = 500_000
"""Messages whose reports are looked for; about 250 MiB. Further ones are counted only."""

NOTHING = "-"
_NOT_REFUSED = {Outcome.ACCEPTED, Outcome.IGNORED}


class _Report(NamedTuple):
    event: str
    seconds: float | None
    ids: Sequence[str]


class _Region:
    def __init__(self) -> None:
        self.accepted = self.segments = self.delivered = self.failed = self.refused = 0
        self.seconds = array("d")

    def add(self, other: "_Region") -> None:
        """Add another region's figures."""
        for name in ("accepted", "segments", "delivered", "failed", "refused"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.seconds.extend(other.seconds)


class Summary:
    """Counts lines one by one, in any order."""

    def __init__(self) -> None:
        """Start with no line."""
        self._days: set[date] = set()
        self._regions: defaultdict[str, _Region] = defaultdict(_Region)
        self._messages: dict[str, str] = {}
        self._reports: dict[str, _Report] = {}
        self._refused: Counter[tuple[str, str, str]] = Counter()

    def add(self, line: LogLine) -> None:
        """Count one line. A repeated call counts as none, because it sent nothing."""
        region = line.text("region") or NOTHING
        if line.event in REPORT_WORDS:
            if line.ids and (line.event == DELIVERED or line.event in FAILED_REPORTS) and len(self._reports) < MAX_MESSAGES:
                # The first final report counts.
                self._reports.setdefault(line.ids[0], _Report(line.event, handset_seconds(line), line.ids))
        elif line.event == Outcome.ACCEPTED:
            if not line.has("duplicate"):
                if line.at is not None:
                    self._days.add(line.at.date())
                self._regions[region].accepted += 1
                self._regions[region].segments += int(line.number("segments") or 1)
                if len(self._messages) < 2 * MAX_MESSAGES:
                    self._messages.update(dict.fromkeys(line.ids, region))
        elif line.event in OUTCOME_WORDS and line.event not in _NOT_REFUSED:
            self._regions[region].refused += 1
            self._refused[line.event, line.text("why"), region] += 1

    def days(self) -> tuple[date, date] | None:
        """Give the first and the last day on which Mitto accepted a message; ``None`` where the log has no times."""
        return (min(self._days), max(self._days)) if self._days else None

    def segments(self) -> dict[str, tuple[int, int]]:
        """Give how many messages and how many segments Mitto accepted, by region."""
        return {name: (region.accepted, region.segments) for name, region in self._regions.items() if region.accepted}

    def text(self, prices: Mapping[str, int], style: Style) -> str:
        """Format the summary as tables. With ``prices`` of a segment in millionths it has costs."""
        if not self._regions:
            return "No calls.\n"
        regions = sorted(self._with_reports().items(), key=lambda item: (-item[1].accepted, -item[1].refused, item[0]))
        total = _Region()
        for _, region in regions:
            total.add(region)
        costs = [region.segments * price_of(name, prices) for name, region in regions]
        head = (
            "region",
            "accepted",
            "delivered",
            "rate",
            "failed",
            "no report",
            "median",
            "p95",
            *(["cost"] if prices else []),
            "not accepted",
        )
        rows = [_row(name, region, cost, has_cost=bool(prices)) for (name, region), cost in zip(regions, costs, strict=True)]
        if len(rows) > 1:
            rows.append(_row("all", total, sum(costs), has_cost=bool(prices)))
        first, *others = table([head, *rows], numbers=range(1, len(head)))
        parts = [f"{coloured(first, BOLD, style)}\n", *(f"{other}\n" for other in others), *self._refused_rows(style)]
        if unknown := sum(self._region_of(report) is None for report in self._reports.values()):
            note = f"{counted(unknown, 'report')} left out: this log does not have Mitto's acceptance of the message"
            parts.append(f"\n{coloured(note, DIM, style)}\n")
        return "".join(parts)

    def _with_reports(self) -> Mapping[str, _Region]:
        """Add what the reports say to the regions of their messages."""
        regions: defaultdict[str, _Region] = defaultdict(_Region)
        for name, region in self._regions.items():
            regions[name].add(region)
        for report in self._reports.values():
            if (place := self._region_of(report)) is not None:
                region = regions[place]
                region.delivered += report.event == DELIVERED
                region.failed += report.event != DELIVERED
                if report.event == DELIVERED and report.seconds is not None:
                    region.seconds.append(report.seconds)
        return regions

    def _region_of(self, report: _Report) -> str | None:
        return next((self._messages[one] for one in report.ids if one in self._messages), None)

    def _refused_rows(self, style: Style) -> Iterable[str]:
        if not self._refused:
            return
        by_reason: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for (event, why, region), number in self._refused.items():
            by_reason[event, why][region] += number
        reasons = sorted(by_reason.items(), key=lambda item: (-item[1].total(), item[0]))
        rows = [
            (f"{regions.total():,}", event, why, ", ".join(f"{region} {number:,}" for region, number in regions.most_common()))
            for (event, why), regions in reasons
        ]
        first, *others = table([("not accepted", "event", "why", "regions"), *rows], numbers=[0])
        yield f"\n{coloured(first, BOLD, style)}\n"
        yield from (f"{other}\n" for other in others)


def _row(name: str, region: _Region, cost: int, *, has_cost: bool) -> Sequence[str]:
    seconds = sorted(region.seconds)
    return (
        name,
        f"{region.accepted:,}",
        f"{region.delivered:,}",
        f"{region.delivered / region.accepted:.1%}" if region.accepted and region.delivered + region.failed else NOTHING,
        f"{region.failed:,}",
        f"{region.accepted - region.delivered - region.failed:,}",
        *(duration(_quantile(seconds, share)) if seconds else NOTHING for share in (0.5, 0.95)),
        *([amount(cost)] if has_cost else []),
        f"{region.refused:,}",
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Give the smallest value that ``share`` of all do not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1]
