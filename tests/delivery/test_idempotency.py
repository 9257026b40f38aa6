"""The ledger's promises, written once and held by both stores; Redis is a real one."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.delivery.idempotency import GRACE_SECONDS, Entry, Ledger, Store, key_of
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.storage.memory_idempotency import MAX_ENTRIES, MemoryStore
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, MAX_CONNECTIONS, PAUSE_SECONDS, TIMEOUT_SECONDS, RedisLink, Unavailable
from mitto_phone_hook.storage.redis_idempotency import MAX_UNSETTLED, TOLD_AT_ONCE, RedisStore
from support.messages import parse
from support.processes import Process, free_port, redis_server
from support.stage import PassingLoop

ACCEPTED = Result(Outcome.ACCEPTED, message_id="m1", segments=2)
MakeStore = Callable[[float], contextlib.AbstractAsyncContextManager[Store]]
KEYS = (f"key-{number}-{time.time_ns()}" for number in range(10_000))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with redis_server(tmp_path_factory.mktemp("redis")) as process:
        yield process


@contextlib.asynccontextmanager
async def _memory(window_seconds: float) -> AsyncIterator[Store]:
    yield MemoryStore(window_seconds)


@pytest.fixture(params=["memory", "redis"])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    if request.param == "memory":
        return _memory
    port = request.getfixturevalue("redis").port

    @contextlib.asynccontextmanager
    async def shared(window_seconds: float) -> AsyncIterator[Store]:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{port}", _fail, timeout_seconds=5, line_seconds=30)) as link:
            yield RedisStore(link, window_seconds)

    return shared


def _fail() -> None:
    raise AssertionError("the store complained")


def play(
    make_store: MakeStore, story: Callable[[Ledger], Awaitable[None]], window_seconds: float = 600, deadline_seconds: float = 4
) -> None:
    async def run() -> None:
        async with make_store(window_seconds) as store:
            await story(Ledger(store, deadline_seconds=deadline_seconds))

    asyncio.run(run())


async def once(ledger: Ledger, key: str, owner: str, send: Callable[[], Awaitable[Result]], seconds: float = 4) -> Result:
    return (await ledger.once(key, owner, asyncio.get_running_loop().time() + seconds, send)).result


def sends(result: Result | Exception, times: list[int]) -> Callable[[], Awaitable[Result]]:
    async def send() -> Result:
        times.append(1)
        if isinstance(result, Exception):
            raise result
        return result

    return send


def test_a_repeat_of_an_accepted_message_gets_the_same_answer_and_no_second_sms(make_store: MakeStore) -> None:
    async def story(ledger: Ledger) -> None:
        key, times = next(KEYS), list[int]()
        assert await once(ledger, key, "r1", sends(ACCEPTED, times)) == ACCEPTED
        again = await once(ledger, key, "r2", sends(ACCEPTED, times))
        assert (again.outcome, again.message_id, again.segments, again.is_duplicate) == (Outcome.ACCEPTED, "m1", 2, True)
        assert len(times) == 1

    play(make_store, story)


@pytest.mark.parametrize(
    "outcome", [Outcome.UPSTREAM_REJECTED, Outcome.UPSTREAM_AUTH, Outcome.INVALID_RECIPIENT, Outcome.UPSTREAM_UNAVAILABLE]
)
def test_a_message_that_was_rejected_or_not_sent_may_be_tried_anew(make_store: MakeStore, outcome: Outcome) -> None:
    async def story(ledger: Ledger) -> None:
        key, times = next(KEYS), list[int]()
        assert (await once(ledger, key, "r1", sends(Result(outcome), times))).outcome is outcome
        assert await once(ledger, key, "r2", sends(ACCEPTED, times)) == ACCEPTED
        assert len(times) == 2

    play(make_store, story)


def test_a_message_that_we_refused_may_be_tried_anew(make_store: MakeStore) -> None:
    async def story(ledger: Ledger) -> None:
        key, times = next(KEYS), list[int]()
        with pytest.raises(Refused):
            await once(ledger, key, "r1", sends(Refused(Outcome.RATE_LIMITED), times))
        assert await once(ledger, key, "r2", sends(ACCEPTED, times)) == ACCEPTED

    play(make_store, story)


@pytest.mark.parametrize("ending", [Result(Outcome.OUTCOME_UNKNOWN), ZeroDivisionError()], ids=["unknown", "bug"])
def test_a_message_of_unknown_fate_stays_unknown_at_once(make_store: MakeStore, ending: Result | Exception) -> None:
    async def story(ledger: Ledger) -> None:
        key, times = next(KEYS), list[int]()
        with contextlib.suppress(ZeroDivisionError):
            await once(ledger, key, "r1", sends(ending, times))
        started = time.monotonic()
        again = await once(ledger, key, "r2", sends(ACCEPTED, times))
        assert (again.outcome, again.is_duplicate) == (Outcome.OUTCOME_UNKNOWN, True)
        assert time.monotonic() - started < 2, "it was waited for"
        assert len(times) == 1

    play(make_store, story)


def test_a_repeat_in_flight_waits_for_the_first_result(make_store: MakeStore) -> None:
    async def story(ledger: Ledger) -> None:
        key, gate, times = next(KEYS), asyncio.Event(), list[int]()

        async def slow() -> Result:
            times.append(1)
            await gate.wait()
            return ACCEPTED

        first = asyncio.create_task(once(ledger, key, "r1", slow))
        repeats = [asyncio.create_task(once(ledger, key, f"x{number}", slow)) for number in range(20)]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(first, *repeats)
        assert {result.message_id for result in results} == {"m1"}
        assert sum(result.is_duplicate for result in results) == 20
        assert len(times) == 1

    play(make_store, story)


def test_a_repeat_in_flight_is_in_progress_when_its_own_deadline_is_near(make_store: MakeStore) -> None:
    async def story(ledger: Ledger) -> None:
        key, gate = next(KEYS), asyncio.Event()

        async def slow() -> Result:
            await gate.wait()
            return ACCEPTED

        first = asyncio.create_task(once(ledger, key, "r1", slow))
        await asyncio.sleep(0.05)
        assert (await once(ledger, key, "r2", slow, seconds=0.8)).outcome is Outcome.IN_PROGRESS
        gate.set()
        await first

    play(make_store, story)


def test_a_repeat_does_not_send_in_place_of_another_call_when_its_own_deadline_is_near() -> None:
    async def run() -> None:
        store, times = MemoryStore(600), list[int]()
        await store.claim("k", Entry("pending", "r1"))
        repeat = asyncio.create_task(once(Ledger(store, deadline_seconds=4), "k", "r2", sends(ACCEPTED, times), seconds=0.5))
        await asyncio.sleep(0)
        await store.settle("k", "r1", None)
        assert (await repeat).outcome is Outcome.IN_PROGRESS
        assert not times

    asyncio.run(run())


@pytest.mark.parametrize(("age_seconds", "outcome"), [(5.9, Outcome.IN_PROGRESS), (6.1, Outcome.OUTCOME_UNKNOWN)])
def test_a_call_is_taken_for_dead_two_seconds_after_its_deadline_and_not_before(age_seconds: float, outcome: Outcome) -> None:
    now = [0.0]

    async def run() -> None:
        store = MemoryStore(600, lambda: now[0])
        await store.claim("k", Entry("pending", "r1"))
        now[0] = age_seconds
        assert (await once(Ledger(store, deadline_seconds=4), "k", "r2", sends(ACCEPTED, []), seconds=0.1)).outcome is outcome

    asyncio.run(run())


def test_a_message_whose_call_died_is_unknown_after_its_deadline_and_grace(make_store: MakeStore) -> None:
    async def run() -> None:
        async with make_store(600) as store:
            key, times = next(KEYS), list[int]()
            await store.claim(key, Entry("pending", "dead"))
            ledger = Ledger(store, deadline_seconds=0.3 - GRACE_SECONDS)
            assert (await once(ledger, key, "r2", sends(ACCEPTED, times), seconds=3)).outcome is Outcome.OUTCOME_UNKNOWN
            assert not times

    asyncio.run(run())


def test_the_same_message_may_leave_again_after_the_window(make_store: MakeStore) -> None:
    async def story(ledger: Ledger) -> None:
        key, times = next(KEYS), list[int]()
        await once(ledger, key, "r1", sends(ACCEPTED, times))
        end = time.monotonic() + 2
        while len(times) == 1 and time.monotonic() < end:
            await once(ledger, key, f"r{time.monotonic()}", sends(ACCEPTED, times))
            await asyncio.sleep(0.02)
        assert len(times) == 2

    play(make_store, story, window_seconds=0.3)


def test_only_the_owner_settles(make_store: MakeStore) -> None:
    async def run() -> None:
        async with make_store(600) as store:
            key = next(KEYS)
            await store.claim(key, Entry("pending", "mine"))
            await store.settle(key, "somebody", None)
            kept = await store.claim(key, Entry("pending", "r2"))
            assert kept is not None
            assert kept.owner == "mine"

    asyncio.run(run())


@given(
    calls=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([Outcome.ACCEPTED, Outcome.OUTCOME_UNKNOWN, Outcome.UPSTREAM_UNAVAILABLE])),
        max_size=30,
    )
)
def test_the_sender_is_called_again_only_when_the_last_time_left_nothing(calls: list[tuple[str, Outcome]]) -> None:
    last: dict[str, Outcome] = {}

    async def story(ledger: Ledger) -> None:
        for number, (key, outcome) in enumerate(calls):
            times = list[int]()
            await once(ledger, key, f"r{number}", sends(Result(outcome), times))
            is_allowed = last.get(key) in (None, Outcome.UPSTREAM_UNAVAILABLE)
            assert len(times) == is_allowed
            last[key] = outcome if is_allowed else last[key]

    play(_memory, story)


def test_the_ledger_of_a_process_is_bounded() -> None:
    async def run() -> None:
        store = MemoryStore(600)
        for number in range(MAX_ENTRIES + 50):
            await store.claim(str(number), Entry("pending", "r"))
        assert len(store) == MAX_ENTRIES
        assert await store.claim(str(MAX_ENTRIES), Entry("pending", "r2")) is not None, "the youngest stays"

    asyncio.run(run())


def test_expired_entries_are_dropped() -> None:
    now = [0.0]

    async def run() -> None:
        store = MemoryStore(10, lambda: now[0])
        for number in range(100):
            await store.claim(str(number), Entry("pending", "r"))
        now[0] = 11
        await store.claim("new", Entry("pending", "r"))
        assert len(store) == 1

    asyncio.run(run())


def _key(**changes: object) -> str:
    fields = {"recipient": "+12025550110", "text": "Your code is 1", "code": "1"} | changes
    body = str(fields).replace("'", '"').encode()
    return key_of(parse(body, b"", None), b"secret")


def test_a_message_is_known_by_tenant_recipient_code_and_text_however_written() -> None:
    assert _key() == _key(recipient="001 202 555 0110")
    assert len({_key(), _key(recipient="+12025550111"), _key(code="2"), _key(text="Your code is 2"), _key(tenant="b")}) == 5
    assert "2025550110" not in _key()


def with_patience(redis: Process) -> contextlib.aclosing[RedisLink]:
    """A link that outlasts every stall of the machine, and complains of none."""
    return contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{redis.port}", _fail, timeout_seconds=5, line_seconds=30))


def test_redis_itself_lets_only_the_owner_take_a_claim_back(redis: Process) -> None:
    """Another instance knows nothing of the entry: only the script can refuse."""

    async def run() -> None:
        async with with_patience(redis) as link:
            key = next(KEYS)
            await RedisStore(link, 600).claim(key, Entry("pending", "mine"))
            await RedisStore(link, 600).settle(key, "somebody", None)
            kept = await RedisStore(link, 600).claim(key, Entry("pending", "r2"))
            assert kept is not None
            assert (kept.owner, kept.state) == ("mine", "pending")

    asyncio.run(run())


def test_redis_tells_the_age_of_what_another_instance_holds(redis: Process) -> None:
    async def run() -> None:
        async with with_patience(redis) as link:
            key = next(KEYS)
            await RedisStore(link, 600).claim(key, Entry("pending", "there"))
            # As it will be when 100 of the 600 seconds have passed.
            await link.eval("redis.call('PEXPIRE', KEYS[1], 500000)", [KEY_PREFIX + key], [])
            kept = await RedisStore(link, 600).claim(key, Entry("pending", "here"))
            assert kept is not None
            assert 100 <= kept.age_seconds < 160

    asyncio.run(run())


@pytest.mark.parametrize("state", ["accepted", "unknown"])
def test_what_has_left_is_not_forgotten_for_a_claim_that_came_between(state: str, redis: Process) -> None:
    """An instance that Redis could not hear tells it late, when another one has claimed the message and then does not send it."""

    async def run() -> None:
        async with with_patience(redis) as link:
            key, late, other = next(KEYS), RedisStore(link, 600), RedisStore(link, 600)
            assert await other.claim(key, Entry("pending", "other")) is None
            await late.settle(key, "late", Entry(state, "late", "m-1", 1))
            await other.settle(key, "other", None)
            for store in (other, RedisStore(link, 600)):
                kept = await store.claim(key, Entry("pending", "again"))
                assert kept is not None
                assert (kept.owner, kept.state, kept.message_id) == ("late", state, "m-1")
            await late.settle(key, "third", Entry("unknown", "third"))
            kept = await RedisStore(link, 600).claim(key, Entry("pending", "again"))
            assert kept is not None
            assert kept.owner == "late"

    asyncio.run(run())


@pytest.mark.parametrize("state", ["accepted", "unknown"])
def test_what_redis_has_said_once_is_known_when_it_has_lost_its_memory(state: str, redis: Process) -> None:
    async def run() -> None:
        async with with_patience(redis) as link:
            key, here, there, third = next(KEYS), RedisStore(link, 600), RedisStore(link, 600), RedisStore(link, 600)
            await there.claim(key, Entry("pending", "there"))
            await there.settle(key, "there", Entry(state, "there", "m-1", 1))
            assert await here.claim(key, Entry("pending", "here")) is not None
            await link.eval("redis.call('DEL', KEYS[1])", [KEY_PREFIX + key], [])
            for store in (here, third):
                kept = await store.claim(key, Entry("pending", "again"))
                assert kept is not None
                assert (kept.owner, kept.state, kept.message_id) == ("there", state, "m-1")

    asyncio.run(run())


def test_what_was_seen_elsewhere_is_forgotten_when_redis_would_forget_it(redis: Process) -> None:
    async def run() -> None:
        async with with_patience(redis) as link:
            key, here, there = next(KEYS), RedisStore(link, 3), RedisStore(link, 3)
            await there.claim(key, Entry("pending", "there"))
            await there.settle(key, "there", Entry("accepted", "there", "m-1", 1))
            assert await here.claim(key, Entry("pending", "here")) is not None
            async with asyncio.timeout(10):
                while await here.claim(key, Entry("pending", "here")) is not None:  # noqa: ASYNC110 - nothing tells of its end
                    await asyncio.sleep(0.05)

    asyncio.run(run())


def test_what_was_seen_elsewhere_is_not_believed_in_its_last_second(redis: Process) -> None:
    async def run() -> None:
        async with with_patience(redis) as link:
            key, here, there = next(KEYS), RedisStore(link, 600), RedisStore(link, 600)
            await there.claim(key, Entry("pending", "there"))
            await there.settle(key, "there", Entry("accepted", "there", "m-1", 1))
            await link.eval("redis.call('PEXPIRE', KEYS[1], 1000)", [KEY_PREFIX + key], [])
            assert await here.claim(key, Entry("pending", "here")) is not None
            await link.eval("redis.call('DEL', KEYS[1])", [KEY_PREFIX + key], [])
            assert await here.claim(key, Entry("pending", "here")) is None

    asyncio.run(run())


@contextlib.asynccontextmanager
async def without_patience(redis: Process, complain: Callable[[], None] = _fail) -> AsyncIterator[RedisLink]:
    """Give a link on which nobody waits for a turn that does not come at once."""
    async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{redis.port}", complain, timeout_seconds=5, line_seconds=0)) as link:
        yield link


async def in_a_crowd(link: RedisLink, *works: Awaitable[None], crowd: int = MAX_CONNECTIONS) -> None:
    """Do this while so many connections are in use by others."""
    await asyncio.gather(*(link.eval("return 1", [], []) for _ in range(crowd)), *works)


def test_redis_is_told_what_it_missed_before_the_message_is_claimed_again(redis: Process) -> None:
    async def run() -> None:
        async with without_patience(redis) as link:
            key, store = next(KEYS), RedisStore(link, 600)
            assert await store.claim(key, Entry("pending", "r1")) is None
            await in_a_crowd(link, store.settle(key, "r1", None))
            assert await store.claim(key, Entry("pending", "r2")) is None

    asyncio.run(run())


def test_a_claim_that_redis_made_late_goes_although_another_call_ended_after_its_own(redis: Process) -> None:
    async def run() -> None:
        async with without_patience(redis) as link, with_patience(redis) as other:
            key, store = next(KEYS), RedisStore(link, 600)
            assert await store.claim(key, Entry("pending", "r1")) is None
            await in_a_crowd(link, store.settle(key, "r1", None), store.settle(key, "r2", None))
            await store.settle(key, "r3", None)
            assert await RedisStore(other, 600).claim(key, Entry("pending", "r4")) is None

    asyncio.run(run())


def test_a_crowded_redis_hides_nothing_that_was_seen_elsewhere(redis: Process) -> None:
    async def run() -> None:
        async with without_patience(redis) as link, with_patience(redis) as other:
            key, here, there = next(KEYS), RedisStore(link, 600), RedisStore(other, 600)
            await there.claim(key, Entry("pending", "there"))
            await there.settle(key, "there", Entry("accepted", "there", "m-1", 1))
            assert await here.claim(key, Entry("pending", "here")) is not None

            async def again() -> None:
                kept = await here.claim(key, Entry("pending", "again"))
                assert kept is not None
                assert (kept.state, kept.message_id) == ("accepted", "m-1")

            await in_a_crowd(link, again())

    asyncio.run(run())


def test_a_newer_result_is_not_forgotten_when_redis_hears_the_older_one(redis: Process) -> None:
    async def run() -> None:
        async with without_patience(redis) as link:
            key, store = next(KEYS), RedisStore(link, 600)
            assert await store.claim(key, Entry("pending", "r1")) is None
            older, newer = store.settle(key, "r1", Entry("unknown", "r1")), store.settle(key, "r1", None)
            await in_a_crowd(link, older, newer, crowd=MAX_CONNECTIONS - 1)
            assert await store.claim(key, Entry("pending", "r2")) is None

    asyncio.run(run())


def test_of_too_many_results_that_redis_missed_the_oldest_is_given_up(redis: Process) -> None:
    async def run() -> None:
        async with without_patience(redis) as link:
            store, oldest, newest = RedisStore(link, 600), next(KEYS), next(KEYS)
            for key in (oldest, newest):
                assert await store.claim(key, Entry("pending", "r1")) is None
            missed = [oldest, *(f"missed-{number}" for number in range(MAX_UNSETTLED - 1)), newest]
            await in_a_crowd(link, *(store.settle(key, "r1", None) for key in missed))
            assert await store.claim(newest, Entry("pending", "r2")) is None
            kept = await store.claim(oldest, Entry("pending", "r2"))
            assert kept is not None
            assert (kept.owner, kept.state) == ("r1", "pending")

    asyncio.run(run())


def test_of_many_results_that_redis_missed_it_is_told_the_newest_first(redis: Process) -> None:
    async def run() -> None:
        has_failed = asyncio.Event()
        async with without_patience(redis, has_failed.set) as link, without_patience(redis) as other:
            store, missed = RedisStore(link, 600), [next(KEYS) for _ in range(TOLD_AT_ONCE + 1)]
            # What Redis cannot replace ends the telling with the oldest, whenever that comes.
            await link.eval("redis.call('RPUSH', KEYS[1], 'no entry')", [KEY_PREFIX + missed[0]], [])
            await in_a_crowd(link, *(store.settle(key, "r1", Entry("accepted", "r1", "m1", 1)) for key in missed))
            loop.passed_seconds += PAUSE_SECONDS
            async with asyncio.timeout(10):
                await has_failed.wait()
            for key in missed[1:]:
                kept = await RedisStore(other, 600).claim(key, Entry("pending", "r2"))
                assert kept is not None
                assert kept.message_id == "m1"

    loop = PassingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())


class Complaints(list[float]):
    def __call__(self) -> None:
        self.append(time.monotonic())


def test_a_redis_that_is_down_lets_messages_pass_complains_once_and_keeps_the_ledger_of_the_process() -> None:
    async def run() -> None:
        complaints = Complaints()
        link = RedisLink(f"redis://127.0.0.1:{free_port()}", complaints)
        store = RedisStore(link, 600)
        ledger, times = Ledger(store, deadline_seconds=4), list[int]()
        for _ in range(3):
            assert (await once(ledger, "k", f"r{time.monotonic_ns()}", sends(ACCEPTED, times))).outcome is Outcome.ACCEPTED
        assert len(times) == 1
        assert len(complaints) == 1
        await link.aclose()

    asyncio.run(run())


def test_calls_that_fail_together_complain_once() -> None:
    async def run() -> None:
        complaints = Complaints()
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{free_port()}", complaints)) as link:
            answers = await asyncio.gather(*(link.eval("return 1", [], []) for _ in range(8)), return_exceptions=True)
            assert [type(answer) for answer in answers] == [Unavailable] * 8
            assert len(complaints) == 1

    asyncio.run(run())


def test_a_redis_that_hangs_when_the_deadline_is_near_holds_up_no_answer_and_hears_the_result_later(tmp_path: Path) -> None:
    async def run(server: Process) -> None:
        url = f"redis://127.0.0.1:{server.port}"
        async with (
            contextlib.aclosing(RedisLink(url, _fail, timeout_seconds=30)) as link,
            contextlib.aclosing(RedisLink(url, _fail, timeout_seconds=30)) as other,
        ):

            async def send() -> Result:
                server.popen.send_signal(signal.SIGSTOP)
                return ACCEPTED

            async with asyncio.timeout(10):
                result = await once(Ledger(RedisStore(link, 600), deadline_seconds=4), "k", "r1", send, seconds=0.2)
            assert result == ACCEPTED
            server.popen.send_signal(signal.SIGCONT)
            kept = None
            async with asyncio.timeout(10):
                while kept is None or kept.state == "pending":
                    kept = await RedisStore(other, 600).claim("k", Entry("pending", "r2"))
            assert kept.message_id == "m1"

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))


def test_a_redis_that_hangs_costs_a_quarter_of_a_second_once() -> None:
    async def run(port: int) -> None:
        link = RedisLink(f"redis://127.0.0.1:{port}", Complaints())
        store = RedisStore(link, 600)
        ledger, times = Ledger(store, deadline_seconds=4), list[int]()
        started = time.monotonic()
        for number in range(20):
            await once(ledger, f"k{number}", f"r{number}", sends(ACCEPTED, times))
        assert time.monotonic() - started < 10 * TIMEOUT_SECONDS
        assert len(times) == 20
        await link.aclose()

    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        asyncio.run(run(never_answers.getsockname()[1]))


def test_a_redis_that_only_reads_lets_messages_pass(tmp_path: Path) -> None:
    async def run(port: int) -> None:
        complaints = Complaints()
        link = RedisLink(f"redis://127.0.0.1:{port}", complaints)
        store = RedisStore(link, 600)
        await link._redis.replicaof("127.0.0.1", "1")  # noqa: SLF001 - the quickest way to a read-only Redis
        times = list[int]()
        assert await once(Ledger(store, deadline_seconds=4), "k", "r1", sends(ACCEPTED, times)) == ACCEPTED
        assert len(complaints) == 1
        await link.aclose()

    with redis_server(tmp_path) as server:
        asyncio.run(run(server.port))


def test_a_redis_that_comes_back_is_used_again_by_itself(tmp_path: Path) -> None:
    port = free_port()

    async def known_elsewhere(key: str) -> bool:
        other = RedisLink(f"redis://127.0.0.1:{port}", Complaints())
        kept = await RedisStore(other, 600).claim(key, Entry("pending", "other"))
        await other.aclose()
        return kept is not None

    async def run() -> None:
        link = RedisLink(f"redis://127.0.0.1:{port}", Complaints())
        store = RedisStore(link, 600)
        with redis_server(tmp_path, port):
            await store.claim("before", Entry("pending", "r1"))
            assert await known_elsewhere("before")
        await store.claim("while down", Entry("pending", "r2"))
        with redis_server(tmp_path, port):
            end = time.monotonic() + 5
            number = 0
            while time.monotonic() < end:
                number += 1
                await store.claim(f"after-{number}", Entry("pending", "r3"))
                if await known_elsewhere(f"after-{number}"):
                    break
                await asyncio.sleep(0.1)
            else:
                raise AssertionError("never used again")
        await link.aclose()

    asyncio.run(run())


def test_a_result_that_redis_missed_is_told_it_when_it_answers_again(tmp_path: Path) -> None:
    async def run(server: Process) -> None:
        link = RedisLink(f"redis://127.0.0.1:{server.port}", Complaints())
        store = RedisStore(link, 600)
        await store.claim("missed", Entry("pending", "r1"))
        os.kill(server.popen.pid, signal.SIGSTOP)
        await store.settle("missed", "r1", None)
        os.kill(server.popen.pid, signal.SIGCONT)
        other = RedisLink(f"redis://127.0.0.1:{server.port}", Complaints())
        end = time.monotonic() + 5
        number = 0
        while await RedisStore(other, 600).claim("missed", Entry("pending", "r2")) is not None:
            assert time.monotonic() < end, "never told"
            number += 1
            await store.claim(f"later-{number}", Entry("pending", "r3"))
            await store.settle(f"later-{number}", "r3", None)
            await asyncio.sleep(0.1)
        await other.aclose()
        await link.aclose()

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))


def test_a_result_that_redis_missed_is_told_it_without_further_messages(tmp_path: Path) -> None:
    async def scenario() -> None:
        link = RedisLink(f"redis://127.0.0.1:{port}", Complaints())
        store = RedisStore(link, 600)
        assert await store.claim("missed", Entry("pending", "r1")) is None
        await store.settle("missed", "r1", Entry("accepted", "r1", "m-1", 1))
        with redis_server(tmp_path, port):
            other = RedisLink(f"redis://127.0.0.1:{port}", Complaints())
            found = None
            async with asyncio.timeout(10):
                while found is None:
                    found = await RedisStore(other, 600).claim("missed", Entry("pending", "r2"))
                    if found is None:
                        # Ours was first: give it back, and look again.
                        await RedisStore(other, 600).settle("missed", "r2", None)
                        await asyncio.sleep(0.05)
            assert (found.state, found.message_id) == ("accepted", "m-1")
            await link.aclose()
            await other.aclose()

    port = free_port()
    asyncio.run(scenario())


def test_a_message_that_may_be_tried_anew_may_be_so_although_redis_missed_its_end(tmp_path: Path) -> None:
    async def scenario(server: Process) -> None:
        link = RedisLink(f"redis://127.0.0.1:{server.port}", Complaints())
        store = RedisStore(link, 600)
        assert await store.claim("k", Entry("pending", "r1")) is None
        server.popen.send_signal(signal.SIGSTOP)
        await store.settle("k", "r1", None)
        server.popen.send_signal(signal.SIGCONT)
        async with asyncio.timeout(10):
            while link.is_left_alone:  # noqa: ASYNC110 - nothing tells of its end
                await asyncio.sleep(0.01)
        assert await store.claim("k", Entry("pending", "r2")) is None
        await link.aclose()

    with redis_server(tmp_path) as server:
        asyncio.run(scenario(server))


def test_a_message_seen_in_flight_elsewhere_stays_so_when_redis_falls_silent(tmp_path: Path) -> None:
    async def run(server: Process) -> None:
        url = f"redis://127.0.0.1:{server.port}"
        async with contextlib.aclosing(RedisLink(url, Complaints())) as here, contextlib.aclosing(RedisLink(url, Complaints())) as there:
            store = RedisStore(here, 600)
            await RedisStore(there, 600).claim("k", Entry("pending", "there"))
            assert await store.claim("k", Entry("pending", "here")) is not None
            os.kill(server.popen.pid, signal.SIGSTOP)
            kept = [await store.claim("k", Entry("pending", owner)) for owner in ("second", "third")]
            os.kill(server.popen.pid, signal.SIGCONT)
            assert [entry and entry.owner for entry in kept] == ["there", "there"]

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))


def test_a_call_whose_turn_with_redis_does_not_come_is_refused_and_holds_nothing(tmp_path: Path) -> None:
    async def scenario(server: Process) -> None:
        url = f"redis://127.0.0.1:{server.port}"
        async with contextlib.aclosing(RedisLink(url, _fail, timeout_seconds=30, line_seconds=0.2)) as link:
            store = RedisStore(link, 600)
            await store.claim("first", Entry("pending", "r1"))
            server.popen.send_signal(signal.SIGSTOP)
            asked = [asyncio.create_task(store.claim(f"k{number}", Entry("pending", "r1"))) for number in range(MAX_CONNECTIONS)]
            await asyncio.sleep(0)
            with pytest.raises(Refused) as refusal:
                await store.claim("late", Entry("pending", "r1"))
            server.popen.send_signal(signal.SIGCONT)
            assert (refusal.value.result.outcome, refusal.value.result.why) == (Outcome.UPSTREAM_UNAVAILABLE, "store_busy")
            assert await asyncio.gather(*asked) == [None] * MAX_CONNECTIONS
            assert await store.claim("late", Entry("pending", "r2")) is None

    with redis_server(tmp_path) as server:
        asyncio.run(scenario(server))


def test_whoever_has_told_the_result_does_not_claim_the_message_again(make_store: MakeStore) -> None:
    async def run() -> None:
        async with make_store(600) as store:
            key, accepted = next(KEYS), Entry("accepted", "mine", "m-1", 1)
            assert await store.claim(key, Entry("pending", "mine")) is None
            assert await store.claim(key, Entry("pending", "mine")) is None
            await store.settle(key, "mine", accepted)
            kept = await store.claim(key, Entry("pending", "mine"))
            assert kept is not None
            assert kept._replace(age_seconds=0) == accepted

    asyncio.run(run())


def test_a_claim_that_was_long_on_its_way_leaves_the_result_of_its_own_call_alone(redis: Process) -> None:
    async def run() -> None:
        async with with_patience(redis) as link:
            key, accepted = next(KEYS), Entry("accepted", "mine", "m-1", 1)
            await RedisStore(link, 600).settle(key, "mine", accepted)
            late = RedisStore(link, 600)
            await late.claim(key, Entry("pending", "mine"))
            kept = await RedisStore(link, 600).claim(key, Entry("pending", "other"))
            assert kept is not None
            assert kept._replace(age_seconds=0) == accepted

    asyncio.run(run())


def test_hundreds_of_calls_at_once_do_not_pass_for_a_redis_that_is_down(redis: Process) -> None:
    async def run() -> None:
        async with with_patience(redis) as link:
            store = RedisStore(link, 600)
            await asyncio.gather(*(store.claim(f"many-{number}", Entry("pending", "r")) for number in range(500)))
            other = RedisStore(link, 600)
            kept = await asyncio.gather(*(other.claim(f"many-{number}", Entry("pending", "x")) for number in range(500)))
            assert all(entry is not None for entry in kept)

    asyncio.run(run())
