"""A cluster of three masters: whichever is named, nothing is sent twice, also while slots move. A lost master locks nobody out."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from mitto_phone_hook.delivery.idempotency import IdempotencyGuard
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.storage.protocols import Acquired, Entry
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.processes import Process, ask_redis, redis_cluster
from support.stores import ACCEPTED, KEYS, Reports, charge, crowd, once, sends, with_patience, without_patience


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Process]]:
    with redis_cluster(tmp_path_factory.mktemp("masters")) as processes:
        yield processes


def owner_of(slot: int, masters: list[Process]) -> Process:
    """Give the master that says that a slot is its own."""
    return next(master for master in masters if f"{slot}" in _slots_of(master))


def _slots_of(master: Process) -> set[str]:
    [mine] = [line for line in ask_redis(master.port, "CLUSTER", "NODES").splitlines() if "myself" in line]
    ends = [(part.split("-")[0], part.split("-")[-1]) for part in mine.split()[8:] if not part.startswith("[")]
    return {str(slot) for first, last in ends for slot in range(int(first), int(last) + 1)}


class Move:
    """A slot on its way from one master to another, step by step as ``redis-cli --cluster reshard`` does it."""

    def __init__(self, slot: int, masters: list[Process]) -> None:
        self._slot, self._masters = str(slot), masters
        self._source = owner_of(slot, masters)
        self._target = next(master for master in masters if master is not self._source)

    def begin(self) -> None:
        """Let both masters share the slot: what is not at the source is asked of the target."""
        ask_redis(self._target.port, "CLUSTER", "SETSLOT", self._slot, "IMPORTING", _id(self._source))
        ask_redis(self._source.port, "CLUSTER", "SETSLOT", self._slot, "MIGRATING", _id(self._target))

    def carry(self, *keys: str) -> None:
        """Take keys to the target."""
        for key in keys:
            ask_redis(self._source.port, "MIGRATE", "127.0.0.1", str(self._target.port), key, "0", "5000")

    def end(self) -> None:
        """Let the target have the slot."""
        for master in (self._target, self._source, *self._masters):
            ask_redis(master.port, "CLUSTER", "SETSLOT", self._slot, "NODE", _id(self._target))


def _id(master: Process) -> str:
    return ask_redis(master.port, "CLUSTER", "MYID").strip()


@pytest.mark.parametrize("named", range(3))
async def test_ten_codes_that_come_twice_leave_ten_times_whichever_master_is_named(named: int, masters: list[Process]) -> None:
    times, keys = list[int](), [next(KEYS) for _ in range(10)]
    async with with_patience(masters[named]) as here, with_patience(masters[named - 1]) as there:
        for client in (here, there):
            guard = IdempotencyGuard(RedisIdempotencyStore(client, 600), deadline_seconds=4)
            results = [await once(guard, key, f"{key} {id(client)}", sends(ACCEPTED, times)) for key in keys]
            assert [result.message_id for result in results] == ["m1"] * 10
    assert len(times) == 10


async def test_what_redis_missed_is_told_to_each_master(masters: list[Process]) -> None:
    async with without_patience(masters[0]) as client, with_patience(masters[1]) as other:
        store, keys = RedisIdempotencyStore(client, 600), [next(KEYS) for _ in range(10)]
        for key in keys:
            assert await store.claim(key, Entry("pending", "r1")) is None
        asked = await crowd(client)
        for key in keys:
            await store.settle(key, "r1", Entry("accepted", "r1", "m-1", 1))
        await asyncio.gather(*asked)
        async with asyncio.timeout(10):
            for key in keys:
                kept = None
                while kept is None or kept.state == "pending":
                    kept = await RedisIdempotencyStore(other, 600).claim(key, Entry("pending", "r2"))


async def test_a_claim_is_found_at_every_moment_of_its_slots_move(masters: list[Process]) -> None:
    before, during = next(KEYS), "during"
    slot = key_slot((KEY_PREFIX + before).encode())
    during = next(key for key in (f"during-{number}" for number in range(10**6)) if key_slot((KEY_PREFIX + key).encode()) == slot)
    move = Move(slot, masters)
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(with_patience(master)) for master in masters]

        async def claims(key: str, owner: str) -> list[Entry | None]:
            """Claim as new instances, all at once and more of them than one connection serves."""
            stores = [RedisIdempotencyStore(client, 600) for client in clients for _ in range(4)]
            return await asyncio.gather(*(store.claim(key, Entry("pending", f"{owner}{number}")) for number, store in enumerate(stores)))

        assert (await claims(before, "first")).count(None) == 1
        move.begin()
        assert None not in await claims(before, "begun")
        assert (await claims(during, "new")).count(None) == 1
        move.carry(KEY_PREFIX + before)
        assert None not in await claims(before, "carried")
        assert None not in await claims(during, "carried")
        move.end()
        assert None not in await claims(before, "ended")
        assert None not in await claims(during, "ended")


async def test_counts_stay_exact_while_their_slot_is_moved(masters: list[Process]) -> None:
    old, new = charge(20), charge(1000)
    move = Move(key_slot(KEY_PREFIX.encode()), masters)
    async with with_patience(masters[0]) as here, with_patience(masters[1]) as there:

        async def count() -> int:
            stores = [RedisCounterStore(client, is_closed_on_failure=True) for client in (here, there)]
            given = await asyncio.gather(*(store.acquire([old, new]) for store in stores for _ in range(4)))
            return sum(isinstance(one, Acquired) for one in given)

        counted = await count()
        move.begin()
        # With one window here and one there a master asks to try again: until the other one is there, too.
        move.carry(KEY_PREFIX + old.key)
        waiting = asyncio.create_task(count())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        move.carry(KEY_PREFIX + new.key)
        counted += await waiting
        move.end()
        assert counted + await count() == 20


async def test_a_lost_master_is_reported_once_and_locks_nobody_out(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as masters:
        reports, times = Reports(), list[int]()
        async with contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{masters[1].port}", reports)) as client:
            guard = IdempotencyGuard(RedisIdempotencyStore(client, 600), deadline_seconds=4)
            counters = RedisCounterStore(client, is_closed_on_failure=False)
            assert await once(guard, "before", "r", sends(ACCEPTED, times)) == ACCEPTED
            assert isinstance(await counters.acquire([charge(5)]), Acquired)
            assert not reports
            masters[0].popen.kill()
            for number in range(40):
                for _ in range(2):
                    assert (await once(guard, f"after-{number}", f"r{number}", sends(ACCEPTED, times))).outcome is Outcome.ACCEPTED
                assert isinstance(await counters.acquire([charge(5)]), Acquired)
            assert len(times) == 41
            assert len(reports) == 1
