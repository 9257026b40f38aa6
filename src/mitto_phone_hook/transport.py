"""One origin, kept-alive connections, the warmest first.

httpx's own pool looks at every connection for every request, so it slows down with every message in flight.
Here a request costs the same however many others wait: the idle connection used last is on top of a stack,
and those at the bottom are closed when their time is over. A request is never sent twice.
"""

import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator

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

    def __init__(self, origin: httpx.URL, tls: ssl.SSLContext | None = None) -> None:
        """Open nothing yet. ``tls`` is needed for ``https`` and decides whom to trust."""
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
        connection = await self._warmest() or httpcore.AsyncHTTPConnection(
            self._origin, ssl_context=self._tls, keepalive_expiry=KEEPALIVE_SECONDS
        )
        with _in_words_of_httpx():
            response = await connection.handle_async_request(raw)
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

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_words_of_httpx():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()
        if self._connection.is_idle():
            self._idle.append(self._connection)


@contextlib.contextmanager
def _in_words_of_httpx() -> Iterator[None]:
    try:
        yield
    except tuple(_FAULTS) as fault:
        # No text: the library's sentences may quote what was on the wire.
        raise _FAULTS[type(fault)]("") from fault


def _port(url: httpx.URL) -> int:
    return url.port or {"https": 443, "http": 80}[url.scheme]
