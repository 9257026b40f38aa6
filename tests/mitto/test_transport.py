"""The connections to one origin: reused while they are good, given up when in doubt, never lost, and no request twice."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from mitto_phone_hook.mitto.transport import OneOriginTransport
from support.upstream import (
    ACCEPTED,
    Peer,
    Script,
    Upstream,
    answer,
    answering,
    closed_port,
    deaf_port,
    mute,
    open_sockets,
    run,
    saying_and_closing,
)

OK = answer()
MANY = 256


def request(
    url: httpx.URL, content: bytes = b"{}", *, headers: dict[str, str] | None = None, timeouts: dict[str, float] | None = None
) -> httpx.Request:
    return httpx.Request("POST", url, content=content, headers=headers, extensions={"timeout": timeouts or {}})


async def post(transport: OneOriginTransport, url: httpx.URL) -> bytes:
    response = await transport.handle_async_request(request(url))
    try:
        return await response.aread()
    finally:
        await response.aclose()


@asynccontextmanager
async def talking_to(script: Script) -> AsyncIterator[tuple[Upstream, OneOriginTransport]]:
    """Start a server and a transport; nothing of the transport is open in the end."""
    async with Upstream(script) as upstream:
        transport = OneOriginTransport(upstream.url)
        try:
            yield upstream, transport
        finally:
            await transport.aclose()
        await upstream.until(lambda: upstream.open == 0)


# Reuse


def test_requests_one_after_another_share_a_connection() -> None:
    async def scenario() -> None:
        async with talking_to(answering(OK)) as (upstream, transport):
            assert [await post(transport, upstream.url) for _ in range(20)] == [ACCEPTED] * 20
            assert upstream.numbers == [0] * 20

    run(scenario())


def answering_on_demand(release: dict[int, asyncio.Event]) -> Script:
    """Answer the first request of a connection when its event says so, further ones at once."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await release[peer.number].wait()
        await peer.write(OK)
        await answering(OK)(peer)

    return script


async def finish(upstream: Upstream, transport: OneOriginTransport, release: dict[int, asyncio.Event], *, order: list[int]) -> None:
    """Have a request on each of these connections at the same time, and let them end in this order."""
    tasks: list[asyncio.Task[bytes]] = []
    while len(tasks) < len(release):
        tasks.append(asyncio.create_task(post(transport, upstream.url)))
        await upstream.until(lambda: len(upstream.requests) == len(tasks))
    for number in order:
        release[number].set()
        await tasks[number]


def test_connection_used_last_is_used_first() -> None:
    async def scenario() -> None:
        release = {number: asyncio.Event() for number in range(3)}
        async with talking_to(answering_on_demand(release)) as (upstream, transport):
            await finish(upstream, transport, release, order=[1, 0, 2])
            upstream.numbers.clear()
            await post(transport, upstream.url)
            await post(transport, upstream.url)
            assert upstream.numbers == [2, 2]
            await asyncio.gather(post(transport, upstream.url), post(transport, upstream.url))
            assert upstream.numbers[2:] == [2, 0]

    run(scenario())


def test_many_in_flight_have_a_connection_each_and_dead_ones_go_with_the_next_request() -> None:
    all_came, leave = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        if len(upstreams[0].requests) == MANY:
            all_came.set()
        await all_came.wait()
        await peer.write(OK)
        await leave.wait()
        if peer.number >= MANY:
            await answering(OK)(peer)

    upstreams: list[Upstream] = []

    async def scenario() -> None:
        before = open_sockets()
        async with talking_to(script) as (upstream, transport):
            upstreams.append(upstream)
            listening = open_sockets()
            assert await asyncio.gather(*(post(transport, upstream.url) for _ in range(MANY))) == [ACCEPTED] * MANY
            assert (upstream.connections, upstream.open, open_sockets()) == (MANY, MANY, listening + 2 * MANY)
            leave.set()
            await upstream.until(lambda: upstream.open == 0)
            assert await post(transport, upstream.url) == ACCEPTED
            assert (upstream.connections, upstream.open, open_sockets()) == (MANY + 1, 1, listening + 2)
        assert open_sockets() == before

    run(scenario())


# Connections that the server gives up


async def closes(peer: Peer) -> None:
    await peer.end()


async def resets(peer: Peer) -> None:
    peer.reset()


async def gives_notice(peer: Peer) -> None:
    await peer.write(answer(b"", "408 Request Timeout", "Connection: close"))


async def babbles(peer: Peer) -> None:
    await peer.write(b"\0")


@pytest.mark.parametrize("act", [closes, resets, gives_notice, babbles])
def test_idle_connection_on_which_anything_happened_is_replaced_without_an_error(act: Script) -> None:
    is_idle, is_done = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.read_request()
            await peer.write(OK)
            await is_idle.wait()
            await act(peer)
            is_done.set()
            await peer.until_client_leaves()
        else:
            await answering(OK)(peer)

    async def scenario() -> None:
        async with talking_to(script) as (upstream, transport):
            await post(transport, upstream.url)
            is_idle.set()
            await is_done.wait()
            assert await post(transport, upstream.url) == ACCEPTED
            assert upstream.numbers == [0, 1]

    run(scenario())


@pytest.mark.parametrize("act", [closes, resets, gives_notice])
def test_colder_connection_is_used_when_the_warmest_is_dead(act: Script) -> None:
    release = {number: asyncio.Event() for number in range(2)}
    is_idle, is_done = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await answering_on_demand(release)(peer)
        await peer.read_request()
        await release[peer.number].wait()
        await peer.write(OK)
        await is_idle.wait()
        await act(peer)
        is_done.set()
        await peer.until_client_leaves()

    async def scenario() -> None:
        async with talking_to(script) as (upstream, transport):
            await finish(upstream, transport, release, order=[0, 1])
            is_idle.set()
            await is_done.wait()
            assert await post(transport, upstream.url) == ACCEPTED
            assert upstream.numbers[2:] == [0]

    run(scenario())


@pytest.mark.parametrize("act", [closes, resets])
def test_request_whose_reused_connection_dies_under_it_fails_and_is_never_repeated(act: Script) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.write(OK)
        await peer.read_request()
        await act(peer)

    async def scenario() -> None:
        async with talking_to(script) as (upstream, transport):
            await post(transport, upstream.url)
            with pytest.raises(httpx.TransportError):
                await post(transport, upstream.url)
            assert upstream.numbers == [0, 0]
            assert upstream.connections == 1

    run(scenario())


LAST_ANSWERS = {
    "connection_close": answer(ACCEPTED, "200 OK", "Connection: close"),
    "http_1_0": OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "error_with_close": answer(ACCEPTED, "503 Busy", "Connection: close"),
}


@pytest.mark.parametrize("last", LAST_ANSWERS.values(), ids=LAST_ANSWERS)
def test_connection_that_the_answer_ends_is_closed(last: bytes) -> None:
    async def scenario() -> None:
        async with talking_to(answering(last)) as (upstream, transport):
            assert await post(transport, upstream.url) == ACCEPTED
            await upstream.until(lambda: upstream.open == 0)
            assert await post(transport, upstream.url) == ACCEPTED
            assert upstream.numbers == [0, 1]

    run(scenario())


# Connections that we give up


@pytest.mark.parametrize("pieces", [0, 1])
def test_connection_whose_answer_was_not_read_to_its_end_is_closed(pieces: int) -> None:
    async def scenario() -> None:
        async with talking_to(answering(OK[:-1])) as (upstream, transport):
            response = await transport.handle_async_request(request(upstream.url))
            body = response.aiter_raw()
            for _ in range(pieces):
                assert await anext(body) == ACCEPTED[:-1]
            await response.aclose()
            await body.aclose()  # type: ignore[attr-defined] # it is a generator
            await upstream.until(lambda: upstream.open == 0)

    run(scenario())


def test_unread_answer_is_nobody_elses_answer() -> None:
    async def scenario() -> None:
        async with talking_to(answering(answer(b"first"), answer(b"second"))) as (upstream, transport):
            response = await transport.handle_async_request(request(upstream.url))
            await response.aclose()
            # A connection of its own begins anew; on the same one the answer is the second.
            assert (await post(transport, upstream.url), upstream.numbers) in [(b"first", [0, 1]), (b"second", [0, 0])]

    run(scenario())


def hanging_after(said: bytes) -> Script:
    """Begin an answer on the first connection and hang; answer on all others."""

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.read_request()
            await peer.write(said)
            await peer.until_client_leaves()
        else:
            await answering(OK)(peer)

    return script


BEGINNINGS = {
    "waiting_for_headers": b"",
    "in_status_line": b"HTTP/1.1 2",
    "in_headers": b"HTTP/1.1 200 OK\r\nX",
    "waiting_for_body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    "in_body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx",
    "in_chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx",
}


@pytest.mark.parametrize("said", BEGINNINGS.values(), ids=BEGINNINGS)
def test_cancelled_request_closes_its_connection_and_the_next_one_works(said: bytes) -> None:
    async def scenario() -> None:
        before = open_sockets()
        async with talking_to(hanging_after(said)) as (upstream, transport):
            listening = open_sockets()
            task = asyncio.create_task(post(transport, upstream.url))
            await upstream.until(lambda: upstream.bytes_written == len(said) and len(upstream.requests) == 1)
            for _ in range(5):
                await asyncio.sleep(0)  # so that the client is at the point that the case names
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await upstream.until(lambda: upstream.open == 0)
            assert open_sockets() == listening
            assert await post(transport, upstream.url) == ACCEPTED
            assert upstream.numbers == [0, 1]
        assert open_sockets() == before

    run(scenario())


def test_request_cancelled_while_it_is_written_closes_its_connection() -> None:
    async def scenario() -> None:
        async with talking_to(deaf) as (upstream, transport):
            listening = open_sockets()
            task = asyncio.create_task(transport.handle_async_request(request(upstream.url, bytes(1 << 26))))
            await upstream.until(lambda: upstream.connections == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            leave.set()
            await upstream.until(lambda: upstream.open == 0)
            assert open_sockets() == listening

    leave = asyncio.Event()

    async def deaf(_: Peer) -> None:
        await leave.wait()

    run(scenario())


def test_request_cancelled_while_it_connects_leaves_no_socket() -> None:
    async def scenario() -> None:
        with deaf_port() as port:
            url = httpx.URL(f"http://127.0.0.1:{port}")
            before = open_sockets()
            task = asyncio.create_task(post(OneOriginTransport(url), url))
            while open_sockets() == before:  # noqa: ASYNC110 - nobody tells when the system connects
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert open_sockets() == before

    run(scenario())


def test_closing_ends_the_idle_connections_and_no_more() -> None:
    async def scenario() -> None:
        async with talking_to(answering(OK)) as (upstream, transport):
            listening = open_sockets()
            await asyncio.gather(*(post(transport, upstream.url) for _ in range(5)))
            assert open_sockets() == listening + 10
            in_flight = await transport.handle_async_request(request(upstream.url))
            await transport.aclose()
            await transport.aclose()
            await upstream.until(lambda: upstream.open == 1)
            assert await in_flight.aread() == ACCEPTED
            await transport.aclose()
            await upstream.until(lambda: upstream.open == 0)
            assert await post(transport, upstream.url) == ACCEPTED

    run(scenario())


# The server's address


class Lookups:
    """The system's lookup, counted; it waits for ``go`` and fails as often as ``failures`` says."""

    def __init__(self, failures: int = 0) -> None:
        """Stand in front of the running event loop's own."""
        self.asked = 0
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self._failures = failures
        loop = asyncio.get_running_loop()
        self._ask = loop.getaddrinfo
        loop.getaddrinfo = self  # type: ignore[method-assign] # the border to the system

    async def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.asked += 1
        self.begun.set()
        await self.go.wait()
        if self.asked <= self._failures:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return await self._ask(*arguments, **options)


def test_many_at_once_look_the_server_up_once() -> None:
    async def scenario() -> None:
        async with talking_to(answering(OK)) as (upstream, transport):
            lookups = Lookups()
            tasks = [asyncio.create_task(post(transport, upstream.url)) for _ in range(20)]
            await lookups.begun.wait()
            lookups.go.set()
            assert await asyncio.gather(*tasks) == [ACCEPTED] * 20
            assert lookups.asked == 1

    run(scenario())


def test_another_address_is_tried_when_the_first_one_leads_nowhere() -> None:
    async def scenario() -> None:
        async with talking_to(answering(OK)) as (upstream, transport):
            with deaf_port() as port:
                loop = asyncio.get_running_loop()
                ask = loop.getaddrinfo

                async def two(host: str, port_of_server: int, **options: Any) -> Any:
                    return [*await ask(host, port, **options), *await ask(host, port_of_server, **options)]

                loop.getaddrinfo = two  # type: ignore[assignment, method-assign] # the border to the system
                response = await transport.handle_async_request(request(upstream.url, timeouts={"connect": 5}))
                assert await response.aread() == ACCEPTED
                await response.aclose()

    run(scenario())


def test_connections_that_a_burst_has_left_are_closed_although_one_stays_warm() -> None:
    async def scenario() -> None:
        async with Upstream(answering(OK)) as upstream:
            transport = OneOriginTransport(upstream.url, keepalive_seconds=0.2)
            await asyncio.gather(*(post(transport, upstream.url) for _ in range(10)))
            assert upstream.open > 1
            async with asyncio.timeout(5):
                while upstream.open > 1:
                    await post(transport, upstream.url)
                    await asyncio.sleep(0.02)
            await transport.aclose()

    run(scenario())


def test_address_is_not_kept_for_long() -> None:
    async def scenario() -> None:
        async with Upstream(answering(OK)) as upstream:
            lookups = Lookups()
            lookups.go.set()
            transport = OneOriginTransport(upstream.url, lookup_seconds=0)
            for _ in range(2):
                await post(transport, upstream.url)
                await transport.aclose()
            assert lookups.asked == 2

    run(scenario())


def test_lookup_that_failed_is_not_kept() -> None:
    async def scenario() -> None:
        async with talking_to(answering(OK)) as (upstream, transport):
            lookups = Lookups(failures=1)
            lookups.go.set()
            with pytest.raises(httpx.ConnectError):
                await post(transport, upstream.url)
            assert await post(transport, upstream.url) == ACCEPTED

    run(scenario())


def test_lookup_goes_on_when_who_asked_first_has_gone() -> None:
    async def scenario() -> None:
        async with talking_to(answering(OK)) as (upstream, transport):
            lookups = Lookups()
            first, second = (asyncio.create_task(post(transport, upstream.url)) for _ in range(2))
            await lookups.begun.wait()
            first.cancel()
            await asyncio.wait({first})
            lookups.go.set()
            assert await second == ACCEPTED
            assert lookups.asked == 1

    run(scenario())


# Faults


async def reset_after_request(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def reset_in_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
    peer.reset()


PROVOKED: dict[str, tuple[type[httpx.TransportError], Script]] = {
    "reset": (httpx.ReadError, reset_after_request),
    "reset_in_body": (httpx.ReadError, reset_in_body),
    "close": (httpx.ReadError, saying_and_closing()),
    "close_in_body": (httpx.ReadError, saying_and_closing(BEGINNINGS["in_body"])),
    "garbage": (httpx.RemoteProtocolError, saying_and_closing(b"code 123456\r\n\r\n")),
    "endless_headers": (httpx.RemoteProtocolError, saying_and_closing(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000)),
}


@pytest.mark.parametrize(("kind", "script"), PROVOKED.values(), ids=PROVOKED)
def test_fault_of_the_server_comes_in_words_of_httpx_and_quotes_nothing(kind: type[httpx.TransportError], script: Script) -> None:
    async def scenario() -> None:
        async with talking_to(script) as (upstream, transport):
            with pytest.raises(httpx.TransportError) as raised:
                await (await transport.handle_async_request(request(upstream.url))).aread()
            assert type(raised.value) is kind
            assert "123456" not in f"{raised.value!r}"

    run(scenario())


@pytest.mark.parametrize("header", [{"Name": "a\r\nX: y"}, {"Name": "a\nb"}, {"Na\rme": "a"}])
def test_header_with_a_line_break_is_not_begun(header: dict[str, str]) -> None:
    async def scenario() -> None:
        async with talking_to(mute) as (upstream, transport):
            with pytest.raises(httpx.LocalProtocolError):
                await transport.handle_async_request(request(upstream.url, headers=header))

    run(scenario())


def test_refused_connection_comes_in_words_of_httpx() -> None:
    async def scenario() -> None:
        url = httpx.URL(f"http://127.0.0.1:{closed_port()}")
        with pytest.raises(httpx.TransportError) as raised:
            await post(OneOriginTransport(url), url)
        assert (type(raised.value), str(raised.value)) == (httpx.ConnectError, "")

    run(scenario())


def test_connect_time_out_comes_in_words_of_httpx() -> None:
    async def scenario() -> None:
        with deaf_port() as port:
            url = httpx.URL(f"http://127.0.0.1:{port}")
            with pytest.raises(httpx.TransportError) as raised:
                await OneOriginTransport(url).handle_async_request(request(url, timeouts={"connect": 0.05}))
            assert (type(raised.value), str(raised.value)) == (httpx.ConnectTimeout, "")

    run(scenario())


def test_another_origin_is_refused() -> None:
    transport = OneOriginTransport(httpx.URL("https://mitto.invalid"))
    for url in ("http://mitto.invalid", "https://mitto.invalid:444", "https://mitto.invalid.example"):
        with pytest.raises(RuntimeError):
            run(transport.handle_async_request(request(httpx.URL(url))))


# The environment

CLIENT = """
import asyncio, httpx, sys
from mitto_phone_hook.mitto.transport import OneOriginTransport

async def main(url):
    transport = OneOriginTransport(url)
    response = await transport.handle_async_request(httpx.Request("POST", url, content=b"{}"))
    await response.aread()
    await transport.aclose()
    return response.status_code

try:
    httpx.post(sys.argv[1])
except httpx.ConnectError:
    print("httpx took the proxy")
print(asyncio.run(main(httpx.URL(sys.argv[1]))))
"""


def test_proxies_of_the_environment_play_no_part() -> None:
    async def scenario() -> None:
        proxy = f"http://127.0.0.1:{closed_port()}"
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | dict.fromkeys(names, proxy)
        async with Upstream(answering(OK)) as upstream:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CLIENT, upstream.base_url, env=environment, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await process.communicate()
            assert said.decode().splitlines() == ["httpx took the proxy", "200"]
            assert len(upstream.requests) == 1

    run(scenario())
