"""One connection to Redis that many operations share: commands go out as they come, and the responses come back in the same order.

redis-py opens it (TLS, password, database), because it knows what a URL may say. What it needs for each command, a stream with locks and
time-outs, costs more than the command itself, so from then on the transport is used directly. Commands of one turn of the event loop
leave in one packet: uvloop writes at the end of a turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis import exceptions
from redis.asyncio.connection import AbstractConnection

Command = tuple[str | int, ...]

CLOSE_SECONDS = 1.0
"""At the end a server may take so long to close its side."""

ERRORS: dict[str, type[redis.RedisError]] = {
    "ASK": exceptions.AskError,
    "CLUSTERDOWN": exceptions.ClusterDownError,
    "CROSSSLOT": exceptions.ClusterCrossSlotError,
    "LOADING": exceptions.BusyLoadingError,
    "MASTERDOWN": exceptions.MasterDownError,
    "MOVED": exceptions.MovedError,
    "NOAUTH": exceptions.AuthenticationError,
    "NOPERM": exceptions.NoPermissionError,
    "NOSCRIPT": exceptions.NoScriptError,
    "OOM": exceptions.OutOfMemoryError,
    "READONLY": exceptions.ReadOnlyError,
    "TRYAGAIN": exceptions.TryAgainError,
    "WRONGPASS": exceptions.AuthenticationError,
}
"""What the first word of an error means, as redis-py has it; version 5 has some of them in its cluster client only."""


_BULK, _INTEGER, _SIMPLE, _ERROR, _ARRAY = b"$:+-*"


class _Incomplete(Exception):  # noqa: N818 - a state, met every time a response comes in pieces
    """More of a response is still to come."""


class _Asked:
    """Commands that were sent together, of which only the last one's response is given."""

    __slots__ = ("error", "future", "left", "until")

    def __init__(self, future: asyncio.Future[Any], left: int, until: float) -> None:
        self.future = future
        self.left = left
        self.until = until
        self.error: redis.RedisError | None = None


class Connection(asyncio.Protocol):
    """An open connection. One that has failed, or that missed a time-out, takes no more commands; what is under way may end."""

    def __init__(self, opened: AbstractConnection, timeout_seconds: float) -> None:
        """Take over what redis-py has opened. Operations take ``timeout_seconds`` at most."""
        # redis-py has no public way to its transport. It must forget the stream, which it would close when it is forgotten itself.
        self._writer, opened._writer, opened._reader = opened._writer, None, None  # noqa: SLF001 - as said
        if self._writer is None:
            raise redis.ConnectionError
        self._transport = self._writer.transport
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._asked: deque[_Asked] = deque()
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._ended = self._loop.create_future()
        self.is_usable = not self._transport.is_closing()
        self._transport.set_protocol(self)

    async def call(self, commands: Sequence[Command]) -> Any:  # noqa: ANN401 - whatever the last command gives
        """Send commands, and give the response to the last. Raises what redis-py raises, and ``TimeoutError``."""
        if not self.is_usable:
            raise redis.ConnectionError
        self._transport.write(packed(commands))
        loop = self._loop
        asked = _Asked(loop.create_future(), len(commands), loop.time() + self._timeout_seconds)
        self._asked.append(asked)
        if self._timer is None:
            self._timer = loop.call_at(asked.until, self._end_overdue)
        try:
            return await asked.future
        finally:
            if not self.is_usable:
                self.retire()

    def retire(self) -> None:
        """Take no more commands, and close as soon as nothing is under way."""
        self.is_usable = False
        if all(asked.future.done() for asked in self._asked):
            self._transport.close()

    async def aclose(self) -> None:
        """Retire, and wait until it is closed if nothing is under way."""
        self.retire()
        if self._transport.is_closing():
            await asyncio.wait({self._ended}, timeout=CLOSE_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Give responses to whom they are for."""
        data, at = self._received + data if self._received else data, 0
        try:
            while at < len(data):
                response, at = _response(data, at)
                self._give(response)
        except _Incomplete:
            pass
        except (ValueError, LookupError):
            # It does not speak Redis' protocol.
            self._fail(redis.ConnectionError())
            return
        self._received = data[at:]

    def eof_received(self) -> None:
        """Take no more commands: Redis has closed its side, and the transport closes ours."""
        self.is_usable = False

    def connection_lost(self, _: Exception | None) -> None:
        """Tell all that wait for a response."""
        self._fail(redis.ConnectionError())
        if not self._ended.done():
            self._ended.set_result(None)

    def _give(self, response: Any) -> None:  # noqa: ANN401 - whatever a command gives
        if not self._asked:
            raise ValueError
        asked = self._asked[0]
        asked.left -= 1
        if isinstance(response, redis.RedisError) and asked.error is None:
            asked.error = response
            # It is loading, or does not know this user any more.
            self.is_usable = self.is_usable and not isinstance(response, redis.ConnectionError)
        if asked.left:
            return
        self._asked.popleft()
        if asked.future.done():
            return
        if asked.error is None:
            asked.future.set_result(response)
        else:
            asked.future.set_exception(asked.error)

    def _end_overdue(self) -> None:
        """End what takes too long. One timer serves all, because what was asked first is the first that is overdue."""
        self._timer, now = None, self._loop.time()
        for asked in self._asked:
            if asked.until > now:
                self._timer = self._loop.call_at(asked.until, self._end_overdue)
                break
            self.is_usable = False
            if not asked.future.done():
                asked.future.set_exception(TimeoutError())
        if not self.is_usable and self._timer is None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        self.is_usable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._asked:
            asked = self._asked.popleft()
            if not asked.future.done():
                asked.future.set_exception(error)
        self._transport.abort()


def _response(data: bytes, at: int) -> tuple[Any, int]:
    """Read the response that begins there (RESP 2); give it, and where the next one begins. An error is given, not raised."""
    end = data.find(b"\r\n", at)
    if end < 0:
        raise _Incomplete
    kind, rest, after = data[at], data[at + 1 : end], end + 2
    if kind == _BULK:
        stop = after + int(rest)
        if stop < after:
            return None, after
        if len(data) < stop + 2:
            raise _Incomplete
        return data[after:stop].decode(errors="replace"), stop + 2
    return _items(data, after, int(rest)) if kind == _ARRAY else (_LINES[kind](rest), after)


def _items(data: bytes, at: int, length: int) -> tuple[list[Any] | None, int]:
    if length < 0:
        return None, at
    items = []
    for _ in range(length):
        item, at = _response(data, at)
        items.append(item)
    return items, at


def _error(line: bytes) -> redis.RedisError:
    text = line.decode(errors="replace")
    kind, _, rest = text.partition(" ")
    return ERRORS[kind](rest) if kind in ERRORS else redis.ResponseError(text)


_LINES: dict[int, Callable[[bytes], Any]] = {_INTEGER: int, _SIMPLE: bytes.decode, _ERROR: _error}
"""What reads a response of one line, by its first byte."""


def packed(commands: Sequence[Command]) -> bytes:
    """Give the bytes of commands in Redis' protocol."""
    return b"".join([_packed_one(command) for command in commands])


def _packed_one(command: Command) -> bytes:
    words = list(map(str, command))
    head = f"*{len(words)}\r\n"
    if "".join(words).isascii():
        return (head + "".join([f"${length}\r\n{word}\r\n" for length, word in zip(map(len, words), words, strict=True)])).encode()
    return head.encode() + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in map(str.encode, words)])
