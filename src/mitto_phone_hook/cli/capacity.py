"""``mitto-phone-hook capacity``: how many instances a load needs, and the load on Redis."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mitto_phone_hook.cli.terminal import Terminal

CPU_MS_PER_MESSAGE = 0.47
"""CPU time of one message with every feature on, as measured by ``make bench`` (benchmarks/results/results.md)."""

REDIS_CALLS_PER_MESSAGE = 2
"""Claim the message and count it before it is sent, store its result afterwards (``redis_admission.py``, ``redis_idempotency.py``)."""

REDIS_MS_PER_MESSAGE = 0.23
"""CPU time of Redis for these calls, as measured by ``python -m benchmarks.costs``, one message at a time. Redis uses one core."""

_MAX = 1_000_000

DEFAULT_RATES = (10, 100, 1000)

_HELP = """\
Calculate how many instances of one core a load needs. Two things limit an instance: its CPU, and how many calls it may
have in flight while Mitto responds. The CPU time per message was measured on one machine. Measure your own with
`make bench` and pass it with --cpu-ms.
"""


@dataclass(frozen=True, slots=True)
class Load:
    """The load, and what limits one instance."""

    messages_per_second: float
    mitto_seconds: float
    cpu_ms: float
    concurrency: int
    utilisation: float


class Requirements(NamedTuple):
    """What a load needs."""

    per_instance: float
    """Messages per second that one instance can handle."""
    is_limited_by_cpu: bool
    instances: int
    in_flight: float
    redis_calls_per_second: float
    redis_utilisation: float
    """Share of the one core that Redis uses; 1 is all of it."""


def requirements_for(load: Load) -> Requirements:
    """Calculate what a load needs. No instance exceeds ``utilisation`` of its core or of its ``concurrency``."""
    by_cpu = load.utilisation * 1000 / load.cpu_ms
    by_concurrency = load.utilisation * load.concurrency / load.mitto_seconds
    return Requirements(
        per_instance=min(by_cpu, by_concurrency),
        is_limited_by_cpu=by_cpu <= by_concurrency,
        instances=math.ceil(load.messages_per_second / min(by_cpu, by_concurrency)),
        in_flight=load.messages_per_second * load.mitto_seconds,
        redis_calls_per_second=load.messages_per_second * REDIS_CALLS_PER_MESSAGE,
        redis_utilisation=load.messages_per_second * REDIS_MS_PER_MESSAGE / 1000,
    )


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "capacity", help="how many instances a load needs", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--per-second", type=_positive, nargs="+", default=DEFAULT_RATES, metavar="N", help="messages per second at the peak"
    )
    parser.add_argument("--mitto-seconds", type=_positive, default=0.3, metavar="S", help="response time of Mitto (default: %(default)s)")
    parser.add_argument(
        "--cpu-ms", type=_positive, default=CPU_MS_PER_MESSAGE, metavar="MS", help="CPU time per message (default: %(default)s)"
    )
    parser.add_argument("--concurrency", type=_integer, default=80, metavar="N", help="calls in flight per instance (default: %(default)s)")
    parser.add_argument(
        "--utilisation", type=_fraction, default=0.6, metavar="FRACTION", help="highest load of an instance (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _: Mapping[str, str], terminal: Terminal) -> int:
    """Print one line per load."""
    rows = [("messages/s", "instances", "per instance", "limited by", "in flight", "Redis calls/s", "Redis busy")]
    is_redis_overloaded = False
    for rate in options.per_second:
        needed = requirements_for(Load(rate, options.mitto_seconds, options.cpu_ms, options.concurrency, options.utilisation))
        limit = "CPU" if needed.is_limited_by_cpu else "concurrency"
        numbers = (f"{rate:,.6g}", f"{needed.instances:,}", f"{needed.per_instance:,.0f}/s", limit)
        is_redis_overloaded |= needed.redis_utilisation > 1
        rows.append((*numbers, f"{needed.in_flight:,.0f}", f"{needed.redis_calls_per_second:,.0f}", f"{needed.redis_utilisation:.1%}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        terminal.write("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + "\n")
    terminal.write(
        "\nWith STORE_URL=redis:// run at least 2 instances, so that one can be replaced. Without it run 1; Redis is not used.\n"
    )
    if is_redis_overloaded:
        terminal.write("One Redis cannot handle a load that keeps it busy for more than 100 %.\n")
    return 0


def _positive(text: str) -> float:
    return _number(text, _MAX, "must be a number above 0, at most 1000000")


def _integer(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MAX:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 1000000")
    return int(text)


def _fraction(text: str) -> float:
    return _number(text, 1, "must be a fraction above 0, at most 1, such as 0.6")


def _number(text: str, maximum: float, problem: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= maximum:
        raise argparse.ArgumentTypeError(problem)
    return number
