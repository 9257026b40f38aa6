"""The guard in front of the parser, under a plain uvicorn of its own, with limits small enough not to wait for."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from mitto_phone_hook.http_guard import Limits, guarded, is_ambiguous
from mitto_phone_hook.http_server import serving as calls_guarded
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.request import Call

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
FAST = Limits(head_seconds=0.2, idle_seconds=0.2, sweep_seconds=0.02, report_seconds=0.1)
PATIENT = FAST._replace(head_seconds=30, idle_seconds=30)
WAIT_SECONDS = 5
SERVED = ["asgi"]


@pytest.mark.parametrize(
    ("fields", "version", "expected"),
    [
        ([(b"host", b"a")], "1.1", False),
        ([(b"host", b"")], "1.1", False),
        ([], "1.1", True),
        ([], "1.0", False),
        ([(b"host", b"a"), (b"host", b"a")], "1.1", True),
        ([(b"host", b"a"), (b"host", b"a")], "1.0", True),
        ([(b"host", b"a"), (b"transfer-encoding", b"chunked")], "1.1", False),
        ([(b"host", b"a"), (b"transfer-encoding", b" Chunked\t")], "1.1", False),
        ([(b"host", b"a"), (b"transfer-encoding", b"")], "1.1", True),
        ([(b"host", b"a"), (b"transfer-encoding", b"identity")], "1.1", True),
        ([(b"host", b"a"), (b"transfer-encoding", b"gzip, chunked")], "1.1", True),
        ([(b"host", b"a"), (b"transfer-encoding", b"xchunked")], "1.1", True),
        ([(b"host", b"a"), (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], "1.1", True),
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_ambiguous(fields: list[tuple[bytes, bytes]], version: str, expected: bool) -> None:  # noqa: FBT001 - from a table
    assert is_ambiguous(fields, lambda: version) is expected


@dataclass
class Application:
    """Reads the body, waits until it may respond, and responds with the body."""

    port: int = 0
    may_respond: asyncio.Event = field(default_factory=asyncio.Event)
    events: list[Mapping[str, object]] = field(default_factory=list)
    scopes: list[dict[str, Any]] = field(default_factory=list)
    connections: Collection[object] = ()
    """Those that the server has open."""

    async def respond(self, call: Call) -> Response:
        """Do the same for a server that hands over calls."""
        self.scopes.append({"path": call.path, "headers": list(call.headers.items())})
        try:
            body = b"" if call.path == "/early" else b"".join([chunk async for chunk in call.chunks])
        except ConnectionError:
            return Response(400, b"", {})
        await self.may_respond.wait()
        return Response(200, body, {})

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        self.scopes.append(scope)
        body, is_more = b"", scope["path"] != "/early"
        while is_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, is_more = body + message["body"], message["more_body"]
        await self.may_respond.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(params=["asgi", "calls"], autouse=True)
def served(request: pytest.FixtureRequest) -> None:
    """Run every test with both ways from the protocol to what responds."""
    SERVED[:] = [request.param]


@asynccontextmanager
async def serving(limits: Limits, *, is_waiting: bool = False) -> AsyncIterator[Application]:
    application = Application()
    if not is_waiting:
        application.may_respond.set()
    emit = application.events.append
    http = guarded(emit, limits) if SERVED == ["asgi"] else calls_guarded(emit, application.respond, limits)
    config = uvicorn.Config(application, http=http, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    application.connections = server.server_state.connections
    with socket.create_server(("127.0.0.1", 0)) as listener:
        application.port = listener.getsockname()[1]
        task = asyncio.create_task(server._serve([listener]))  # noqa: SLF001 - serve() would take the signals
        try:
            yield application
        finally:
            application.may_respond.set()
            server.should_exit = True
            await task


@asynccontextmanager
async def connected(application: Application, sent: bytes = b"") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", application.port)
    writer.write(sent)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def everything(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := await asyncio.wait_for(reader.read(65536), WAIT_SECONDS):
            received += piece
    return received


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_so():  # noqa: ASYNC110 - what it waits for is on the other side of a socket
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nx: a"], ids=["nothing", "a line break", "half a head"])
async def test_a_head_that_does_not_end_is_waited_for_only_so_long(sent: bytes) -> None:
    async with serving(FAST) as application, connected(application, sent) as (reader, _):
        assert await everything(reader) == b""


async def test_many_that_are_slow_together_are_all_closed_soon() -> None:
    async with serving(FAST._replace(sweep_seconds=2)) as application, contextlib.AsyncExitStack() as stack:
        for _ in range(130):
            await stack.enter_async_context(connected(application))
        await until(lambda: application.connections)
        # All within the first sweep, which comes after two seconds.
        await until(lambda: not application.connections)


async def test_a_kept_connection_has_as_long_for_its_next_head() -> None:
    async with serving(FAST._replace(idle_seconds=30)) as application, connected(application, GET) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\r\n")
        assert await everything(reader) == b""


async def test_a_head_that_began_behind_another_request_has_as_long() -> None:
    async with serving(FAST._replace(idle_seconds=30)) as application, connected(application, GET + GET[:9]) as (reader, _):
        assert (await everything(reader)).startswith(b"HTTP/1.1 200 ")


async def test_an_idle_kept_connection_is_closed_later() -> None:
    async with serving(FAST._replace(head_seconds=30)) as application, connected(application, GET) as (reader, _):
        assert (await everything(reader)).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_goes_on_after_the_response_is_not_read_for_ever() -> None:
    sent = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"
    async with serving(FAST._replace(idle_seconds=30)) as application, connected(application, sent) as (reader, _):
        assert (await everything(reader)).startswith(b"HTTP/1.1 200 ")


async def test_a_caller_that_does_not_read_its_responses_is_not_waited_for() -> None:
    body = b"a" * 8_000_000
    sent = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving(FAST._replace(head_seconds=1, idle_seconds=30)) as application, connected(application, sent + body) as (reader, _):
        await until(lambda: application.connections)
        # The reader takes 128 KiB and then no more.
        await until(lambda: not application.connections)
        assert len(await everything(reader)) < len(body)


async def test_a_request_that_waits_for_its_response_is_given_its_time() -> None:
    async with serving(FAST, is_waiting=True) as application, connected(application, GET) as (reader, _):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 3 * FAST.head_seconds)
        application.may_respond.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_the_oldest_connection_that_waits_for_its_caller_makes_room() -> None:
    async with serving(PATIENT._replace(max_connections=3), is_waiting=True) as application, contextlib.AsyncExitStack() as stack:
        busy, _ = await stack.enter_async_context(connected(application, GET))
        await until(lambda: len(application.scopes) == 1)
        oldest, _ = await stack.enter_async_context(connected(application))
        younger, _ = await stack.enter_async_context(connected(application, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"))
        await until(lambda: len(application.scopes) == 2)
        newest, _ = await stack.enter_async_context(connected(application, GET))
        assert await everything(oldest) == b""
        another, _ = await stack.enter_async_context(connected(application, GET))
        assert await everything(younger) == b""
        none_is_left, _ = await stack.enter_async_context(connected(application, GET))
        assert await everything(none_is_left) == b""
        application.may_respond.set()
        for reader in (busy, newest, another):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await until(lambda: sum(int(str(event["why"]).partition("_")[0]) for event in application.events) == 3)
        assert {(event["severity"], event["event"]) for event in application.events} == {("WARNING", "connections_shed")}


async def test_the_connection_that_was_used_last_is_kept() -> None:
    async with serving(PATIENT._replace(max_connections=2)) as application, contextlib.AsyncExitStack() as stack:
        used, writer = await stack.enter_async_context(connected(application))
        silent, _ = await stack.enter_async_context(connected(application))
        await asyncio.sleep(0)
        writer.write(GET)
        await used.readuntil(b"\r\n\r\n")
        await stack.enter_async_context(connected(application))
        assert await everything(silent) == b""
        writer.write(GET)
        assert (await used.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_the_log_says_it_once_in_a_while() -> None:
    limits = PATIENT._replace(max_connections=1, report_seconds=30)
    async with serving(limits) as application, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(connected(application))
        await until(lambda: application.events)
        for _ in range(3):
            reader, _ = await stack.enter_async_context(connected(application, GET))
            await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(5 * limits.sweep_seconds)
        assert len(application.events) == 1


async def test_the_log_says_once_in_a_while_how_many_requests_were_refused_and_with_which_status() -> None:
    limits = PATIENT._replace(report_seconds=30)
    bad, long = b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 9000

    async def refuse(*requests: bytes) -> None:
        for sent in requests:
            async with connected(application, sent) as (reader, _):
                assert (await everything(reader)).startswith(b"HTTP/1.1 4")

    async with serving(limits) as application:
        await refuse(long, bad, long, long)
        await asyncio.sleep(5 * limits.sweep_seconds)
    hints = {"1_http_414": "shorten the address", "1_http_400": "no HTTP"}
    lines = [{"severity": "WARNING", "event": "requests_refused", "why": why} for why in hints]
    assert [str(line["hint"]).partition(":")[0] for line in application.events] == list(hints.values())
    assert [{name: value for name, value in line.items() if name != "hint"} for line in application.events] == lines
    async with serving(limits._replace(report_seconds=3)) as application:
        await refuse(*[bad] * 12)
        # A flood is told when the time has come, although nobody is refused any more.
        await until(lambda: sum(int(str(event["why"]).partition("_")[0]) for event in application.events) == 12)
        assert len(application.events) < 12


async def test_requests_that_are_too_many_to_wait_in_line_do_not_cost_the_first_their_responses() -> None:
    async with serving(PATIENT, is_waiting=True) as application, connected(application, GET * 1000) as (reader, _):
        await until(lambda: application.scopes)
        application.may_respond.set()
        received = await everything(reader)
        assert 1 <= received.count(b"HTTP/1.1 200 ") <= 20
        assert received.count(b"HTTP/1.1 ") == received.count(b"HTTP/1.1 200 ")


async def test_a_refused_request_in_line_does_not_cost_the_one_that_is_being_served_its_response() -> None:
    second = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    sent = GET + second + b"this is no chunk\r\n"
    async with serving(PATIENT, is_waiting=True) as application, connected(application, sent) as (reader, _):
        await until(lambda: application.scopes)
        application.may_respond.set()
        received = await everything(reader)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert received.count(b"HTTP/1.1 ") == 1
        assert len(application.scopes) == 1


async def test_broken_trailers_end_the_call_that_waits_for_its_body() -> None:
    sent = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx y: a\r\n\r\n"
    async with serving(PATIENT) as application, connected(application, sent) as (reader, writer):
        received = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_SECONDS)
        assert received.startswith(b"HTTP/1.1 400 ")
        assert await everything(reader) == b""
        writer.write(b"a" * 1000)


async def test_trailers_do_not_become_headers() -> None:
    sent = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nauthorization: b\r\n\r\n"
    async with serving(PATIENT) as application, connected(application, sent) as (reader, _):
        assert (await everything(reader)).endswith(b"\r\n\r\na")
        assert [name for name, _ in application.scopes[0]["headers"]] == [b"host", b"connection", b"transfer-encoding"]


async def test_an_offer_of_another_protocol_is_taken_out_and_the_rest_kept() -> None:
    offer = b"Connection: close, Upgrade ,HTTP2-Settings\r\nConnection: upgrade\r\nUpgrade: websocket\r\nHTTP2-Settings: AA\r\n"
    sent = b"POST /a?b HTTP/1.1\r\nHost: a\r\n" + offer + b"x: 1\r\nempty: \r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    async with serving(PATIENT) as application, connected(application) as (reader, writer):
        for at in range(len(sent)):
            writer.write(sent[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)
        assert (await everything(reader)).endswith(b"\r\n\r\na")
        [scope] = application.scopes
        fields = [(b"host", b"a"), (b"connection", b"close"), (b"x", b"1"), (b"empty", b""), (b"transfer-encoding", b"chunked")]
        assert (scope["path"], scope.get("query_string", b"b"), scope["headers"]) == ("/a", b"b", fields)
