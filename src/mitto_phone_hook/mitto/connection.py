"""One HTTP/1.1 connection, for one exchange at a time: what goes out, what comes back, and what must not be trusted.

httptools parses. It refuses what smuggles (conflicting lengths, broken chunks); this adds bounds, and an eye on
bytes that nobody asked for, which the next request would take for its own answer.
"""

import asyncio
import select
from collections import deque
from collections.abc import AsyncIterator

import httptools
import httpx

MAX_OVERHEAD_BYTES = 102_400
"""For all of an answer that is not its body: headers, interim answers, the lengths of chunks, trailers."""

MAX_WAITING_BYTES = 131_072
"""Of a body that is not read; the server has to wait then."""

_SWITCHING_PROTOCOLS = 101


class Exchange:
    """One request's answer as it comes in."""

    def __init__(self) -> None:
        """Expect an answer on the running event loop."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self.has_more = False
        """Whether bytes came behind the answer."""
        self.keeps_alive = False
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._overhead = 0
        self._has_head = False
        self._has_length = False
        self._fault: httpx.TransportError | None = None
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None

    @property
    def waiting_bytes(self) -> int:
        """Count what has come of the body and has not been read."""
        return sum(map(len, self._chunks))

    def feed(self, data: bytes) -> None:
        """Take bytes off the wire."""
        parser = self._parser
        if parser is None:
            return
        self._overhead += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.has_more = True
        except httptools.HttpParserError:
            self.has_more = True
            self.fail(httpx.RemoteProtocolError("not HTTP"))
        if self._overhead > MAX_OVERHEAD_BYTES:
            self.fail(httpx.RemoteProtocolError("endless headers"))
        if self.is_complete or self._fault is not None:
            # Parser and exchange hold each other: left so, every message is garbage that only a collection finds, and under
            # load a collection a second holds up all calls.
            self._parser = None
        self._wake()

    def end(self, error: Exception | None) -> None:
        """Take note that the connection has ended: a whole answer only where its body was to last until then."""
        if self._has_head and not self._has_length and error is None:
            self.is_complete = True
            self._wake()
        else:
            self.fail(httpx.ReadError("connection ended"))

    def fail(self, fault: httpx.TransportError) -> None:
        """End the answer unless it is whole already."""
        if not self.is_complete and self._fault is None:
            self._fault = fault
            self._wake()

    async def head(self) -> None:
        """Wait for status and headers. Raises ``httpx.TransportError``."""
        while not self._has_head:
            await self._news()

    async def chunk(self) -> bytes | None:
        """Wait for a piece of the body; ``None`` at its end. Raises ``httpx.TransportError``."""
        while not self._chunks:
            if self.is_complete:
                return None
            await self._news()
        return self._chunks.popleft()

    async def _news(self) -> None:
        if self._fault is not None:
            raise self._fault
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Notice an answer behind the answer."""
        if self.is_complete:
            self.has_more = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        if not self._has_head:  # what comes later are trailers, which mean nothing here
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the head, or forget that of an interim answer."""
        if self.is_complete:
            return
        status = self._parser.get_status_code() if self._parser else 0
        if status // 100 == 1 and status != _SWITCHING_PROTOCOLS:
            self.headers.clear()
            return
        self.status = status
        self._has_head = True
        self._has_length = any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if not self.is_complete:
            self._overhead -= len(body)
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Take note that the answer is whole."""
        if self._has_head and not self.is_complete:
            self.is_complete = True
            self.keeps_alive = self._parser is not None and self._parser.should_keep_alive()


class Connection(asyncio.Protocol):
    """A connection to the server, made by ``loop.create_connection``."""

    def __init__(self) -> None:
        """Have no socket before ``connection_made``."""
        self.idle_since = 0.0
        self._socket: asyncio.Transport
        self._exchange: Exchange | None = None
        self._unasked: select.poll
        self._hang_up: select.poll
        self._is_open = True

    def ask(self, request: bytes) -> Exchange:
        """Write a whole request, once, and expect its answer."""
        self._exchange = Exchange()
        self.read_on()
        if not self._is_open:
            self._exchange.end(None)
        self._socket.write(request)
        return self._exchange

    @property
    def is_reusable(self) -> bool:
        """Whether the last answer came whole, nothing came behind it, and the server has not hung up as far as we were told."""
        exchange = self._exchange
        return self._is_open and exchange is not None and exchange.is_complete and exchange.keeps_alive and not exchange.has_more

    @property
    def is_alive(self) -> bool:
        """Whether the server has not hung up; asks the system, too. Unlike ``is_silent`` it may have said something, as TLS does."""
        return self._is_open and not self._hang_up.poll(0)

    @property
    def is_silent(self) -> bool:
        """Whether nothing waits to be read, no end either; asks the system, which may know more than we were told."""
        return not self._unasked.poll(0)

    def read_on(self) -> None:
        """Let the server send again after a part of the body was read."""
        if self._is_open and not self._socket.is_reading():
            self._socket.resume_reading()

    def close(self) -> None:
        """End the connection now; nothing that waits to be written is written."""
        self._is_open = False
        self._socket.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._socket = transport  # type: ignore[assignment] # create_connection makes no other
        descriptor = self._socket.get_extra_info("socket").fileno()
        self._unasked, self._hang_up = select.poll(), select.poll()
        self._unasked.register(descriptor, select.POLLIN)
        self._hang_up.register(descriptor, getattr(select, "POLLRDHUP", 0))

    def data_received(self, data: bytes) -> None:
        """Hand on what comes; what nobody asked for ends the connection."""
        exchange = self._exchange
        if exchange is None or exchange.is_complete:
            self.close()
            return
        exchange.feed(data)
        if exchange.waiting_bytes > MAX_WAITING_BYTES and self._is_open:
            self._socket.pause_reading()

    def eof_received(self) -> None:
        """Take note that the server hung up."""
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that the connection is gone."""
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self._is_open and self._exchange is not None:
            self._exchange.end(error)
        self._is_open = False


class Body(httpx.AsyncByteStream):
    """An answer's body. Closing it gives the connection back, or ends it when the answer was not read to its end."""

    def __init__(self, connection: Connection, exchange: Exchange, idle: deque[Connection]) -> None:
        """Read from ``exchange``; put ``connection`` on top of ``idle`` in the end."""
        self._connection = connection
        self._exchange = exchange
        self._idle = idle
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces as they came, undecoded."""
        while (chunk := await self._exchange.chunk()) is not None:
            yield chunk
            self._connection.read_on()

    async def aclose(self) -> None:
        """Close once, however often it is called."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._connection.is_reusable:
            self._connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(self._connection)
        else:
            self._connection.close()
