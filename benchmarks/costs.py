"""What idempotency and checks cost per message, in CPU time and in round trips to Redis: ``python -m benchmarks.costs``.

CPU time is the least of seven runs, to reduce the effect of other work on the machine. A whole message is the hook
itself with a prepared response of Mitto. HTTP server and network are not included, so the shares are upper bounds.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx

from mitto_phone_hook.config import limit_rules
from mitto_phone_hook.config.settings import load
from mitto_phone_hook.delivery.idempotency import IdempotencyGuard, key_of
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.hook import Hook, Stores
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.enforcement import Policy
from mitto_phone_hook.policy.limits import Limits
from mitto_phone_hook.request import Call
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.messages import mitto_over, parse
from support.processes import fake_mitto, function, redis_server

RUNS, MESSAGES, REDIS_MESSAGES = 7, 2000, 1000
SECRET = "bearer-secret-of-the-benchmark"  # noqa: S105 - no secret
CHECKS_GOAL_US, IDEMPOTENCY_GOAL = 150, 0.05
SCRIPTS_GOAL, REDIS_GOAL_US = 2.1, 300
SETTINGS = {"ALLOWED_REGIONS": "CH", "LIMITS": "ip=9999999/hour; total=9999999/hour,9999999/day"}


def body(number: int) -> bytes:
    """Return a message to a number of its own. Few other numbers have the same first digits."""
    context = {"code": f"{number:06d}", "message_type": "sms", "ip": "203.0.113.7", "client": {"client_id": "x"}}
    return json.dumps(
        {"recipient": f"+4179{number % 1000:03d}{number // 1000:04d}", "text": f"Your code is {number:06d}", "context": context}
    ).encode()


def microseconds(work: Callable[[], Callable[[int], Awaitable[object]]]) -> float:
    """Return the CPU time of one message. ``work`` makes a new handler for every run."""

    async def run() -> float:
        handle = work()
        started = time.process_time()
        for number in range(MESSAGES):
            await handle(number)
        return (time.process_time() - started) / MESSAGES * 1e6

    return min(asyncio.run(run()) for _ in range(RUNS))


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


def whole_hook(**more: str) -> Hook:
    """Return a hook with a prepared response of Mitto, with more settings where given."""
    settings = load({"MITTO_API_KEY": "k", "HOOK_SECRETS": SECRET} | SETTINGS | more)
    mitto = httpx.MockTransport(lambda _: httpx.Response(200, content=b'{"responseCode":0,"id":"m"}'))
    return Hook(
        settings,
        mitto_over(mitto, settings),
        Stores(MemoryIdempotencyStore(600), MemoryIdempotencyStore(600), MemoryCounterStore(), b"key of the tests"),
        lambda _: None,
    )


def whole(**more: str) -> Callable[[int], Awaitable[object]]:
    """Return a handler that runs the whole hook, with more settings where given."""
    hook = whole_hook(**more)
    headers = {b"authorization": f"Bearer {SECRET}".encode()}
    bodies = [body(number) for number in range(MESSAGES)]
    return lambda number: hook.respond(Call("POST", "/", headers, _pieces(bodies[number])))


def checks() -> Callable[[int], Awaitable[object]]:
    """Return a handler that runs all checks: number, destination, limits."""
    limits = Limits(limit_rules.windows(SETTINGS["LIMITS"]), {}, {}, frozenset({"CH"}), frozenset())
    policy = Policy(DestinationPolicy(frozenset({"CH"}), ()), limits, MemoryCounterStore(), lambda _: None, is_observing=False)
    messages = [parse(body(number), b"", None) for number in range(MESSAGES)]

    async def handle(number: int) -> None:
        message = messages[number]
        read_number(message.recipient.get_secret_value(), None)
        policy.check_destination(message, [])
        reservation = policy.reserve(message, b"secret", [])
        await reservation.count(1)
        await reservation.settle(possibly_sent=True)

    return handle


def guard() -> Callable[[int], Awaitable[object]]:
    """Return a handler that runs only idempotency, with a prepared result."""
    guarded = IdempotencyGuard(MemoryIdempotencyStore(600), deadline_seconds=8)
    messages = [parse(body(number), b"", None) for number in range(MESSAGES)]

    async def send() -> Result:
        return Result(Outcome.ACCEPTED, message_id="m", segments=1)

    return lambda number: guarded.once(key_of(messages[number], b"secret"), f"r{number}", float("inf"), send)


class RedisCost(NamedTuple):
    """What one message costs in Redis: number of scripts, and microseconds of CPU time."""

    scripts: float
    microseconds: float


def redis_cost() -> RedisCost:
    """Measure what a real Redis does for one message through the real function."""
    with TemporaryDirectory() as name, redis_server(Path(name)) as redis, fake_mitto(Path(name) / "mitto.txt") as mitto:
        urls = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "STORE_URL": f"redis://127.0.0.1:{redis.port}"}
        with function(Path(name) / "function.txt", **SETTINGS | urls) as process:
            process.post(json.loads(body(0)))
            before = _redis_work(redis.port)
            for number in range(1, REDIS_MESSAGES + 1):
                process.post(json.loads(body(number)))
            return RedisCost(*((now - then) / REDIS_MESSAGES for now, then in zip(_redis_work(redis.port), before, strict=True)))


def _redis_work(port: int) -> RedisCost:
    async def ask() -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"INFO all\r\n")
        length = int((await reader.readline())[1:])
        response = (await reader.readexactly(length)).decode()
        writer.close()
        return response

    response = asyncio.run(ask())
    scripts = sum(map(int, re.findall(r"^cmdstat_eval(?:sha)?:calls=([0-9]+)", response, re.MULTILINE)))
    seconds = sum(map(float, re.findall(r"^used_cpu_(?:sys|user):([0-9.]+)", response, re.MULTILINE)))
    return RedisCost(scripts, seconds * 1e6)


def main() -> int:
    """Print the costs. Returns the exit status: 1 if a goal is missed."""
    message, check, guarded, redis = microseconds(whole), microseconds(checks), microseconds(guard), redis_cost()
    share = guarded / message
    rows = [
        ("a whole message, without server and network", f"{message:.0f} us", ""),
        ("all checks: number, destination, limits", f"{check:.0f} us", "met" if check < CHECKS_GOAL_US else "MISSED"),
        ("idempotency: key, claim, settle", f"{guarded:.0f} us, {share:.1%}", "met" if share < IDEMPOTENCY_GOAL else "MISSED"),
        ("scripts in Redis: one before the send, one after", f"{redis.scripts:.2f}", "met" if redis.scripts < SCRIPTS_GOAL else "MISSED"),
        ("CPU time of Redis", f"{redis.microseconds:.0f} us", "met" if redis.microseconds < REDIS_GOAL_US else "MISSED"),
    ]
    for name, figure, verdict in rows:
        sys.stdout.write(f"{name:<50}{figure:>16}  {verdict}\n")
    return int(any(verdict == "MISSED" for _, _, verdict in rows))


if __name__ == "__main__":
    sys.exit(main())
