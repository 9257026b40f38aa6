"""What only the counters of a process have: a clock of their own, and an end to their memory."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.storage.memory_counters import MAX_WINDOWS, MemoryCounterStore
from mitto_phone_hook.storage.protocols import Acquired, Refusal
from support.stores import charge


async def test_what_was_not_sent_leaves_nothing_behind() -> None:
    now = [0.0]
    counters, one = MemoryCounterStore(lambda: now[0]), charge(5)
    first, second = await counters.acquire([one]), await counters.acquire([one])
    now[0] += 1
    third = await counters.acquire([one])
    assert isinstance(first, Acquired)
    assert isinstance(second, Acquired)
    assert isinstance(third, Acquired)
    await counters.release(first)
    again = await counters.acquire([one])
    assert isinstance(again, Acquired)
    assert list(again.used) == [3]
    for acquired in (second, third, again):
        await counters.release(acquired)
    assert len(counters) == 0


async def test_what_is_over_gives_back_all_that_was_counted() -> None:
    now = [0.0]
    counters, budget = MemoryCounterStore(lambda: now[0]), charge(14, amount=7)
    for full in (7, 14, 14, 14):
        acquired = await counters.acquire([budget])
        assert isinstance(acquired, Acquired)
        assert list(acquired.used) == [full]
        now[0] += 300


async def test_what_is_given_back_when_its_window_is_over_takes_nothing_from_another() -> None:
    now = [0.0]
    counters, one = MemoryCounterStore(lambda: now[0]), charge(1)
    first = await counters.acquire([one])
    now[0] += 600
    assert isinstance(first, Acquired)
    assert isinstance(await counters.acquire([one]), Acquired)
    await counters.release(first)
    assert isinstance(await counters.acquire([one]), Refusal)


@given(gaps=st.lists(st.integers(0, 90), max_size=60), limit=st.integers(1, 6), step_ms=st.sampled_from([0, 7000]))
def test_no_stretch_of_time_ever_holds_more_than_allowed(gaps: list[int], limit: int, step_ms: int) -> None:
    now = [1000.0]
    passed: list[float] = []

    async def run() -> None:
        counters = MemoryCounterStore(lambda: now[0])
        one = charge(limit, seconds=100, step_ms=step_ms)
        for gap in gaps:
            now[0] += gap
            answer = await counters.acquire([one])
            if isinstance(answer, Acquired):
                passed.append(now[0])
            else:
                now[0] += answer.retry_after_seconds
                assert isinstance(await counters.acquire([one]), Acquired), "Retry-After was not true"
                passed.append(now[0])
        for start in passed:
            assert sum(start <= moment < start + 100 for moment in passed) <= limit

    asyncio.run(run())


async def test_the_windows_of_a_process_are_bounded_and_forgotten() -> None:
    now = [0.0]
    counters = MemoryCounterStore(lambda: now[0])
    for _ in range(1000):
        await counters.acquire([charge(5, seconds=10)])
    assert len(counters) == 1000
    now[0] = 20
    await counters.acquire([charge(5, seconds=10)])
    assert len(counters) == 1
    assert MAX_WINDOWS <= 200_000


async def test_a_long_window_keeps_no_short_one_behind_it() -> None:
    now = [0.0]
    counters = MemoryCounterStore(lambda: now[0])
    for number in range(100):
        now[0] += 10
        await counters.acquire([charge(5, key=f"day-{number}", seconds=86400), charge(5, key=f"short-{number}", seconds=10)])
    assert len(counters) == 101
    await counters.acquire([charge(5, key=f"other-{number}", seconds=10) for number in range(MAX_WINDOWS)])
    assert len(counters) == MAX_WINDOWS
    again = await counters.acquire([charge(5, key="day-0", seconds=86400)])
    assert isinstance(again, Acquired)
    assert list(again.used) == [2]


async def test_when_there_are_too_many_windows_the_one_touched_longest_ago_is_forgotten() -> None:
    counters = MemoryCounterStore()
    touched, untouched = charge(5), charge(5)
    await counters.acquire([touched])
    await counters.acquire([untouched])
    await counters.acquire([charge(5, key=f"other-{number}") for number in range(MAX_WINDOWS - 2)])
    await counters.acquire([touched])
    await counters.acquire([charge(5)])
    assert len(counters) == MAX_WINDOWS
    again = await counters.acquire([touched, untouched])
    assert isinstance(again, Acquired)
    assert list(again.used) == [3, 1]
