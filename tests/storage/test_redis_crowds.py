"""A Redis with more callers than it is asked for at once: nobody is counted twice, and what it could not hear it is told later."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable
from pathlib import Path

import pytest

from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.storage.deferred_writes import MAX_DEFERRED, WRITES_AT_ONCE
from mitto_phone_hook.storage.protocols import Acquired, Entry, Refusal
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, PAUSE_SECONDS, RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from mitto_phone_hook.storage.redis_nodes import MAX_CALLS
from support.processes import Process, redis_server
from support.stage import PassingLoop
from support.stores import KEYS, charge, crowd, fail, with_patience, without_patience


async def in_a_crowd(client: RedisClient, *works: Awaitable[None], crowd: int = MAX_CALLS) -> None:
    """Do this while others have so many calls under way."""
    await asyncio.gather(*(client.eval("return 1", [], []) for _ in range(crowd)), *works)


async def test_redis_is_told_what_it_missed_before_the_message_is_claimed_again(redis: Process) -> None:
    async with without_patience(redis) as client:
        key, store = next(KEYS), RedisIdempotencyStore(client, 600)
        assert await store.claim(key, Entry("pending", "r1")) is None
        await in_a_crowd(client, store.settle(key, "r1", None))
        assert await store.claim(key, Entry("pending", "r2")) is None


async def test_a_claim_that_redis_made_late_goes_although_another_call_ended_after_its_own(redis: Process) -> None:
    async with without_patience(redis) as client, with_patience(redis) as other:
        key, store = next(KEYS), RedisIdempotencyStore(client, 600)
        assert await store.claim(key, Entry("pending", "r1")) is None
        await in_a_crowd(client, store.settle(key, "r1", None), store.settle(key, "r2", None))
        await store.settle(key, "r3", None)
        assert await RedisIdempotencyStore(other, 600).claim(key, Entry("pending", "r4")) is None


async def test_a_crowded_redis_hides_nothing_that_was_seen_elsewhere(redis: Process) -> None:
    async with without_patience(redis) as client, with_patience(redis) as other:
        key, here, there = next(KEYS), RedisIdempotencyStore(client, 600), RedisIdempotencyStore(other, 600)
        await there.claim(key, Entry("pending", "there"))
        await there.settle(key, "there", Entry("accepted", "there", "m-1", 1))
        assert await here.claim(key, Entry("pending", "here")) is not None

        async def again() -> None:
            kept = await here.claim(key, Entry("pending", "again"))
            assert kept is not None
            assert (kept.state, kept.message_id) == ("accepted", "m-1")

        await in_a_crowd(client, again())


async def test_a_newer_result_is_not_forgotten_when_redis_hears_the_older_one(redis: Process) -> None:
    async with without_patience(redis) as client:
        key, store = next(KEYS), RedisIdempotencyStore(client, 600)
        assert await store.claim(key, Entry("pending", "r1")) is None
        older, newer = store.settle(key, "r1", Entry("unknown", "r1")), store.settle(key, "r1", None)
        await in_a_crowd(client, older, newer, crowd=MAX_CALLS - 1)
        assert await store.claim(key, Entry("pending", "r2")) is None


async def test_of_too_many_results_that_redis_missed_the_oldest_is_given_up(redis: Process) -> None:
    async with without_patience(redis) as client:
        store, oldest, newest = RedisIdempotencyStore(client, 600), next(KEYS), next(KEYS)
        for key in (oldest, newest):
            assert await store.claim(key, Entry("pending", "r1")) is None
        missed = [oldest, *(f"missed-{number}" for number in range(MAX_DEFERRED - 1)), newest]
        await in_a_crowd(client, *(store.settle(key, "r1", None) for key in missed))
        assert await store.claim(newest, Entry("pending", "r2")) is None
        kept = await store.claim(oldest, Entry("pending", "r2"))
        assert kept is not None
        assert (kept.owner, kept.state) == ("r1", "pending")


def test_of_many_results_that_redis_missed_it_is_told_the_newest_first(redis: Process) -> None:
    async def run() -> None:
        has_failed = asyncio.Event()
        async with without_patience(redis, has_failed.set) as client, without_patience(redis) as other:
            store, missed = RedisIdempotencyStore(client, 600), [next(KEYS) for _ in range(WRITES_AT_ONCE + 1)]
            # What Redis cannot replace ends the telling with the oldest, whenever that comes.
            await client.eval("redis.call('RPUSH', KEYS[1], 'no entry')", [KEY_PREFIX + missed[0]], [])
            await in_a_crowd(client, *(store.settle(key, "r1", Entry("accepted", "r1", "m1", 1)) for key in missed))
            loop.passed_seconds += PAUSE_SECONDS
            async with asyncio.timeout(10):
                await has_failed.wait()
            for key in missed[1:]:
                kept = await RedisIdempotencyStore(other, 600).claim(key, Entry("pending", "r2"))
                assert kept is not None
                assert kept.message_id == "m1"

    loop = PassingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())


async def test_a_call_whose_turn_with_redis_does_not_come_is_refused_and_holds_nothing(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        async with contextlib.aclosing(RedisClient(url, fail, timeout_seconds=30, queue_seconds=0.2)) as client:
            store = RedisIdempotencyStore(client, 600)
            await store.claim("first", Entry("pending", "r1"))
            server.popen.send_signal(signal.SIGSTOP)
            asked = [asyncio.create_task(store.claim(f"k{number}", Entry("pending", "r1"))) for number in range(MAX_CALLS)]
            await asyncio.sleep(0)
            with pytest.raises(Refused) as refusal:
                await store.claim("late", Entry("pending", "r1"))
            server.popen.send_signal(signal.SIGCONT)
            assert (refusal.value.result.outcome, refusal.value.result.why) == (Outcome.UPSTREAM_UNAVAILABLE, "store_busy")
            assert await asyncio.gather(*asked) == [None] * MAX_CALLS
            assert await store.claim("late", Entry("pending", "r2")) is None


async def test_hundreds_of_calls_at_once_do_not_pass_for_a_redis_that_is_down(redis: Process) -> None:
    async with with_patience(redis) as client:
        store = RedisIdempotencyStore(client, 600)
        await asyncio.gather(*(store.claim(f"many-{number}", Entry("pending", "r")) for number in range(500)))
        other = RedisIdempotencyStore(client, 600)
        kept = await asyncio.gather(*(other.claim(f"many-{number}", Entry("pending", "x")) for number in range(500)))
        assert all(entry is not None for entry in kept)


async def test_a_redis_that_is_only_too_busy_does_not_switch_the_limits_off(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        async with contextlib.aclosing(RedisClient(url, fail, timeout_seconds=30, queue_seconds=0.1)) as client:
            counters, one = RedisCounterStore(client, is_closed_on_failure=False), charge(1)
            server.popen.send_signal(signal.SIGSTOP)
            asked = await crowd(client)
            with pytest.raises(Refused) as refusal:
                await counters.acquire([one])
            assert (refusal.value.result.outcome, refusal.value.result.why) == (Outcome.UPSTREAM_UNAVAILABLE, "store_busy")
            server.popen.send_signal(signal.SIGCONT)
            await asyncio.gather(*asked)
            assert isinstance(await counters.acquire([one]), Acquired), "what was refused counts nowhere"


async def test_what_was_not_sent_is_given_back_later_where_redis_was_too_busy_to_hear_it(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        async with contextlib.aclosing(RedisClient(url, fail, timeout_seconds=30, queue_seconds=30)) as client:
            counters, one = RedisCounterStore(client, is_closed_on_failure=False), charge(1)
            acquired = await counters.acquire([one])
            assert isinstance(acquired, Acquired)
            server.popen.send_signal(signal.SIGSTOP)
            asked = await crowd(client)
            await counters.release(acquired, asyncio.get_running_loop().time() + 0.1)
            server.popen.send_signal(signal.SIGCONT)
            await asyncio.gather(*asked)
            await counters.acquire([charge(1)])
            async with asyncio.timeout(10):
                while isinstance(await counters.acquire([one]), Refusal):  # noqa: ASYNC110 - nothing tells of its end
                    await asyncio.sleep(0.01)
