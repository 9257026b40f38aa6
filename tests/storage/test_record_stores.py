"""What every store of message records promises, in memory and in Redis."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mitto_phone_hook.storage.message_records import KEPT_SECONDS, MemoryRecordStore, MessageRecord, RecordStore, key_of_id
from mitto_phone_hook.storage.redis_client import RedisClient
from mitto_phone_hook.storage.redis_records import LAST_PREFIX, RECORD_PREFIX, RedisRecordStore
from support.clusters import redis_cluster
from support.processes import ask_redis, redis_server
from support.stores import with_patience

RECORD = MessageRecord("r1", 1_800_000_000.123, "flat", "+1********10", "US", "Mitto SMS", 2, "9A0B-6a4e", "client", "hash-1")

MakeStore = Callable[[Path], contextlib.AbstractAsyncContextManager[RecordStore]]


@contextlib.asynccontextmanager
async def in_memory(_: Path) -> AsyncIterator[RecordStore]:
    yield MemoryRecordStore()


@contextlib.asynccontextmanager
async def in_redis(folder: Path) -> AsyncIterator[RecordStore]:
    with redis_server(folder) as redis:
        async with with_patience(redis) as client:
            yield RedisRecordStore(client)


async def kept(store: RecordStore, key: str) -> MessageRecord:
    """Give a record as soon as it is there."""
    async with asyncio.timeout(10):
        while True:
            if (record := await store.find(key)) is not None:
                return record
            await asyncio.sleep(0)


@pytest.mark.parametrize("make", [in_memory, in_redis])
async def test_a_store_keeps_what_it_promises(make: MakeStore, tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        key = RECORD.key
        assert await store.find(key) is None
        assert await store.find_last("hash-1") is None
        assert await store.report(key, "delivered", is_final=True) is None
        assert await store.convert(key) is None

        store.add(RECORD)
        assert await kept(store, key_of_id("9a0b6a4e")) == RECORD
        async with asyncio.timeout(10):
            last = None
            while not last:
                last = await store.find_last("hash-1")
        assert last == key

        steps = [("buffered", False, True), ("buffered", False, False), ("Seen", False, True), ("delivered", True, True)]
        steps += [("delivered", True, False), ("undelivered", True, False), ("buffered", False, False)]
        for status, is_final, is_changed in steps:
            found = await store.report(key, status, is_final=is_final)
            assert found is not None
            assert (found.record.request_id, found.is_changed) == ("r1", is_changed), status
        record = await kept(store, key)
        assert (record.status, record.is_converted) == ("delivered", False)

        assert [found and found.is_changed for found in (await store.convert(key), await store.convert(key))] == [True, False]
        assert (await kept(store, key)) == RECORD._replace(status="delivered", is_converted=True)


@pytest.mark.parametrize("make", [in_memory, in_redis])
async def test_a_message_converts_once_whoever_is_first(make: MakeStore, tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        store.add(RECORD)
        await kept(store, RECORD.key)
        found = await asyncio.gather(*(store.convert(RECORD.key) for _ in range(20)))
        assert [one.is_changed for one in found if one].count(True) == 1


@pytest.mark.parametrize("make", [in_memory, in_redis])
async def test_a_message_without_an_id_is_found_by_its_request(make: MakeStore, tmp_path: Path) -> None:
    async with make(tmp_path) as store:
        store.add(RECORD._replace(message_id=None))
        assert (await kept(store, "r1")).message_id is None


async def test_memory_forgets_the_oldest_by_age_and_by_number() -> None:
    now = [0.0]
    store = MemoryRecordStore(lambda: now[0], max_records=3)
    for number in range(5):
        store.add(RECORD._replace(message_id=f"m{number}", recipient_hash=f"h{number}"))
    assert [await store.find(f"m{number}") is not None for number in range(5)] == [False, False, True, True, True]
    assert [await store.find_last(f"h{number}") for number in range(5)] == [None, None, "m2", "m3", "m4"]
    now[0] += KEPT_SECONDS
    assert await store.find("m4") is None
    store.add(RECORD._replace(message_id="m9"))
    assert len(store) == 1


async def test_the_last_message_of_a_recipient_is_the_one_that_is_found() -> None:
    store = MemoryRecordStore(max_records=2)
    for number in range(3):
        store.add(RECORD._replace(message_id=f"m{number}"))
    assert await store.find_last("hash-1") == "m2"


async def test_redis_forgets_records_by_itself(tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        async with with_patience(redis) as client:
            store = RedisRecordStore(client)
            store.add(RECORD)
            await kept(store, RECORD.key)
            await store.report(RECORD.key, "delivered", is_final=True)
            ttl = ask_redis(redis.port, "TTL", RECORD_PREFIX + RECORD.key)
            assert KEPT_SECONDS - 60 < ttl <= KEPT_SECONDS
            assert 0 < ask_redis(redis.port, "TTL", LAST_PREFIX + "hash-1") <= 1800


async def test_what_redis_could_not_be_told_is_written_when_it_answers_again(tmp_path: Path) -> None:
    reported: list[int] = []
    with redis_server(tmp_path) as redis:
        client = RedisClient(f"redis://127.0.0.1:{redis.port}", lambda: reported.append(1))
        async with contextlib.aclosing(client):
            store = RedisRecordStore(client)
            redis.popen.send_signal(signal.SIGSTOP)
            for number in range(250):
                store.add(RECORD._replace(message_id=f"m{number}"))
            assert await store.find("m1") is None
            assert await store.report("m1", "delivered", is_final=True) is None
            redis.popen.send_signal(signal.SIGCONT)
            for number in (0, 249):
                assert (await kept(store, f"m{number}")).request_id == "r1"
            assert reported == [1]


async def test_a_cluster_spreads_records_over_its_masters(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster:
        masters = cluster.nodes
        async with with_patience(masters[0]) as client:
            store = RedisRecordStore(client)
            for number in range(30):
                store.add(RECORD._replace(message_id=f"m{number}", recipient_hash=f"h{number}"))
            for number in range(30):
                assert (await kept(store, f"m{number}")).request_id == "r1"
            assert all(ask_redis(master.port, "DBSIZE") > 0 for master in masters)
            assert await store.report("m7", "expired", is_final=True) is not None
