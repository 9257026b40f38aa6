"""One HTTP/1.1 connection to the server, for one exchange at a time.

httptools parses. It refuses conflicting lengths and broken chunks. This module adds limits of size, and it refuses bytes that
nobody asked for: the next request would take them for its own response. After anything unusual it gives up the connection.
"""

import asyncio
import select
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import httptools
import httpx

MAX_OVERHEAD_BYTES = 32_768
"""For all of a response that is not its body: headers, interim responses, lengths of chunks, trailers."""

MAX_HEADERS = 100
"""Of a response. Many short ones would take much more memory than they have bytes."""

MAX_WAITING_BYTES = 131_072
"""For the part of a body that nobody has read yet. Beyond it the server has to wait."""

_SWITCHING_PROTOCOLS = 101


class WholeResponse(NamedTuple):
    """A response that was read to its end, or as far as it can be trusted."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | None
    """``None`` where it did not arrive complete, is too long, or is compressed."""
    end_connection: Callable[[], None]
    """Called when the response cannot be trusted: the connection must not carry another request."""

    def header(self, name: bytes) -> bytes:
        """Give a header by its name in lower case, empty where there is none; several of that name are joined."""
        return b", ".join([value for one, value in self.headers if one.lower() == name])


class Exchange(httpx.AsyncByteStream):
    """The response to one request while it arrives, and the stream of its body."""

    status = 0
    is_complete = False
    is_reusable = False
    """Whether the response is complete, the server keeps the connection open, and no bytes came after the response."""
    _has_head = False
    _has_length = False
    _is_unusual = False
    """Whether there were interim responses or trailers, which Mitto has no reason to send."""
    _overhead = 0
    _is_closed = False
    _fault: httpx.TransportError | TimeoutError | None = None
    _waiter: asyncio.Future[None] | None = None

    def __init__(self, connection: "Connection", idle: "deque[Connection]") -> None:
        """Expect a response on ``connection``, which goes on top of ``idle`` in the end."""
        self._connection = connection
        self._idle = idle
        self.headers: list[tuple[bytes, bytes]] = []
        self._chunks: deque[bytes] = deque()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    async def whole_response(self, max_bytes: int, until: float) -> WholeResponse:
        """Wait for the whole response, with a body of ``max_bytes`` at most, until the event loop's clock shows ``until``.

        What ends it after status and headers costs only the body. Raises ``httpx.TransportError`` or ``TimeoutError`` before.
        """
        # One timer for all that is waited for: `asyncio.timeout_at` would cancel the task, and is several times as dear.
        timer = asyncio.get_running_loop().call_at(until, self._fail, TimeoutError())
        try:
            await self.head()
            response = WholeResponse(self.status, self.headers, None, self._connection.close)
            if any(name.lower() == b"content-encoding" and value.lower() != b"identity" for name, value in self.headers):
                return response
            body = bytearray()
            while True:
                # `b"".join` would take 80 bytes for each piece, of which there may be tens of thousands.
                while self._chunks:
                    body += self._chunks.popleft()
                if self.is_complete or self._fault is not None or len(body) > max_bytes:
                    break
                await self._wait()
            return response._replace(body=bytes(body)) if self.is_complete and len(body) <= max_bytes else response
        finally:
            timer.cancel()
            self.close()

    async def head(self) -> None:
        """Wait for status and headers. Raises ``httpx.TransportError``."""
        while not self._has_head:
            await self._wait()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces of the body as they came. Raises ``httpx.TransportError``."""
        while self._chunks or not self.is_complete:
            if self._chunks:
                yield self._chunks.popleft()
                self._connection.resume_reading()
            else:
                await self._wait()

    async def aclose(self) -> None:
        """Do what ``close`` does, as httpx wants it."""
        self.close()

    def close(self) -> None:
        """Give the connection back, or end it where the response was not read to its end or allows no other."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._connection.is_reusable:
            self._connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(self._connection)
        else:
            self._connection.close()

    def feed(self, data: bytes) -> int:
        """Take bytes off the wire; give the number of bytes of the body that nobody has read yet."""
        if self._parser is not None:
            self._overhead += len(data)
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserUpgrade, httptools.HttpParserError):
                self.is_reusable = False
                self._fail(httpx.RemoteProtocolError("not HTTP"))
            if self._overhead > MAX_OVERHEAD_BYTES:
                self.is_complete = self.is_reusable = False
                self._fail(httpx.RemoteProtocolError("endless headers"))
            if self.is_complete or self._fault is not None:
                # Parser and exchange refer to each other. Only a garbage collection would find them, and under load one a
                # second would hold up all calls.
                self._parser = None
            self._wake()
        return sum(map(len, self._chunks))

    def end(self, error: Exception | None) -> None:
        """Note that the connection has ended. Only a body without a length is complete by that."""
        if self._has_head and not self._has_length and error is None:
            self.is_complete = True
            self._wake()
        else:
            self._fail(httpx.ReadError("connection ended"))

    def _fail(self, fault: httpx.TransportError | TimeoutError) -> None:
        if not self.is_complete and self._fault is None:
            self._fault = fault
            self._wake()

    async def _wait(self) -> None:
        if self._fault is not None:
            raise self._fault
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Notice a second response."""
        if self.is_complete:
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, but no trailer."""
        if self._has_head:
            self._is_unusual = True
        elif len(self.headers) < MAX_HEADERS:
            self.headers.append((name, value))
        else:
            self._fail(httpx.RemoteProtocolError("too many headers"))

    def on_headers_complete(self) -> None:
        """Keep the head, but not that of an interim response."""
        if self.is_complete or self._parser is None or self._fault is not None:
            return
        if self._connection.is_writing:
            # Whoever responds before it has the request cannot know what it says.
            self._fail(httpx.RemoteProtocolError("response before the request was written"))
            return
        self.status = self._parser.get_status_code()
        if self.status // 100 == 1 and self.status != _SWITCHING_PROTOCOLS:
            self.headers.clear()
            self._is_unusual = True
            return
        self._has_head = True
        self._has_length = any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if not self.is_complete:
            self._overhead -= len(body)
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Note that the response is complete."""
        if self._has_head and not self.is_complete:
            self.is_complete = True
            self.is_reusable = self._parser is not None and self._parser.should_keep_alive() and not self._is_unusual


class Connection(asyncio.Protocol):
    """A connection to the server, made by ``loop.create_connection``."""

    idle_since = 0.0
    _socket: asyncio.Transport
    _poll: select.poll
    _exchange: Exchange | None = None
    _is_open = True

    def send(self, request: bytes, idle: "deque[Connection]") -> Exchange:
        """Write a whole request once, and expect its response. The connection goes to ``idle`` when that was read."""
        self._exchange = Exchange(self, idle)
        if self._is_open:
            self._socket.resume_reading()
        else:
            self._exchange.end(None)
        self._socket.write(request)
        return self._exchange

    @property
    def is_reusable(self) -> bool:
        """Whether it can carry another request, as far as the event loop knows."""
        return self._is_open and self._exchange is not None and self._exchange.is_reusable

    @property
    def is_silent(self) -> bool:
        """Whether it is open and there is nothing to read. Asks the system, which may know more than the event loop."""
        return self._is_open and not self._poll.poll(0)

    @property
    def is_alive(self) -> bool:
        """Whether the server has not hung up. Asks the system, too. Unread bytes are allowed: TLS has some at the start."""
        return self._is_open and all(event == select.POLLIN for _, event in self._poll.poll(0))

    @property
    def is_writing(self) -> bool:
        """Whether a part of the request still waits for the system to take it."""
        return self._socket.get_write_buffer_size() > 0

    def resume_reading(self) -> None:
        """Let the server send again after a part of the body was read."""
        if self._is_open:
            self._socket.resume_reading()

    def close(self) -> None:
        """End the connection at once, without writing what still waits."""
        self._is_open = False
        self._exchange = None  # they refer to each other
        self._socket.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._socket = transport  # type: ignore[assignment] # create_connection makes no other
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | getattr(select, "POLLRDHUP", 0))

    def data_received(self, data: bytes) -> None:
        """Pass on what was asked for. Any other bytes end the connection."""
        if self._exchange is None or self._exchange.is_complete:
            self.close()
        elif self._exchange.feed(data) > MAX_WAITING_BYTES and self._is_open:
            self._socket.pause_reading()

    def eof_received(self) -> None:
        """Note that the server has hung up."""
        self.connection_lost(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the connection has ended."""
        if self._is_open and self._exchange is not None:
            self._exchange.end(error)
        self._is_open = False
