"""Stores of either kind, and what is asked of them; Redis is a real one."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

from mitto_phone_hook.delivery.idempotency import IdempotencyGuard
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.storage.protocols import Charge, Entry, IdempotencyStore, Window
from mitto_phone_hook.storage.redis_client import RedisClient, Unavailable
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from mitto_phone_hook.storage.redis_nodes import MAX_CALLS
from support.processes import Process

ACCEPTED = Result(Outcome.ACCEPTED, message_id="m1", segments=2)
KEYS = (f"key-{number}-{time.time_ns()}" for number in itertools.count())
MakeStore = Callable[[float], contextlib.AbstractAsyncContextManager[IdempotencyStore]]


def fail() -> None:
    """Fail when a store reports a problem."""
    raise AssertionError("the store reported a problem")


class Reports(list[float]):
    """The times at which a store reported a problem."""

    def __call__(self) -> None:
        self.append(time.monotonic())


def with_patience(redis: Process) -> contextlib.aclosing[RedisClient]:
    """Return a Redis client that waits longer than any stall of the machine, and reports none."""
    return contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{redis.port}", fail, timeout_seconds=5, queue_seconds=30))


@contextlib.asynccontextmanager
async def without_patience(redis: Process, on_unavailable: Callable[[], None] = fail) -> AsyncIterator[RedisClient]:
    """Return a Redis client on which an operation never waits for its turn."""
    async with contextlib.aclosing(
        RedisClient(f"redis://127.0.0.1:{redis.port}", on_unavailable, timeout_seconds=30, queue_seconds=0)
    ) as client:
        yield client


async def crowd(client: RedisClient) -> list[asyncio.Task[Any]]:
    """Have as many calls under way as may be, at a Redis that stands still, until it goes on."""
    asked = [asyncio.create_task(client.eval("return 1", [], [])) for _ in range(MAX_CALLS)]
    await asyncio.sleep(0)
    return asked


async def asked_again(client: RedisClient) -> None:
    """Wait until a client that leaves Redis alone after a failure asks it again, and is answered."""
    while True:
        with contextlib.suppress(Unavailable):
            await client.eval("return 1", [], [])
            return
        await asyncio.sleep(0.01)


async def told(client: RedisClient, key: str) -> Entry:
    """Wait until Redis knows the result of a message, and give what a new instance is shown."""
    kept = None
    async with asyncio.timeout(10):
        while kept is None or kept.state == "pending":
            kept = await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "asking"))
            await asyncio.sleep(0.01)
    return kept


class LossyWay:
    """A way to Redis on which an answer can be lost together with its connection."""

    def __init__(self, port: int) -> None:
        self.loses_the_next_answer = False
        self._port = port

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection("127.0.0.1", self._port)
        asking = asyncio.create_task(self._copy(reader, questions))
        while answer := await answers.read(65536):
            if self.loses_the_next_answer:
                self.loses_the_next_answer = False
                break
            writer.write(answer)
        writer.close()
        await asking

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()


class SlowWay:
    """A way to Redis that takes everything so many seconds in each direction."""

    def __init__(self, port: int, seconds: float) -> None:
        self.connections = 0
        self._to, self._seconds = port, seconds
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it begins."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._tasks)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        answers, questions = await asyncio.open_connection("127.0.0.1", self._to)
        for source, target in ((reader, questions), (answers, writer)):
            self._tasks.add(asyncio.create_task(self._copy(source, target)))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await source.read(65536):
            loop.call_later(self._seconds, target.write, data)
        await asyncio.sleep(self._seconds)
        target.close()
        with contextlib.suppress(OSError):
            await target.wait_closed()


def charge(limit: int, seconds: int = 600, amount: int = 1, key: str | None = None, step_ms: int = 0) -> Charge:
    """Ask for a place in a window that nobody has used yet."""
    return Charge("rule", key or next(KEYS), Window(limit, seconds), amount, step_ms)


async def once(guard: IdempotencyGuard, key: str, owner: str, send: Callable[[], Awaitable[Result]], seconds: float = 4) -> Result:
    """Send at most once, by a deadline that far from now."""
    return (await guard.once(key, owner, asyncio.get_running_loop().time() + seconds, send)).result


def sends(result: Result | Exception, times: list[int]) -> Callable[[], Awaitable[Result]]:
    """Make a sender that ends so, and counts its calls."""

    async def send() -> Result:
        times.append(1)
        if isinstance(result, Exception):
            raise result
        return result

    return send
