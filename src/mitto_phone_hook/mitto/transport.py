"""An httpx transport for one origin, with kept-alive connections.

httpx's own pool checks every connection for every request, so it gets slower with every request in flight. Here the idle
connection that was used last is on top of a stack, so a request always costs the same. A request is never sent twice.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from typing import Any

import aiohappyeyeballs
import httpx

from mitto_phone_hook.mitto.connection import Connection, WholeResponse

KEEPALIVE_SECONDS = 5.0

OTHER_FAMILY_SECONDS = 0.25
"""After this time IPv4 is tried beside IPv6, or the other way round (RFC 8305)."""

LOOKUP_SECONDS = 1.0
"""How long the server's addresses are kept: many calls share one lookup, but a change in DNS is seen soon."""

Addresses = list[tuple[Any, ...]]


class NotWrittenError(TimeoutError):
    """The time has ended before anything was written: nothing was sent."""


class OneOriginTransport(httpx.AsyncBaseTransport):
    """Sends requests to one origin over HTTP/1.1. It ignores proxies in the environment."""

    def __init__(
        self,
        origin: httpx.URL,
        tls: ssl.SSLContext | None = None,
        *,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        lookup_seconds: float = LOOKUP_SECONDS,
    ) -> None:
        """Open nothing yet. ``https`` needs ``tls``, which decides whom to trust."""
        self._origin = (origin.raw_scheme, origin.raw_host, origin.port)
        self._host = origin.host
        self._port = origin.port or {"https": 443, "http": 80}[origin.scheme]
        self._tls = tls if origin.scheme == "https" else None
        self._keepalive_seconds = keepalive_seconds
        self._idle: deque[Connection] = deque()
        self._lookup_seconds = lookup_seconds
        self._lookup: asyncio.Task[Addresses | OSError] | None = None
        self._looked_up_at = 0.0

    async def send(self, request: bytes, *, max_bytes: int, connect_timeout_seconds: float, until: float) -> WholeResponse:
        """Send ``request`` once, and give its response, until the event loop's clock shows ``until``.

        Raises ``NotWrittenError`` when the time ends before the first byte is written, ``TimeoutError`` when it ends later, and else
        ``httpx.TransportError``, whose cause is the system's error. A fault after status and headers costs only the body.
        """
        connection = self._take_idle()
        if connection is None:
            try:
                async with asyncio.timeout_at(until):
                    connection = await self._connect(connect_timeout_seconds)
            except TimeoutError:
                raise NotWrittenError from None
        try:
            return await connection.send(request, self._idle).whole_response(max_bytes, until)
        except BaseException:
            connection.close()
            raise

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` once, as httpx does, and give its response while it arrives. Raises ``httpx.TransportError``.

        Of httpx's extensions it reads the connect time-out. All other time-outs are the caller's.
        """
        url = request.url
        if (url.raw_scheme, url.raw_host, url.port) != self._origin:
            raise RuntimeError("another origin than this transport's")
        connection = self._take_idle() or await self._connect(request.extensions.get("timeout", {}).get("connect"))
        try:
            head = serialized_head(request.method, request.url.raw_path, request.headers.raw)
            exchange = connection.send(head + b"\r\n" + b"".join(request.stream), self._idle)  # type: ignore[arg-type] # never asynchronous here
            await exchange.head()
            return httpx.Response(exchange.status, headers=exchange.headers, stream=exchange)
        except BaseException:
            connection.close()
            raise

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - self._keepalive_seconds
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and connection.is_silent:
                return connection
            connection.close()
        return None

    async def _connect(self, timeout_seconds: float | None) -> Connection:
        connection = await self._open(timeout_seconds)
        if not await self._is_fresh(connection):
            connection.close()
            # A load balancer without a server behind it accepts connections and hangs up. Nothing has been written.
            raise httpx.ConnectError("hung up or spoke at once")
        return connection

    async def _open(self, timeout_seconds: float | None) -> Connection:
        loop, server_hostname = asyncio.get_running_loop(), self._host if self._tls else None
        try:
            async with asyncio.timeout(timeout_seconds):
                tcp = await aiohappyeyeballs.start_connection(await self._addresses(), happy_eyeballs_delay=OTHER_FAMILY_SECONDS)
                try:
                    return (await loop.create_connection(Connection, sock=tcp, ssl=self._tls, server_hostname=server_hostname))[1]
                except BaseException:
                    tcp.close()
                    raise
        except TimeoutError as fault:
            raise httpx.ConnectTimeout("") from fault
        except OSError as fault:  # a refused certificate is one, too
            raise httpx.ConnectError("") from fault

    async def _is_fresh(self, connection: Connection) -> bool:
        """Whether the server has neither hung up nor sent anything: what came before the request is no response to it."""
        if self._tls is None or connection.is_silent:
            return connection.is_silent
        # Session tickets, or a response that nobody asked for. The event loop reads it in its next two turns and ends the connection
        # for the response.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return connection.is_alive

    async def _addresses(self) -> Addresses:
        """Look up the server once for all callers of about the same time: lookups have only a few threads."""
        now = asyncio.get_running_loop().time()
        if self._lookup is None or (self._lookup.done() and now >= self._looked_up_at + self._lookup_seconds):
            self._looked_up_at = now
            self._lookup = asyncio.create_task(_look_up(self._host, self._port))
        # A caller that runs out of time must not cancel the lookup of the others.
        found = await asyncio.shield(self._lookup)
        if isinstance(found, OSError):
            self._lookup = None
            raise found
        return found


async def _look_up(host: str, port: int) -> Addresses | OSError:
    """Return the error instead of raising it: where all callers have gone, asyncio would log it as unhandled."""
    try:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error


def serialized_head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give the head of a request without the empty line at its end. Raises ``httpx.LocalProtocolError`` where it has other lines."""
    lines = [b"%b %b HTTP/1.1\r\n" % (method.encode("ascii"), target)]
    lines += [b"%b: %b\r\n" % header for header in headers]
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise httpx.LocalProtocolError("a header with a line break")
    return head
