"""Reads the requests of one connection, piece by piece."""

import h11

from mitto_phone_hook.sandbox.wire import Wire, http_head

BODY_LIMIT_BYTES = 1024 * 1024
"""The largest request body that is read."""


class TooLargeError(Exception):
    """The body of a request exceeds the limit."""


class Incoming:
    """Requests, one after the other: start, head, body. Responses do not pass through here.

    Each request gets a new parser. h11 never sees the responses, because some faults are not valid HTTP.
    """

    def __init__(self, wire: Wire) -> None:
        """Read from ``wire``."""
        self._wire = wire
        self._parser = h11.Connection(h11.SERVER)
        self._started = 0

    async def start(self) -> bytes:
        """Return the first bytes of the next request, waiting for them; empty when the connection ended."""
        rest, _ = self._parser.trailing_data
        self._parser = h11.Connection(h11.SERVER)
        self._started += 1
        start = rest or await self._wire.receive()
        self._parser.receive_data(start)
        return start

    async def head(self) -> h11.Request | None:
        """Return method, target and headers; None when the connection ended. Raises h11.RemoteProtocolError."""
        event = await self._event()
        return event if isinstance(event, h11.Request) else None

    async def body(self) -> bytes:
        """Return the whole body. Raises h11.RemoteProtocolError and TooLargeError."""
        if self._parser.they_are_waiting_for_100_continue:
            await self._wire.send(http_head(100))
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > BODY_LIMIT_BYTES:
                raise TooLargeError
        return bytes(body)

    @property
    def is_first(self) -> bool:
        """Whether this is the first request of the connection."""
        return self._started == 1

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow the one that was read."""
        return self._parser.their_state is h11.DONE

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._parser.next_event()) is h11.NEED_DATA:
            self._parser.receive_data(await self._wire.receive())
        return event
