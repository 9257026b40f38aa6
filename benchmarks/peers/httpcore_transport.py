"""httpcore's connections to one origin, last used first: how the bare handler would send without our own transport."""

from collections.abc import AsyncIterator

import httpcore
import httpx

KEEPALIVE_SECONDS = 5.0


class LastUsedFirst(httpx.AsyncBaseTransport):
    """Sends requests to one origin. Only for a benchmark: it does not handle faults."""

    def __init__(self, origin: httpx.URL) -> None:
        """Keep the origin. Nothing is opened yet."""
        self._origin = httpcore.Origin(origin.raw_scheme, origin.raw_host, origin.port or 80)
        self._idle: list[httpcore.AsyncHTTPConnection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` over an idle connection, or over a new one."""
        connection = self._take() or httpcore.AsyncHTTPConnection(self._origin, keepalive_expiry=KEEPALIVE_SECONDS)
        url = httpcore.URL(scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path)
        asked = httpcore.Request(request.method, url, headers=request.headers.raw, content=request.stream)
        answer = await connection.handle_async_request(asked)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer, connection, self._idle))

    def _take(self) -> httpcore.AsyncHTTPConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_idle() and not connection.has_expired():
                return connection
        return None


class _Body(httpx.AsyncByteStream):
    def __init__(
        self, answer: httpcore.Response, connection: httpcore.AsyncHTTPConnection, idle: list[httpcore.AsyncHTTPConnection]
    ) -> None:
        self._answer = answer
        self._connection = connection
        self._idle = idle

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()
        self._idle.append(self._connection)
