"""``mitto-phone-hook capacity``: how many instances a load needs, and what it asks of Redis and Mitto."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mitto_phone_hook.cli.terminal import Terminal

CPU_MS_PER_MESSAGE = 0.41
"""Processor time of one message with everything on, as ``make bench`` printed it (benchmarks/results/results.md)."""

REDIS_CALLS_PER_MESSAGE = 3
"""To claim it, to count it, to settle it: one round trip each (``redis_store.py``, ``redis_counters.py``)."""

REDIS_MS_PER_MESSAGE = 0.9
"""Processor time of Redis for them, as ``python -m benchmarks.costs`` printed it; a Redis has one processor."""

_MOST = 1_000_000

EXAMPLES = (10, 100, 1000)

_HELP = """\
Say how many instances of one core a load needs. Two things bound an instance: its processor, and how many calls it may
hold at once while Mitto answers. The processor's time per message was measured on one machine; measure yours with
`make bench` and give it with --cpu-ms.
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the function, and what one instance can give."""

    messages_per_second: float
    mitto_seconds: float
    cpu_ms: float
    concurrency: int
    utilisation: float


class Need(NamedTuple):
    """What a load needs."""

    per_instance: float
    """Messages per second that one instance takes."""
    is_bound_by_cpu: bool
    instances: int
    in_flight: float
    redis_calls_per_second: float
    redis_share: float
    """Of the one processor that Redis uses."""


def need_of(load: Load) -> Need:
    """Work out what a load needs: no instance runs above its share of the core, nor holds more calls than it may."""
    by_cpu = load.utilisation * 1000 / load.cpu_ms
    by_calls = load.utilisation * load.concurrency / load.mitto_seconds
    return Need(
        per_instance=min(by_cpu, by_calls),
        is_bound_by_cpu=by_cpu <= by_calls,
        instances=math.ceil(load.messages_per_second / min(by_cpu, by_calls)),
        in_flight=load.messages_per_second * load.mitto_seconds,
        redis_calls_per_second=load.messages_per_second * REDIS_CALLS_PER_MESSAGE,
        redis_share=load.messages_per_second * REDIS_MS_PER_MESSAGE / 1000,
    )


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "capacity", help="how many instances a load needs", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-second", type=_positive, nargs="+", default=EXAMPLES, metavar="N", help="messages per second at the peak")
    parser.add_argument("--mitto-seconds", type=_positive, default=0.3, metavar="S", help="how long Mitto takes (default: %(default)s)")
    parser.add_argument("--cpu-ms", type=_positive, default=CPU_MS_PER_MESSAGE, metavar="MS", help="per message (default: %(default)s)")
    parser.add_argument("--concurrency", type=_whole, default=80, metavar="N", help="calls an instance may hold (default: %(default)s)")
    parser.add_argument("--utilisation", type=_share, default=0.6, metavar="SHARE", help="of an instance, at most (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _: Mapping[str, str], terminal: Terminal) -> int:
    """Show what the loads need, a line each."""
    rows = [("messages/s", "instances", "each takes", "bound by", "in flight", "Redis calls/s", "Redis busy")]
    is_too_much = False
    for rate in options.per_second:
        need = need_of(Load(rate, options.mitto_seconds, options.cpu_ms, options.concurrency, options.utilisation))
        bound = "processor" if need.is_bound_by_cpu else "calls held"
        numbers = (f"{rate:,.6g}", f"{need.instances:,}", f"{need.per_instance:,.0f}/s", bound)
        is_too_much |= need.redis_share > 1
        rows.append((*numbers, f"{need.in_flight:,.0f}", f"{need.redis_calls_per_second:,.0f}", f"{need.redis_share:.1%}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        terminal.write("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + "\n")
    terminal.write("\nWith STORE_URL=redis:// plan 2, not 1, so that one can be replaced; without it run 1, and no Redis is asked.\n")
    if is_too_much:
        terminal.write("Where Redis is busy for more than 100 %, one Redis cannot serve the load.\n")
    return 0


def _positive(text: str) -> float:
    return _number(text, _MOST, "must be a number above 0, at most 1000000")


def _whole(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 1000000")
    return int(text)


def _share(text: str) -> float:
    return _number(text, 1, "must be a share above 0, at most 1, such as 0.6")


def _number(text: str, most: float, problem: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(problem)
    return number
