"""How a Redis Cluster shares the work of messages: ``python -m benchmarks.cluster``.

Each message is claimed, counted and settled as the function does it, for a number and an address of its own. On two cores this program and
the servers share the processors, so the throughput says little about more machines. What each master does for one message does: the CPU
time of the busiest one is what limits a cluster with a machine for each master.
"""

# ruff: noqa: T201 - a command prints

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import uvloop

from benchmarks.tables import table
from mitto_phone_hook.config.settings import load
from mitto_phone_hook.delivery.idempotency import IdempotencyGuard, key_of
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.storage.protocols import Acquired, Entry, IdempotencyStore, Quota, Validity
from mitto_phone_hook.storage.redis_client import RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.clusters import redis_cluster
from support.messages import parse
from support.processes import Process, ask_redis, redis_server

MESSAGES, AT_ONCE = 5000, 64
LIMITS = "total=9999999/hour,9999999/day"
WITHOUT_TOTAL = "total=off"
"""With the defaults of the other rules, windows of the recipient and of the user's address are counted, and with ``LIMITS`` the total."""

HEAD = ("servers", "messages/s here", "scripts for one message", "share", "their CPU time, us", "messages/s of the busiest at 100 %")


class Work(NamedTuple):
    """What a server did for one message: scripts, and microseconds of CPU time."""

    scripts: float
    microseconds: float


class Measured(NamedTuple):
    """Messages in a second, and what each master did."""

    rate: float
    masters: Sequence[Work]


def _body(number: int) -> bytes:
    context = {"code": f"{number:06d}", "ip": f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}"}
    fields = {"recipient": f"+4179{number % 1000:03d}{number // 1000:04d}", "text": f"Your code is {number:06d}", "context": context}
    return json.dumps(fields).encode()


async def _send_all(port: int, messages: int, limits_text: str) -> float:
    """Do all that the stores do for so many messages; give the seconds."""
    settings = {"MITTO_API_KEY": "k", "HOOK_SECRETS": "bearer-secret-of-the-benchmark", "LIMITS": limits_text, "ALLOWED_REGIONS": "CH"}
    limits, numbers = load(settings).quotas, iter([parse(_body(number), b"", None) for number in range(messages)])
    client = RedisClient(f"redis://127.0.0.1:{port}", lambda: sys.exit("a server failed"), timeout_seconds=10, queue_seconds=60)
    guard, counters = (
        IdempotencyGuard(RedisIdempotencyStore(client, 600), deadline_seconds=8),
        RedisCounterStore(client, is_closed_on_failure=True),
    )

    async def send() -> Result:
        return Result(Outcome.ACCEPTED, message_id="m", segments=1)

    async def work(owner: str) -> None:
        for message in numbers:
            quota = Quota(counters, limits.charges(message, 1, b"key"), is_binding=True)

            async def claim(store: IdempotencyStore, key: str, entry: Entry, validity: Validity, latest: float) -> Entry | None:
                kept, counted = await store.claim_and_acquire(key, entry, quota, validity, latest)  # noqa: B023 - called before the next
                if not isinstance(counted, Acquired):
                    sys.exit("a limit is in the way")
                return kept

            await guard.once(key_of(message, b"key"), owner, float("inf"), send, claim=claim)

    started = time.perf_counter()
    await asyncio.gather(*(work(f"r{number}") for number in range(AT_ONCE)))
    # What is told Redis afterwards belongs to it.
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    seconds = time.perf_counter() - started
    await client.aclose()
    return seconds


def _done(port: int) -> Work:
    """Give what a server has done so far."""
    lines = dict(line.split(":", 1) for line in ask_redis(port, "INFO", "all").splitlines() if ":" in line)
    scripts = sum(int(lines[name].split(",")[0].removeprefix("calls=")) for name in ("cmdstat_eval", "cmdstat_evalsha") if name in lines)
    return Work(scripts, sum(float(lines[f"used_cpu_{kind}"]) for kind in ("sys", "user")) * 1e6)


def _measured(masters: Sequence[Process], messages: int, limits: str = LIMITS) -> Measured:
    before = [_done(master.port) for master in masters]
    seconds = uvloop.run(_send_all(masters[0].port, messages, limits))
    after = [_done(master.port) for master in masters]
    return Measured(
        messages / seconds,
        [Work(*((n - b) / messages for n, b in zip(now, then, strict=True))) for now, then in zip(after, before, strict=True)],
    )


def _row(name: str, found: Measured) -> list[str]:
    scripts, times = ([work[kind] for work in found.masters] for kind in (0, 1))
    shares = [f"{100 * one / sum(scripts):.0f} %" for one in scripts]
    return [
        name,
        f"{found.rate:,.0f}",
        " + ".join(f"{one:.2f}" for one in scripts),
        " + ".join(shares),
        " + ".join(f"{one:.0f}" for one in times),
        f"{1e6 / max(times):,.0f}",
    ]


def main() -> int:
    """Print what one server, a cluster of one master and one of three do."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--messages", type=int, default=MESSAGES, help="how many (default: %(default)s)")
    messages = parser.parse_args().messages
    rows = []
    with TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
        rows.append(_row("one Redis", _measured([redis], messages)))
    for masters, limits, name in (
        (1, LIMITS, "cluster, 1 master"),
        (3, LIMITS, "cluster, 3 masters"),
        (3, WITHOUT_TOTAL, "the same, no total"),
    ):
        with TemporaryDirectory() as folder, redis_cluster(Path(folder), masters=masters) as cluster:
            rows.append(_row(name, _measured(cluster.nodes, messages, limits)))
    print(table(HEAD, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
