"""The floor in Python: asyncio protocols on uvloop without a framework, a server or a client library.

``python -m benchmarks.peers.asyncio_relay PORT``. It has no timeouts, no checks and no TLS, so it is not a usable service.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.wire import Messages, response

_UPSTREAM = urlsplit(os.environ["MITTO_BASE_URL"])
_HOST, _PORT = _UPSTREAM.hostname or "", _UPSTREAM.port or 80
_HEAD = (
    f"POST /sms.json HTTP/1.1\r\nHost: {_UPSTREAM.netloc}\r\nX-Mitto-API-Key: {os.environ['MITTO_API_KEY']}\r\n"
    "Content-Type: application/json\r\nContent-Length: "
).encode()


class Upstream(asyncio.Protocol):
    """One connection to Mitto; it carries one request at a time."""

    idle: "list[Upstream]" = []  # noqa: RUF012 - shared by all of them on purpose

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._messages = Messages()

    def connection_lost(self, _: Exception | None) -> None:
        """Remove it from the idle connections."""
        if self in self.idle:
            self.idle.remove(self)

    def post(self, body: bytes, then: Callable[[bytes], None]) -> None:
        """Send one request; call ``then`` with the body of the response."""
        self._then = then
        self._transport.write(_HEAD + b"%d\r\n\r\n%b" % (len(body), body))

    def data_received(self, data: bytes) -> None:
        """Pass the response on, and become idle."""
        for body in self._messages.feed(data):
            self.idle.append(self)
            self._then(body)


class Caller(asyncio.Protocol):
    """One connection of a caller."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._messages = Messages()
        self._tasks: set[asyncio.Task[None]] = set()

    def data_received(self, data: bytes) -> None:
        """Relay every request that is complete."""
        for body in self._messages.feed(data):
            payload = json.loads(body)
            message = json.dumps({"from": "Mitto SMS", "to": payload["recipient"], "text": payload["text"]}).encode()
            if Upstream.idle:
                Upstream.idle.pop().post(message, self._reply)
            else:
                task = asyncio.create_task(self._connect_and_post(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _connect_and_post(self, message: bytes) -> None:
        _, upstream = await asyncio.get_running_loop().create_connection(Upstream, _HOST, _PORT)
        upstream.post(message, self._reply)

    def _reply(self, body: bytes) -> None:
        fields = json.loads(body)
        is_sent = fields["responseCode"] == 0
        self._transport.write(response(json.dumps({"status": "sent" if is_sent else "failed", "id": fields["id"]}).encode()))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Caller, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
