"""Limits and budgets: exact, fair, shared, and never counted for what was refused."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from mitto_phone_hook.config.settings import SettingsError, load
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.enforcement import Policy
from mitto_phone_hook.policy.limits import DEFAULTS, Charge, Counters, Refusal, Taken, Window, read_limits, read_money
from mitto_phone_hook.storage.memory_counters import MAX_WINDOWS, MemoryCounters
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, MAX_CONNECTIONS, RedisLink, Unavailable
from mitto_phone_hook.storage.redis_counters import RedisCounters
from mitto_phone_hook.telemetry.log_lines import Emit
from support.messages import parse
from support.processes import Process, fake_mitto, free_port, function, redis_server
from support.stage import ENVIRONMENT, SECRET, Stage

KEYS = (f"key-{number}" for number in range(100_000))
MakeCounters = Callable[[], contextlib.AbstractAsyncContextManager[Counters]]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with redis_server(tmp_path_factory.mktemp("redis")) as process:
        yield process


@contextlib.asynccontextmanager
async def _memory() -> AsyncIterator[Counters]:
    yield MemoryCounters()


@pytest.fixture(params=["memory", "redis"])
def make_counters(request: pytest.FixtureRequest) -> MakeCounters:
    if request.param == "memory":
        return _memory
    port = request.getfixturevalue("redis").port

    @contextlib.asynccontextmanager
    async def shared() -> AsyncIterator[Counters]:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{port}", _fail, timeout_seconds=5, line_seconds=30)) as link:
            yield RedisCounters(link, is_closed_on_failure=False)

    return shared


def _fail() -> None:
    raise AssertionError("the store complained")


def play(make_counters: MakeCounters, story: Callable[[Counters], Awaitable[None]]) -> None:
    async def run() -> None:
        async with make_counters() as counters:
            await story(counters)

    asyncio.run(run())


def charge(limit: int, seconds: int = 600, amount: int = 1, key: str | None = None, step_ms: int = 0) -> Charge:
    return Charge("rule", key or next(KEYS), Window(limit, seconds), amount, step_ms)


def test_never_one_more_than_allowed_with_64_at_once(make_counters: MakeCounters) -> None:
    async def story(counters: Counters) -> None:
        one = charge(5)
        answers = await asyncio.gather(*(counters.take([one]) for _ in range(64)))
        assert sum(isinstance(answer, Taken) for answer in answers) == 5

    play(make_counters, story)


def test_a_full_window_says_when_it_has_room_again(make_counters: MakeCounters) -> None:
    async def story(counters: Counters) -> None:
        one = charge(2)
        await counters.take([one])
        await counters.take([one])
        refusal = await counters.take([one])
        assert isinstance(refusal, Refusal)
        assert 598 <= refusal.retry_after_seconds <= 600

    play(make_counters, story)


@pytest.mark.parametrize("seconds", [(60, 3600), (3600, 60)], ids=["shortest first", "longest first"])
def test_of_several_full_windows_the_one_that_refuses_for_longest_is_told(make_counters: MakeCounters, seconds: tuple[int, int]) -> None:
    async def story(counters: Counters) -> None:
        charges = [charge(1, seconds=length) for length in seconds]
        await counters.take(charges)
        refusal = await counters.take(charges)
        assert isinstance(refusal, Refusal)
        assert refusal.window_seconds == 3600
        assert 3500 <= refusal.retry_after_seconds <= 3600

    play(make_counters, story)


def test_all_windows_are_checked_before_any_is_counted(make_counters: MakeCounters) -> None:
    async def story(counters: Counters) -> None:
        wide, narrow = charge(2), charge(1)
        await counters.take([narrow])
        for _ in range(5):
            assert isinstance(await counters.take([wide, narrow]), Refusal)
        taken = await counters.take([wide])
        assert isinstance(taken, Taken)
        assert list(taken.used) == [1]

    play(make_counters, story)


@pytest.mark.parametrize("step_ms", [0, 6000])
def test_what_was_not_sent_gives_its_count_back(make_counters: MakeCounters, step_ms: int) -> None:
    async def story(counters: Counters) -> None:
        one = charge(3, amount=2, step_ms=step_ms)
        for _ in range(4):
            taken = await counters.take([one])
            assert isinstance(taken, Taken)
            await counters.give_back(taken)
        assert isinstance(await counters.take([one]), Taken)
        assert isinstance(await counters.take([one]), Refusal)

    play(make_counters, story)


def test_what_was_not_sent_leaves_nothing_behind() -> None:
    async def run() -> None:
        now = [0.0]
        counters, one = MemoryCounters(lambda: now[0]), charge(5)
        first, second = await counters.take([one]), await counters.take([one])
        now[0] += 1
        third = await counters.take([one])
        assert isinstance(first, Taken)
        assert isinstance(second, Taken)
        assert isinstance(third, Taken)
        await counters.give_back(first)
        again = await counters.take([one])
        assert isinstance(again, Taken)
        assert list(again.used) == [3]
        for taken in (second, third, again):
            await counters.give_back(taken)
        assert len(counters) == 0

    asyncio.run(run())


def test_what_was_not_sent_leaves_nothing_behind_in_redis(redis: Process) -> None:
    async def run() -> None:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{redis.port}", _fail, timeout_seconds=5, line_seconds=30)) as link:
            counters, one = RedisCounters(link, is_closed_on_failure=False), charge(5)
            for _ in range(20):
                taken = await counters.take([one])
                assert isinstance(taken, Taken)
                await counters.give_back(taken)
            assert await link.eval("return redis.call('EXISTS', KEYS[1])", [KEY_PREFIX + one.key], []) == 0

    asyncio.run(run())


def test_a_window_forgets_what_is_older_than_itself(make_counters: MakeCounters) -> None:
    async def story(counters: Counters) -> None:
        one = charge(1, seconds=1)
        assert isinstance(await counters.take([one]), Taken)
        assert isinstance(await counters.take([one]), Refusal)
        end = asyncio.get_running_loop().time() + 3
        while isinstance(await counters.take([one]), Refusal):
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.05)

    play(make_counters, story)


def test_what_can_never_fit_is_refused_for_the_whole_window(make_counters: MakeCounters) -> None:
    async def story(counters: Counters) -> None:
        refusal = await counters.take([charge(1, amount=2)])
        assert isinstance(refusal, Refusal)
        assert refusal.retry_after_seconds == 600

    play(make_counters, story)


def test_what_is_over_gives_back_all_that_was_counted() -> None:
    async def run() -> None:
        now = [0.0]
        counters, budget = MemoryCounters(lambda: now[0]), charge(14, amount=7)
        for full in (7, 14, 14, 14):
            taken = await counters.take([budget])
            assert isinstance(taken, Taken)
            assert list(taken.used) == [full]
            now[0] += 300

    asyncio.run(run())


def test_what_is_given_back_when_its_window_is_over_takes_nothing_from_another() -> None:
    async def run() -> None:
        now = [0.0]
        counters, one = MemoryCounters(lambda: now[0]), charge(1)
        first = await counters.take([one])
        now[0] += 600
        assert isinstance(first, Taken)
        assert isinstance(await counters.take([one]), Taken)
        await counters.give_back(first)
        assert isinstance(await counters.take([one]), Refusal)

    asyncio.run(run())


def test_redis_names_the_window_that_is_full_and_when_it_is_not(redis: Process) -> None:
    async def run() -> None:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{redis.port}", _fail, timeout_seconds=5, line_seconds=30)) as link:
            here, there = (RedisCounters(link, is_closed_on_failure=False) for _ in range(2))
            full = charge(1)._replace(name="ip")
            await there.take([full])
            refusal = await here.take([full, charge(100)._replace(name="total")])
            assert isinstance(refusal, Refusal)
            assert (refusal.name, refusal.window_seconds, refusal.retry_after_seconds) == ("ip", 600, 600)

    asyncio.run(run())


def test_redis_forgets_what_is_over_in_a_window_that_is_never_quiet(redis: Process) -> None:
    async def run() -> None:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{redis.port}", _fail, timeout_seconds=5, line_seconds=30)) as link:
            counters, busy = RedisCounters(link, is_closed_on_failure=False), charge(1000, seconds=1)
            count = partial(link.eval, "return redis.call('HLEN', KEYS[1])", [KEY_PREFIX + busy.key], [])
            end = asyncio.get_running_loop().time() + 1.5
            taken = 0
            while asyncio.get_running_loop().time() < end:
                await counters.take([busy])
                taken += 1
                await asyncio.sleep(0.1)
            assert await count() < taken

    asyncio.run(run())


def test_whoever_is_counted_nowhere_needs_no_redis() -> None:
    async def run() -> None:
        link = RedisLink(f"redis://127.0.0.1:{free_port()}", _fail)
        assert isinstance(await RedisCounters(link, is_closed_on_failure=True).take([]), Taken)
        await link.aclose()

    asyncio.run(run())


def test_while_redis_is_down_what_was_not_sent_gives_its_count_back() -> None:
    async def run() -> None:
        link = RedisLink(f"redis://127.0.0.1:{free_port()}", lambda: None)
        counters, one = RedisCounters(link, is_closed_on_failure=False), charge(1)
        for _ in range(3):
            taken = await counters.take([one])
            assert isinstance(taken, Taken)
            await counters.give_back(taken)
        await link.aclose()

    asyncio.run(run())


async def crowd(link: RedisLink) -> list[asyncio.Task[Any]]:
    """Take all of the connections to a Redis that stands still, until it goes on."""
    asked = [asyncio.create_task(link.eval("return 1", [], [])) for _ in range(MAX_CONNECTIONS)]
    await asyncio.sleep(0)
    return asked


def test_a_redis_that_is_only_too_busy_does_not_switch_the_limits_off(tmp_path: Path) -> None:
    async def run(server: Process) -> None:
        url = f"redis://127.0.0.1:{server.port}"
        async with contextlib.aclosing(RedisLink(url, _fail, timeout_seconds=30, line_seconds=0.1)) as link:
            counters, one = RedisCounters(link, is_closed_on_failure=False), charge(1)
            server.popen.send_signal(signal.SIGSTOP)
            asked = await crowd(link)
            with pytest.raises(Refused) as refusal:
                await counters.take([one])
            assert (refusal.value.result.outcome, refusal.value.result.why) == (Outcome.UPSTREAM_UNAVAILABLE, "store_busy")
            server.popen.send_signal(signal.SIGCONT)
            await asyncio.gather(*asked)
            assert isinstance(await counters.take([one]), Taken), "what was refused counts nowhere"

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))


def test_what_was_not_sent_is_given_back_later_where_redis_was_too_busy_to_hear_it(tmp_path: Path) -> None:
    async def run(server: Process) -> None:
        url = f"redis://127.0.0.1:{server.port}"
        async with contextlib.aclosing(RedisLink(url, _fail, timeout_seconds=30, line_seconds=30)) as link:
            counters, one = RedisCounters(link, is_closed_on_failure=False), charge(1)
            taken = await counters.take([one])
            assert isinstance(taken, Taken)
            server.popen.send_signal(signal.SIGSTOP)
            asked = await crowd(link)
            await counters.give_back(taken, asyncio.get_running_loop().time() + 0.1)
            server.popen.send_signal(signal.SIGCONT)
            await asyncio.gather(*asked)
            await counters.take([charge(1)])
            async with asyncio.timeout(10):
                while isinstance(await counters.take([one]), Refusal):  # noqa: ASYNC110 - nothing tells of its end
                    await asyncio.sleep(0.01)

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))


def test_what_was_not_sent_is_given_back_later_where_redis_was_left_alone(tmp_path: Path) -> None:
    async def run(server: Process) -> None:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{server.port}", lambda: None)) as link:
            counters, one = RedisCounters(link, is_closed_on_failure=False), charge(1)
            taken = await counters.take([one])
            assert isinstance(taken, Taken)
            server.popen.send_signal(signal.SIGSTOP)
            with pytest.raises(Unavailable):
                await link.eval("return 1", [], [])
            await counters.give_back(taken)
            server.popen.send_signal(signal.SIGCONT)
            async with asyncio.timeout(10):
                while link.is_left_alone:  # noqa: ASYNC110 - nothing tells of its end
                    await asyncio.sleep(0.05)
                await counters.take([charge(1)])
                while isinstance(await counters.take([one]), Refusal):  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.05)

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))


def test_a_message_that_is_counted_anew_stands_in_line_no_longer_than_it_may(tmp_path: Path) -> None:
    async def run(server: Process) -> None:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{server.port}", _fail, timeout_seconds=30, line_seconds=30)) as link:
            limits = load(ENVIRONMENT | {"LIMITS": "total=off"}).limits
            counters = RedisCounters(link, is_closed_on_failure=False)
            rules = Policy(DestinationPolicy(frozenset(), ()), limits, counters, lambda _: None, is_observing=False)
            latest = asyncio.get_running_loop().time() + 0.3
            bill = rules.bill(parse(_body(0), b"", None), b"secret", [], latest)
            await bill.count(1)
            server.popen.send_signal(signal.SIGSTOP)
            asked = await crowd(link)
            async with asyncio.timeout(10):
                with pytest.raises(Refused):
                    await bill.count(2)
            server.popen.send_signal(signal.SIGCONT)
            await asyncio.gather(*asked)

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))


def test_after_a_failover_the_demoted_redis_is_left(tmp_path: Path) -> None:
    async def run(old: Process, new: Process) -> None:
        leads_to = [old.port]

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await LossyWay(leads_to[0]).carry(reader, writer)

        way = await asyncio.start_server(carry, "127.0.0.1", 0)
        link = RedisLink(f"redis://127.0.0.1:{way.sockets[0].getsockname()[1]}", lambda: None, timeout_seconds=5)
        direct = RedisLink(f"redis://127.0.0.1:{new.port}", _fail, timeout_seconds=5)
        async with way, contextlib.aclosing(link), contextlib.aclosing(direct):
            counters, one = RedisCounters(link, is_closed_on_failure=False), charge(50)
            await counters.take([one])
            async with Redis(port=old.port) as demoted:
                await demoted.execute_command("REPLICAOF", "127.0.0.1", new.port)  # type: ignore[no-untyped-call] # redis has none
            leads_to[0] = new.port
            async with asyncio.timeout(10):
                while not await direct.eval("return redis.call('EXISTS', KEYS[1])", [KEY_PREFIX + one.key], []):
                    await counters.take([one])
                    await asyncio.sleep(0.1)

    with redis_server(tmp_path) as old, redis_server(tmp_path) as new:
        asyncio.run(run(old, new))


def test_a_restart_of_redis_between_two_messages_is_no_failure(tmp_path: Path) -> None:
    async def run() -> None:
        port = free_port()
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{port}", _fail, timeout_seconds=5, line_seconds=30)) as link:
            counters = RedisCounters(link, is_closed_on_failure=True)
            for _ in range(2):
                with redis_server(tmp_path, port):
                    assert isinstance(await counters.take([charge(5)]), Taken)

    asyncio.run(run())


@given(gaps=st.lists(st.integers(0, 90), max_size=60), limit=st.integers(1, 6), step_ms=st.sampled_from([0, 7000]))
def test_no_stretch_of_time_ever_holds_more_than_allowed(gaps: list[int], limit: int, step_ms: int) -> None:
    now = [1000.0]
    passed: list[float] = []

    async def run() -> None:
        counters = MemoryCounters(lambda: now[0])
        one = charge(limit, seconds=100, step_ms=step_ms)
        for gap in gaps:
            now[0] += gap
            answer = await counters.take([one])
            if isinstance(answer, Taken):
                passed.append(now[0])
            else:
                now[0] += answer.retry_after_seconds
                assert isinstance(await counters.take([one]), Taken), "Retry-After was not true"
                passed.append(now[0])
        for start in passed:
            assert sum(start <= moment < start + 100 for moment in passed) <= limit

    asyncio.run(run())


def test_the_windows_of_a_process_are_bounded_and_forgotten() -> None:
    now = [0.0]

    async def run() -> None:
        counters = MemoryCounters(lambda: now[0])
        for _ in range(1000):
            await counters.take([charge(5, seconds=10)])
        assert len(counters) == 1000
        now[0] = 20
        await counters.take([charge(5, seconds=10)])
        assert len(counters) == 1
        assert MAX_WINDOWS <= 200_000

    asyncio.run(run())


def test_when_there_are_too_many_windows_the_one_touched_longest_ago_is_forgotten() -> None:
    async def run() -> None:
        counters = MemoryCounters()
        touched, untouched = charge(5), charge(5)
        await counters.take([touched])
        await counters.take([untouched])
        await counters.take([charge(5, key=f"other-{number}") for number in range(MAX_WINDOWS - 2)])
        await counters.take([touched])
        await counters.take([charge(5)])
        assert len(counters) == MAX_WINDOWS
        again = await counters.take([touched, untouched])
        assert isinstance(again, Taken)
        assert list(again.used) == [3, 1]

    asyncio.run(run())


def test_what_another_process_fills_is_not_counted_in_this_one(redis: Process) -> None:
    async def run() -> None:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{redis.port}", _fail, timeout_seconds=5, line_seconds=30)) as link:
            here, there = (RedisCounters(link, is_closed_on_failure=False) for _ in range(2))
            one = charge(1)
            taken = await there.take([one])
            assert isinstance(taken, Taken)
            assert isinstance(await here.take([one]), Refusal)
            await there.give_back(taken)
            assert isinstance(await here.take([one]), Taken)

    asyncio.run(run())


def test_redis_keeps_a_budget_until_its_last_step_is_over(redis: Process) -> None:
    """What is counted late in a step is counted for its end, so the window must outlast its length by a step."""

    async def run() -> None:
        async with contextlib.aclosing(RedisLink(f"redis://127.0.0.1:{redis.port}", _fail, timeout_seconds=5, line_seconds=30)) as link:
            one = charge(5, seconds=600, step_ms=60_000)
            await RedisCounters(link, is_closed_on_failure=False).take([one])
            assert 600_000 < await link.eval("return redis.call('PTTL', KEYS[1])", [KEY_PREFIX + one.key], []) <= 660_000

    asyncio.run(run())


class LossyWay:
    """A way to Redis on which an answer can be lost together with its connection."""

    def __init__(self, port: int) -> None:
        self.loses_the_next_answer = False
        self._port = port

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection("127.0.0.1", self._port)
        asking = asyncio.create_task(self._copy(reader, questions))
        while answer := await answers.read(65536):
            if self.loses_the_next_answer:
                self.loses_the_next_answer = False
                break
            writer.write(answer)
        writer.close()
        await asking

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()


def test_a_count_is_given_back_once_although_nobody_hears_that_it_was(redis: Process) -> None:
    async def run() -> None:
        way = LossyWay(redis.port)
        server = await asyncio.start_server(way.carry, "127.0.0.1", 0)
        link = RedisLink(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", lambda: None, timeout_seconds=5)
        direct = RedisLink(f"redis://127.0.0.1:{redis.port}", _fail, timeout_seconds=5)
        async with server, contextlib.aclosing(link), contextlib.aclosing(direct):
            counters, one = RedisCounters(link, is_closed_on_failure=False), charge(5, step_ms=60_000)
            await counters.take([one])
            taken = await counters.take([one])
            assert isinstance(taken, Taken)
            way.loses_the_next_answer = True
            await counters.give_back(taken)
            assert not way.loses_the_next_answer
            again = await RedisCounters(direct, is_closed_on_failure=False).take([one])
            assert isinstance(again, Taken)
            assert list(again.used) == [2]

    asyncio.run(run())


def test_while_redis_is_down_the_limits_of_the_process_hold() -> None:
    async def run() -> None:
        link = RedisLink(f"redis://127.0.0.1:{free_port()}", lambda: None)
        counters = RedisCounters(link, is_closed_on_failure=False)
        one = charge(2)
        answers = [await counters.take([one]) for _ in range(4)]
        assert [isinstance(answer, Taken) for answer in answers] == [True, True, False, False]
        await link.aclose()

    asyncio.run(run())


def test_while_redis_is_down_nothing_passes_where_the_operator_wants_that_and_no_limit_is_blamed() -> None:
    async def run() -> None:
        link = RedisLink(f"redis://127.0.0.1:{free_port()}", lambda: None)
        counters = RedisCounters(link, is_closed_on_failure=True)
        one = charge(2)
        for _ in range(4):  # which also shows that none was counted
            with pytest.raises(Refused) as refusal:
                await counters.take([one])
            result = refusal.value.result
            assert (result.outcome, result.why, result.retry_after_seconds) == (Outcome.UPSTREAM_UNAVAILABLE, "limits_unknown", 1)
        await link.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "name", "windows"),
    [
        ("", "recipient", (Window(5, 600), Window(10, 3600))),
        ("recipient=3/10minute", "recipient", (Window(3, 600),)),
        ("recipient=3/10minute", "prefix", (Window(20, 3600),)),
        (" recipient = 3/10 minutes , 7/day ; ip=off", "recipient", (Window(3, 600), Window(7, 86400))),
        ("ip=off", "ip", ()),
        ("recipient=5/10minute,10/600second", "recipient", (Window(5, 600),)),
        ("total=1/second", "total", (Window(1, 1),)),
    ],
)
def test_limits_are_read_over_the_defaults(text: str, name: str, windows: tuple[Window, ...]) -> None:
    assert read_limits(text)[name] == windows


def test_off_switches_all_limits_off() -> None:
    assert read_limits("off") == {}
    assert read_limits(DEFAULTS) == read_limits("")


@pytest.mark.parametrize(
    "text", ["x=1/hour", "recipient=", "recipient=0/hour", "recipient=5/0hour", "recipient=5/year", "recipient=-1/hour", "5/hour"]
)
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        read_limits(text)


def test_the_rule_that_is_wrong_is_named_by_its_place() -> None:
    for text in ("total=5/hour; recipent=5/hour", "total=5/hour; ip=5/fortnight", "ip=5/hour; ip=9/day"):
        with pytest.raises(ValueError, match=r"\(rule 2 does not\)$"):
            read_limits(text)


@pytest.mark.parametrize(("text", "micro"), [("1", 1_000_000), ("0.075", 75_000), ("12.5", 12_500_000)])
def test_money_is_read_in_millionths(text: str, micro: int) -> None:
    assert read_money(text) == micro


def _body(code: int, recipient: str = "+12025550110", **context: Any) -> bytes:
    payload = {"recipient": recipient, "text": f"Your code is {code}", "context": {"code": str(code)} | context}
    return json.dumps(payload).encode()


def test_a_recipient_gets_five_in_ten_minutes_and_then_429_with_retry_after() -> None:
    async def story(stage: Stage) -> None:
        replies = [await stage.acall(_body(code)) for code in range(7)]
        assert [reply.status for reply in replies] == [200] * 5 + [429] * 2
        assert 1 <= int(replies[-1].headers["retry-after"]) <= 600
        assert stage.lines[-1]["why"] == "limit_recipient"
        assert len(stage.requests) == 5

    asyncio.run(story(Stage()))


@pytest.mark.parametrize(
    ("settings", "calls", "passed", "why"),
    [
        ({}, [("+1202555011" + str(n % 10), {}) for n in range(30)], 20, "limit_prefix"),
        ({}, [(f"+1{area}5550110", {"ip": "203.0.113.7"}) for area in range(202, 217) if area not in (204, 211)], 10, "limit_ip"),
        ({}, [(f"+1{area}5550110", {"ip": f"2001:db8::{area}"}) for area in range(202, 217) if area not in (204, 211)], 10, "limit_ip"),
        (
            {"ALLOWED_REGIONS": "*", "LIMITS": "region=3/hour"},
            [(f"+1{area}5550110", {}) for area in (202, 203, 205, 206)],
            3,
            "limit_region",
        ),
        ({"LIMITS": "total=3/hour"}, [(f"+1{area}5550110", {}) for area in (202, 203, 205, 206)], 3, "budget_exhausted"),
    ],
    ids=["prefix", "ip", "ipv6 by site", "region that is not home", "total"],
)
def test_each_limit_stops_its_kind_of_flood(
    settings: dict[str, str], calls: list[tuple[str, dict[str, str]]], passed: int, why: str
) -> None:
    async def story(stage: Stage) -> None:
        replies = [await stage.acall(_body(number, recipient, **context)) for number, (recipient, context) in enumerate(calls)]
        assert [reply.status for reply in replies].count(200) == passed == len(stage.requests)
        assert {line["why"] for line in stage.lines if line["event"] == "rate_limited"} == {why}

    asyncio.run(story(Stage(**{"LIMITS": "recipient=off"} | settings)))


@pytest.mark.parametrize(("regions", "passed"), [("US", 5), ("CH,US", 5), ("*", 3), ("", 3)])
def test_the_limit_of_a_region_holds_unless_the_operator_named_the_region(regions: str, passed: int) -> None:
    async def story(stage: Stage) -> None:
        replies = [await stage.acall(_body(number, f"+1{area}5550110")) for number, area in enumerate((202, 203, 205, 206, 207))]
        assert [reply.status for reply in replies] == [200] * passed + [429] * (5 - passed)

    asyncio.run(story(Stage(ALLOWED_REGIONS=regions, LIMITS="region=3/hour; recipient=off; prefix=off; ip=off; total=off")))


def test_refused_invalid_and_repeated_messages_count_nowhere() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(20):
            assert (await stage.acall(_body(1).replace(b"Your", b"\\u202e"))).status == 422
        for _ in range(20):
            assert (await stage.acall(_body(2))).status == 200
        assert len(stage.requests) == 1
        assert [(await stage.acall(_body(code))).status for code in range(3, 8)] == [200] * 4 + [429]

    asyncio.run(story(Stage()))


@pytest.mark.parametrize(("status", "replies"), [(503, 503), (400, 502)])
def test_what_certainly_did_not_leave_is_not_counted(status: int, replies: int) -> None:
    async def story(stage: Stage) -> None:
        assert {(await stage.acall(_body(code))).status for code in range(20)} == {replies}

    asyncio.run(story(Stage(lambda _: httpx.Response(status), MAX_ATTEMPTS="1")))


def test_observing_lets_everything_through_and_says_what_it_would_refuse() -> None:
    async def story(stage: Stage) -> None:
        assert (await stage.acall(_body(1, "+41791234567"))).status == 200
        assert stage.lines[-1]["would_refuse"] == ["blocked_country"]
        for code in range(7):
            assert (await stage.acall(_body(code))).status == 200
        assert stage.lines[-1]["would_refuse"] == ["limit_recipient"]
        assert "would_refuse" not in stage.lines[2] or stage.lines[2]["would_refuse"] is None

    asyncio.run(story(Stage(POLICY_MODE="observe")))


def test_what_is_only_observed_wakes_nobody() -> None:
    async def story(stage: Stage) -> None:
        for code in range(3):
            assert (await stage.acall(_body(code))).status == 200
        alerts = [line for line in stage.lines if str(line["event"]).startswith("budget")]
        assert [(line["severity"], line["event"], line["policy"]) for line in alerts] == [
            ("WARNING", "budget_at_80_percent", "observe"),
            ("WARNING", "budget_exhausted", "observe"),
        ]

    asyncio.run(story(Stage(POLICY_MODE="observe", LIMITS="total=2/hour")))


def test_exempt_numbers_skip_limits_but_not_destination_rules() -> None:
    async def story(stage: Stage) -> None:
        assert {(await stage.acall(_body(code))).status for code in range(20)} == {200}
        assert (await stage.acall(_body(1, "+41791234567"))).status == 422

    asyncio.run(story(Stage(EXEMPT_NUMBERS="+12025550110,+41791234567")))


def test_money_warns_at_80_percent_once_and_is_refused_when_it_is_spent(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("region,price\nUS,0.5\n*,1\n", encoding="utf-8")
    settings = {"LIMITS": "off", "PRICES_FILE": str(tmp_path / "prices.csv"), "BUDGET_PER_DAY": "100", "BUDGET_PER_HOUR_US": "5"}

    async def story(stage: Stage) -> None:
        replies = [await stage.acall(_body(code)) for code in range(13)]
        assert [reply.status for reply in replies] == [200] * 10 + [429] * 3
        alerts = [line for line in stage.lines if str(line["event"]).startswith("budget")]
        assert [(line["severity"], line["event"], line["limit"]) for line in alerts] == [
            ("WARNING", "budget_at_80_percent", "BUDGET_PER_HOUR_US"),
            ("ERROR", "budget_exhausted", "BUDGET_PER_HOUR_US"),
        ]
        assert [line["why"] for line in stage.lines if line["event"] == "rate_limited"] == ["budget_exhausted"] * 3

    asyncio.run(story(Stage(**settings)))


def test_money_is_spent_by_the_segment(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("region,price\n*,1\n", encoding="utf-8")

    async def story(stage: Stage) -> None:
        two_segments = [_body(code).replace(b"Your", b"Welcome! " * 20 + b"Your") for code in range(4)]
        replies = [await stage.acall(body) for body in two_segments]
        assert [reply.status for reply in replies] == [200] * 2 + [429] * 2

    asyncio.run(story(Stage(LIMITS="off", PRICES_FILE=str(tmp_path / "prices.csv"), BUDGET_PER_DAY="5")))


def policy(emit: Emit, clock: Callable[[], float] = lambda: 0.0, **settings: str) -> Policy:
    """Give a policy whose windows never pass."""
    limits = load(ENVIRONMENT | settings).limits
    return Policy(DestinationPolicy(frozenset(), ()), limits, MemoryCounters(lambda: 0.0), emit, is_observing=False, clock=clock)


def test_an_alert_comes_at_once_on_a_machine_that_has_just_started_and_then_once_a_window() -> None:
    now, lines, told = [0.0], list[Any](), list[int]()

    async def run() -> None:
        rules = policy(lines.append, lambda: now[0], LIMITS="recipient=off; total=1/hour")
        await rules.bill(parse(_body(0), b"", None), b"secret", []).count(1)
        for seconds in (0, 1, 3599, 3600, 3601):
            now[0] = seconds
            with pytest.raises(Refused):
                await rules.bill(parse(_body(1), b"", None), b"secret", []).count(1)
            told.append(len(lines))

    asyncio.run(run())
    assert told == [1, 1, 1, 2, 2]
    assert {line["event"] for line in lines} == {"budget_exhausted"}


def test_a_message_gives_its_own_count_back_and_nobody_elses() -> None:
    async def run() -> None:
        rules = policy(lambda _: None, LIMITS="recipient=2/hour")
        first, second, third = (rules.bill(parse(_body(code), b"", None), b"secret", []) for code in range(3))
        await first.count(1)
        await second.count(1)
        for _ in range(2):
            await first.settle(may_have_left=False)
        await third.count(1)
        with pytest.raises(Refused):
            await first.count(1)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"BUDGET_PER_DAY": "5"}, "PRICES_FILE"),
        ({"BUDGET_PER_DAY_CH": "5"}, "PRICES_FILE"),
        ({"BUDGET_PER_DAY": "5 euro"}, "BUDGET_PER_DAY"),
        ({"BUDGET_PER_DAY_XX": "5"}, "BUDGET_PER_DAY_XX"),
        ({"PRICES_FILE": "/nowhere"}, "PRICES_FILE cannot be read"),
        ({"LIMITS": "nobody=1/hour"}, "LIMITS"),
        ({"POLICY_MODE": "watch"}, "POLICY_MODE"),
    ],
)
def test_a_wrong_policy_setting_stops_the_start(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load({"MITTO_API_KEY": "key", "HOOK_SECRETS": SECRET} | settings)


@pytest.mark.parametrize("rows", ["\ufeffregion,price\nUS,0.5\n*,1\n", "001,0.5\nus,0.5\n\n*,1", "Region,Price\r\nUS,0.5\r\n*,1\r\n"])
def test_a_price_list_may_come_from_a_spreadsheet(rows: str) -> None:
    settings = load({"MITTO_API_KEY": "key", "HOOK_SECRETS": SECRET, "PRICES_FILE": "prices.csv"}, lambda _: rows)
    assert {"US": 500_000, "": 1_000_000}.items() <= settings.limits.prices.items()


@pytest.mark.parametrize("rows", ["US,0.5", "XX,1\n*,1", "US,cheap\n*,1", "US\n*,1", "*,1\nregion,price"])
def test_a_price_list_that_is_none_stops_the_start(rows: str) -> None:
    with pytest.raises(SettingsError, match="PRICES_FILE"):
        load({"MITTO_API_KEY": "key", "HOOK_SECRETS": SECRET, "PRICES_FILE": "prices.csv"}, lambda _: rows)


def test_two_processes_that_share_redis_never_let_one_more_through(tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto, redis_server(tmp_path) as server:
        settings = {
            "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}",
            "STORE_URL": f"redis://127.0.0.1:{server.port}",
            "ALLOWED_REGIONS": "US",
            "LIMITS": "recipient=10/10minute",
        }
        with function(tmp_path / "first.txt", **settings) as first, function(tmp_path / "second.txt", **settings) as second:
            calls = [((first, second)[code % 2], json.loads(_body(code))) for code in range(64)]
            with ThreadPoolExecutor(64) as pool:
                statuses = list(pool.map(lambda call: call[0].post(call[1])[0], calls))
        assert statuses.count(200) == 10
        assert statuses.count(429) == 54
        assert len(mitto.inbox()) == 10
