"""Writes for which nobody waits, many in one round trip. Those that Redis could not be asked for are made when it answers again."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from itertools import islice
from typing import Generic, TypeVar

from mitto_phone_hook.storage.redis_client import PAUSE_SECONDS

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_DEFERRED = 10_000
"""Then the oldest are given up."""

WRITES_AT_ONCE = 100
"""Writes of one round trip."""


class DeferredWrites(Generic[K, V]):
    """The writes that Redis has not made, by key. The newest are made first: their messages are repeated most."""

    def __init__(self, write: Callable[[Mapping[K, V], float], Awaitable[Collection[K]]], most: int = MAX_DEFERRED) -> None:
        """Begin with none, and keep ``most``. ``write`` makes some of them in one round trip and tells which need another try.

        It waits for its turn until the event loop's clock shows its second argument.
        """
        self._write = write
        self._most = most
        self._waiting: dict[K, V] = {}
        self._new: dict[K, None] = {}
        self._writing: asyncio.Task[None] | None = None
        self._retry: asyncio.Task[None] | None = None

    def get(self, key: K) -> V | None:
        """Give what waits under a key."""
        return self._waiting.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a write, in place of an older one under the same key."""
        self._waiting[key] = value
        if len(self._waiting) > self._most:
            self._waiting.pop(next(iter(self._waiting)))

    async def make(self, *keys: K, latest: float = math.inf) -> bool:
        """Try these writes once. What has changed meanwhile goes on waiting."""
        writes = {key: self._waiting[key] for key in keys if key in self._waiting}
        undone = await self._write(writes, latest) if writes else ()
        for key, value in writes.items():
            if key not in undone and self._waiting.get(key) == value:
                del self._waiting[key]
        return not undone

    def make_soon(self, key: K) -> None:
        """Make this write in the loop's next turn, or together with all that come until an earlier one is made."""
        self._new[key] = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._make_new())

    async def _make_new(self) -> None:
        try:
            while self._new:
                if not await self._make_some_new():
                    self.retry_later()
        except asyncio.CancelledError:
            # The process ends, and what is told now nobody has to guess later.
            while self._new:
                await self._make_some_new()
            raise

    async def _make_some_new(self) -> bool:
        keys = list(islice(self._new, WRITES_AT_ONCE))
        for key in keys:
            del self._new[key]
        try:
            return await self.make(*keys)
        except asyncio.CancelledError:
            self._new |= dict.fromkeys(keys)
            raise

    def retry_later(self) -> None:
        """Make all of them in the background, again and again until none is left."""
        if self._retry is None or self._retry.done():
            self._retry = asyncio.create_task(self._make_all())

    async def _make_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(PAUSE_SECONDS)
            newest_first = list(self._waiting)[::-1]
            for start in range(0, len(newest_first), WRITES_AT_ONCE):
                await self.make(*newest_first[start : start + WRITES_AT_ONCE])
