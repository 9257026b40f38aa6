"""Serves the hook without a web framework: the guarded HTTP protocol hands each request to it, and one write sends the response.

``mitto-phone-hook run`` and the container start the function so. ``function.app`` is the same as a plain ASGI application.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Self

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from mitto_phone_hook.http_guard import LIMITS, Connections, GuardedProtocol, Limits, RespondToRefused
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.request import Call, repeated

if TYPE_CHECKING:
    from mitto_phone_hook.telemetry.log_lines import Emit

Respond = Callable[[Call], Awaitable[Response]]

_SHUTDOWN_SECONDS = 30
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """One request and its response: what uvicorn's protocol expects of a cycle, and the chunks of a ``Call``."""

    def __init__(self, protocol: "HookProtocol", path: str, query: bytes, *, keep_alive: bool) -> None:
        """Take the request as it is when its head is complete."""
        self._protocol = protocol
        self._method = protocol.parser.get_method().decode("ascii")
        self._path, self._query = path, query
        self._fields = [(name, value.strip()) for name, value in protocol.headers]
        self._is_read = False
        self.scope = protocol.scope
        self.message_event = asyncio.Event()
        self.body = bytearray()
        self.more_body = True
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.disconnected = self.response_started = self.response_complete = False

    async def run_asgi(self, respond: Respond) -> None:
        """Respond to the request. The name is the one that uvicorn calls."""
        headers = dict(self._fields)
        repeats = repeated(self._fields) if len(headers) < len(self._fields) else ()
        body = None if self.more_body or self.disconnected else bytes(self.body)
        response = await respond(Call(self._method, self._path, headers, self, repeats, self._query, body))
        flow = self._protocol.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        self._write(response)

    def _write(self, response: Response) -> None:
        fields = [b"%b: %b\r\n" % field for field in self._protocol.server_state.default_headers]
        fields.append(_head(tuple(response.headers.items())))
        fields.append(b"content-length: %d\r\n" % len(response.body))
        if "connection" in response.headers:
            self.keep_alive = False
        elif not self.keep_alive:
            fields.append(b"connection: close\r\n")
        body = b"" if self._method == "HEAD" else response.body
        transport = self._protocol.transport
        transport.write(b"".join((STATUS_LINE[response.status], *fields, b"\r\n", body)))
        self.response_started = self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()

    def __aiter__(self) -> Self:
        """Read the body."""
        return self

    async def __anext__(self) -> bytes:
        """Give what has come of the body. Raises ``ConnectionError`` when the caller closed the connection."""
        if self._is_read:
            raise StopAsyncIteration
        if self.waiting_for_100_continue:
            self.waiting_for_100_continue = False
            self._protocol.transport.write(_CONTINUE)
        while self.more_body and not self.body and not self.disconnected:
            self._protocol.flow.resume_reading()
            self.message_event.clear()
            await self.message_event.wait()
        if self.disconnected:
            raise ConnectionError
        self._is_read = not self.more_body
        chunk, self.body = bytes(self.body), bytearray()
        return chunk


@lru_cache(maxsize=64)
def _head(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Write headers of a response, which are the same in most of them."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")


class HookProtocol(GuardedProtocol):
    """One connection, whose requests go to the hook."""

    def __init__(self, connections: Connections, respond: Respond, **server: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        """Take the connections of which this is one, the hook, and what uvicorn passes."""
        super().__init__(connections, **server)
        self._respond = respond

    def begin(self) -> None:
        """Start the request whose head is complete, or let it wait behind one that is not responded to yet."""
        url = httptools.parse_url(self.url)
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        earlier, exchange = self.cycle, Exchange(self, url.path.decode("ascii"), url.query or b"", keep_alive=keep_alive)
        self.cycle = exchange  # type: ignore[assignment] # it has all of a cycle that uvicorn's protocol uses
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, self._respond)  # type: ignore[arg-type] # handed through to `run_asgi`
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self._respond))  # type: ignore[arg-type] # likewise


def serving(emit: "Emit", respond: Respond, limits: Limits = LIMITS, respond_to_refused: RespondToRefused = lambda _: None) -> Any:  # noqa: ANN401 - uvicorn declares a class and calls it
    """Give what uvicorn calls for each connection. ``respond_to_refused`` is for what is no good HTTP: see ``http_guard``."""
    return partial(HookProtocol, Connections(emit, limits, respond_to_refused), respond)


def run(host: str, port: int, workers: int) -> None:
    """Serve the function until a signal ends it. Raises ``OSError`` where it cannot listen, ``SystemExit`` where it does not start.

    With more than one worker each is a process of its own, and one that dies is replaced.
    """
    # uvicorn would only log that it cannot listen.
    socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    uvicorn.run(
        "mitto_phone_hook.function:app",
        host=host,
        port=port,
        http="mitto_phone_hook.function:protocol",
        workers=workers,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
