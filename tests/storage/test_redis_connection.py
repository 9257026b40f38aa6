"""One connection carries the commands of many: each gets its own response, however the bytes come, and whatever others do meanwhile."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions

from mitto_phone_hook.storage.redis_client import RedisClient, Unavailable
from mitto_phone_hook.storage.redis_nodes import Nodes
from support.processes import Process, ask_redis, free_port, redis_server
from support.stores import Reports, asked_again, with_patience

ECHO = "return ARGV[1]"
VALUES = ("", "one", "zwölf ✓", "two\r\nlines", "-ERR no error", "x" * 100_000)


def connections(redis: Process) -> int:
    lines = str(ask_redis(redis.port, "INFO", "stats")).splitlines()
    return next(int(line.split(":")[1]) for line in lines if line.startswith("total_connections_received"))


@contextlib.asynccontextmanager
async def way_to(port: int, copy: Callable[[bytes], list[bytes]]) -> AsyncIterator[int]:
    """Give a port behind which the responses of Redis come in other pieces, or changed."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection("127.0.0.1", port)
        asking = asyncio.create_task(ask(reader, questions))
        with contextlib.suppress(OSError):
            while answer := await answers.read(1 << 16):
                for piece in copy(answer):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()
        asking.cancel()
        questions.close()

    async def ask(reader: asyncio.StreamReader, questions: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            questions.write(data)
        questions.close()

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_operations_at_once_share_a_connection_and_each_gets_its_own_response(redis: Process) -> None:
    before = connections(redis)
    async with with_patience(redis) as client:
        given = await asyncio.gather(*(client.eval(ECHO, [], [f"value {number}"]) for number in range(200)))
        assert given == [f"value {number}" for number in range(200)]
        assert connections(redis) - before == 2, "ours, and the one that asks"


async def test_values_of_every_kind_come_back_as_redis_has_them(redis: Process) -> None:
    async with with_patience(redis) as client:
        for value in VALUES:
            assert await client.eval(ECHO, [], [value]) == value
        nested = await client.eval("return {1, false, 'a', {}, {'b', -2}}", [], [])
        assert nested == [1, None, "a", [], ["b", -2]]


@pytest.mark.parametrize("size", [1, 7])
async def test_a_response_that_comes_in_pieces_is_read_whole(redis: Process, size: int) -> None:
    async with (
        way_to(redis.port, lambda answer: [answer[at : at + size] for at in range(0, len(answer), size)]) as port,
        contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{port}", Reports(), timeout_seconds=5)) as client,
    ):
        given = await asyncio.gather(*(client.eval(ECHO, [], [value]) for value in VALUES[:-1]))
        assert given == list(VALUES[:-1])


async def test_what_is_no_redis_is_a_redis_that_does_not_answer(redis: Process) -> None:
    is_redis = [True]

    def copy(answer: bytes) -> list[bytes]:
        return [answer if is_redis[0] else b"HTTP/1.1 400 Bad Request\r\n\r\n"]

    async with way_to(redis.port, copy) as port:
        reports = Reports()
        async with contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{port}", reports, timeout_seconds=5)) as client:
            assert await client.eval(ECHO, [], ["well"]) == "well"
            is_redis[0] = False
            with pytest.raises(Unavailable):
                await client.eval(ECHO, [], ["lost"])
            is_redis[0] = True
            async with asyncio.timeout(10):
                await asked_again(client)
            assert await client.eval(ECHO, [], ["again"]) == "again"
            assert len(reports) == 1


async def test_a_response_that_comes_too_late_is_given_to_nobody_else(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with contextlib.aclosing(RedisClient(f"redis://127.0.0.1:{server.port}", Reports(), timeout_seconds=0.3)) as client:
            async with asyncio.timeout(10):
                await asked_again(client)
            server.popen.send_signal(signal.SIGSTOP)
            late = await asyncio.gather(*(client.eval(ECHO, [], [f"late {n}"]) for n in range(8)), return_exceptions=True)
            assert [type(one) for one in late] == [Unavailable] * 8
            server.popen.send_signal(signal.SIGCONT)
            async with asyncio.timeout(10):
                await asked_again(client)
                given = await asyncio.gather(*(client.eval(ECHO, [], [f"new {number}"]) for number in range(8)))
            assert given == [f"new {number}" for number in range(8)]


async def test_a_caller_who_gives_up_takes_nobodys_response_along(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with with_patience(server) as client:
            assert await client.eval(ECHO, [], ["first"]) == "first"
            server.popen.send_signal(signal.SIGSTOP)
            asked = [asyncio.create_task(client.eval(ECHO, [], [f"value {number}"])) for number in range(4)]
            await asyncio.sleep(0)
            asked[1].cancel()
            await asyncio.wait({asked[1]})
            server.popen.send_signal(signal.SIGCONT)
            given: list[Any] = [await asked[number] for number in (0, 2, 3)]
            assert given == ["value 0", "value 2", "value 3"]
            assert asked[1].cancelled()


async def test_whoever_asks_at_whatever_moment_of_a_connection_that_fails_hears_that_it_fails() -> None:
    async with contextlib.aclosing(Nodes(f"redis://127.0.0.1:{free_port()}", timeout_seconds=5)) as nodes:
        asked: list[asyncio.Task[Any]] = []
        async with asyncio.timeout(10):
            while not any(one.done() for one in asked):
                asked.append(asyncio.create_task(nodes.eval(ECHO, [], ["value"])))
                await asyncio.sleep(0)
            given = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(one, redis.exceptions.ConnectionError) for one in given), given
