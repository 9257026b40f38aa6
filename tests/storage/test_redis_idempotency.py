"""What only the Redis store has: other instances, and the scripts that decide between them."""

import asyncio

import pytest

from mitto_phone_hook.storage.protocols import Entry
from mitto_phone_hook.storage.redis_client import KEY_PREFIX
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.processes import Process
from support.stores import KEYS, told, with_patience


async def test_redis_itself_lets_only_the_owner_take_a_claim_back(redis: Process) -> None:
    """Another instance knows nothing of the entry: only the script can refuse."""
    async with with_patience(redis) as client:
        key = next(KEYS)
        await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "mine"))
        await RedisIdempotencyStore(client, 600).settle(key, "somebody", None)
        kept = await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "r2"))
        assert kept is not None
        assert (kept.owner, kept.state) == ("mine", "pending")


async def test_redis_tells_the_age_of_what_another_instance_holds(redis: Process) -> None:
    async with with_patience(redis) as client:
        key = next(KEYS)
        await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "there"))
        # As it will be when 100 of the 600 seconds have passed.
        await client.eval("redis.call('PEXPIRE', KEYS[1], 500000)", [KEY_PREFIX + key], [])
        kept = await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "here"))
        assert kept is not None
        assert 100 <= kept.age_seconds < 160


@pytest.mark.parametrize("state", ["accepted", "unknown"])
async def test_what_has_left_is_not_forgotten_for_a_claim_that_came_between(state: str, redis: Process) -> None:
    """An instance that Redis could not hear tells it late, when another one has claimed the message and then does not send it."""
    async with with_patience(redis) as client:
        key, late, other = next(KEYS), RedisIdempotencyStore(client, 600), RedisIdempotencyStore(client, 600)
        assert await other.claim(key, Entry("pending", "other")) is None
        await late.settle(key, "late", Entry(state, "late", "m-1", 1))
        await told(client, key)
        await other.settle(key, "other", None)
        for store in (other, RedisIdempotencyStore(client, 600)):
            kept = await store.claim(key, Entry("pending", "again"))
            assert kept is not None
            assert (kept.owner, kept.state, kept.message_id) == ("late", state, "m-1")
        await late.settle(key, "third", Entry("unknown", "third"))
        kept = await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "again"))
        assert kept is not None
        assert kept.owner == "late"


@pytest.mark.parametrize("state", ["accepted", "unknown"])
async def test_what_redis_has_said_once_is_known_when_it_has_lost_its_memory(state: str, redis: Process) -> None:
    async with with_patience(redis) as client:
        key, here, there = next(KEYS), RedisIdempotencyStore(client, 600), RedisIdempotencyStore(client, 600)
        await there.claim(key, Entry("pending", "there"))
        await there.settle(key, "there", Entry(state, "there", "m-1", 1))
        await told(client, key)
        assert await here.claim(key, Entry("pending", "here")) is not None
        await client.eval("redis.call('DEL', KEYS[1])", [KEY_PREFIX + key], [])
        for kept in (await here.claim(key, Entry("pending", "again")), await told(client, key)):
            assert kept is not None
            assert (kept.owner, kept.state, kept.message_id) == ("there", state, "m-1")


async def test_what_was_seen_elsewhere_is_forgotten_when_redis_would_forget_it(redis: Process) -> None:
    async with with_patience(redis) as client:
        key, here, there = next(KEYS), RedisIdempotencyStore(client, 3), RedisIdempotencyStore(client, 3)
        await there.claim(key, Entry("pending", "there"))
        await there.settle(key, "there", Entry("accepted", "there", "m-1", 1))
        await told(client, key)
        assert await here.claim(key, Entry("pending", "here")) is not None
        async with asyncio.timeout(10):
            while await here.claim(key, Entry("pending", "here")) is not None:  # noqa: ASYNC110 - nothing tells of its end
                await asyncio.sleep(0.05)


async def test_what_was_seen_elsewhere_is_not_believed_in_its_last_second(redis: Process) -> None:
    async with with_patience(redis) as client:
        key, here, there = next(KEYS), RedisIdempotencyStore(client, 600), RedisIdempotencyStore(client, 600)
        await there.claim(key, Entry("pending", "there"))
        await there.settle(key, "there", Entry("accepted", "there", "m-1", 1))
        await told(client, key)
        await client.eval("redis.call('PEXPIRE', KEYS[1], 1000)", [KEY_PREFIX + key], [])
        assert await here.claim(key, Entry("pending", "here")) is not None
        await client.eval("redis.call('DEL', KEYS[1])", [KEY_PREFIX + key], [])
        assert await here.claim(key, Entry("pending", "here")) is None


async def test_a_claim_that_was_long_on_its_way_leaves_the_result_of_its_own_call_alone(redis: Process) -> None:
    async with with_patience(redis) as client:
        key, accepted = next(KEYS), Entry("accepted", "mine", "m-1", 1)
        await RedisIdempotencyStore(client, 600).settle(key, "mine", accepted)
        await told(client, key)
        late = RedisIdempotencyStore(client, 600)
        await late.claim(key, Entry("pending", "mine"))
        kept = await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "other"))
        assert kept is not None
        assert kept._replace(age_seconds=0) == accepted


async def test_another_instance_sees_the_true_age_of_a_result_that_is_told_late(redis: Process) -> None:
    async with with_patience(redis) as client:
        key, late = next(KEYS), RedisIdempotencyStore(client, 600)
        await late.settle(key, "mine", Entry("accepted", "mine", "m-1", 1, age_seconds=100))
        assert 100 <= (await told(client, key)).age_seconds < 160
        await late.settle(key, "mine", Entry("accepted", "mine", "m-1", 1, age_seconds=700))
        async with asyncio.timeout(10):
            while await RedisIdempotencyStore(client, 600).claim(key, Entry("pending", "other")) is not None:  # noqa: ASYNC110 - nothing tells of its end
                await asyncio.sleep(0.01)
