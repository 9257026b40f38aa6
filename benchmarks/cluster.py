"""What Redis does for messages, alone and as a cluster, and what it costs us: ``python -m benchmarks.cluster``.

Each message is claimed, counted and settled as the function does it, for a number and an address of its own. The scripts that this takes
are recorded with all keys and arguments, and played again by several processes that do nothing else, so that Redis is the limit and not
Python. On two cores they and the servers still share the processors. So the throughput here says less than the CPU time of the busiest
server for one message: that is what limits an installation with a core for each server, and the last column is calculated from it.

The second table is the CPU time of the function itself for one message, from the bytes of a call to those of its response, the least of
some runs: with memory and with Redis, for calls with a bearer secret and for signed ones, whose ids are remembered, too.
"""

# ruff: noqa: T201 - a command prints

import argparse
import asyncio
import json
import math
import os
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import uvloop
from redis.crc import key_slot

from benchmarks.running import inherited_environment, run_tool
from benchmarks.tables import table
from mitto_phone_hook.config.settings import load
from mitto_phone_hook.delivery.idempotency import IdempotencyGuard, key_of
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.storage.protocols import Acquired, Entry, IdempotencyStore, Quota, Validity
from mitto_phone_hook.storage.redis_client import Arguments, Keys, RedisClient
from mitto_phone_hook.storage.redis_connection import packed
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from mitto_phone_hook.storage.redis_nodes import sha

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support import served
from support.clusters import redis_cluster
from support.messages import parse
from support.processes import Process, ask_redis, redis_server

MESSAGES, AT_ONCE = 5000, 64
PROCESSES, PIPELINED = 2, 16
"""How many processes play the scripts again, and how many commands each of them sends to a server at once."""
OWN_RUNS, OWN_WARM, OWN_MESSAGES = 4, 200, 1000
LIMITS = "total=9999999/hour,9999999/day"
WITHOUT_TOTAL = "total=off"
"""With the defaults of the other rules, windows of the recipient and of the user's address are counted, and with ``LIMITS`` the total."""

HERE = "--here"
HEAD = ("servers", "messages/s here", "scripts for a message", "share", "their CPU time, us", "messages/s and core", "at one core each")
OWN_HEAD = ("calls", "in flight", "memory, us", "Redis, us", "ratio")
OWN = (("bearer secret", "-unsigned", "", 1), ("bearer secret", "-unsigned", "-16", 16), ("signed", "", "", 1), ("signed", "", "-16", 16))


class Work(NamedTuple):
    """What a server did for one message: scripts, and microseconds of CPU time."""

    scripts: float
    microseconds: float


class Measured(NamedTuple):
    """Messages in a second, and what each master did."""

    rate: float
    masters: Sequence[Work]


class Recorded(NamedTuple):
    """A script, as it was run."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[str | int]


class Recorder(RedisClient):
    """A client that notes all that it asks."""

    def __init__(self, port: int) -> None:
        """Connect on first use."""
        super().__init__(f"redis://127.0.0.1:{port}", lambda: sys.exit("a server failed"), timeout_seconds=10, queue_seconds=60)
        self.recorded: list[Recorded] = []

    async def eval(self, script: str, keys: Keys, arguments: Arguments, *, latest: float = math.inf, may_repeat: bool = True) -> Any:  # noqa: ANN401 - whatever the script gives
        """See ``RedisClient``."""
        given = await super().eval(script, keys, arguments, latest=latest, may_repeat=may_repeat)
        self.recorded.append(Recorded(script, keys, arguments))
        return given


def _body(number: int) -> bytes:
    context = {"code": f"{number:06d}", "ip": f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}"}
    fields = {"recipient": f"+4179{number % 1000:03d}{number // 1000:04d}", "text": f"Your code is {number:06d}", "context": context}
    return json.dumps(fields).encode()


async def _send_all(port: int, numbers_of_messages: Iterable[int], limits_text: str) -> list[Recorded]:
    """Do all that the stores do for these messages; give the scripts that it took."""
    settings = {"MITTO_API_KEY": "k", "HOOK_SECRETS": "bearer-secret-of-the-benchmark", "LIMITS": limits_text, "ALLOWED_REGIONS": "CH"}
    limits, numbers = load(settings).quotas, iter([parse(_body(number), b"", None) for number in numbers_of_messages])
    client = Recorder(port)
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

    await asyncio.gather(*(work(f"r{number}") for number in range(AT_ONCE)))
    # What is told Redis afterwards belongs to it.
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    await client.aclose()
    return client.recorded


class Batch(NamedTuple):
    """Commands for one server, and how many lines its responses have."""

    port: int
    commands: bytes
    lines: int


def _batches(recorded: Sequence[Recorded], owners: Mapping[int, int]) -> list[Batch]:
    """Give the commands as they are sent again. ``owners`` has the server's port by slot; without a cluster only that of slot 0."""
    waiting, batches = defaultdict[int, list[Recorded]](list), list[Batch]()

    def finish(port: int) -> None:
        # The script that settles gives a number, which is one line; the other a text, which is two.
        lines = sum(1 if one.script.endswith("return 1\n") else 2 for one in waiting[port])
        commands = [("EVALSHA", sha(one.script), len(one.keys), *one.keys, *one.arguments) for one in waiting.pop(port)]
        batches.append(Batch(port, packed(commands), lines))

    for one in recorded:
        port = owners[key_slot(one.keys[0].encode()) if len(owners) > 1 else 0]
        waiting[port].append(one)
        if len(waiting[port]) == PIPELINED:
            finish(port)
    for port in tuple(waiting):
        finish(port)
    return batches


def _replay(batches: Sequence[Batch]) -> None:
    """Send commands, several to each server at once: each server gets its next ones when it has answered the last."""
    connections = {port: socket.create_connection(("127.0.0.1", port)) for port in {batch.port for batch in batches}}
    under_way = dict[int, int]()

    def wait_for(port: int) -> None:
        left = under_way.pop(port, 0)
        while left:
            received = connections[port].recv(1 << 16)
            left -= received.count(b"\n")
            if not received or received.startswith(b"-") or b"\n-" in received:
                sys.exit(f"a server did not run a script: {received[:200]!r}")

    for batch in batches:
        wait_for(batch.port)
        connections[batch.port].sendall(batch.commands)
        under_way[batch.port] = batch.lines
    for port, connection in connections.items():
        wait_for(port)
        connection.close()


def _done(port: int) -> Work:
    """Give what a server has done so far."""
    lines = dict(line.split(":", 1) for line in ask_redis(port, "INFO", "all").splitlines() if ":" in line)
    scripts = sum(int(lines[name].split(",")[0].removeprefix("calls=")) for name in ("cmdstat_eval", "cmdstat_evalsha") if name in lines)
    return Work(scripts, sum(float(lines[f"used_cpu_{kind}"]) for kind in ("sys", "user")) * 1e6)


def _measured(masters: Sequence[Process], messages: int, limits: str = LIMITS) -> Measured:
    ports = [master.port for master in masters]
    owners = {0: ports[0]}
    if len(ports) > 1 or "cluster_enabled:1" in ask_redis(ports[0], "INFO", "cluster"):
        rows = ask_redis(ports[0], "CLUSTER", "SLOTS")
        owners = {slot: row[2][1] for row in rows for slot in range(row[0], row[1] + 1)}
    share = messages // PROCESSES
    recordings = [uvloop.run(_send_all(ports[0], range(first * share, (first + 1) * share), limits)) for first in range(PROCESSES)]
    for port in ports:
        ask_redis(port, "FLUSHALL")
    parts = [_batches(recorded, owners) for recorded in recordings]
    with ProcessPoolExecutor(PROCESSES) as pool:
        list(pool.map(os.getpgid, [0] * PROCESSES))
        before, started = [_done(port) for port in ports], time.perf_counter()
        list(pool.map(_replay, parts))
        seconds, after = time.perf_counter() - started, [_done(port) for port in ports]
    done = share * PROCESSES
    return Measured(
        done / seconds,
        [Work(*((n - b) / done for n, b in zip(now, then, strict=True))) for now, then in zip(after, before, strict=True)],
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
        f"{1e6 / sum(times):,.0f}",
        f"{1e6 / max(times):,.0f}",
    ]


def _own_cpu(run: str, port: int | None) -> float:
    """Give the microseconds of CPU time of the function for one message: the least of some runs, each in a process of its own."""
    store = {} if port is None else {"STORE_URL": f"redis://127.0.0.1:{port}"}
    environment = inherited_environment() | store
    command = [
        "env",
        "-i",
        *(f"{name}={value}" for name, value in environment.items()),
        sys.executable,
        "-m",
        "benchmarks.cluster",
        HERE,
        run,
    ]
    least = math.inf
    for _ in range(OWN_RUNS):
        if port is not None:
            ask_redis(port, "FLUSHALL")
        least = min(least, float(run_tool(command, timeout=120)))
    return least


def _print_own_cpu(run: str) -> None:
    output, moments = os.dup(1), list[float]()
    served.run(run, OWN_WARM, OWN_MESSAGES, lambda: moments.append(time.process_time()))
    os.write(output, f"{(time.process_time() - moments[0]) / OWN_MESSAGES * 1e6:.1f}".encode())


def _own_rows() -> list[list[str]]:
    rows = []
    with TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
        for calls, kind, suffix, in_flight in OWN:
            memory, shared = _own_cpu(f"memory{kind}{suffix}", None), _own_cpu(f"redis{kind}{suffix}", redis.port)
            rows.append([calls, str(in_flight), f"{memory:.0f}", f"{shared:.0f}", f"{shared / memory:.2f}"])
    return rows


def main() -> int:
    """Print what one server, a cluster of one master and one of three do."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--messages", type=int, default=MESSAGES, help="how many (default: %(default)s)")
    parser.add_argument(HERE, metavar="RUN", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        _print_own_cpu(given.here)
        return 0
    messages = given.messages
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
    print(table(HEAD, rows), flush=True)
    print()
    print(table(OWN_HEAD, _own_rows()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
