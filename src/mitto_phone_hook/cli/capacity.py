"""``mitto-phone-hook capacity``: how many instances a load needs, the load on Redis, and what a month costs."""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mitto_phone_hook.cli.cloud_facts import FACTS, HOURS, REDIS_GIB_HOUR, instance_month, redis_month
from mitto_phone_hook.cli.columns import table
from mitto_phone_hook.cli.terminal import Terminal

CPU_MS_PER_MESSAGE = 0.79
"""CPU time of one message with every feature on and with Redis, by ``make bench`` (benchmarks/results/results.md)."""

REDIS_CALLS_PER_MESSAGE = 2
"""Claim the message and count it before it is sent, store its result afterwards (``redis_admission.py``, ``redis_idempotency.py``)."""

REDIS_MS_PER_MESSAGE = 0.15
"""CPU time of Redis for one message with 64 in flight, by ``make bench``. Redis uses one core."""

CLUSTER_FACTOR = 1.8
"""A message takes so many times the CPU in a cluster, whose scripts cannot span slots, by ``python -m benchmarks.cluster``."""

REDIS_BYTES_PER_RECIPIENT = 200
"""Memory of Redis for the one count of a recipient that it keeps for a day. All others are gone after an hour: a twentieth in sum."""

REDIS_MEMORY_SHARE = 0.8
"""How full the memory of a Redis may become."""

LEAST_INSTANCES = 2
"""So that one can be replaced."""

_MAX = 1_000_000

DEFAULT_RATES = (10, 100, 1000, 10_000)

DEFAULT_AVERAGE = 0.3
"""Messages on average, as a share of those at the peak. Assumed: about that of a day that is busy from 8 to 22 o'clock."""

_HELP = """\
Calculate how many instances of one core a load needs, and what a month costs on Google Cloud. Two things limit an
instance: its CPU, and how many calls it may have in flight while Mitto responds. The CPU time per message was measured
on one machine. Measure your own with `make bench` and pass it with --cpu-ms. Prices are documented list prices in
US dollars: Cloud Run with as many instances as the average needs, Redis for the peak. You give the price of an SMS.
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
    redis_masters: int
    """How many Redis servers are needed to keep each below the utilisation; with more than one it is a cluster."""


class Month(NamedTuple):
    """What a month costs, in US dollars, without SMS."""

    messages: float
    compute: float
    redis: float
    redis_gib: int
    """Memory of each master."""


def requirements_for(load: Load) -> Requirements:
    """Calculate what a load needs. No instance exceeds ``utilisation`` of its core or of its ``concurrency``."""
    by_cpu = load.utilisation * 1000 / load.cpu_ms
    by_concurrency = load.utilisation * load.concurrency / load.mitto_seconds
    redis_utilisation = load.messages_per_second * REDIS_MS_PER_MESSAGE / 1000
    return Requirements(
        per_instance=min(by_cpu, by_concurrency),
        is_limited_by_cpu=by_cpu <= by_concurrency,
        instances=math.ceil(load.messages_per_second / min(by_cpu, by_concurrency)),
        in_flight=load.messages_per_second * load.mitto_seconds,
        redis_calls_per_second=load.messages_per_second * REDIS_CALLS_PER_MESSAGE,
        redis_utilisation=redis_utilisation,
        redis_masters=1 if redis_utilisation <= load.utilisation else math.ceil(CLUSTER_FACTOR * redis_utilisation / load.utilisation),
    )


def month_for(load: Load, average: float) -> Month:
    """Calculate what a month costs when on average so large a share of the peak's messages comes, each to another recipient."""
    needed, per_second = requirements_for(load), load.messages_per_second * average
    messages = per_second * HOURS * 3600
    instances = max(math.ceil(per_second / needed.per_instance), LEAST_INSTANCES)
    a_day = per_second * 24 * 3600 * REDIS_BYTES_PER_RECIPIENT / REDIS_MEMORY_SHARE / 2**30
    # More memory than the largest server has needs more servers, as more work does.
    masters = max(needed.redis_masters, math.ceil(a_day / max(REDIS_GIB_HOUR)))
    gib = math.ceil(a_day / masters)
    compute = instance_month(instances) + messages / 1e6 * FACTS["million_requests"].value
    return Month(messages, compute, masters * redis_month(gib), gib)


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
    parser.add_argument(
        "--concurrency",
        type=_integer,
        default=int(FACTS["concurrency"].value),
        metavar="N",
        help=f"calls in flight per instance (default: %(default)s; on Cloud Run at most {FACTS['concurrency_max'].value:g})",
    )
    parser.add_argument(
        "--utilisation", type=_fraction, default=0.6, metavar="FRACTION", help="highest load of an instance (default: %(default)s)"
    )
    parser.add_argument(
        "--average",
        type=_fraction,
        default=DEFAULT_AVERAGE,
        metavar="FRACTION",
        help="average load by that at the peak (default: %(default)s)",
    )
    parser.add_argument("--sms-price", type=_positive, metavar="PRICE", help="what one SMS costs you, in any currency")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _: Mapping[str, str], terminal: Terminal) -> int:
    """Print one line per load, and one about its month."""
    loads = [Load(rate, options.mitto_seconds, options.cpu_ms, options.concurrency, options.utilisation) for rate in options.per_second]
    needs = [requirements_for(load) for load in loads]
    head = ("messages/s", "instances", "per instance", "limited by", "in flight", "Redis calls/s", "Redis busy", "Redis masters")
    _write([head, *map(_row, loads, needs)], terminal)
    terminal.write(f"\nA month with {options.average:.0%} of that on average, list prices of Google Cloud:\n\n")
    head = ("messages/s", "messages", "Cloud Run", "Redis", "GiB each", *(("SMS",) if options.sms_price else ()))
    _write([head, *(_month_row(load, month_for(load, options.average), options.sms_price) for load in loads)], terminal)
    if not options.sms_price:
        terminal.write("\nSMS come on top, and cost far more: give what one costs you with --sms-price.\n")
    terminal.write(
        "\nWith STORE_URL=redis:// run at least 2 instances, so that one can be replaced. Without it run 1; Redis is not used.\n"
    )
    vpc_instances = FACTS["vpc_instances"].value
    if any(needed.instances > vpc_instances for needed in needs):
        terminal.write(f"More than {vpc_instances:g} instances of Cloud Run reach a Redis only after Google has raised a quota.\n")
    if any(needed.redis_masters > 1 for needed in needs):
        terminal.write("More than one master is a cluster. There `total` and budgets stay on one of them: see docs/scale.md.\n")
    return 0


def _row(load: Load, needed: Requirements) -> tuple[str, ...]:
    return (
        f"{load.messages_per_second:,.6g}",
        f"{needed.instances:,}",
        f"{needed.per_instance:,.0f}/s",
        "CPU" if needed.is_limited_by_cpu else "concurrency",
        f"{needed.in_flight:,.0f}",
        f"{needed.redis_calls_per_second:,.0f}",
        f"{needed.redis_utilisation:.1%}",
        f"{needed.redis_masters:,}",
    )


def _month_row(load: Load, month: Month, sms_price: float | None) -> tuple[str, ...]:
    cells = (f"{month.messages:,.0f}", f"${month.compute:,.0f}", f"${month.redis:,.0f}", f"{month.redis_gib:,}")
    return (f"{load.messages_per_second:,.6g}", *cells, *((f"{month.messages * sms_price:,.0f}",) if sms_price else ()))


def _write(rows: Sequence[Sequence[str]], terminal: Terminal) -> None:
    for line in table(rows, numbers=range(len(rows[0]))):
        terminal.write(line + "\n")


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
