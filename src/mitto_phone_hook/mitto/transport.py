"""One origin, kept-alive connections, the warmest first.

httpx's own pool looks at every connection for every request, so it slows down with every message in flight.
Here a request costs the same however many others wait: the idle connection used last is on top of a stack,
and those at the bottom are closed when their time is over. A request is never sent twice.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import aiohappyeyeballs
import httpx

from mitto_phone_hook.mitto.connection import Body, Connection

KEEPALIVE_SECONDS = 5.0

OTHER_FAMILY_SECONDS = 0.25
"""After this long a connection over IPv4 is tried beside one over IPv6, or the other way round (RFC 8305)."""

LOOKUP_SECONDS = 1.0
"""So long the server's addresses are kept after they were asked for: for many calls at once, not against its name's moving."""

Addresses = list[tuple[Any, ...]]

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]


class OneOriginTransport(httpx.AsyncBaseTransport):
    """Sends requests to one origin over HTTP/1.1. Proxies from the environment play no part."""

    def __init__(
        self,
        origin: httpx.URL,
        tls: ssl.SSLContext | None = None,
        *,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        lookup_seconds: float = LOOKUP_SECONDS,
    ) -> None:
        """Open nothing yet. ``tls`` is needed for ``https`` and decides whom to trust."""
        self._origin = (origin.raw_scheme, origin.raw_host, origin.port)
        self._host = origin.host
        self._port = origin.port or {"https": 443, "http": 80}[origin.scheme]
        self._tls = tls if origin.scheme == "https" else None
        self._keepalive_seconds = keepalive_seconds
        self._idle: deque[Connection] = deque()
        self._lookup_seconds = lookup_seconds
        self._lookup: asyncio.Task[Addresses | OSError] | None = None
        self._looked_up_at = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` once. Raises ``httpx.TransportError``, whose cause is the system's.

        Honours the connect time-out and the trace of httpx's extensions; the trace tells when the first byte is
        about to be written. All other time-outs are the caller's: only one around everything holds.
        """
        url = request.url
        if (url.raw_scheme, url.raw_host, url.port) != self._origin:
            raise RuntimeError("another origin than this transport's")
        trace: Trace = request.extensions.get("trace", _silent)
        connection = self._warmest()
        if connection is None:
            await trace("connection.connect_tcp.started", {})
            connection = await self._connect(request.extensions.get("timeout", {}).get("connect"))
            if not connection.is_alive:
                connection.close()
                # A balancer without a server behind it takes connections and hangs up: nothing has been written.
                raise httpx.ConnectError("hung up at once")
        try:
            await trace("http11.send_request_headers.started", {})
            exchange = connection.ask(_on_the_wire(request))
            await exchange.head()
        except BaseException:
            connection.close()
            raise
        return httpx.Response(exchange.status, headers=exchange.headers, stream=Body(connection, exchange, self._idle))

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _warmest(self) -> Connection | None:
        too_old = asyncio.get_running_loop().time() - self._keepalive_seconds
        while self._idle and self._idle[0].idle_since < too_old:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and connection.is_silent:
                return connection
            connection.close()
        return None

    async def _connect(self, timeout_seconds: float | None) -> Connection:
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._open()
        except TimeoutError as fault:
            raise httpx.ConnectTimeout("") from fault
        except OSError as fault:  # of which a refused certificate is one
            raise httpx.ConnectError("") from fault

    async def _addresses(self) -> Addresses:
        """Look the server up, once for all who ask at about the same time.

        A lookup takes one of four threads: many calls at once would each wait for those of others.
        """
        loop = asyncio.get_running_loop()
        if self._lookup is None or (self._lookup.done() and loop.time() >= self._looked_up_at + self._lookup_seconds):
            self._looked_up_at = loop.time()
            self._lookup = asyncio.create_task(_look_up(self._host, self._port))
        # Whoever is out of time must not end it for the others.
        found = await asyncio.shield(self._lookup)
        if isinstance(found, OSError):
            self._lookup = None
            raise found
        return found

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await self._addresses()
        connected = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=OTHER_FAMILY_SECONDS)
        try:
            server_hostname = self._host if self._tls else None
            _, connection = await loop.create_connection(Connection, sock=connected, ssl=self._tls, server_hostname=server_hostname)
        except BaseException:
            connected.close()
            raise
        return connection


async def _look_up(host: str, port: int) -> Addresses | OSError:
    """Give the error as a value: it is nobody's fault if all who asked have gone meanwhile."""
    try:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error


async def _silent(_event: str, _details: dict[str, Any]) -> None:
    """Trace nothing."""


def _on_the_wire(request: httpx.Request) -> bytes:
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b\r\n" % header for header in request.headers.raw]
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise httpx.LocalProtocolError("a header with a line break")
    return head + b"\r\n" + b"".join(request.stream)  # type: ignore[arg-type] # a body is always at hand here
