"""What idempotency guarantees, tested with both stores; Redis is a real one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.delivery.idempotency import GRACE_SECONDS, IdempotencyGuard, key_of
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.storage.protocols import Entry
from support.messages import parse
from support.stores import ACCEPTED, KEYS, MakeStore, once, sends


@pytest.fixture
async def guard(make_store: MakeStore) -> AsyncIterator[IdempotencyGuard]:
    async with make_store(600) as store:
        yield IdempotencyGuard(store, deadline_seconds=4)


async def test_a_repeat_of_an_accepted_message_gets_the_same_answer_and_no_second_sms(guard: IdempotencyGuard) -> None:
    key, times = next(KEYS), list[int]()
    assert await once(guard, key, "r1", sends(ACCEPTED, times)) == ACCEPTED
    again = await once(guard, key, "r2", sends(ACCEPTED, times))
    assert (again.outcome, again.message_id, again.segments, again.is_duplicate) == (Outcome.ACCEPTED, "m1", 2, True)
    assert len(times) == 1


@pytest.mark.parametrize(
    "outcome", [Outcome.UPSTREAM_REJECTED, Outcome.UPSTREAM_AUTH, Outcome.INVALID_RECIPIENT, Outcome.UPSTREAM_UNAVAILABLE]
)
async def test_a_message_that_was_rejected_or_not_sent_may_be_tried_anew(guard: IdempotencyGuard, outcome: Outcome) -> None:
    key, times = next(KEYS), list[int]()
    assert (await once(guard, key, "r1", sends(Result(outcome), times))).outcome is outcome
    assert await once(guard, key, "r2", sends(ACCEPTED, times)) == ACCEPTED
    assert len(times) == 2


async def test_a_message_that_we_refused_may_be_tried_anew(guard: IdempotencyGuard) -> None:
    key, times = next(KEYS), list[int]()
    with pytest.raises(Refused):
        await once(guard, key, "r1", sends(Refused(Outcome.RATE_LIMITED), times))
    assert await once(guard, key, "r2", sends(ACCEPTED, times)) == ACCEPTED


@pytest.mark.parametrize("ending", [Result(Outcome.OUTCOME_UNKNOWN), ZeroDivisionError()], ids=["unknown", "bug"])
async def test_a_message_of_unknown_fate_stays_unknown_at_once(guard: IdempotencyGuard, ending: Result | Exception) -> None:
    key, times = next(KEYS), list[int]()
    with contextlib.suppress(ZeroDivisionError):
        await once(guard, key, "r1", sends(ending, times))
    started = time.monotonic()
    again = await once(guard, key, "r2", sends(ACCEPTED, times))
    assert (again.outcome, again.is_duplicate) == (Outcome.OUTCOME_UNKNOWN, True)
    assert time.monotonic() - started < 2, "it was waited for"
    assert len(times) == 1


async def test_a_repeat_in_flight_waits_for_the_first_result(guard: IdempotencyGuard) -> None:
    key, gate, times = next(KEYS), asyncio.Event(), list[int]()

    async def slow() -> Result:
        times.append(1)
        await gate.wait()
        return ACCEPTED

    first = asyncio.create_task(once(guard, key, "r1", slow))
    repeats = [asyncio.create_task(once(guard, key, f"x{number}", slow)) for number in range(20)]
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(first, *repeats)
    assert {result.message_id for result in results} == {"m1"}
    assert sum(result.is_duplicate for result in results) == 20
    assert len(times) == 1


async def test_a_repeat_in_flight_is_in_progress_when_its_own_deadline_is_near(guard: IdempotencyGuard) -> None:
    key, gate = next(KEYS), asyncio.Event()

    async def slow() -> Result:
        await gate.wait()
        return ACCEPTED

    first = asyncio.create_task(once(guard, key, "r1", slow))
    await asyncio.sleep(0.05)
    assert (await once(guard, key, "r2", slow, seconds=0.8)).outcome is Outcome.IN_PROGRESS
    gate.set()
    await first


async def test_a_repeat_does_not_send_in_place_of_another_call_when_its_own_deadline_is_near() -> None:
    store, times = MemoryIdempotencyStore(600), list[int]()
    await store.claim("k", Entry("pending", "r1"))
    repeat = asyncio.create_task(once(IdempotencyGuard(store, deadline_seconds=4), "k", "r2", sends(ACCEPTED, times), seconds=0.5))
    await asyncio.sleep(0)
    await store.settle("k", "r1", None)
    assert (await repeat).outcome is Outcome.IN_PROGRESS
    assert not times


@pytest.mark.parametrize(("age_seconds", "outcome"), [(5.9, Outcome.IN_PROGRESS), (6.1, Outcome.OUTCOME_UNKNOWN)])
async def test_a_call_is_taken_for_dead_two_seconds_after_its_deadline_and_not_before(age_seconds: float, outcome: Outcome) -> None:
    now = [0.0]
    store = MemoryIdempotencyStore(600, lambda: now[0])
    await store.claim("k", Entry("pending", "r1"))
    now[0] = age_seconds
    assert (await once(IdempotencyGuard(store, deadline_seconds=4), "k", "r2", sends(ACCEPTED, []), seconds=0.1)).outcome is outcome


async def test_a_message_whose_call_died_is_unknown_after_its_deadline_and_grace(make_store: MakeStore) -> None:
    async with make_store(600) as store:
        key, times = next(KEYS), list[int]()
        await store.claim(key, Entry("pending", "dead"))
        guard = IdempotencyGuard(store, deadline_seconds=0.3 - GRACE_SECONDS)
        assert (await once(guard, key, "r2", sends(ACCEPTED, times), seconds=3)).outcome is Outcome.OUTCOME_UNKNOWN
        assert not times


async def test_the_same_message_may_leave_again_after_the_window(make_store: MakeStore) -> None:
    async with make_store(0.3) as store:
        guard, key, times = IdempotencyGuard(store, deadline_seconds=4), next(KEYS), list[int]()
        await once(guard, key, "r1", sends(ACCEPTED, times))
        end = time.monotonic() + 2
        while len(times) == 1 and time.monotonic() < end:
            await once(guard, key, f"r{time.monotonic()}", sends(ACCEPTED, times))
            await asyncio.sleep(0.02)
        assert len(times) == 2


@given(
    calls=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([Outcome.ACCEPTED, Outcome.OUTCOME_UNKNOWN, Outcome.UPSTREAM_UNAVAILABLE])),
        max_size=30,
    )
)
def test_the_sender_is_called_again_only_when_the_last_time_left_nothing(calls: list[tuple[str, Outcome]]) -> None:
    last: dict[str, Outcome] = {}

    async def story(guard: IdempotencyGuard) -> None:
        for number, (key, outcome) in enumerate(calls):
            times = list[int]()
            await once(guard, key, f"r{number}", sends(Result(outcome), times))
            is_allowed = last.get(key) in (None, Outcome.UPSTREAM_UNAVAILABLE)
            assert len(times) == is_allowed
            last[key] = outcome if is_allowed else last[key]

    asyncio.run(story(IdempotencyGuard(MemoryIdempotencyStore(600), deadline_seconds=4)))


def _key(**changes: object) -> str:
    fields = {"recipient": "+12025550110", "text": "Your code is 1", "code": "1"} | changes
    body = str(fields).replace("'", '"').encode()
    return key_of(parse(body, b"", None), b"secret")


def test_a_message_is_known_by_tenant_recipient_code_and_text_however_written() -> None:
    assert _key() == _key(recipient="001 202 555 0110")
    assert len({_key(), _key(recipient="+12025550111"), _key(code="2"), _key(text="Your code is 2"), _key(tenant="b")}) == 5
    assert "2025550110" not in _key()
