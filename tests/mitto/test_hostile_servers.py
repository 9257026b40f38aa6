"""Whatever responds in Mitto's place: the outcome is true and in time, and nothing of the connection is used again."""

import asyncio
import json
import select
import socket
import ssl
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.response_codes import MittoResult
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import encode
from support.upstream import ACCEPTED, Peer, Script, Upstream, answer, answering, make_certificate, run, serving_tls

NUMBER, OTHER_NUMBER = "12025550123", "12025550199"
DEADLINE_SECONDS = 0.5
TOLERANCE_SECONDS = 2
"""What an attempt may take beyond its deadline on a machine that does much else."""
MIB = 1 << 20

PROMISE = MittoResult(Outcome.ACCEPTED, "accepted", message_id="0a1b-2c")
DISTRUSTED = MittoResult(Outcome.OUTCOME_UNKNOWN, "http_200")
NOT_SENT = MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "cannot_connect")


@asynccontextmanager
async def client(base_url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Mitto]:
    transport = OneOriginTransport(httpx.URL(base_url), tls)
    try:
        yield Mitto(transport, RotatingSecret("key-of-the-tests"), base_url=base_url, connect_timeout_seconds=5, is_test=False)
    finally:
        await transport.aclose()


async def attempt(mitto: Mitto, number: str = NUMBER, *, seconds: float = 5) -> MittoResult:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    found = await mitto.send(Sms(Recipient(f"+{number}"), "Mitto SMS", encode("Your code is 123456"), 5), reference="call-1", until=until)
    assert loop.time() < until + TOLERANCE_SECONDS
    return found


def about(number: str, code: int = 0) -> bytes:
    return answer(json.dumps({"id": "0a1b-2c", "to": number, "responseCode": code}).encode())


def first(*pieces: bytes) -> Script:
    """Say this on the first connection and keep it open; be honest on all others."""

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.read_request()
            for piece in pieces:
                await peer.write(piece)
        await answering(answer())(peer)

    return script


def first_drips(before: bytes, drop: bytes) -> Script:
    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.read_request()
            await peer.write(before)
            await peer.drip(drop)
        await answering(answer())(peer)

    return script


PAGE = b"<!DOCTYPE html><title>Welcome to our hotel</title>"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(ACCEPTED), ACCEPTED)

HOSTILE: dict[str, tuple[Script, Outcome]] = {
    "captive_portal": (first(answer(PAGE, "200 OK", "Content-Type: text/html")), Outcome.OUTCOME_UNKNOWN),
    "redirect_to_a_page": (first(answer(PAGE, "302 Found", "Location: /login")), Outcome.UPSTREAM_REJECTED),
    "page_of_a_proxy": (first(answer(PAGE, "502 Bad Gateway")), Outcome.OUTCOME_UNKNOWN),
    "not_found": (first(answer(PAGE, "404 Not Found")), Outcome.UPSTREAM_REJECTED),
    "no_code": (first(answer(b"{}")), Outcome.OUTCOME_UNKNOWN),
    "repeated_code": (first(answer(b'{"responseCode":8,"responseCode":0}')), Outcome.OUTCOME_UNKNOWN),
    "other_recipient": (first(about(OTHER_NUMBER)), Outcome.OUTCOME_UNKNOWN),
    "rejection_of_another_recipient": (first(about(OTHER_NUMBER, 8)), Outcome.OUTCOME_UNKNOWN),
    "two_responses_at_once": (first(answer() + answer()), Outcome.ACCEPTED),
    "bytes_behind_the_response": (first(answer() + b"\0"), Outcome.ACCEPTED),
    "interim_response": (first(CONTINUE + answer()), Outcome.ACCEPTED),
    "trailer": (first(CHUNKED + b"X-Late: 1\r\n\r\n"), Outcome.ACCEPTED),
    "endless_interim_responses": (first_drips(b"", CONTINUE * 2000), Outcome.OUTCOME_UNKNOWN),
    "interim_responses_one_by_one": (first_drips(b"", CONTINUE), Outcome.OUTCOME_UNKNOWN),
    "dripped_headers": (first_drips(b"HTTP/1.1 200 OK\r\nX: ", b"x"), Outcome.OUTCOME_UNKNOWN),
    "dripped_body": (first_drips(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "), Outcome.OUTCOME_UNKNOWN),
    "header_of_33_kib": (first(answer(ACCEPTED, "200 OK", "X: " + "x" * 33_000)), Outcome.OUTCOME_UNKNOWN),
    "header_of_1_mib": (first(answer(ACCEPTED, "200 OK", "X: " + "x" * MIB)), Outcome.OUTCOME_UNKNOWN),
    "many_headers": (first(answer(ACCEPTED, "200 OK", *["X:"] * 101)), Outcome.OUTCOME_UNKNOWN),
    "trailer_of_1_mib": (first(CHUNKED, b"X: " + b"x" * MIB), Outcome.OUTCOME_UNKNOWN),
    "trailers_without_end": (first_drips(CHUNKED, b"X: y\r\n" * 2000), Outcome.OUTCOME_UNKNOWN),
}


@pytest.mark.parametrize(("script", "outcome"), HOSTILE.values(), ids=HOSTILE)
def test_outcome_is_true_and_the_connection_is_not_used_again(script: Script, outcome: Outcome) -> None:
    async def scenario() -> None:
        async with Upstream(script) as upstream, client(upstream.base_url) as mitto:
            assert (await attempt(mitto, seconds=DEADLINE_SECONDS)).outcome is outcome
            assert await attempt(mitto) == PROMISE
            assert upstream.numbers == [0, 1]
            await upstream.until(lambda: upstream.open == 1)

    run(scenario())


EXPECTED = {
    "accepted": about(NUMBER),
    "number_with_a_plus_sign": about(f"+{NUMBER}"),
    "rejection": about(NUMBER, 8),
    "too_many_calls": answer(b"Slow down", "429 Too Many Requests"),
    "wrong_key": answer(b"", "401 Unauthorized"),
    "rejection_with_400": answer(b'{"responseCode":8}', "400 Bad Request"),
}


@pytest.mark.parametrize("said", EXPECTED.values(), ids=EXPECTED)
def test_connection_is_kept_after_what_mitto_says(said: bytes) -> None:
    async def scenario() -> None:
        async with Upstream(answering(said)) as upstream, client(upstream.base_url) as mitto:
            assert (await attempt(mitto)).is_expected
            await attempt(mitto)
            assert upstream.numbers == [0, 0]

    run(scenario())


# TLS that ends in mid-response. A certificate for another name is in test_client.py.

HALF = len(answer()) - 20
WITHOUT_LENGTH = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("ending", ["close_notify", "no_close_notify", "reset", "bytes_that_are_no_tls"])
@pytest.mark.parametrize("said", [answer()[:HALF], WITHOUT_LENGTH + ACCEPTED[:-20]], ids=["shorter_than_its_length", "without_length"])
def test_tls_that_ends_in_mid_response_leaves_nobody_able_to_tell(ending: str, said: bytes, tmp_path: Path) -> None:
    make_certificate(tmp_path / "server.pem")

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.read_request()
            await peer.write(said)
            match ending:
                case "close_notify":
                    await peer.end()
                case "no_close_notify":
                    peer.drop()
                case "reset":
                    peer.reset()
                case _:
                    peer.write_past_tls(b"HTTP/1.1 200 OK\r\n\r\n" + ACCEPTED)
        await answering(answer())(peer)

    async def scenario() -> None:
        async with (
            Upstream(script, serving_tls(tmp_path / "server.pem")) as upstream,
            client(upstream.base_url, ssl.create_default_context(cafile=tmp_path / "server.pem")) as mitto,
        ):
            assert (await attempt(mitto)).outcome is Outcome.OUTCOME_UNKNOWN
            assert await attempt(mitto) == PROMISE
            assert upstream.numbers == [0, 1]
            await upstream.until(lambda: upstream.open == 1)

    run(scenario())


# Responses that nobody asked for


@pytest.mark.parametrize("seconds", [0.005, 0.05, 0.3])
def test_second_response_to_the_first_sms_is_not_taken_for_the_next_ones(seconds: float) -> None:
    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.read_request()
            await peer.write(about(NUMBER))
            await peer.read_request()
            await asyncio.sleep(seconds)
            await peer.write(about(NUMBER) + about(OTHER_NUMBER, 8))
        await answering(about(OTHER_NUMBER))(peer)

    async def scenario() -> None:
        async with Upstream(script) as upstream, client(upstream.base_url) as mitto:
            assert await attempt(mitto) == PROMISE
            assert await attempt(mitto, OTHER_NUMBER) == DISTRUSTED
            assert await attempt(mitto, OTHER_NUMBER) == PROMISE
            assert upstream.numbers == [0, 0, 1]

    run(scenario())


@pytest.mark.parametrize("seconds", [0.005, 0.05, 0.3])
def test_second_response_that_comes_before_the_next_request_ends_the_connection(seconds: float) -> None:
    was_said = asyncio.Event()

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.read_request()
            await peer.write(answer())
            await asyncio.sleep(seconds)
            with suppress(ConnectionError):
                await peer.write(answer())
            was_said.set()
        await answering(answer(b'{"responseCode":8}'))(peer)

    async def scenario() -> None:
        async with Upstream(script) as upstream, client(upstream.base_url) as mitto:
            assert await attempt(mitto) == PROMISE
            await was_said.wait()
            assert (await attempt(mitto)).outcome is Outcome.INVALID_RECIPIENT
            assert upstream.numbers == [0, 1]

    run(scenario())


async def speaks_first(peer: Peer) -> None:
    await peer.write(answer())
    await peer.until_client_leaves()


def test_response_that_came_before_the_request_is_none_and_the_request_is_not_written() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        connect = loop.create_connection

        async def when_the_server_has_spoken(factory: Any, *, sock: socket.socket, **options: Any) -> Any:
            await loop.run_in_executor(None, select.select, [sock], [], [])
            return await connect(factory, sock=sock, **options)

        loop.create_connection = when_the_server_has_spoken  # type: ignore[method-assign, assignment] # the border to the system
        async with Upstream(speaks_first) as upstream, client(upstream.base_url) as mitto:
            assert await attempt(mitto) == NOT_SENT
            await upstream.until(lambda: upstream.open == 0)
            assert upstream.requests == []

    run(scenario())


def test_response_that_came_before_the_request_is_none_inside_tls_either(tmp_path: Path) -> None:
    make_certificate(tmp_path / "server.pem")

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        connect = loop.create_connection
        has_spoken = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.write(answer())
            has_spoken.set()
            await peer.until_client_leaves()

        async def and_let_the_server_speak(factory: Any, **options: Any) -> Any:
            connected = await connect(factory, **options)
            await has_spoken.wait()
            return connected

        loop.create_connection = and_let_the_server_speak  # type: ignore[method-assign, assignment] # the border to the system
        async with Upstream(script, serving_tls(tmp_path / "server.pem")) as upstream:
            async with client(upstream.base_url, ssl.create_default_context(cafile=tmp_path / "server.pem")) as mitto:
                assert await attempt(mitto) == NOT_SENT
            await upstream.until(lambda: upstream.open == 0)
            assert upstream.requests == []

    run(scenario())


def test_response_to_half_a_request_is_none() -> None:
    async def script(peer: Peer) -> None:
        await peer.write(answer())
        await answering(answer())(peer)

    async def scenario() -> None:
        async with Upstream(script) as upstream:
            transport = OneOriginTransport(upstream.url)
            # More than the system's buffers hold, and the server reads none of it before it responds.
            with pytest.raises(httpx.TransportError):
                await transport.handle_async_request(httpx.Request("POST", upstream.url, content=bytes(64 * MIB)))
            await transport.aclose()
            assert upstream.requests == []

    run(scenario())


# Memory


@contextmanager
def pouring(before: bytes, bomb: bytes) -> Iterator[str]:
    """Serve in a thread that allocates nothing: everything it writes exists beforehand."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(before)
                    connection.sendall(bomb)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)
        assert not thread.is_alive()


OK = b"HTTP/1.1 200 OK\r\n"
BOMBS = {
    "one_header": (OK, b"X: " + b"x" * (8 * MIB)),
    "name_of_a_header": (OK, b"x" * (8 * MIB)),
    "many_headers": (OK, b"a:b\r\n" * (2 * MIB)),
    "interim_responses": (b"", CONTINUE * 400_000),
    "reason": (b"HTTP/1.1 200 ", b"x" * (8 * MIB)),
    "body": (OK + b"Content-Length: 8388608\r\n\r\n", b" " * (8 * MIB)),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * MIB),
    "extension_of_a_chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * (8 * MIB)),
    "trailers": (CHUNKED, b"a:b\r\n" * (2 * MIB)),
}


@pytest.mark.parametrize(("before", "bomb"), BOMBS.values(), ids=BOMBS)
def test_bomb_takes_less_than_1_mib(before: bytes, bomb: bytes) -> None:
    async def scenario(base_url: str) -> None:
        async with client(base_url) as mitto:
            tracemalloc.start()
            try:
                found = await attempt(mitto)
                rise = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert found.outcome is Outcome.OUTCOME_UNKNOWN
            assert rise < MIB

    with pouring(before, bomb) as base_url:
        run(scenario(base_url))
