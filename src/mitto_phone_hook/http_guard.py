"""Bounds what an unknown caller can cost: uvicorn's HTTP protocol with limits on heads, trailers, time and connections.

httptools has no limits of its own, and uvicorn passes on what smuggles or what it does not understand. The limits look at what
the parser has read, never at the raw bytes, so that both always agree. Source of the rules: RFC 9112.
"""

import asyncio
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import httptools
import uvicorn.config
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.telemetry.log_lines import Emit

if sys.platform != "win32":
    import resource

MAX_LINE_BYTES = 8 * 1024
"""The request line, with its line break."""

MAX_FIELD_BYTES = 32 * 1024
"""All header fields and trailer fields of a request together, with their line breaks."""

MAX_FIELDS = 100

_PIECE = 8 * 1024
"""So much is parsed at a time: what an attack makes of one piece is small."""

_SMALL = 4 * 1024
"""What is smaller can break no limit on bytes, not even with the piece before it."""

_MAX_UNFINISHED_BYTES = MAX_LINE_BYTES + MAX_FIELD_BYTES
_MAX_DISCARDED_BYTES = 1024 * 1024
_MAX_PIPELINED = 16
# Thousands that come together become slow together. Closing them in one go would make everybody wait.
_CLOSED_AT_ONCE, _PAUSE_SECONDS = 50, 0.01
_CONNECTIONS = "connections"
_FLOOD = 10
_UPGRADE_FIELDS = (b"upgrade", b"http2-settings")

_HINTS = {
    "http_400": "no HTTP: does the caller use https:// towards a port without TLS?",
    "http_414": "shorten the address: the request line may have 8 KiB",
    "http_431": "send fewer or shorter headers: 100 and 32 KiB at most",
}
"""By what is counted: what to do where it is a caller of one's own."""

Fields = list[tuple[bytes, bytes]]

RespondToRefused = Callable[[bytes], Response | None]
"""Gives the response to a refused POST by its target, ``None`` for an empty one with the status of the refusal."""


def _max_connections() -> int:
    """Give half of the file descriptors, as every call needs one to Mitto as well, but no more than memory allows."""
    if sys.platform == "win32":
        return 512
    return min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class Limits(NamedTuple):
    """How long an unknown caller may take, and how many connections there are at most."""

    head_seconds: float = 5
    """From the connection, or from the first byte on a kept one, to the complete head. The rest of a refused request has as long."""
    idle_seconds: float = 75
    sweep_seconds: float = 1
    """How often slow connections are looked for."""
    report_seconds: float = 60
    """How often the log says how many connections were closed to make room, and how many requests were refused."""
    max_connections: int = _max_connections()


LIMITS = Limits()


class Connections:
    """All connections of this process, the one that was used longest ago first."""

    def __init__(self, emit: Emit, limits: Limits = LIMITS, respond: RespondToRefused = lambda _: None) -> None:
        """Start nothing: the server may fork before the first connection comes."""
        self.limits = limits
        self.respond = respond
        self._emit = emit
        self._all: OrderedDict[GuardedProtocol, None] = OrderedDict()
        self._is_sweeping = False
        self._unreported: Counter[str] = Counter()
        self._report_at: dict[str, float] = {}

    def add(self, connection: "GuardedProtocol") -> None:
        """Add a connection. Where there are too many, close the oldest that no complete request holds, if need be this one."""
        self._all[connection] = None
        if len(self._all) > self.limits.max_connections:
            oldest = next((one for one in self._all if not one.is_busy), connection)
            self.discard(oldest)
            oldest.transport.abort()
            self._unreported[_CONNECTIONS] += 1
        if not self._is_sweeping:
            self._is_sweeping = True
            connection.loop.call_later(self.limits.sweep_seconds, self._sweep, connection.loop)

    def discard(self, connection: "GuardedProtocol") -> None:
        """Forget a connection that is closed."""
        self._all.pop(connection, None)

    def touch(self, connection: "GuardedProtocol") -> None:
        """Note that a connection was used."""
        if connection in self._all:
            self._all.move_to_end(connection)

    def count_refused(self, status: HTTPStatus, now: float) -> None:
        """Count a refused request, and log it unless the log has said so in the last minute: an attack must not fill it."""
        what = f"http_{status.value}"
        self._unreported[what] += 1
        self._report(what, now)

    def _report(self, what: str, now: float) -> None:
        if now < self._report_at.get(what, 0):
            return
        event = {"event": "connections_shed"} if what == _CONNECTIONS else {"event": "requests_refused", "hint": _HINTS[what]}
        self._emit({"severity": "WARNING"} | event | {"why": f"{self._unreported.pop(what)}_{what}"})
        self._report_at[what] = now + self.limits.report_seconds

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        slow = [one for one in self._all if one.waiting_since is not None and now - one.waiting_since > self.limits.head_seconds]
        for connection in slow[:_CLOSED_AT_ONCE]:
            connection.transport.abort()
        # The last few refused requests are told with the next one.
        many = [what for what, number in self._unreported.items() if what == _CONNECTIONS or number >= _FLOOD]
        for what in many:
            self._report(what, now)
        self._is_sweeping = bool(self._all or many)
        if self._is_sweeping:
            loop.call_later(self.limits.sweep_seconds if len(slow) <= _CLOSED_AT_ONCE else _PAUSE_SECONDS, self._sweep, loop)


class GuardedProtocol(HttpToolsProtocol):
    """One connection. It refuses what is too large, ambiguous or too slow, and ignores offers to change the protocol."""

    def __init__(
        self,
        connections: Connections,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Take what uvicorn passes, and the connections of which this is one."""
        super().__init__(config, server_state, app_state, _loop)
        self.timeout_keep_alive = cast("int", connections.limits.idle_seconds)
        self.waiting_since: float | None = None
        """Since when the caller owes us something (seconds of the loop's clock); ``None`` while it does not."""
        self.url = b""
        self.headers = []
        self._head: Fields = []
        self._guard = connections
        # How many bytes were received since the last complete head, piece of a body or end of a request, within a piece.
        self._unfinished = 0
        self._refusal: HTTPStatus | None = None
        self._is_refused = False

    @property
    def is_busy(self) -> bool:
        """Whether a complete request waits for its response."""
        # Where requests wait in line, `cycle` is the last of them, and one before it is being responded to.
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Start the clock, and make room."""
        super().connection_made(transport)
        self.waiting_since = self.loop.time()
        self._guard.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._guard.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse in small pieces, so that what is too large is seen before much is held."""
        self._unset_keepalive_if_required()
        if len(data) <= _PIECE:
            self._parse(data)
            return
        for start in range(0, len(data), _PIECE):
            self._parse(data[start : start + _PIECE])

    def _parse(self, data: bytes) -> None:
        self._unfinished += len(data)
        if self._is_refused:
            if self._unfinished > _MAX_DISCARDED_BYTES:
                self.transport.abort()
            return
        try:
            self.parser.feed_data(data)
            if self._unfinished > _SMALL:
                self._check_size()
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except (httptools.HttpParserError, _RefusedError):
            self._refuse(self._refusal or HTTPStatus.BAD_REQUEST)
        if self.waiting_since is None and (self.cycle is None or self.cycle.response_complete):
            self.waiting_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large or ambiguous; pass on the others."""
        if self._unfinished + len(self.url) > _SMALL:
            self._check_size()
        if len(self.headers) > MAX_FIELDS:
            raise self._refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if len(self.pipeline) >= _MAX_PIPELINED or is_ambiguous(self.headers, self.parser.get_http_version):
            raise self._refused(HTTPStatus.BAD_REQUEST)
        if self.parser.should_upgrade():
            return
        self.begin()
        # uvicorn would add the trailers to the headers, where they could authenticate.
        self._head, self.headers = self.headers, []
        self._unfinished = 0
        self.waiting_since = None

    def begin(self) -> None:
        """Start the request whose head is complete."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body, which the application limits."""
        super().on_body(body)
        self._unfinished = 0

    def on_message_complete(self) -> None:
        """End the request, unless its trailers are too large."""
        if self.parser.should_upgrade():
            return
        if self.headers:
            self._check_size()
        super().on_message_complete()
        self._unfinished, self._head, self.headers = 0, [], []

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        if self._is_refused and not self.pipeline:
            self.transport.close()
        super().on_response_complete()
        self._guard.touch(self)
        if self.cycle.response_complete and (self.cycle.more_body or self.scope is not self.cycle.scope):
            self.waiting_since = self.loop.time()

    def pause_writing(self) -> None:
        """Start the clock: the caller does not read its responses."""
        super().pause_writing()
        self.waiting_since = self.loop.time()

    def resume_writing(self) -> None:
        """Stop the clock: the caller reads again."""
        super().resume_writing()
        self.waiting_since = None

    def _check_size(self) -> None:
        """Raise where the head or the trailers are too large, complete or not."""
        if len(self.url) + len(self.parser.get_method()) + len("  HTTP/1.1\r\n") > MAX_LINE_BYTES:
            raise self._refused(HTTPStatus.REQUEST_URI_TOO_LONG)
        fields = [*self._head, *self.headers]
        if self._unfinished > _MAX_UNFINISHED_BYTES or len(fields) > MAX_FIELDS or _size(fields) > MAX_FIELD_BYTES:
            raise self._refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refused(self, status: HTTPStatus) -> "_RefusedError":
        # The parser turns what its callbacks raise into an error of its own.
        self._refusal = status
        return _RefusedError()

    def _refuse(self, status: HTTPStatus) -> None:
        """Respond, and close when the caller has read the response or after a while. Requests before this one get theirs first."""
        self._guard.count_refused(status, self.loop.time())
        self._is_refused, self._unfinished = True, 0
        cycle = self.cycle
        if self.is_busy:
            if cycle.more_body:
                self.pipeline.popleft()
            return
        if self.transport.is_closing():
            return
        self.waiting_since = self.loop.time()
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        response = self._guard.respond(self.url) if self.parser.get_method() == b"POST" else None
        response = response or Response(status, b"", {"cache-control": "no-store"})
        own = {**response.headers, "content-length": str(len(response.body)), "connection": "close"}
        fields = [*self.server_state.default_headers, *((name.encode(), value.encode()) for name, value in own.items())]
        self.transport.write(STATUS_LINE[response.status] + _lines(fields) + b"\r\n" + response.body)
        # A caller that is still sending would lose the response if the connection were closed at once.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the request as one without the offer: Java's HttpClient makes it with every first request, HTTP/2 in plain text."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        head = b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode("ascii"))
        fields = [(name, _without_upgrade(value) if name == b"connection" else value) for name, value in self.headers]
        kept = [(name, value) for name, value in fields if name not in _UPGRADE_FIELDS and (name, value) != (b"connection", b"")]
        # The parser that met the offer has ended the request without its body.
        self.parser, self._unfinished = httptools.HttpRequestParser(self), 0
        self._parse(head + _lines(kept) + b"\r\n" + rest)


class _RefusedError(Exception):
    """A callback of the parser has found something to refuse."""


def is_ambiguous(fields: Fields, http_version: Callable[[], str]) -> bool:
    """Whether a front end could read the head in another way: which host, or how long the body is. Names in lower case."""
    names = [name for name, _ in fields]
    hosts = names.count(b"host")
    if hosts != 1 and (hosts or http_version() != "1.0"):
        return True
    if b"transfer-encoding" not in names:
        return False
    return [value.strip(b" \t").lower() for name, value in fields if name == b"transfer-encoding"] != [b"chunked"]


def install(emit: Emit, respond: RespondToRefused) -> None:
    """Let every uvicorn that this process starts from now on, or forks, use the guarded protocol.

    functions-framework gives no way to choose the protocol. A uvicorn of your own takes it as ``http=guarded(emit)``.
    """
    uvicorn.config.HTTP_PROTOCOLS["auto"] = guarded(emit, respond=respond)


def guarded(emit: Emit, limits: Limits = LIMITS, respond: RespondToRefused = lambda _: None) -> Any:  # noqa: ANN401 - uvicorn declares a class and calls it
    """Give what uvicorn calls for each connection."""
    return partial(GuardedProtocol, Connections(emit, limits, respond))


def _size(fields: Fields) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in fields)


def _lines(fields: Fields) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in fields)


def _without_upgrade(connection: bytes) -> bytes:
    tokens = [token.strip() for token in connection.split(b",")]
    return b", ".join(token for token in tokens if token.lower() not in _UPGRADE_FIELDS)
