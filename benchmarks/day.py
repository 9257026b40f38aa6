"""A day of a country's logins in four minutes: ``python -m benchmarks.day [--peak N] [--seconds N]``.

The real function with four workers and a real Redis gets the calls of four kinds of platforms, with their retries and users who press
again. In the middle of the day's peak Mitto becomes slow for a minute. No code may be lost, none may come twice, and afterwards
everything must be as before. Everything is computed from what callers and Mitto saw; exit status 1 if a bound is broken.
"""

# ruff: noqa: T201 - a command prints

import argparse
import asyncio
import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import uvloop

from benchmarks.configuration import API_KEY, FUNCTION_SETTINGS
from benchmarks.day_load import Load, Plan, Point, Seen
from benchmarks.install import drawing_python
from benchmarks.machine import cpu_seconds, descriptors, load_average, memory_mib
from benchmarks.running import HOST, RunError, free_port, run_tool
from benchmarks.storm import percentile
from benchmarks.tables import table
from mitto_phone_hook.callers import Reading
from mitto_phone_hook.config.rules import hook_secrets

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.numbers import fictional_numbers
from support.processes import Process, ask_redis, function_by, own_command, redis_server

WORKERS = 4
DESCRIPTORS_A_WORKER = 16
"""So many more may be open at the end: connections to Mitto that are kept."""

PEAK_SHARE = 0.6
"""Of the limit that was measured just before: the rate of the peak. In the slow minute a code costs about 1.5 times the CPU time."""

RESEND_AFTER_SECONDS = 30
SETTINGS = {
    "MITTO_API_KEY": API_KEY,
    "HOOK_SECRETS": FUNCTION_SETTINGS["HOOK_SECRETS"],
    "ALLOWED_REGIONS": "US",
    "LIMITS": "ip=9999999/hour; total=9999999/hour,9999999/day",
}
"""All simulated users have one address and share the total, so these two are counted, but very high. All others are the defaults."""

DAY = (
    Point(0, "00:00", 0.10),
    Point(16, "04:00", 0.03),
    Point(44, "08:30", 0.62),
    Point(58, "11:00", 0.36),
    Point(68, "12:45", 0.50),
    Point(82, "16:00", 0.34),
    Point(104, "20:00", 0.68),
    Point(112, "20:58", 1.0),
    Point(216, "21:00", 1.0),
    Point(226, "22:00", 0.40),
    Point(240, "24:00", 0.10),
)
"""The curve is assumed: no platform publishes one. The day passes about 600 times as fast as a real one, but for the last minutes before a
deadline at 21:00, which take 104 s. Rates are per real second, so it is the day that is shorter, not its peak that is lower."""

SLOW = (136.0, 196.0)

RAMP = (Point(0, "", 0.04), Point(60, "", 1.0))
RAMP_PER_SECOND = 2400
QUEUE_SECONDS = 1.0
"""The ramp ends when as many calls are in flight as come in so much time."""

WINDOW = 5
"""Seconds in which everything must be good to count as recovered; also those before the slowdown to compare with."""

RECOVERY_SECONDS = 10
LATENCY_FACTOR, LATENCY_SLACK = 3.0, 0.25
"""The p99 is good again below so many times that of before, or with so many seconds more."""

SENT_SHARE = 0.95
MEMORY_GROWTH = 1.25
KEPT_KIB = 2.5
"""What all workers together remember of an SMS for hours: counts of its recipient, its id, its record."""
COOLING_SECONDS = 8
"""After the last call: idle connections to Mitto are closed after five."""


class Sample(NamedTuple):
    """What was measured at one moment."""

    second: float
    in_flight: int
    memory_mib: float
    descriptors: int
    cpu_seconds: float


@dataclass
class Day:
    """One run and what came of it."""

    plan: Plan
    seen: Seen
    samples: list[Sample] = field(default_factory=list)
    numbers: int = 0
    """How many users have a number of their own."""
    redis_bytes: int = 0
    """How much more memory Redis used at the end than at the start."""
    redis_outages: int = 0
    """How often a worker said that Redis is down, at most once a minute. Then a code can leave twice. Where other programs keep the machine
    busy, 0.25 s without a response are enough."""


class Finding(NamedTuple):
    """One line of the verdict."""

    name: str
    value: str
    bound: str
    is_good: bool


def run(plan: Plan, folder: Path, *, is_ramp: bool = False) -> Day:
    """Start function, Redis and Mitto, let the day pass, and give what was seen."""
    settings = SETTINGS | {"RESEND_AFTER_SECONDS": f"{plan.resend_after:g}"}
    numbers = list(fictional_numbers())
    load = Load(plan, hook_secrets(settings["HOOK_SECRETS"]), numbers)
    mitto_port = free_port()
    with redis_server(folder) as redis:
        urls = {"MITTO_BASE_URL": f"http://{HOST}:{mitto_port}", "STORE_URL": f"redis://{HOST}:{redis.port}"}
        command = lambda port: [*own_command(port), "--workers", str(WORKERS)]  # noqa: E731 - short
        with function_by(command, folder / "function.txt", **settings, **urls) as function:
            day = Day(plan, load.seen)
            before = _redis_bytes(redis)
            uvloop.run(_run(load, day, function, mitto_port, is_ramp=is_ramp))
            day.numbers = min(len(day.seen.asks), len(numbers))
            day.redis_bytes = _redis_bytes(redis) - before
            day.redis_outages = function.output.read_text(encoding="utf-8").count('"store_unavailable"')
    return day


def _redis_bytes(redis: Process) -> int:
    return int(re.findall(r"^used_memory:([0-9]+)", ask_redis(redis.port, "INFO", "memory"), re.MULTILINE)[0])


async def _run(load: Load, day: Day, function: Process, mitto_port: int, *, is_ramp: bool) -> None:
    server = await load.listen(mitto_port)
    watching = asyncio.create_task(_watch(load, day, function.popen.pid))

    def is_over() -> bool:
        return is_ramp and load.now() > 2 * WINDOW and load.seen.in_flight > QUEUE_SECONDS * load.plan.rate(load.now())

    await load.run(function.port, is_over)
    load.hang_up()
    if not is_ramp:
        await asyncio.sleep(COOLING_SECONDS)
    watching.cancel()
    server.close()


async def _watch(load: Load, day: Day, pid: int) -> None:
    while True:
        in_flight = load.seen.in_flight
        measured = await asyncio.to_thread(lambda: (memory_mib(pid), descriptors(pid), cpu_seconds(pid)))
        day.samples.append(Sample(load.now(), in_flight, *measured))
        await asyncio.sleep(2)


def limit(folder: Path) -> float:
    """Give how many calls per second this machine completes, as callers see it, when more and more come."""
    day = run(Plan(RAMP, RAMP_PER_SECOND, resend_after=3), folder, is_ramp=True)
    last = int(day.seen.asks[-1].at)
    done = [call.ended for call in day.seen.calls if last - WINDOW <= call.ended < last]
    return len(done) / WINDOW


def day_plan(per_second: float, seconds: float) -> Plan:
    """Give the plan of a day in so many seconds."""
    scale = seconds / DAY[-1].second
    points = [point._replace(second=point.second * scale) for point in DAY]
    return Plan(points, per_second, (SLOW[0] * scale, SLOW[1] * scale), max(RESEND_AFTER_SECONDS * scale, 3))


def by_second(times: Sequence[float], seconds: int) -> list[int]:
    """Count the events in each second."""
    counts = [0] * seconds
    for time in times:
        if 0 <= time < seconds:
            counts[int(time)] += 1
    return counts


def latencies(day: Day, share: float) -> list[float | None]:
    """Give a percentile of the seconds that calls took, by the second in which they began; ``None`` where none began."""
    by_start: list[list[float]] = [[] for _ in range(int(day.plan.seconds))]
    for call in day.seen.calls:
        if call.started < day.plan.seconds:
            by_start[int(call.started)].append(call.ended - call.started)
    return [percentile(values, share) if values else None for values in by_start]


def recovered_after(day: Day) -> float:
    """Give the seconds from the end of the slowdown until p99 is as before for ``WINDOW`` seconds; infinite if it never is."""
    p99 = latencies(day, 0.99)
    start, end = (int(second) for second in day.plan.slow)
    before = median(value for value in p99[max(start - WINDOW, 0) : start] if value is not None)
    bound = max(before * LATENCY_FACTOR, before + LATENCY_SLACK)
    for second in range(end, len(p99) - WINDOW + 1):
        if all((value or 0) <= bound for value in p99[second : second + WINDOW]):
            return second - end
    return float("inf")


def doubles(day: Day) -> list[tuple[float, float]]:
    """Give the times of two SMS of the same code that left sooner one after the other than they may."""
    times = (sorted(sent) for sent in day.seen.sms.values())
    return [(one, next_one) for sent in times for one, next_one in pairwise(sent) if next_one - one < day.plan.resend_after]


def findings(day: Day) -> Iterator[Finding]:
    """Judge a day. No bound depends on the speed of the machine, but for those of the recovery."""
    seen, plan = day.seen, day.plan
    without = sum(not any(seen.sms.get(code) for code in ask.codes) for ask in seen.asks)
    yield _none("users who never got an SMS", without)
    yield _none(
        "users told that a code is on its way, and none was", sum(ask.has_code and not seen.sms.get(ask.codes[-1]) for ask in seen.asks)
    )
    missing = sum(not any(at <= sent for sent in seen.sms.get(ask.codes[-1], ())) for ask in seen.asks for at in ask.resends)
    yield _none("resends told that they are on their way, and none was", missing)
    yield _none(f"SMS of the same code within {plan.resend_after:g} s", len(doubles(day)))
    yield _none("SMS that nobody asked for", seen.strangers)
    yield _none("responses 500 (a bug)", sum(call.status == 500 for call in seen.calls))  # noqa: PLR2004 - the status
    slow = [ask.at for ask in seen.asks if plan.slow[0] <= ask.at < plan.slow[1]]
    sent = sum(plan.slow[0] <= times[0] < plan.slow[1] for times in seen.sms.values())
    share = sent / len(slow)
    yield Finding("codes sent in the slowdown, of those asked for", f"{share:.1%}", f">= {SENT_SHARE:.0%}", share >= SENT_SHARE)
    after = recovered_after(day)
    yield Finding("p99 as before after the slowdown", f"{after:g} s", f"<= {RECOVERY_SECONDS} s", after <= RECOVERY_SECONDS)
    at_start = [sample for sample in day.samples if sample.second < plan.slow[0]]
    last, warm = day.samples[-1], at_start[-1]
    later = sum(warm.second < at for times in seen.sms.values() for at in times)
    yield Finding(
        "memory at the end (PSS), before the slowdown",
        f"{last.memory_mib:.0f} MiB, {warm.memory_mib:.0f}",
        f"x {MEMORY_GROWTH}, + {KEPT_KIB} KiB an SMS",
        last.memory_mib <= warm.memory_mib * MEMORY_GROWTH + later * KEPT_KIB / 1024,
    )
    yield Finding(
        "descriptors at the end, before the slowdown",
        f"{last.descriptors}, {warm.descriptors}",
        f"+{DESCRIPTORS_A_WORKER} per worker",
        last.descriptors <= warm.descriptors + WORKERS * DESCRIPTORS_A_WORKER,
    )


def _none(name: str, count: int) -> Finding:
    return Finding(name, f"{count:,}", "0", count == 0)


def figures(day: Day, most: float | None) -> dict[str, float]:
    """Give the figures of a day that need no bound."""
    seen, plan = day.seen, day.plan
    sms = sum(map(len, seen.sms.values()))
    waits = [seen.sms[ask.codes[0]][0] - ask.at for ask in seen.asks if seen.sms.get(ask.codes[0])]
    in_slow = [
        seen.sms[ask.codes[0]][0] - ask.at for ask in seen.asks if plan.slow[0] <= ask.at < plan.slow[1] and seen.sms.get(ask.codes[0])
    ]
    statuses = [call.status for call in seen.calls]
    found = {
        **({"limit_per_second": most} if most else {}),
        "peak_per_second": plan.per_second,
        "users": len(seen.asks),
        "codes": sum(len(ask.codes) for ask in seen.asks),
        "calls": len(seen.calls),
        "sms": sms,
        "resends": sum(len(ask.resends) for ask in seen.asks),
        "second_codes": sum(len(ask.codes) > 1 for ask in seen.asks),
        "calls_again": len(seen.calls) - sum(len(ask.codes) for ask in seen.asks),
        "refused_by_mitto": seen.refused,
        "late_calls": statuses.count(0),
        "responses_409": statuses.count(409),
        "responses_429": statuses.count(429),
        "responses_503": statuses.count(503),
        "responses_504": statuses.count(504),
        "failures": sum(call.reading is Reading.FAILURE for call in seen.calls),
        "most_in_flight": max(sample.in_flight for sample in day.samples),
        "to_mitto_p50_ms": percentile(waits, 0.5) * 1000,
        "to_mitto_p99_ms": percentile(waits, 0.99) * 1000,
        "to_mitto_p99_slow_ms": percentile(in_slow, 0.99) * 1000,
        "redis_outages": day.redis_outages,
        "redis_bytes_per_user": day.redis_bytes / day.numbers,
        "cpu_ms_per_sms": 1000 * (day.samples[-1].cpu_seconds - day.samples[0].cpu_seconds) / sms,
    }
    return {name: round(value, 2) for name, value in found.items()}


def document(day: Day, most: float | None, busy: float) -> dict[str, object]:
    """Give all that is kept of a day: figures, findings, and the series of the picture, by second. ``busy`` is the load average before."""
    seconds = int(day.plan.seconds)
    return {
        "about": {
            "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "workers": WORKERS,
            "load_average_before": round(busy, 1),
        },
        "slow": day.plan.slow,
        "clock": [[point.second, point.clock] for point in day.plan.points],
        "figures": figures(day, most),
        "findings": [finding._asdict() for finding in findings(day)],
        "series": {
            "asked": by_second([ask.at for ask in day.seen.asks], seconds),
            "sent": by_second([time for times in day.seen.sms.values() for time in times], seconds),
            "doubles": [[round(time, 1) for time in pair] for pair in doubles(day)],
            "p50": latencies(day, 0.5),
            "p99": latencies(day, 0.99),
            "in_flight": [[round(sample.second, 1), sample.in_flight] for sample in day.samples],
            "cpu_seconds": [[round(sample.second, 1), round(sample.cpu_seconds, 2)] for sample in day.samples],
            "memory_mib": [[round(sample.second, 1), round(sample.memory_mib, 1)] for sample in day.samples],
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the day. Returns the exit status: 1 if a bound is broken, 2 if nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.day", description=__doc__.partition("\n\n")[2] if __doc__ else "")
    parser.add_argument(
        "--peak", type=float, metavar="N", help=f"new codes per second at the peak (default: {PEAK_SHARE} of the limit, measured)"
    )
    parser.add_argument("--seconds", type=float, default=DAY[-1].second, metavar="N", help="length of the day (default: %(default)g)")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write day.json and day.svg there")
    options = parser.parse_args(arguments)
    busy = load_average()
    with TemporaryDirectory() as folder:
        most = None
        if not options.peak:
            print("Measuring the limit ...", file=sys.stderr, flush=True)
            most = limit(Path(folder))
        per_second = options.peak or PEAK_SHARE * (most or 0)
        print(f"A day of {options.seconds:g} s, {per_second:,.0f} codes per second at its peak ...", file=sys.stderr, flush=True)
        day = run(day_plan(per_second, options.seconds), Path(folder))
    kept = document(day, most, busy)
    verdicts = list(findings(day))
    print(table(["figure", "value"], [[name.replace("_", " "), f"{value:,.10g}"] for name, value in figures(day, most).items()]), "\n")
    print(table(["what", "found", "bound", "verdict"], [[*row[:3], "ok" if row.is_good else "FAILED"] for row in verdicts]))
    if options.write:
        path = options.write / "day.json"
        path.write_text(json.dumps(kept) + "\n", encoding="utf-8")
        try:
            run_tool([str(drawing_python()), str(Path(__file__).parent / "plot_day.py"), str(path)], timeout=120)
        except RunError as error:
            print(f"no plot: {error}", file=sys.stderr)
    return int(not all(row.is_good for row in verdicts))


if __name__ == "__main__":
    sys.exit(main())
