"""What a fault consists of, and how it is played to a connection."""

import asyncio
import functools
import itertools
import json
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mitto_phone_hook.sandbox.rules import Verdict
from mitto_phone_hook.sandbox.wire import JSON, Wire, http_answer, http_head

LIMIT_SECONDS = 60
"""Nothing that a fault does lasts longer."""

BIG_BYTES = 100_000_000
"""What ``big_body`` and ``big_headers`` send on top of an answer."""

BOMB_BYTES = 100 * 1024 * 1024
"""What ``gzip_bomb`` becomes."""

_PIECE_BYTES = 62_500  # divides BIG_BYTES
_MEBIBYTE = b" " * 1024 * 1024

Pieces = Callable[[Verdict], Iterable[bytes]]
Ending = Callable[[Wire, float], Awaitable[None]]


async def closes(wire: Wire, _seconds: float) -> None:
    """Leave the closing (FIN) to whoever owns the connection."""


async def resets(wire: Wire, _seconds: float) -> None:
    """Close with a RST."""
    wire.reset()


async def hangs(wire: Wire, seconds: float) -> None:
    """Stay silent until the other side gives up or the time is over."""
    await wire.drain(seconds)


def nothing(_verdict: Verdict) -> Iterable[bytes]:
    """Send nothing at all."""
    return ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to answer: what is sent, how it ends, and whether the SMS leaves all the same.

    ``is_kept``: the message goes into the inbox; true as well where a client cannot know, since the worst case is
    what a test must show. ``is_before_read``: it strikes before the request is read. ``seconds``: the wait
    before every piece, or how long it hangs; None where there is no time to choose.
    """

    name: str
    description: str
    is_kept: bool
    pieces: Pieces = nothing
    ending: Ending = closes
    seconds: float | None = None
    is_before_read: bool = False

    async def play(self, wire: Wire, verdict: Verdict) -> None:
        """Do it; raises TimeoutError when the time is over. The connection must be closed afterwards."""
        seconds = self.seconds or 0
        async with asyncio.timeout(LIMIT_SECONDS):
            for piece in self.pieces(verdict):
                await asyncio.sleep(seconds)
                await wire.send(piece)
            await self.ending(wire, seconds)


def body_of(verdict: Verdict) -> bytes:
    """Return the JSON that Mitto answers."""
    return json.dumps(verdict.document).encode()


def natural(verdict: Verdict) -> Iterable[bytes]:
    """Send what Mitto answers."""
    yield http_answer(verdict.status, body_of(verdict))


def natural_alive(verdict: Verdict) -> Iterable[bytes]:
    """Send what Mitto answers, and do not say that the connection ends."""
    yield http_answer(verdict.status, body_of(verdict), keeps_alive=True)


def status(code: int, body: bytes = b"", *lines: str, media: str = JSON) -> Pieces:
    """Send the same answer whatever was asked."""
    return lambda _: (http_answer(code, body, media=media, lines=lines),)


def changed(change: Callable[[Mapping[str, object]], object]) -> Pieces:
    """Send the JSON that ``change`` makes of Mitto's."""
    return lambda verdict: (http_answer(verdict.status, json.dumps(change(verdict.document)).encode()),)


def rewritten(old: bytes, new: bytes) -> Pieces:
    """Send Mitto's JSON with some bytes replaced."""
    return lambda verdict: (http_answer(verdict.status, body_of(verdict).replace(old, new)),)


def raw(make: Callable[[bytes], bytes]) -> Pieces:
    """Send the bytes that ``make`` builds around Mitto's JSON."""
    return lambda verdict: (make(body_of(verdict)),)


def after(prelude: bytes) -> Pieces:
    """Send something first, then what Mitto answers."""
    return lambda verdict: (prelude, *natural(verdict))


def dripped_whole(verdict: Verdict) -> Iterator[bytes]:
    """Send what Mitto answers byte by byte."""
    yield from _bytes_of(b"".join(natural(verdict)))


def dripped_body(verdict: Verdict) -> Iterator[bytes]:
    """Send the head of what Mitto answers at once, then the body byte by byte."""
    body = body_of(verdict)
    yield http_head(verdict.status, f"Content-Type: {JSON}", f"Content-Length: {len(body)}", "Connection: close")
    yield from _bytes_of(body)


def big_body(verdict: Verdict) -> Iterator[bytes]:
    """Send Mitto's JSON and fill up with spaces: valid to whoever reads it all."""
    body = body_of(verdict)
    yield http_head(verdict.status, f"Content-Type: {JSON}", f"Content-Length: {len(body) + BIG_BYTES}", "Connection: close") + body
    yield from _filled(b" " * _PIECE_BYTES)


def big_headers(verdict: Verdict) -> Iterator[bytes]:
    """Send a valid head that does not end for very long, then Mitto's JSON."""
    body = body_of(verdict)
    yield f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n".encode()
    yield from _filled(b"X-Filler: " + b"a" * (_PIECE_BYTES - 12) + b"\r\n")
    yield b"\r\n" + body


def gzip_bomb(_verdict: Verdict) -> Iterator[bytes]:
    """Send little that becomes much."""
    yield http_answer(200, _bomb(), lines=("Content-Encoding: gzip",))


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(_MEBIBYTE) for _ in range(BOMB_BYTES // len(_MEBIBYTE))) + packer.flush()


def _bytes_of(data: bytes) -> Iterator[bytes]:
    return (bytes((byte,)) for byte in data)


def _filled(piece: bytes) -> Iterator[bytes]:
    return itertools.repeat(piece, BIG_BYTES // len(piece))
