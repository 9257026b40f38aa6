"""The goals of this function, as data, and whether a run met them."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.configuration import DELAY_MS, IN_FLIGHT, LONG_DELAY_MS, MANY_IN_FLIGHT, Lengths
from benchmarks.contestants import BARE, DIRECT, FRAMEWORK, HTTPCORE, KEPT, OURS, PLATFORM, REDIS, RELAY, SHORT
from benchmarks.results import Results, Spread, ratios, spread

_US, _THEM = OURS.name, KEPT.name
_KEPT_KIB = 1.5
"""What 90,000 calls in one minute leave in memory: each an id, a message, and its counts in the windows of five limits."""
_FLAT = 1.10
"""Memory is flat if its growth from the first step to the last stays below this. A leak of 100 bytes per request is visible."""


@dataclass(frozen=True)
class Goal:
    """One figure and its maximum or minimum. ``ratios`` returns its value in each round."""

    title: str
    limit: float
    is_at_most: bool
    ratios: Callable[[Results], dict[int, float]]
    form: str = ".2f"
    ceiling: Callable[[Results], dict[int, float]] | None = None
    """The value of the load that goes directly to the stub. No server can be better."""

    def judge(self, results: Results) -> "Judgement":
        """Compare the median over the rounds with the limit."""
        measured = spread(self.ratios(results))
        if measured is None:
            return Judgement(self, None, "not measured")
        ceiling = spread(self.ceiling(results)) if self.ceiling else None
        if self._is_met(measured):
            return Judgement(self, measured, "met", ceiling)
        is_possible = ceiling is None or self._is_met(ceiling)
        return Judgement(self, measured, "MISSED" if is_possible else "MISSED, as by nothing between", ceiling)

    def _is_met(self, measured: Spread) -> bool:
        return measured.median <= self.limit if self.is_at_most else measured.median >= self.limit

    @property
    def sentence(self) -> str:
        """The limit as text."""
        return f"{'<=' if self.is_at_most else '>='} {self.limit:g}"


@dataclass(frozen=True)
class Judgement:
    """What was measured for a goal, and whether the goal is met."""

    goal: Goal
    measured: Spread | None
    verdict: str
    ceiling: Spread | None = None


def _against(figure: str, other: str, one: str = _US) -> Callable[[Results], dict[int, float]]:
    return lambda results: ratios(results.by_round(one, figure), results.by_round(other, figure))


def _of_ours(numerator: str, denominator: str) -> Callable[[Results], dict[int, float]]:
    return lambda results: ratios(results.by_round(_US, numerator), results.by_round(_US, denominator))


def _short(numerator: str, denominator: str) -> Callable[[Results], dict[int, float]]:
    return lambda results: ratios(results.by_round(SHORT.name, numerator), results.by_round(SHORT.name, denominator))


def _added(figure: str) -> Callable[[Results], dict[int, float]]:
    return lambda results: ratios(results.added(_US, figure), results.added(_THEM, figure))


def _platform_added(figure: str) -> Callable[[Results], dict[int, float]]:
    return lambda results: ratios(results.added(PLATFORM.name, figure), results.added(_US, figure))


def _kept_kib(earlier: int, later: int) -> Callable[[Results], dict[int, float]]:
    def kib(results: Results) -> dict[int, float]:
        grown = results.paired((_US, f"memory_{later}_mib"), (_US, f"memory_{earlier}_mib"), lambda after, before: after - before)
        return {number: mib * 1024 / (later - earlier) for number, mib in grown.items()}

    return kib


def _burst(figure: str) -> Callable[[Results], dict[int, float]]:
    return lambda results: {number: value * 1000 / LONG_DELAY_MS for number, value in results.by_round(_US, figure).items()}


def _most_opened(results: Results) -> dict[int, float]:
    figures = [results.by_round(_US, figure) for figure in ("opened_one", "opened_many", "opened_delayed", "opened_tls")]
    return {number: max(values[number] for values in figures) for number in figures[0] if all(number in values for values in figures)}


def _redis_us(results: Results) -> dict[int, float]:
    return results.by_round(REDIS.name, "redis_cpu_us")


def _price(results: Results) -> dict[int, float]:
    share = ratios(results.by_round(BARE.name, "cpu_ms"), results.by_round(_US, "cpu_ms"))
    return {number: 1 - value for number, value in share.items()}


def _price_on_httpcore(results: Results) -> dict[int, float]:
    """Return the share of the same extra work in a request that httpcore sends."""
    ours, bare, other = (results.by_round(name, "cpu_ms") for name in (_US, BARE.name, HTTPCORE.name))
    rounds = ours.keys() & bare.keys() & other.keys()
    return {number: (extra := ours[number] - bare[number]) / (other[number] + extra) for number in sorted(rounds)}


def _kept(lengths: Lengths) -> tuple[Goal, ...]:
    """Return the goals for what stays in memory. Few calls say nothing about it."""
    if lengths.short_steps is None:
        return ()
    _, middle, last = lengths.memory_steps
    earlier, later = lengths.short_steps
    kept = f"memory kept per call, KiB, from {middle:,} to {last:,} calls: ids and limits, which have a bound"
    leak = f"memory after {later:,} / after {earlier:,} requests, windows of 10 s and ids full: growth is a leak"
    return (
        Goal(kept, _KEPT_KIB, is_at_most=True, ratios=_kept_kib(middle, last)),
        Goal(leak, _FLAT, is_at_most=True, ratios=_short(f"memory_{later}_mib", f"memory_{earlier}_mib")),
    )


def goals(lengths: Lengths) -> tuple[Goal, ...]:
    """Return all goals. Goals about memory use the numbers of requests in ``lengths``."""
    _, middle, _ = lengths.memory_steps
    most, least = True, False
    return (
        Goal("added latency, 1 connection, p50, against (b)", 0.5, most, _added("p50_ms")),
        Goal("added latency, 1 connection, p99, against (b)", 0.2, most, _added("p99_ms")),
        Goal(f"requests/s, {IN_FLIGHT} in flight, upstream 0 ms, against (b)", 3.0, least, _against("rps_instant", _THEM)),
        Goal(
            f"requests/s, {IN_FLIGHT} in flight, upstream {DELAY_MS} ms, against (b)",
            1.5,
            least,
            _against("rps_delayed", _THEM),
            ceiling=_against("rps_delayed", _THEM, DIRECT),
        ),
        Goal(
            f"requests/s, {IN_FLIGHT} in flight, upstream {DELAY_MS} ms, against the bare relay",
            0.8,
            least,
            _against("rps_delayed", RELAY.name),
            ceiling=_against("rps_delayed", RELAY.name, DIRECT),
        ),
        Goal(
            f"requests/s, {MANY_IN_FLIGHT} in flight, upstream {DELAY_MS} ms, against (b)",
            3.0,
            least,
            _against("rps_delayed_many", _THEM),
            ceiling=_against("rps_delayed_many", _THEM, DIRECT),
        ),
        Goal(
            f"requests/s, {MANY_IN_FLIGHT} in flight, upstream {DELAY_MS} ms, against own {IN_FLIGHT}",
            0.9,
            least,
            _of_ours("rps_delayed_many", "rps_delayed"),
        ),
        Goal(f"{MANY_IN_FLIGHT} at once, upstream {LONG_DELAY_MS} ms, fresh pool: slowest / upstream", 1.2, most, _burst("burst_fresh_s")),
        Goal(f"{MANY_IN_FLIGHT} at once, upstream {LONG_DELAY_MS} ms, warm pool: slowest / upstream", 1.2, most, _burst("burst_warm_s")),
        Goal("p50, 1 connection, after those bursts / before", 1.1, most, _of_ours("after_burst_p50_ms", "before_burst_p50_ms")),
        Goal("upstream connections opened per warm request, worst load", 0.0, most, _most_opened, ".5f"),
        Goal("CPU per request, against (b)", 0.33, most, _against("cpu_ms", _THEM)),
        Goal(f"memory after {middle:,} requests, against (b)", 0.55, most, _against(f"memory_{middle}_mib", _THEM)),
        *_kept(lengths),
        Goal("start to first 200, valid bytecode, against (b)", 0.8, most, _against("start_ms", _THEM)),
        Goal("the same under functions-framework", 1.1, most, _against("start_ms", _THEM, FRAMEWORK.name)),
        Goal("platform route with template, requests/s, against native", 0.9, least, _against("rps_instant", _US, PLATFORM.name)),
        Goal("platform route with template, CPU per request, against native", 1.1, most, _against("cpu_ms", _US, PLATFORM.name)),
        Goal("platform route with template, added latency p50, against native", 1.1, most, _platform_added("p50_ms")),
        Goal("with Redis on loopback, our CPU per request, against memory", 1.3, most, _against("cpu_ms", _US, REDIS.name)),
        Goal("with Redis on loopback, CPU us of Redis per request", 300, most, _redis_us, ".0f"),
        Goal("price of all that peers lack, share of our CPU per request", 0.40, most, _price),
        Goal("the same on httpcore, the transport for which that goal was set", 0.35, most, _price_on_httpcore),
    )
