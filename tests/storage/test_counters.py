"""What counters promise, written once and held by both kinds; Redis is a real one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mitto_phone_hook.policy.limits import Counters, Refusal, Taken
from mitto_phone_hook.storage.memory_counters import MemoryCounters
from mitto_phone_hook.storage.redis_counters import RedisCounters
from support.stores import charge, with_patience


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[Counters]:
    if request.param == "memory":
        yield MemoryCounters()
    else:
        async with with_patience(request.getfixturevalue("redis")) as link:
            yield RedisCounters(link, is_closed_on_failure=False)


async def test_never_one_more_than_allowed_with_64_at_once(counters: Counters) -> None:
    one = charge(5)
    answers = await asyncio.gather(*(counters.take([one]) for _ in range(64)))
    assert sum(isinstance(answer, Taken) for answer in answers) == 5


async def test_a_full_window_says_when_it_has_room_again(counters: Counters) -> None:
    one = charge(2)
    await counters.take([one])
    await counters.take([one])
    refusal = await counters.take([one])
    assert isinstance(refusal, Refusal)
    assert 598 <= refusal.retry_after_seconds <= 600


@pytest.mark.parametrize("seconds", [(60, 3600), (3600, 60)], ids=["shortest first", "longest first"])
async def test_of_several_full_windows_the_one_that_refuses_for_longest_is_told(counters: Counters, seconds: tuple[int, int]) -> None:
    charges = [charge(1, seconds=length) for length in seconds]
    await counters.take(charges)
    refusal = await counters.take(charges)
    assert isinstance(refusal, Refusal)
    assert refusal.window_seconds == 3600
    assert 3500 <= refusal.retry_after_seconds <= 3600


async def test_all_windows_are_checked_before_any_is_counted(counters: Counters) -> None:
    wide, narrow = charge(2), charge(1)
    await counters.take([narrow])
    for _ in range(5):
        assert isinstance(await counters.take([wide, narrow]), Refusal)
    taken = await counters.take([wide])
    assert isinstance(taken, Taken)
    assert list(taken.used) == [1]


@pytest.mark.parametrize("step_ms", [0, 6000])
async def test_what_was_not_sent_gives_its_count_back(counters: Counters, step_ms: int) -> None:
    one = charge(3, amount=2, step_ms=step_ms)
    for _ in range(4):
        taken = await counters.take([one])
        assert isinstance(taken, Taken)
        await counters.give_back(taken)
    assert isinstance(await counters.take([one]), Taken)
    assert isinstance(await counters.take([one]), Refusal)


async def test_a_window_forgets_what_is_older_than_itself(counters: Counters) -> None:
    one = charge(1, seconds=1)
    assert isinstance(await counters.take([one]), Taken)
    assert isinstance(await counters.take([one]), Refusal)
    end = asyncio.get_running_loop().time() + 3
    while isinstance(await counters.take([one]), Refusal):
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)


async def test_what_can_never_fit_is_refused_for_the_whole_window(counters: Counters) -> None:
    refusal = await counters.take([charge(1, amount=2)])
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after_seconds == 600
