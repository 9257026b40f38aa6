"""All measurements, and figures that combine values of the same round."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.contestants import DIRECT


class Measurement(NamedTuple):
    """One value of one figure of one contestant in one round. With a fault it does not count."""

    round_number: int
    contestant: str
    figure: str
    value: float
    fault: str | None = None


class Spread(NamedTuple):
    """Median, minimum and maximum of some values."""

    median: float
    low: float
    high: float


@dataclass
class Results:
    """The measurements of a run."""

    measurements: list[Measurement] = field(default_factory=list)

    def add(self, round_number: int, contestant: str, fault: str | None = None, **values: float) -> None:
        """Record the figures of one load. A fault applies to all of them."""
        self.measurements += [Measurement(round_number, contestant, name, value, fault) for name, value in values.items()]

    def by_round(self, contestant: str, figure: str) -> dict[int, float]:
        """Return the valid values of a figure by round."""
        return {m.round_number: m.value for m in self.measurements if (m.contestant, m.figure, m.fault) == (contestant, figure, None)}

    def paired(self, one: tuple[str, str], other: tuple[str, str], combine: Callable[[float, float], float]) -> dict[int, float]:
        """Combine two figures, each (contestant, figure), round by round."""
        first, second = self.by_round(*one), self.by_round(*other)
        return {number: combine(first[number], second[number]) for number in first if number in second}

    def added(self, contestant: str, figure: str) -> dict[int, float]:
        """Return a latency minus the median latency of the upstream alone in the same round."""
        return self.paired((contestant, figure), (DIRECT, "p50_ms"), lambda whole, upstream: whole - upstream)

    def faults(self) -> list[Measurement]:
        """Return what does not count, one entry per load."""
        seen = {(m.round_number, m.contestant, m.fault): m for m in self.measurements if m.fault}
        return list(seen.values())


def spread(values: dict[int, float]) -> Spread | None:
    """Return median and spread over the rounds. ``None``: there is no valid value."""
    if not values:
        return None
    return Spread(statistics.median(values.values()), min(values.values()), max(values.values()))


def ratios(numerator: dict[int, float], denominator: dict[int, float]) -> dict[int, float]:
    """Divide round by round."""
    return {number: numerator[number] / denominator[number] for number in numerator if denominator.get(number)}
