"""The bytes of a response, and the socket that carries it."""

import asyncio
import os
import socket
import struct
from collections.abc import Iterable
from http import HTTPStatus

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"

_RECEIVE_BYTES = 65_536
_LINGER_NOTHING = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


def http_head(status: int, *lines: str) -> bytes:
    """Return a status line, the header lines and the empty line that ends them."""
    return "\r\n".join((f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "", "")).encode("latin-1")


def http_response(status: int, body: bytes = b"", *, media: str = JSON, lines: Iterable[str] = (), keeps_alive: bool = False) -> bytes:
    """Return a complete response. Without ``keeps_alive`` it has ``Connection: close``."""
    typed = (f"Content-Type: {media}",) if body else ()
    closing = () if keeps_alive else ("Connection: close",)
    return http_head(status, *typed, f"Content-Length: {len(body)}", *closing, *lines) + body


class Wire:
    """One accepted connection. It is used without an asyncio transport, which would read ahead."""

    def __init__(self, sock: socket.socket) -> None:
        """Take a connected socket; it must not block."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    async def receive(self) -> bytes:
        """Wait for data and return it; empty when the other side has closed."""
        return await self._loop.sock_recv(self._socket, _RECEIVE_BYTES)

    async def send(self, data: bytes) -> None:
        """Send everything. Waits while the other side does not read."""
        await self._loop.sock_sendall(self._socket, data)

    async def drain(self, seconds: float) -> None:
        """Read and discard, until the other side has closed or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while await self.receive():
                    pass
        except TimeoutError:
            return

    def finish(self) -> None:
        """Close our half of the connection: nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
        self._socket.close()
