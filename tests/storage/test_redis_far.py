"""A Redis far away: connecting takes longer than a command may, and commands work once it is done."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from mitto_phone_hook.storage.protocols import Acquired, Entry
from mitto_phone_hook.storage.redis_client import TIMEOUT_SECONDS, RedisClient, Unavailable
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.processes import Process
from support.stores import KEYS, Reports, SlowWay, asked_again, charge


@pytest.fixture
async def far(redis: Process) -> AsyncIterator[SlowWay]:
    async with SlowWay(redis.port, seconds=0.08) as way:
        yield way


async def test_a_redis_80_ms_away_comes_up_and_works(far: SlowWay) -> None:
    reports = Reports()
    async with contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{far.port}", reports)) as client:
        started = time.monotonic()
        asked = await asyncio.gather(*(client.eval("return 1", [], []) for _ in range(8)), return_exceptions=True)
        assert [type(one) for one in asked] == [Unavailable] * 8
        assert time.monotonic() - started < 3 * TIMEOUT_SECONDS, "nobody waits for the first connection for longer"
        assert far.connections == 1, "and it is opened once"
        async with asyncio.timeout(10):
            await asked_again(client)
        store, counters, key = RedisIdempotencyStore(client, 600), RedisCounterStore(client, is_closed_on_failure=True), next(KEYS)
        assert await store.claim(key, Entry("pending", "r1")) is None
        assert await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "r2")) is not None
        # More connections are opened as they are needed, and nobody takes the wait for a Redis that is down.
        counted = await asyncio.gather(*(counters.acquire([charge(5)]) for _ in range(12)))
        assert all(isinstance(one, Acquired) for one in counted)
        assert len(reports) == 1
