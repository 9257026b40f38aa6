"""A server that puts scripted bytes on the wire, and remembers what reached it."""

import asyncio
import os
import socket
import ssl
import stat
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import trustme

from support.processes import free_port

T = TypeVar("T")

LIMIT_SECONDS = 10
"""The end of a test that hangs; no test comes near it."""

NOTICE_SECONDS = 2
"""How long the server may take to notice what the client did."""

ACCEPTED = b'{"id":"0a1b-2c","responseCode":0,"responseText":"SMS sent"}'


def run(scenario: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(scenario, LIMIT_SECONDS))


def answer(body: bytes = ACCEPTED, status: str = "200 OK", *headers: str) -> bytes:
    """Give a whole answer with its length."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]).encode("latin-1") + body


class Peer:
    """One connection, seen from the server."""

    def __init__(self, upstream: "Upstream", number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._upstream = upstream
        self._reader = reader
        self._writer = writer

    async def read_request(self) -> bytes:
        """Read one request; ``EOFError`` when the client leaves instead."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        request = head + await self._reader.readexactly(length)
        self._upstream.note_request(self.number, request)
        return request

    async def write(self, data: bytes) -> None:
        """Write; ``ConnectionError`` when the client has left."""
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(data)
        await self._writer.drain()
        self._upstream.bytes_written += len(data)

    async def drip(self, data: bytes) -> None:
        """Write for ever, often enough to outlive every time-out between two reads."""
        while True:
            await self.write(data)
            await asyncio.sleep(0.01)

    async def until_client_leaves(self) -> None:
        while await self._reader.read(65536):
            pass

    def reset(self) -> None:
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.drop()

    def write_past_tls(self, data: bytes) -> None:
        """Put bytes on the wire below the encryption."""
        os.write(self._writer.get_extra_info("socket").fileno(), data)

    async def end(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    def drop(self) -> None:
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]
"""What the server does with one connection, which it closes when the script ends."""


def answering(*answers: bytes) -> Script:
    """Give these answers to the requests of one connection, the last of them for ever, until the client leaves."""

    async def script(peer: Peer) -> None:
        left = list(answers)
        while True:
            await peer.read_request()
            await peer.write(left.pop(0) if len(left) > 1 else left[0])

    return script


def saying_and_closing(*pieces: bytes) -> Script:
    """Read one request, write the pieces, end the connection."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        for piece in pieces:
            await peer.write(piece)

    return script


async def hanging(peer: Peer) -> None:
    """Read one request and say nothing."""
    await peer.read_request()
    await peer.until_client_leaves()


async def mute(peer: Peer) -> None:
    """Say nothing to whatever comes, which may be no HTTP at all."""
    await peer.until_client_leaves()


class Upstream:
    """A server on the loopback interface, for as long as ``async with`` lasts."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.numbers: list[int] = []
        """Which connection each request came on, counted from 0."""
        self.times: list[float] = []
        """When each request had come, by the event loop's clock."""
        self.connections = 0
        self.open = 0
        """Connections whose socket the server has not closed: each is closed when its script ends or its client leaves."""
        self.bytes_written = 0
        self._script = script
        self._tls = tls
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._peers: list[Peer] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, backlog=512)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for peer in self._peers:
            peer.drop()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    @property
    def base_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> httpx.URL:
        return httpx.URL(self.base_url)

    @property
    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]

    def note_request(self, number: int, request: bytes) -> None:
        self.requests.append(request)
        self.numbers.append(number)
        self.times.append(asyncio.get_running_loop().time())
        self._changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for what the client has caused and the server may not have seen yet."""
        async with asyncio.timeout(NOTICE_SECONDS):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        peer = Peer(self, self.connections, reader, writer)
        self._peers.append(peer)
        self.connections += 1
        self.open += 1
        self._changed.set()
        # The client has left, or the test is over.
        with suppress(EOFError, ConnectionError, asyncio.CancelledError):
            await self._script(peer)
        with suppress(OSError, asyncio.CancelledError):
            await peer.end()
        self.open -= 1
        self._changed.set()


@contextmanager
def deaf_port() -> Iterator[int]:
    """Give a port where whoever connects waits: its backlog is full and nobody accepts."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - the standard library's own
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def closed_port() -> int:
    """Give a port on which nobody listens."""
    return free_port()


def open_sockets() -> int:
    """Count the sockets of this process, those of the server included."""
    count = 0
    for descriptor in os.listdir("/dev/fd"):  # noqa: PTH208 - names are all that is wanted
        with suppress(OSError):  # the one of the listing itself
            count += stat.S_ISSOCK(os.fstat(int(descriptor)).st_mode)
    return count


def make_certificate(path: Path) -> None:
    """Write a certificate for 127.0.0.1, its key and the authority that issued it, which nobody trusts, into one file."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    path.write_bytes(certificate.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes())


def serving_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
