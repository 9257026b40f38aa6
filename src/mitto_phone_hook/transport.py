"""One origin, kept-alive connections, the warmest first.

httpx's own pool looks at every connection for every request, so it slows down with every message in flight.
Here a request costs the same however many others wait: the idle connection used last is on top of a stack,
and those at the bottom are closed when their time is over. A request is never sent twice.
"""

import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpcore
import httpx

KEEPALIVE_SECONDS = 5.0

_FAULTS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadError: httpx.ReadError,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteError: httpx.WriteError,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
}
"""httpcore's faults on one direct HTTP/1.1 connection, in httpx's words."""


class OneOriginTransport(httpx.AsyncBaseTransport):
    """Sends requests to one origin over HTTP/1.1. Proxies from the environment play no part."""

    def __init__(self, origin: httpx.URL, tls: ssl.SSLContext | None = None, *, keepalive_seconds: float = KEEPALIVE_SECONDS) -> None:
        """Open nothing yet. ``tls`` is needed for ``https`` and decides whom to trust."""
        self._keepalive_seconds = keepalive_seconds
        self._origin = httpcore.Origin(origin.raw_scheme, origin.raw_host, _port(origin))
        self._tls = tls
        self._idle: deque[httpcore.AsyncHTTPConnection] = deque()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` once. Raises ``httpx.TransportError``; the cause is httpcore's fault, and its cause the system's."""
        url = request.url
        raw = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=_port(url), target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        network = _Network()
        connection = await self._warmest() or httpcore.AsyncHTTPConnection(
            self._origin, ssl_context=self._tls, keepalive_expiry=self._keepalive_seconds, network_backend=network
        )
        try:
            with _in_words_of_httpx():
                response = await connection.handle_async_request(raw)
        except BaseException:
            # Cancelled before it began, in a TLS handshake, or while it cleaned up: httpcore leaves it open then.
            await connection.aclose()
            await network.aclose()
            raise
        stream = _Stream(response, connection, self._idle)
        return httpx.Response(response.status, headers=response.headers, stream=stream, extensions=response.extensions)

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().aclose()

    async def _warmest(self) -> httpcore.AsyncHTTPConnection | None:
        while self._idle and self._idle[0].has_expired():
            await self._idle.popleft().aclose()
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None


class _Stream(httpx.AsyncByteStream):
    """An answer's body; closing it gives the connection back, or ends it when the answer was not read to its end."""

    def __init__(
        self, response: httpcore.Response, connection: httpcore.AsyncHTTPConnection, idle: deque[httpcore.AsyncHTTPConnection]
    ) -> None:
        self._response = response
        self._connection = connection
        self._idle = idle
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_words_of_httpx():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._response.aclose()
        finally:
            if self._connection.is_idle() and not _has_more(self._connection):
                self._idle.append(self._connection)
            else:
                await self._connection.aclose()


class _Network(httpcore.AnyIOBackend):
    """The system's network, which remembers the connection that it opened."""

    def __init__(self) -> None:
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:  # noqa: ANN401 - handed on as they are
        self._stream = await super().connect_tcp(*args, **options)
        return self._stream

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()


def _has_more(connection: httpcore.AsyncHTTPConnection) -> bool:
    """Tell whether bytes came behind the answer: the next request would take them for its own answer."""
    data, _ = connection._connection._h11_state.trailing_data  # type: ignore[union-attr] # noqa: SLF001 - httpcore has no word for it
    return bool(data)


@contextlib.contextmanager
def _in_words_of_httpx() -> Iterator[None]:
    try:
        yield
    except tuple(_FAULTS) as fault:
        # No text: the library's sentences may quote what was on the wire.
        raise _FAULTS[type(fault)]("") from fault
    except ssl.SSLError as fault:
        # httpcore translates it while connecting, but not in a read or a write.
        raise httpx.ReadError("") from fault


def _port(url: httpx.URL) -> int:
    return url.port or {"https": 443, "http": 80}[url.scheme]
