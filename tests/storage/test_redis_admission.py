"""Claiming and counting in one step: one round trip before a message is sent, and nothing kept of what is refused."""

import asyncio
import contextlib
import json
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import httpx
import pytest

from mitto_phone_hook.hook import Stores
from mitto_phone_hook.storage.protocols import Acquired, Charge, Claimed, CounterStore, Entry, Quota, Refusal
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.clusters import redis_cluster
from support.numbers import fictional_numbers
from support.processes import Process, ask_redis, free_port, redis_server
from support.stage import Stage
from support.stores import KEYS, charge, told, with_patience

PENDING = Entry("pending", "mine")


class Instance:
    """The stores of one instance of the function."""

    def __init__(self, client: RedisClient) -> None:
        self.messages = RedisIdempotencyStore(client, 600)
        self.counters: CounterStore = RedisCounterStore(client, is_closed_on_failure=True)

    async def claim(self, key: str, *charges: Charge, owner: str = "mine", is_binding: bool = True) -> Claimed:
        return await self.messages.claim_and_acquire(key, Entry("pending", owner), Quota(self.counters, charges, is_binding))

    async def used(self, *charges: Charge) -> list[int]:
        """Tell how full the windows are, and leave them so."""
        acquired = await self.counters.acquire([one._replace(amount=0) for one in charges])
        assert isinstance(acquired, Acquired)
        return list(acquired.used)


def scripts(ports: Sequence[int]) -> int:
    """Count the scripts that servers have run."""
    said = "".join(ask_redis(port, "INFO", "commandstats") for port in ports)
    return sum(map(int, re.findall(r"cmdstat_eval(?:sha)?:calls=([0-9]+)", said)))


def is_kept(port: int, key: str) -> bool:
    return bool(ask_redis(port, "EXISTS", KEY_PREFIX + key))


def message(number: str, code: int) -> bytes:
    context = {"code": f"{code}", "ip": "192.0.43.7"}
    return json.dumps({"recipient": number, "text": f"Your code is {code}", "context": context}).encode()


async def test_a_message_costs_one_script_before_it_is_sent_and_a_share_of_one_afterwards(redis: Process) -> None:
    asked = list[int]()

    def mitto(_: httpx.Request) -> httpx.Response:
        asked.append(scripts([redis.port]))
        return httpx.Response(200, json={"responseCode": 0, "id": "m1"})

    async with with_patience(redis) as client:
        stage = Stage(mitto, ALLOWED_REGIONS="*", LIMITS="total=1000/hour,1000/day; region=1000/hour; prefix=1000/hour; ip=1000/hour")
        messages, calls = (RedisIdempotencyStore(client, 600) for _ in range(2))
        stage.stores = Stores(messages, calls, RedisCounterStore(client, is_closed_on_failure=True), b"key of the tests")
        numbers = list(islice(fictional_numbers(), 51))
        assert (await stage.acall(message(numbers[0], 314270))).status == 200
        async with asyncio.timeout(10):
            while (before := scripts([redis.port])) == asked[0]:  # noqa: ASYNC110 - nothing tells of its end
                await asyncio.sleep(0.01)
        assert before - asked[0] == 1, "the result is told afterwards"
        assert (await stage.acall(message(numbers[1], 314271))).status == 200
        assert asked[1] - before == 1
        replies = await asyncio.gather(*(stage.acall(message(number, 314272)) for number in numbers[1:]))
        assert {reply.status for reply in replies} == {200}
        assert scripts([redis.port]) - asked[1] < 90, "fewer than two for a message: several results share one"


async def test_what_a_limit_refuses_leaves_no_claim_and_counts_nowhere(redis: Process) -> None:
    async with with_patience(redis) as here, with_patience(redis) as there:
        full, wide, key = charge(1), charge(5), next(KEYS)
        assert isinstance((await Instance(there).claim(next(KEYS), full)).counted, Acquired)
        claimed = await Instance(here).claim(key, wide, full)
        assert claimed.entry is None
        assert isinstance(claimed.counted, Refusal)
        assert claimed.counted.retry_after_seconds >= 598
        assert not is_kept(redis.port, key)
        assert await Instance(there).used(wide) == [0]
        assert (await Instance(there).claim(key, wide)).entry is None, "it may be sent when there is room again"


async def test_what_the_own_process_refuses_leaves_no_claim_either(redis: Process) -> None:
    async with with_patience(redis) as client:
        full, key, here = charge(1), next(KEYS), Instance(client)
        await here.claim(next(KEYS), full)
        assert isinstance((await here.claim(key, full)).counted, Refusal)
        async with asyncio.timeout(10):
            while is_kept(redis.port, key):  # noqa: ASYNC110 - nothing tells of its end
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_own", [True, False], ids=["in the own process", "in another one"])
async def test_a_full_window_that_does_not_bind_is_told_and_the_message_is_claimed(redis: Process, *, is_own: bool) -> None:
    async with with_patience(redis) as client:
        full, key, here, there = charge(1), next(KEYS), Instance(client), Instance(client)
        await (here if is_own else there).claim(next(KEYS), full)
        claimed = await here.claim(key, full, is_binding=False)
        assert claimed.entry is None
        assert isinstance(claimed.counted, Refusal)
        held = (await there.claim(key, owner="other")).entry
        assert held is not None
        assert (held.owner, held.state) == ("mine", "pending")


@pytest.mark.parametrize("is_own", [True, False], ids=["in the own process", "in another one"])
async def test_a_duplicate_counts_nothing(redis: Process, *, is_own: bool) -> None:
    async with with_patience(redis) as client:
        one, key, here, there = charge(2), next(KEYS), Instance(client), Instance(client)
        assert isinstance((await there.claim(key, one)).counted, Acquired)
        again = here if not is_own else there
        for owner in ("second", "third", "fourth"):
            claimed = await again.claim(key, one, owner=owner)
            assert claimed.entry is not None
            assert (claimed.entry.owner, claimed.counted) == ("mine", None)
        assert await here.used(one) == [1]
        assert isinstance((await again.claim(next(KEYS), one)).counted, Acquired), "and the own process counts none of them"


async def test_a_duplicate_of_another_instance_is_known_although_the_limit_is_reached(redis: Process) -> None:
    async with with_patience(redis) as client:
        one, key, here, there = charge(1), next(KEYS), Instance(client), Instance(client)
        await there.claim(key)
        await here.claim(next(KEYS), one)
        claimed = await here.claim(key, one, owner="second")
        assert claimed.entry is not None
        assert claimed.entry.owner == "mine"


async def test_of_many_claims_in_two_instances_one_is_made_and_counted_once(redis: Process) -> None:
    async with with_patience(redis) as first, with_patience(redis) as second:
        one, key, instances = charge(100), next(KEYS), (Instance(first), Instance(second))
        claims = await asyncio.gather(*(instances[n % 2].claim(key, one, owner=f"r{n}") for n in range(40)))
        assert [claimed.entry for claimed in claims].count(None) == 1
        assert await Instance(first).used(one) == [1]


async def test_nothing_is_lost_when_redis_dies_between_the_claim_and_the_result(tmp_path: Path) -> None:
    port, one, key = free_port(), charge(2), next(KEYS)
    options = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path))
    async with contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{port}", lambda: None, timeout_seconds=5)) as client:
        here = Instance(client)
        with redis_server(tmp_path, port, *options):
            assert isinstance((await here.claim(key, one)).counted, Acquired)
        await here.messages.settle(key, "mine", Entry("accepted", "mine", "m-1", 1))
        again = await here.claim(key, one, owner="again")
        assert again.entry is not None
        assert again.entry.message_id == "m-1", "the process itself knows it"
        with redis_server(tmp_path, port, *options) as redis:
            async with with_patience(redis) as other:
                assert (await told(other, key)).message_id == "m-1"
                assert await Instance(other).used(one) == [1]


async def test_a_process_that_dies_before_redis_has_the_result_leaves_the_claim(redis: Process) -> None:
    """So another one may say that nobody knows, and does not send again."""
    async with with_patience(redis) as client:
        key = next(KEYS)
        await Instance(client).claim(key)
        held = (await Instance(client).claim(key, owner="other")).entry
        assert held is not None
        assert held.state == "pending"


async def test_a_process_that_ends_tells_redis_first(redis: Process) -> None:
    """When a loop ends, all of its tasks are cancelled."""
    async with with_patience(redis) as client:
        key, store = next(KEYS), RedisIdempotencyStore(client, 600)
        await store.claim(key, PENDING)
        before = asyncio.all_tasks()
        await store.settle(key, "mine", Entry("accepted", "mine", "m-1", 1))
        await asyncio.sleep(0)
        ending = asyncio.all_tasks() - before
        assert [task.cancel() for task in ending] == [True]
        await asyncio.gather(*ending, return_exceptions=True)
        assert '"accepted"' in ask_redis(redis.port, "GET", KEY_PREFIX + key)


async def test_old_and_new_instances_share_windows_and_entries(redis: Process) -> None:
    """A rolling update: an earlier version adds to the hash, and removes the fields that it takes for long over."""
    async with with_patience(redis) as client:
        one, key = charge(5), next(KEYS)
        name = KEY_PREFIX + one.key
        ask_redis(redis.port, "HSET", name, "9999999999999", "2")
        assert await Instance(client).used(one) == [2]
        assert isinstance((await Instance(client).claim(next(KEYS), one)).counted, Acquired)
        ask_redis(redis.port, "HDEL", name, "-1", "-2")
        ask_redis(redis.port, "HINCRBY", name, "9999999999999", "1")
        assert await Instance(client).used(one) == [4]
        ask_redis(redis.port, "SET", KEY_PREFIX + key, '{"state": "pending", "owner": "old"}', "PX", "600000")
        held = (await Instance(client).claim(key)).entry
        assert held is not None
        assert (held.state, held.owner) == ("pending", "old")


async def test_in_a_cluster_what_one_server_refuses_is_kept_and_counted_on_none(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster:
        async with with_patience(cluster.nodes[0]) as here, with_patience(cluster.nodes[1]) as there:
            full, wide, first, second = charge(1), [charge(50) for _ in range(8)], next(KEYS), next(KEYS)
            before = scripts([node.port for node in cluster.nodes])
            assert isinstance((await Instance(there).claim(first, *wide, full)).counted, Acquired)
            assert scripts([node.port for node in cluster.nodes]) - before <= 10, "one for each slot"
            refused = await Instance(here).claim(second, *wide, full)
            assert (refused.entry, type(refused.counted)) == (None, Refusal)
            assert await Instance(there).used(*wide) == [1] * 8
            duplicate = await Instance(here).claim(first, *wide, owner="again")
            assert duplicate.entry is not None
            assert await Instance(there).used(*wide) == [1] * 8
            async with asyncio.timeout(10):
                while (await Instance(there).claim(second, owner="next")).entry is not None:  # noqa: ASYNC110 - nothing tells of its end
                    await asyncio.sleep(0.01)
