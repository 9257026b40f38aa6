"""What every idempotency store guarantees, tested with both kinds; Redis is a real one."""

import asyncio

import pytest

from mitto_phone_hook.storage.protocols import Entry, Validity
from support.stores import KEYS, MakeStore


async def test_only_the_owner_settles(make_store: MakeStore) -> None:
    async with make_store(600) as store:
        key = next(KEYS)
        await store.claim(key, Entry("pending", "mine"))
        await store.settle(key, "somebody", None)
        kept = await store.claim(key, Entry("pending", "r2"))
        assert kept is not None
        assert kept.owner == "mine"


async def test_whoever_has_told_the_result_does_not_claim_the_message_again(make_store: MakeStore) -> None:
    async with make_store(600) as store:
        key, accepted = next(KEYS), Entry("accepted", "mine", "m-1", 1)
        assert await store.claim(key, Entry("pending", "mine")) is None
        assert await store.claim(key, Entry("pending", "mine")) is None
        await store.settle(key, "mine", accepted)
        kept = await store.claim(key, Entry("pending", "mine"))
        assert kept is not None
        assert kept._replace(age_seconds=0) == accepted


async def test_a_message_is_claimed_by_one_of_many_and_shown_to_the_others(make_store: MakeStore) -> None:
    async with make_store(600) as store:
        key = next(KEYS)
        claims = await asyncio.gather(*(store.claim(key, Entry("pending", f"r{number}")) for number in range(20)))
        assert claims.count(None) == 1
        assert {(entry.owner, entry.state) for entry in claims if entry is not None} == {(f"r{claims.index(None)}", "pending")}


async def test_a_claim_that_is_taken_back_leaves_the_message_to_the_next(make_store: MakeStore) -> None:
    async with make_store(600) as store:
        key = next(KEYS)
        assert await store.claim(key, Entry("pending", "r1")) is None
        await store.settle(key, "r1", None)
        assert await store.claim(key, Entry("pending", "r2")) is None


async def test_a_result_is_kept_as_it_was_told(make_store: MakeStore) -> None:
    async with make_store(600) as store:
        key = next(KEYS)
        assert await store.claim(key, Entry("pending", "r1")) is None
        await store.settle(key, "r1", Entry("accepted", "r1", "m-1", 2))
        for _ in range(2):
            kept = await store.claim(key, Entry("pending", "r2"))
            assert kept is not None
            assert kept._replace(age_seconds=0) == Entry("accepted", "r1", "m-1", 2)


@pytest.mark.parametrize("state", ["accepted", "unknown"])
async def test_what_has_left_outweighs_the_claim_of_another(make_store: MakeStore, state: str) -> None:
    async with make_store(600) as store:
        key = next(KEYS)
        assert await store.claim(key, Entry("pending", "other")) is None
        await store.settle(key, "late", Entry(state, "late", "m-1", 1))
        await store.settle(key, "other", None)
        kept = await store.claim(key, Entry("pending", "again"))
        assert kept is not None
        assert (kept.owner, kept.state, kept.message_id) == ("late", state, "m-1")


async def test_a_result_that_is_told_late_has_its_true_age(make_store: MakeStore) -> None:
    """Else a user who asks again after an outage of the store would be answered as a repeat."""
    async with make_store(600) as store:
        key = next(KEYS)
        assert await store.claim(key, Entry("pending", "r1")) is None
        await store.settle(key, "r1", Entry("accepted", "r1", "m-1", 1, age_seconds=100))
        kept = await store.claim(key, Entry("pending", "r2"))
        assert kept is not None
        assert 100 <= kept.age_seconds < 160
        assert await store.claim(key, Entry("pending", "r2"), Validity(settled_seconds=30)) is None
