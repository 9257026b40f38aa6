"""What counters promise, written once and held by both kinds; Redis is a real one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.protocols import Acquired, CounterStore, Refusal
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from support.stores import charge, with_patience


@pytest.fixture(params=["memory", "redis", "valkey", "cluster"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[CounterStore]:
    if request.param == "memory":
        yield MemoryCounterStore()
    else:
        async with with_patience(request.getfixturevalue(request.param)) as client:
            yield RedisCounterStore(client, is_closed_on_failure=False)


async def test_never_one_more_than_allowed_with_64_at_once(counters: CounterStore) -> None:
    one = charge(5)
    answers = await asyncio.gather(*(counters.acquire([one]) for _ in range(64)))
    assert sum(isinstance(answer, Acquired) for answer in answers) == 5


async def test_a_full_window_says_when_it_has_room_again(counters: CounterStore) -> None:
    one = charge(2)
    await counters.acquire([one])
    await counters.acquire([one])
    refusal = await counters.acquire([one])
    assert isinstance(refusal, Refusal)
    assert 598 <= refusal.retry_after_seconds <= 600


@pytest.mark.parametrize("seconds", [(60, 3600), (3600, 60)], ids=["shortest first", "longest first"])
async def test_of_several_full_windows_the_one_that_refuses_for_longest_is_told(counters: CounterStore, seconds: tuple[int, int]) -> None:
    charges = [charge(1, seconds=length) for length in seconds]
    await counters.acquire(charges)
    refusal = await counters.acquire(charges)
    assert isinstance(refusal, Refusal)
    assert refusal.window_seconds == 3600
    assert 3500 <= refusal.retry_after_seconds <= 3600


async def test_all_windows_are_checked_before_any_is_counted(counters: CounterStore) -> None:
    wide, narrow = charge(2), charge(1)
    await counters.acquire([narrow])
    for _ in range(5):
        assert isinstance(await counters.acquire([wide, narrow]), Refusal)
    acquired = await counters.acquire([wide])
    assert isinstance(acquired, Acquired)
    assert list(acquired.used) == [1]


@pytest.mark.parametrize("step_ms", [0, 6000])
async def test_what_was_not_sent_gives_its_count_back(counters: CounterStore, step_ms: int) -> None:
    one = charge(3, amount=2, step_ms=step_ms)
    for _ in range(4):
        acquired = await counters.acquire([one])
        assert isinstance(acquired, Acquired)
        await counters.release(acquired)
    assert isinstance(await counters.acquire([one]), Acquired)
    assert isinstance(await counters.acquire([one]), Refusal)


async def test_a_window_forgets_what_is_older_than_itself(counters: CounterStore) -> None:
    one = charge(1, seconds=1)
    assert isinstance(await counters.acquire([one]), Acquired)
    assert isinstance(await counters.acquire([one]), Refusal)
    end = asyncio.get_running_loop().time() + 3
    while isinstance(await counters.acquire([one]), Refusal):
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)


async def test_what_can_never_fit_is_refused_for_the_whole_window(counters: CounterStore) -> None:
    refusal = await counters.acquire([charge(1, amount=2)])
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after_seconds == 600
