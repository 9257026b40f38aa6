"""A cluster of three masters: whichever is named, nothing is sent twice, also while slots move. A lost master locks nobody out."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from redis.crc import key_slot

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.delivery.idempotency import IdempotencyGuard, key_of
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.storage.protocols import Acquired, Entry, Refusal
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.clusters import Cluster, Move, redis_cluster, wait_until_copied
from support.messages import parse
from support.numbers import fictional_numbers
from support.processes import API_KEY, BEARER, Process, ask_redis
from support.stores import ACCEPTED, KEYS, Reports, charge, crowd, fail, once, sends, told, with_patience, without_patience


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with redis_cluster(tmp_path_factory.mktemp("masters")) as cluster:
        yield cluster


def client_of(node: Process, reports: Reports) -> contextlib.aclosing[RedisClient]:
    """Return a client that may meet failures, and takes no stall of the machine for one."""
    return contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{node.port}", reports, timeout_seconds=5, queue_seconds=30))


def slot_of(key: str) -> int:
    return key_slot((KEY_PREFIX + key).encode())


def keys_of(node: Process, cluster: Cluster) -> Iterator[str]:
    """Give keys that one master has."""
    return (key for key in KEYS if cluster.owner_of(slot_of(key)) is node)


def test_what_is_kept_about_a_recipient_has_one_slot_and_what_many_share_has_others() -> None:
    limits = load(
        {
            "MITTO_API_KEY": API_KEY,
            "HOOK_SECRETS": BEARER,
            "LIMITS": "recipient=5/minute,9/hour; prefix=9/minute; ip=9/minute,9/hour; region=9/minute,9/hour; total=9/minute,9/hour",
        }
    ).quotas
    entries, slots = Counter[int](), dict[str, set[int]]()
    for number in islice(fictional_numbers(), 300):
        fields = b'{"recipient":"%b","text":"Your code is 314272","context":{"ip":"192.0.43.7"}}' % number.encode()
        message = parse(fields, b"", None)
        slot = slot_of(key_of(message, b"secret"))
        entries[slot * 3 // 16384] += 1
        charges = limits.charges(message, 1, b"secret")
        assert {slot_of(one.key) for one in charges if one.name == "recipient"} == {slot}
        for one in charges:
            slots.setdefault(one.name, set()).add(slot_of(one.key))
    assert min(entries.values()) > 60, "three masters carry about a third each"
    assert len(slots["recipient"]) > 250
    assert {name: len(slots[name]) for name in ("ip", "region", "total")} == {"ip": 1, "region": 1, "total": 1}
    assert len(slots["ip"] | slots["region"] | slots["total"]) == 3


@pytest.mark.parametrize("named", range(3))
async def test_ten_codes_that_come_twice_leave_ten_times_whichever_master_is_named(named: int, masters: Cluster) -> None:
    times, keys = list[int](), [next(KEYS) for _ in range(10)]
    async with with_patience(masters.nodes[named]) as here, with_patience(masters.nodes[named - 1]) as there:
        for client in (here, there):
            guard = IdempotencyGuard(RedisIdempotencyStore(client, 600), deadline_seconds=4)
            results = [await once(guard, key, f"{key} {id(client)}", sends(ACCEPTED, times)) for key in keys]
            assert [result.message_id for result in results] == ["m1"] * 10
    assert len(times) == 10


async def test_what_redis_missed_is_told_to_each_master(masters: Cluster) -> None:
    async with without_patience(masters.nodes[0]) as client, with_patience(masters.nodes[1]) as other:
        store, keys = RedisIdempotencyStore(client, 600), list(islice(keys_of(masters.nodes[0], masters), 5))
        keys += [next(KEYS) for _ in range(10)]
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


async def test_limits_hold_over_several_masters_and_what_one_refuses_counts_on_none(masters: Cluster) -> None:
    """Other instances see it: each store has a memory of its own."""
    wide, narrow = [charge(100, key=next(keys_of(node, masters))) for node in masters.nodes], charge(5)
    async with with_patience(masters.nodes[0]) as client:
        stores = [RedisCounterStore(client, is_closed_on_failure=True) for _ in range(4)]
        given = await asyncio.gather(*(store.acquire([*wide, narrow]) for store in stores for _ in range(8)))
        counted = [one for one in given if isinstance(one, Acquired)]
        assert len(counted) == 5
        assert all(one.name == "rule" for one in given if isinstance(one, Refusal))
        observer = await RedisCounterStore(client, is_closed_on_failure=True).acquire(wide)
        assert isinstance(observer, Acquired)
        assert list(observer.used) == [6, 6, 6]
        for store, one in zip((store for store in stores for _ in range(8)), given, strict=True):
            if isinstance(one, Acquired):
                await store.release(one)
        again = await RedisCounterStore(client, is_closed_on_failure=True).acquire([*wide, narrow])
        assert isinstance(again, Acquired)
        assert sorted(again.used) == [1, 2, 2, 2]


async def test_a_user_who_may_not_ask_which_slots_a_cluster_has_is_served_as_well(masters: Cluster) -> None:
    for node in masters.nodes:
        ask_redis(node.port, "ACL", "SETUSER", "few", "on", ">secret", f"~{KEY_PREFIX}*", "+@all", "-cluster")
    url = f"redis://few:secret@127.0.0.1:{masters.nodes[0].port}"
    async with contextlib.aclosing(RedisClient(url, fail, timeout_seconds=5)) as client:
        counters = RedisCounterStore(client, is_closed_on_failure=True)
        charges = [charge(5, key=next(keys_of(node, masters))) for node in masters.nodes]
        for used in (1, 2):
            acquired = await counters.acquire(charges)
            assert isinstance(acquired, Acquired)
            assert list(acquired.used) == [used] * 3


async def test_a_claim_is_found_at_every_moment_of_its_slots_move(masters: Cluster) -> None:
    before = next(KEYS)
    during = next(key for key in (f"during-{number}" for number in range(10**6)) if slot_of(key) == slot_of(before))
    move = Move(slot_of(before), masters)
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(with_patience(master)) for master in masters.nodes]

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


async def test_counts_stay_exact_while_their_slot_is_moved(masters: Cluster) -> None:
    old, new = charge(20, key="{moved}:old"), charge(1000, key="{moved}:new")
    move = Move(slot_of(old.key), masters)
    async with with_patience(masters.nodes[0]) as here, with_patience(masters.nodes[1]) as there:

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
    with redis_cluster(tmp_path) as cluster:
        reports, times = Reports(), list[int]()
        async with client_of(cluster.nodes[1], reports) as client:
            guard = IdempotencyGuard(RedisIdempotencyStore(client, 600), deadline_seconds=4)
            counters = RedisCounterStore(client, is_closed_on_failure=False)
            assert await once(guard, "before", "r", sends(ACCEPTED, times)) == ACCEPTED
            assert isinstance(await counters.acquire([charge(5)]), Acquired)
            assert not reports
            cluster.kill(0)
            for number in range(40):
                for _ in range(2):
                    assert (await once(guard, f"after-{number}", f"r{number}", sends(ACCEPTED, times))).outcome is Outcome.ACCEPTED
                assert isinstance(await counters.acquire([charge(5)]), Acquired)
            assert len(times) == 41
            assert len(reports) == 1


async def test_a_lost_master_takes_only_its_own_keys_along_where_the_others_go_on(tmp_path: Path) -> None:
    with redis_cluster(tmp_path, "--cluster-require-full-coverage", "no") as cluster:
        reports, (window, *there) = Reports(), list(islice(keys_of(cluster.nodes[1], cluster), 20))
        lost, kept = charge(5, key=next(keys_of(cluster.nodes[0], cluster))), charge(1, key=window)
        async with client_of(cluster.nodes[1], reports) as client, client_of(cluster.nodes[2], Reports()) as other:
            first, second = (RedisIdempotencyStore(one, 600) for one in (client, other))
            counters, closed = (RedisCounterStore(client, is_closed_on_failure=is_closed) for is_closed in (False, True))
            assert isinstance(await RedisCounterStore(other, is_closed_on_failure=False).acquire([lost]), Acquired)
            cluster.kill(0)
            for key in there:
                # What the lost master refuses to tell keeps nobody from asking the others.
                assert isinstance(await RedisCounterStore(client, is_closed_on_failure=False).acquire([lost]), Acquired)
                assert await first.claim(key, Entry("pending", "r1")) is None
                assert await second.claim(key, Entry("pending", "r2")) is not None
            with pytest.raises(Refused):
                await closed.acquire([lost, kept])
            acquired = await counters.acquire([lost, kept])
            assert isinstance(acquired, Acquired), "what was refused is counted nowhere"
            assert isinstance(await RedisCounterStore(other, is_closed_on_failure=False).acquire([lost, kept]), Refusal)
            await counters.release(acquired)
            assert isinstance(await RedisCounterStore(other, is_closed_on_failure=False).acquire([lost, kept]), Acquired)
            assert len(reports) == 1


async def test_a_replica_takes_the_place_of_a_lost_master_and_knows_what_was_sent(tmp_path: Path) -> None:
    with redis_cluster(tmp_path, replicas=1) as cluster:
        before, idles, between = islice(keys_of(cluster.nodes[0], cluster), 3)
        times, idle_reports, busy_reports = list[int](), Reports(), Reports()
        async with client_of(cluster.nodes[0], idle_reports) as idle, client_of(cluster.nodes[1], busy_reports) as busy:
            guards = [IdempotencyGuard(RedisIdempotencyStore(client, 600), deadline_seconds=4) for client in (busy, idle)]
            assert await once(guards[0], before, "r1", sends(ACCEPTED, times)) == ACCEPTED
            # The idle one has its connections from now.
            assert await once(guards[1], idles, "r2", sends(ACCEPTED, list[int]())) == ACCEPTED
            await told(busy, before)
            await told(busy, idles)
            wait_until_copied(cluster.nodes[0], cluster.nodes[3])
            cluster.kill(0)
            assert (await once(guards[0], between, "r3", sends(ACCEPTED, times))).outcome is Outcome.ACCEPTED
            assert len(times) == 2
            assert len(busy_reports) == 1, "between the loss and the promotion nobody can know, and it is said"
            cluster.wait_until_up()
            assert cluster.owner_of(slot_of(before)) is cluster.nodes[3]
            again = await once(guards[1], before, "r4", sends(ACCEPTED, times))
            assert (again.message_id, again.is_duplicate) == ("m1", True)
            assert not idle_reports, "the first call after a failover finds the new master at once"
            async with asyncio.timeout(10):
                kept = None
                while kept is None:
                    kept = await RedisIdempotencyStore(idle, 600).claim(between, Entry("pending", "r5"))
            assert kept.state == "accepted", "what was sent meanwhile is told to the new master"
            assert len(times) == 2


async def test_after_a_restart_of_all_servers_they_are_used_again(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster:
        reports, times = Reports(), list[int]()
        async with client_of(cluster.nodes[1], reports) as here, client_of(cluster.nodes[2], Reports()) as there:
            guards = [IdempotencyGuard(RedisIdempotencyStore(client, 600), deadline_seconds=4) for client in (here, there)]
            for guard in guards:
                assert (await once(guard, "before", f"{id(guard)}", sends(ACCEPTED, times))).outcome is Outcome.ACCEPTED
            cluster.kill(0, 1, 2)
            for number in range(20):
                assert (await once(guards[0], f"down-{number}", "r", sends(ACCEPTED, times))).outcome is Outcome.ACCEPTED
            assert len(reports) == 1
            cluster.start(0, 1, 2)
            cluster.wait_until_up()
            async with asyncio.timeout(10):
                # Each master is left alone for a moment after its failure.
                for client in (here, there):
                    counters = RedisCounterStore(client, is_closed_on_failure=True)
                    for node in cluster.nodes:
                        acquired = None
                        while acquired is None:
                            with contextlib.suppress(Refused):
                                acquired = await counters.acquire([charge(5, key=next(keys_of(node, cluster)))])
                            await asyncio.sleep(0.01)
            times.clear()
            for number in range(10):
                for guard in guards:
                    assert (await once(guard, f"after-{number}", f"{id(guard)}", sends(ACCEPTED, times))).outcome is Outcome.ACCEPTED
            assert len(times) == 10
            assert len(reports) == 1
