"""What only the counters in Redis have: other instances, and the scripts that decide between them."""

import asyncio
import contextlib
from functools import partial

from mitto_phone_hook.storage.protocols import Acquired, Refusal
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from support.processes import Process, free_port
from support.stores import LossyWay, charge, fail, with_patience


async def test_what_was_not_sent_leaves_nothing_behind_in_redis(redis: Process) -> None:
    async with with_patience(redis) as client:
        counters, one = RedisCounterStore(client, is_closed_on_failure=False), charge(5)
        for _ in range(20):
            acquired = await counters.acquire([one])
            assert isinstance(acquired, Acquired)
            await counters.release(acquired)
        assert await client.eval("return redis.call('EXISTS', KEYS[1])", [KEY_PREFIX + one.key], []) == 0


async def test_redis_names_the_window_that_is_full_and_when_it_is_not(redis: Process) -> None:
    async with with_patience(redis) as client:
        here, there = (RedisCounterStore(client, is_closed_on_failure=False) for _ in range(2))
        full = charge(1)._replace(name="ip")
        await there.acquire([full])
        refusal = await here.acquire([full, charge(100)._replace(name="total")])
        assert isinstance(refusal, Refusal)
        assert (refusal.name, refusal.window_seconds, refusal.retry_after_seconds) == ("ip", 600, 600)


async def test_redis_forgets_what_is_over_in_a_window_that_is_never_quiet(redis: Process) -> None:
    async with with_patience(redis) as client:
        counters, busy = RedisCounterStore(client, is_closed_on_failure=False), charge(1000, seconds=1)
        count = partial(client.eval, "return redis.call('HLEN', KEYS[1])", [KEY_PREFIX + busy.key], [])
        end = asyncio.get_running_loop().time() + 1.5
        acquired = 0
        while asyncio.get_running_loop().time() < end:
            await counters.acquire([busy])
            acquired += 1
            await asyncio.sleep(0.1)
        assert await count() < acquired


async def test_whoever_is_counted_nowhere_needs_no_redis() -> None:
    client = RedisClient(f"redis://127.0.0.1:{free_port()}", fail)
    assert isinstance(await RedisCounterStore(client, is_closed_on_failure=True).acquire([]), Acquired)
    await client.aclose()


async def test_what_another_process_fills_is_not_counted_in_this_one(redis: Process) -> None:
    async with with_patience(redis) as client:
        here, there = (RedisCounterStore(client, is_closed_on_failure=False) for _ in range(2))
        one = charge(1)
        acquired = await there.acquire([one])
        assert isinstance(acquired, Acquired)
        assert isinstance(await here.acquire([one]), Refusal)
        await there.release(acquired)
        assert isinstance(await here.acquire([one]), Acquired)


async def test_redis_keeps_a_budget_until_its_last_step_is_over(redis: Process) -> None:
    """What is counted late in a step is counted for its end, so the window must outlast its length by a step."""
    async with with_patience(redis) as client:
        one = charge(5, seconds=600, step_ms=60_000)
        await RedisCounterStore(client, is_closed_on_failure=False).acquire([one])
        assert 600_000 < await client.eval("return redis.call('PTTL', KEYS[1])", [KEY_PREFIX + one.key], []) <= 660_000


async def test_a_count_is_given_back_once_although_nobody_hears_that_it_was(redis: Process) -> None:
    way = LossyWay(redis.port)
    server = await asyncio.start_server(way.carry, "127.0.0.1", 0)
    client = RedisClient(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", lambda: None, timeout_seconds=5)
    direct = RedisClient(f"redis://127.0.0.1:{redis.port}", fail, timeout_seconds=5)
    async with server, contextlib.aclosing(client), contextlib.aclosing(direct):
        counters, one = RedisCounterStore(client, is_closed_on_failure=False), charge(5, step_ms=60_000)
        await counters.acquire([one])
        acquired = await counters.acquire([one])
        assert isinstance(acquired, Acquired)
        way.loses_the_next_answer = True
        await counters.release(acquired)
        assert not way.loses_the_next_answer
        again = await RedisCounterStore(direct, is_closed_on_failure=False).acquire([one])
        assert isinstance(again, Acquired)
        assert list(again.used) == [2]
