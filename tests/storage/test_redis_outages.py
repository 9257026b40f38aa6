"""A Redis that is down, hangs, restarts, only reads or is no longer the one: messages pass, and nothing is told twice."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from mitto_phone_hook.delivery.idempotency import IdempotencyGuard
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.storage.protocols import Acquired, Entry, Refusal
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, TIMEOUT_SECONDS, RedisClient, Unavailable
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.processes import Process, free_port, redis_server
from support.stores import ACCEPTED, LossyWay, Reports, asked_again, charge, fail, once, sends, with_patience


async def test_a_redis_that_is_down_lets_messages_pass_reports_once_and_uses_the_memory_of_the_process() -> None:
    reports = Reports()
    client = RedisClient(f"redis://127.0.0.1:{free_port()}", reports)
    store = RedisIdempotencyStore(client, 600)
    guard, times = IdempotencyGuard(store, deadline_seconds=4), list[int]()
    for _ in range(3):
        assert (await once(guard, "k", f"r{time.monotonic_ns()}", sends(ACCEPTED, times))).outcome is Outcome.ACCEPTED
    assert len(times) == 1
    assert len(reports) == 1
    await client.aclose()


async def test_calls_that_fail_together_report_once() -> None:
    reports = Reports()
    async with contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{free_port()}", reports)) as client:
        answers = await asyncio.gather(*(client.eval("return 1", [], []) for _ in range(8)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable] * 8
        assert len(reports) == 1


async def test_a_redis_that_hangs_when_the_deadline_is_near_holds_up_no_answer_and_hears_the_result_later(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        async with (
            contextlib.aclosing(RedisClient(url, fail, timeout_seconds=30)) as client,
            contextlib.aclosing(RedisClient(url, fail, timeout_seconds=30)) as other,
        ):

            async def send() -> Result:
                server.popen.send_signal(signal.SIGSTOP)
                return ACCEPTED

            async with asyncio.timeout(10):
                result = await once(IdempotencyGuard(RedisIdempotencyStore(client, 600), deadline_seconds=4), "k", "r1", send, seconds=0.2)
            assert result == ACCEPTED
            server.popen.send_signal(signal.SIGCONT)
            kept = None
            async with asyncio.timeout(10):
                while kept is None or kept.state == "pending":
                    kept = await RedisIdempotencyStore(other, 600).claim("k", Entry("pending", "r2"))
            assert kept.message_id == "m1"


async def test_a_redis_that_hangs_costs_a_quarter_of_a_second_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        port = never_answers.getsockname()[1]
        client = RedisClient(f"redis://127.0.0.1:{port}", Reports())
        store = RedisIdempotencyStore(client, 600)
        guard, times = IdempotencyGuard(store, deadline_seconds=4), list[int]()
        started = time.monotonic()
        for number in range(20):
            await once(guard, f"k{number}", f"r{number}", sends(ACCEPTED, times))
        assert time.monotonic() - started < 10 * TIMEOUT_SECONDS
        assert len(times) == 20
        await client.aclose()


async def test_a_redis_that_only_reads_lets_messages_pass(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        port = server.port
        reports = Reports()
        client = RedisClient(f"redis://127.0.0.1:{port}", reports)
        store = RedisIdempotencyStore(client, 600)
        async with Redis(port=port) as demoted:
            await demoted.replicaof("127.0.0.1", "1")
        times = list[int]()
        assert await once(IdempotencyGuard(store, deadline_seconds=4), "k", "r1", sends(ACCEPTED, times)) == ACCEPTED
        assert len(reports) == 1
        await client.aclose()


async def test_a_redis_that_comes_back_is_used_again_by_itself(tmp_path: Path) -> None:
    port = free_port()

    async def known_in_other_instance(key: str) -> bool:
        other = RedisClient(f"redis://127.0.0.1:{port}", Reports())
        kept = await RedisIdempotencyStore(other, 600).claim(key, Entry("pending", "other"))
        await other.aclose()
        return kept is not None

    client = RedisClient(f"redis://127.0.0.1:{port}", Reports())
    store = RedisIdempotencyStore(client, 600)
    with redis_server(tmp_path, port):
        await store.claim("before", Entry("pending", "r1"))
        assert await known_in_other_instance("before")
    await store.claim("while down", Entry("pending", "r2"))
    with redis_server(tmp_path, port):
        end = time.monotonic() + 5
        number = 0
        while time.monotonic() < end:
            number += 1
            await store.claim(f"after-{number}", Entry("pending", "r3"))
            if await known_in_other_instance(f"after-{number}"):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("never used again")
    await client.aclose()


async def test_a_result_that_redis_missed_is_told_it_when_it_answers_again(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        client = RedisClient(f"redis://127.0.0.1:{server.port}", Reports())
        store = RedisIdempotencyStore(client, 600)
        await store.claim("missed", Entry("pending", "r1"))
        os.kill(server.popen.pid, signal.SIGSTOP)
        await store.settle("missed", "r1", None)
        os.kill(server.popen.pid, signal.SIGCONT)
        other = RedisClient(f"redis://127.0.0.1:{server.port}", Reports())
        end = time.monotonic() + 5
        number = 0
        while await RedisIdempotencyStore(other, 600).claim("missed", Entry("pending", "r2")) is not None:
            assert time.monotonic() < end, "never reported"
            number += 1
            await store.claim(f"later-{number}", Entry("pending", "r3"))
            await store.settle(f"later-{number}", "r3", None)
            await asyncio.sleep(0.1)
        await other.aclose()
        await client.aclose()


async def test_a_result_that_redis_missed_is_told_it_without_further_messages(tmp_path: Path) -> None:
    port = free_port()
    client = RedisClient(f"redis://127.0.0.1:{port}", Reports())
    store = RedisIdempotencyStore(client, 600)
    assert await store.claim("missed", Entry("pending", "r1")) is None
    await store.settle("missed", "r1", Entry("accepted", "r1", "m-1", 1))
    with redis_server(tmp_path, port):
        other = RedisClient(f"redis://127.0.0.1:{port}", Reports())
        found = None
        async with asyncio.timeout(10):
            while found is None:
                found = await RedisIdempotencyStore(other, 600).claim("missed", Entry("pending", "r2"))
                if found is None:
                    # Ours was first: give it back, and look again.
                    await RedisIdempotencyStore(other, 600).settle("missed", "r2", None)
                    await asyncio.sleep(0.05)
        assert (found.state, found.message_id) == ("accepted", "m-1")
        await client.aclose()
        await other.aclose()


async def test_a_message_that_may_be_tried_anew_may_be_so_although_redis_missed_its_end(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        client = RedisClient(f"redis://127.0.0.1:{server.port}", Reports())
        store = RedisIdempotencyStore(client, 600)
        assert await store.claim("k", Entry("pending", "r1")) is None
        server.popen.send_signal(signal.SIGSTOP)
        await store.settle("k", "r1", None)
        server.popen.send_signal(signal.SIGCONT)
        async with asyncio.timeout(10):
            await asked_again(client)
        assert await store.claim("k", Entry("pending", "r2")) is None
        await client.aclose()


async def test_a_message_seen_in_flight_in_another_instance_stays_so_when_redis_falls_silent(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}"
        async with contextlib.aclosing(RedisClient(url, Reports())) as here, contextlib.aclosing(RedisClient(url, Reports())) as there:
            store = RedisIdempotencyStore(here, 600)
            await RedisIdempotencyStore(there, 600).claim("k", Entry("pending", "there"))
            assert await store.claim("k", Entry("pending", "here")) is not None
            os.kill(server.popen.pid, signal.SIGSTOP)
            kept = [await store.claim("k", Entry("pending", owner)) for owner in ("second", "third")]
            os.kill(server.popen.pid, signal.SIGCONT)
            assert [entry and entry.owner for entry in kept] == ["there", "there"]


async def test_while_redis_is_down_what_was_not_sent_gives_its_count_back() -> None:
    client = RedisClient(f"redis://127.0.0.1:{free_port()}", lambda: None)
    counters, one = RedisCounterStore(client, is_closed_on_failure=False), charge(1)
    for _ in range(3):
        acquired = await counters.acquire([one])
        assert isinstance(acquired, Acquired)
        await counters.release(acquired)
    await client.aclose()


async def test_what_was_not_sent_is_given_back_later_where_redis_was_left_alone(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{server.port}", lambda: None)) as client:
            counters, one = RedisCounterStore(client, is_closed_on_failure=False), charge(1)
            acquired = await counters.acquire([one])
            assert isinstance(acquired, Acquired)
            server.popen.send_signal(signal.SIGSTOP)
            with pytest.raises(Unavailable):
                await client.eval("return 1", [], [])
            await counters.release(acquired)
            server.popen.send_signal(signal.SIGCONT)
            async with asyncio.timeout(10):
                await asked_again(client)
                while isinstance(await counters.acquire([one]), Refusal):  # noqa: ASYNC110 - nothing tells of its end
                    await asyncio.sleep(0.05)


async def test_after_a_failover_the_demoted_redis_is_left(tmp_path: Path) -> None:
    with redis_server(tmp_path) as old, redis_server(tmp_path) as new:
        leads_to = [old.port]
        carried = asyncio.Semaphore(0)
        carrying = 0

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal carrying
            carrying += 1
            await LossyWay(leads_to[0]).carry(reader, writer)
            carried.release()

        way = await asyncio.start_server(carry, "127.0.0.1", 0)
        client = RedisClient(f"redis://127.0.0.1:{way.sockets[0].getsockname()[1]}", lambda: None, timeout_seconds=5)
        direct = RedisClient(f"redis://127.0.0.1:{new.port}", fail, timeout_seconds=5)
        async with way, contextlib.aclosing(client), contextlib.aclosing(direct):
            counters, one = RedisCounterStore(client, is_closed_on_failure=False), charge(50)
            await counters.acquire([one])
            async with Redis(port=old.port) as demoted:
                await demoted.execute_command("REPLICAOF", "127.0.0.1", new.port)  # type: ignore[no-untyped-call] # redis has none
            leads_to[0] = new.port
            async with asyncio.timeout(10):
                while not await direct.eval("return redis.call('EXISTS', KEYS[1])", [KEY_PREFIX + one.key], []):
                    await counters.acquire([one])
                    await asyncio.sleep(0.1)
        for _ in range(carrying):
            await carried.acquire()


async def test_a_restart_of_redis_between_two_messages_is_no_failure(tmp_path: Path) -> None:
    port = free_port()
    async with contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{port}", fail, timeout_seconds=5, queue_seconds=30)) as client:
        counters = RedisCounterStore(client, is_closed_on_failure=True)
        for _ in range(2):
            with redis_server(tmp_path, port):
                assert isinstance(await counters.acquire([charge(5)]), Acquired)


async def test_what_was_not_sent_is_given_back_although_redis_has_closed_the_connections(redis: Process) -> None:
    async with with_patience(redis) as client, with_patience(redis) as other:
        one = charge(1)
        counters = RedisCounterStore(client, is_closed_on_failure=True)
        acquired = await counters.acquire([one])
        assert isinstance(acquired, Acquired)
        async with Redis(port=redis.port) as operator:
            await operator.execute_command("CLIENT", "KILL", "TYPE", "normal")  # type: ignore[no-untyped-call] # redis has none
        await counters.release(acquired)
        assert isinstance(await RedisCounterStore(other, is_closed_on_failure=True).acquire([one]), Acquired)


async def test_while_redis_is_down_the_limits_of_the_process_hold() -> None:
    client = RedisClient(f"redis://127.0.0.1:{free_port()}", lambda: None)
    counters = RedisCounterStore(client, is_closed_on_failure=False)
    one = charge(2)
    answers = [await counters.acquire([one]) for _ in range(4)]
    assert [isinstance(answer, Acquired) for answer in answers] == [True, True, False, False]
    await client.aclose()


async def test_while_redis_is_down_nothing_passes_where_the_operator_wants_that_and_no_limit_is_blamed() -> None:
    client = RedisClient(f"redis://127.0.0.1:{free_port()}", lambda: None)
    counters = RedisCounterStore(client, is_closed_on_failure=True)
    one = charge(2)
    for _ in range(4):  # which also shows that none was counted
        with pytest.raises(Refused) as refusal:
            await counters.acquire([one])
        result = refusal.value.result
        assert (result.outcome, result.why, result.retry_after_seconds) == (Outcome.UPSTREAM_UNAVAILABLE, "limits_unknown", 1)
    await client.aclose()
