"""What a fault consists of, and how it is applied to a connection."""

import asyncio
import functools
import itertools
import json
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mitto_phone_hook.sandbox.rules import Verdict
from mitto_phone_hook.sandbox.wire import JSON, Wire, http_head, http_response

LIMIT_SECONDS = 60
"""The longest time that a fault may take."""

BIG_BYTES = 100_000_000
"""What ``big_body`` and ``big_headers`` add to a response."""

BOMB_BYTES = 100 * 1024 * 1024
"""The size of ``gzip_bomb`` after decompression."""

_PIECE_BYTES = 62_500  # divides BIG_BYTES
_MEBIBYTE = b" " * 1024 * 1024

Pieces = Callable[[Verdict], Iterable[bytes]]
Ending = Callable[[Wire, float], Awaitable[None]]


async def closes(wire: Wire, _seconds: float) -> None:
    """Do nothing: the caller closes the connection with a FIN."""


async def resets(wire: Wire, _seconds: float) -> None:
    """Close with a RST."""
    wire.reset()


async def hangs(wire: Wire, seconds: float) -> None:
    """Send nothing until the client closes or the time is over."""
    await wire.drain(seconds)


def nothing(_verdict: Verdict) -> Iterable[bytes]:
    """Send nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A faulty response: what is sent, how the connection ends, and whether the SMS is sent anyway.

    ``is_sent``: the message goes into the inbox. It is also true where a client cannot know, because a test must show
    the worst case. ``is_before_read``: the fault applies before the request is read. ``seconds``: the delay before
    each piece, or how long it hangs; None: the fault takes no time.
    """

    name: str
    description: str
    is_sent: bool
    pieces: Pieces = nothing
    ending: Ending = closes
    seconds: float | None = None
    is_before_read: bool = False

    async def apply(self, wire: Wire, verdict: Verdict) -> None:
        """Apply the fault. The caller closes the connection. Raises TimeoutError after ``LIMIT_SECONDS``."""
        seconds = self.seconds or 0
        async with asyncio.timeout(LIMIT_SECONDS):
            for piece in self.pieces(verdict):
                await asyncio.sleep(seconds)
                await wire.send(piece)
            await self.ending(wire, seconds)


def body_of(verdict: Verdict) -> bytes:
    """Return Mitto's JSON as bytes."""
    return json.dumps(verdict.document).encode()


def normal(verdict: Verdict) -> Iterable[bytes]:
    """Send Mitto's normal response."""
    yield http_response(verdict.status, body_of(verdict))


def normal_keep_alive(verdict: Verdict) -> Iterable[bytes]:
    """Send Mitto's normal response without ``Connection: close``."""
    yield http_response(verdict.status, body_of(verdict), keeps_alive=True)


def status(code: int, body: bytes = b"", *lines: str, media: str = JSON) -> Pieces:
    """Send the same response to every request."""
    return lambda _: (http_response(code, body, media=media, lines=lines),)


def changed(change: Callable[[Mapping[str, object]], object]) -> Pieces:
    """Send Mitto's JSON, changed by ``change``."""
    return lambda verdict: (http_response(verdict.status, json.dumps(change(verdict.document)).encode()),)


def rewritten(old: bytes, new: bytes) -> Pieces:
    """Send Mitto's JSON with some bytes replaced."""
    return lambda verdict: (http_response(verdict.status, body_of(verdict).replace(old, new)),)


def raw(make: Callable[[bytes], bytes]) -> Pieces:
    """Send the bytes that ``make`` builds from Mitto's JSON."""
    return lambda verdict: (make(body_of(verdict)),)


def after(prelude: bytes) -> Pieces:
    """Send ``prelude``, then Mitto's normal response."""
    return lambda verdict: (prelude, *normal(verdict))


def dripped_whole(verdict: Verdict) -> Iterator[bytes]:
    """Send Mitto's normal response byte by byte."""
    yield from _bytes_of(b"".join(normal(verdict)))


def dripped_body(verdict: Verdict) -> Iterator[bytes]:
    """Send the head of Mitto's response at once, then the body byte by byte."""
    body = body_of(verdict)
    yield http_head(verdict.status, f"Content-Type: {JSON}", f"Content-Length: {len(body)}", "Connection: close")
    yield from _bytes_of(body)


def big_body(verdict: Verdict) -> Iterator[bytes]:
    """Send Mitto's JSON, then spaces: valid for a client that reads everything."""
    body = body_of(verdict)
    yield http_head(verdict.status, f"Content-Type: {JSON}", f"Content-Length: {len(body) + BIG_BYTES}", "Connection: close") + body
    yield from _filled(b" " * _PIECE_BYTES)


def big_headers(verdict: Verdict) -> Iterator[bytes]:
    """Send a valid but very long head, then Mitto's JSON."""
    body = body_of(verdict)
    yield f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n".encode()
    yield from _filled(b"X-Filler: " + b"a" * (_PIECE_BYTES - 12) + b"\r\n")
    yield b"\r\n" + body


def gzip_bomb(_verdict: Verdict) -> Iterator[bytes]:
    """Send a small body that decompresses to a very large one."""
    yield http_response(200, _bomb(), lines=("Content-Encoding: gzip",))


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(_MEBIBYTE) for _ in range(BOMB_BYTES // len(_MEBIBYTE))) + packer.flush()


def _bytes_of(data: bytes) -> Iterator[bytes]:
    return (bytes((byte,)) for byte in data)


def _filled(piece: bytes) -> Iterator[bytes]:
    return itertools.repeat(piece, BIG_BYTES // len(piece))
