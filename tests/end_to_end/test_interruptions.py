"""The worst moments: what a deadline, a cancellation or rubbish on the wire must never lead to."""

import asyncio
import gc
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.delivery.attempts import Sent, send
from mitto_phone_hook.delivery.finalizer import Finalizer
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.client import Mitto, Transport
from mitto_phone_hook.mitto.connection import Connection, Exchange
from mitto_phone_hook.mitto.response_codes import MittoResult, read_result
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import encode
from support.upstream import ACCEPTED, Peer, Script, Upstream, answer, answering, make_certificate, mute, open_sockets, run, serving_tls

SMS = Sms(Recipient("+12025550123"), "Mitto SMS", encode("Your code is 123456"), 5)
OK = answer()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    make_certificate(path)
    return path


async def uncounted(_segments: int) -> None:
    """Let everything pass."""


def client(transport: Transport, base_url: str, key: RotatingSecret[str] | None = None) -> Mitto:
    return Mitto(transport, key or RotatingSecret("old"), base_url=base_url, connect_timeout_seconds=5, is_test=False)


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_refused_key_with_code_0_is_never_sent_again(status: str) -> None:
    async def scenario() -> None:
        async with Upstream(answering(answer(ACCEPTED, status), OK)) as upstream:
            transport = OneOriginTransport(upstream.url)
            mitto = client(transport, upstream.base_url, RotatingSecret("old", lambda: "new"))
            sent = await send(mitto, SMS, reference="r", until=in_seconds(3), max_attempts=3, max_segments=4, count=uncounted)
            await transport.aclose()
            assert (sent.answer.outcome, len(upstream.requests)) == (Outcome.OUTCOME_UNKNOWN, 1)

    run(scenario())


def test_rubbish_instead_of_a_tls_record_becomes_an_answer(certificate: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write_past_tls(b"no TLS record at all, but long enough")
        await peer.until_client_leaves()

    async def scenario() -> MittoResult:
        async with Upstream(script, serving_tls(certificate)) as upstream:
            transport = OneOriginTransport(upstream.url, ssl.create_default_context(cafile=certificate))
            return await client(transport, upstream.base_url).send(SMS, reference="r", until=in_seconds(3))

    assert run(scenario()) == MittoResult(Outcome.OUTCOME_UNKNOWN, "connection_lost")


@pytest.mark.parametrize("header", ["\x1c5", "5\x1f"])
def test_retry_after_with_a_separator_is_ignored(header: str) -> None:
    assert read_result(429, b"", header) == MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "http_429")


def test_bytes_behind_an_answer_are_nobody_elses_answer() -> None:
    async def scenario() -> None:
        async with Upstream(answering(OK + answer(b'{"responseCode":8}'))) as upstream:
            transport = OneOriginTransport(upstream.url)
            mitto = client(transport, upstream.base_url)
            found = [await mitto.send(SMS, reference="r", until=in_seconds(3)) for _ in range(3)]
            await transport.aclose()
            assert [each.outcome for each in found] == [Outcome.ACCEPTED] * 3

    run(scenario())


def test_tls_handshake_that_the_deadline_cuts_closes_its_connection(certificate: Path) -> None:
    async def scenario() -> None:
        async with Upstream(mute) as upstream:
            listening = open_sockets()
            url = upstream.base_url.replace("http:", "https:")
            transport = OneOriginTransport(httpx.URL(url), ssl.create_default_context(cafile=certificate))
            found = await client(transport, url).send(SMS, reference="r", until=in_seconds(0.2))
            assert found == MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "deadline")
            await upstream.until(lambda: upstream.open == 0)
            assert open_sockets() == listening

    run(scenario())


@pytest.mark.parametrize("script", [answering(OK), answering(b"garbage\r\n\r\n")], ids=["answer", "garbage"])
@pytest.mark.parametrize("at", ["connection.connect_tcp.complete", "http11.send_request_headers.started", "http11.response_closed.started"])
def test_cancellation_at_any_moment_closes_the_connection(script: Script, at: str) -> None:
    async def trace(event: str, _: object) -> None:
        task = asyncio.current_task()
        if event == at and task is not None:
            task.cancel()

    async def scenario() -> None:
        async with Upstream(script) as upstream:
            transport = OneOriginTransport(upstream.url)

            async def post() -> None:
                request = httpx.Request("POST", upstream.url, content=b"{}", extensions={"trace": trace})
                response = await transport.handle_async_request(request)
                try:
                    await response.aread()
                finally:
                    await response.aclose()

            listening = open_sockets()
            await asyncio.gather(asyncio.create_task(post()), return_exceptions=True)
            await transport.aclose()
            await upstream.until(lambda: upstream.connections == 1 and upstream.open == 0)
            assert open_sockets() == listening

    run(scenario())


def test_idle_connection_survives_or_is_closed_when_the_deadline_is_over_before_it_is_used() -> None:
    async def scenario() -> None:
        async with Upstream(answering(OK)) as upstream:
            transport = OneOriginTransport(upstream.url)
            response = await transport.handle_async_request(httpx.Request("POST", upstream.url, content=b"{}"))
            await response.aread()

            async def late() -> None:
                async with asyncio.timeout(-1):
                    await transport.handle_async_request(httpx.Request("POST", upstream.url, content=b"{}"))

            with pytest.raises(TimeoutError):
                await late()
            await transport.aclose()
            await upstream.until(lambda: upstream.open == 0)

    run(scenario())


def test_answer_closed_twice_gives_its_connection_back_once() -> None:
    async def scenario() -> None:
        async with Upstream(answering(OK)) as upstream:
            transport = OneOriginTransport(upstream.url)
            response = await transport.handle_async_request(httpx.Request("POST", upstream.url, content=b"{}"))
            await response.aread()
            assert isinstance(response.stream, httpx.AsyncByteStream)
            await response.stream.aclose()

            async def post() -> int:
                response = await transport.handle_async_request(httpx.Request("POST", upstream.url, content=b"{}"))
                await response.aread()
                return response.status_code

            assert list(await asyncio.gather(post(), post())) == [200, 200]
            await transport.aclose()

    run(scenario())


def test_attempt_after_its_deadline_is_not_begun_and_not_sent() -> None:
    async def scenario() -> None:
        async with Upstream(answering(OK)) as upstream:
            transport = OneOriginTransport(upstream.url)
            mitto = client(transport, upstream.base_url)
            assert (await mitto.send(SMS, reference="r", until=in_seconds(3))).outcome is Outcome.ACCEPTED
            for _ in range(2):  # with an idle connection, and without
                assert await mitto.send(SMS, reference="r", until=in_seconds(-0.1)) == MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "deadline")
            assert len(upstream.requests) == 1
            await transport.aclose()

    run(scenario())


async def try_to_send(upstream: Upstream, *, seconds: float, reserve_seconds: float) -> Sent:
    transport = OneOriginTransport(upstream.url)
    sent = await send(
        client(transport, upstream.base_url),
        SMS,
        reference="r",
        until=in_seconds(seconds),
        max_attempts=3,
        max_segments=4,
        count=uncounted,
        reserve_seconds=reserve_seconds,
    )
    await transport.aclose()
    return sent


def test_certain_rejection_is_not_risked_for_a_retry_without_time() -> None:
    async def refusing_late(peer: Peer) -> None:
        await peer.read_request()
        await asyncio.sleep(0.6)
        await peer.write(answer(b'{"responseCode":4}'))

    async def scenario() -> None:
        async with Upstream(refusing_late) as upstream:
            sent = await try_to_send(upstream, seconds=10.5, reserve_seconds=10)
            assert (sent.answer.why, sent.attempts) == ("mitto_code_4", 1)

    run(scenario())


def test_message_is_certainly_not_sent_where_no_time_is_left_for_its_first_attempt() -> None:
    async def scenario() -> None:
        async with Upstream(answering(answer())) as upstream:
            sent = await try_to_send(upstream, seconds=9.9, reserve_seconds=10)
            assert (sent.answer, sent.attempts) == (MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "deadline"), 0)
            assert upstream.requests == []

    run(scenario())


def test_idle_connections_whose_time_is_over_are_closed_at_the_next_request() -> None:
    async def scenario() -> None:
        async with Upstream(answering(OK)) as upstream:
            transport = OneOriginTransport(upstream.url, keepalive_seconds=0.05)

            async def post() -> None:
                response = await transport.handle_async_request(httpx.Request("POST", upstream.url, content=b"{}"))
                await response.aread()

            await asyncio.gather(*(post() for _ in range(10)))
            await asyncio.sleep(0.06)
            await post()
            await upstream.until(lambda: upstream.open == 1)
            assert upstream.connections == 11
            await transport.aclose()

    run(scenario())


def test_an_exchange_leaves_nothing_that_only_a_garbage_collection_finds() -> None:
    async def scenario() -> int:
        async with Upstream(answering(OK)) as upstream:
            transport = OneOriginTransport(upstream.url)

            async def post() -> None:
                response = await transport.handle_async_request(httpx.Request("POST", upstream.url, content=b"{}"))
                await response.aread()
                await response.aclose()

            await post()
            gc.collect()
            gc.disable()
            try:
                for _ in range(200):
                    await post()
                return len([one for one in gc.get_objects(0) if isinstance(one, Exchange)])
            finally:
                gc.enable()
                await transport.aclose()

    assert run(scenario()) <= 2, "the last one, and one on its way"


@pytest.mark.parametrize(
    "flood",
    [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9_000_000, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 9_000_000],
    ids=["headers", "trailers"],
)
def test_what_is_no_body_is_bounded(flood: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.write(flood)

    async def scenario() -> None:
        async with Upstream(script) as upstream:
            transport = OneOriginTransport(upstream.url)
            found = await client(transport, upstream.base_url).send(SMS, reference="r", until=in_seconds(3))
            assert found.outcome is Outcome.OUTCOME_UNKNOWN
            assert found.why != "deadline"
            await upstream.until(lambda: upstream.open == 0)

    run(scenario())


def test_server_that_has_hung_up_is_known_before_anything_is_written() -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        _, connection = await asyncio.get_running_loop().create_connection(Connection, sock=ours)
        theirs.send(b"a word of welcome, as TLS has")
        assert connection.is_alive
        assert not connection.is_silent
        theirs.close()
        assert not connection.is_alive
        connection.close()

    run(scenario())


def test_balancer_that_accepts_connections_and_closes_them_is_reported_as_seen() -> None:
    async def script(peer: Peer) -> None:
        await peer.end()

    async def scenario() -> None:
        async with Upstream(script) as upstream:
            transport = OneOriginTransport(upstream.url)
            mitto = client(transport, upstream.base_url)
            for _ in range(20):
                found = await mitto.send(SMS, reference="r", until=in_seconds(3))
                assert found in (
                    MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "cannot_connect"),
                    MittoResult(Outcome.OUTCOME_UNKNOWN, "connection_lost"),
                )
            await transport.aclose()
            await upstream.until(lambda: upstream.open == 0)

    run(scenario())


def test_bytes_into_an_idle_connection_end_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.write(OK)
        await asyncio.sleep(0.05)
        await peer.write(b"HTTP/1.1 200 OK\r\nX: ")
        await peer.until_client_leaves()

    async def scenario() -> None:
        async with Upstream(script) as upstream:
            transport = OneOriginTransport(upstream.url)
            assert (await client(transport, upstream.base_url).send(SMS, reference="r", until=in_seconds(3))).outcome is Outcome.ACCEPTED
            await upstream.until(lambda: upstream.connections == 1 and upstream.open == 0)

    run(scenario())


def test_a_store_that_takes_as_long_as_it_may_holds_no_answer_beyond_the_deadline() -> None:
    async def scenario() -> None:
        heard = asyncio.Event()

        async def tell() -> None:
            await heard.wait()

        async with asyncio.timeout(10):
            await Finalizer(deadline_seconds=8).finish(tell(), in_seconds(1))
        assert not heard.is_set()
        heard.set()

    run(scenario())
