"""The ledger shared between instances, in Redis or Valkey: one round trip an operation, never in the way.

A store that is down, hanging or read-only must not lock users out: the ledger of this process, which stands in
front of it all the time, goes on alone, and the operator hears of it.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mitto_phone_hook.ledger import Entry
from mitto_phone_hook.memory_store import MemoryStore

T = TypeVar("T")

TIMEOUT_SECONDS = 0.25
"""For one operation in all, connecting included."""

PAUSE_SECONDS = 1.0
"""After a failure the store is left alone for this long, so that it does not cost every message the time-out."""

COMPLAINT_SECONDS = 60.0

_PREFIX = "mitto-phone-hook:1:message:"

# KEYS: entry. ARGV: owner, entry, window in ms. Another owner's entry is given with its age in ms.
_CLAIM = """
local kept = redis.call('GET', KEYS[1])
if kept and cjson.decode(kept)[2] ~= ARGV[1] then
  return {kept, tonumber(ARGV[3]) - redis.call('PTTL', KEYS[1])}
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
"""

# KEYS: entry. ARGV: owner, entry or nothing, window in ms.
_SETTLE = """
local kept = redis.call('GET', KEYS[1])
if kept and cjson.decode(kept)[2] ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""


class RedisStore:
    """A ``Store`` in Redis with a ``MemoryStore`` in front, which alone goes on when Redis does not answer."""

    def __init__(self, url: str, window_seconds: float, complain: Callable[[], None]) -> None:
        """Connect on first use. ``complain`` is called when Redis fails, at most once in ``COMPLAINT_SECONDS``."""
        # One more try, at once: a connection from before a restart of Redis fails although Redis is there.
        self._redis = redis.asyncio.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
        )
        self._front = MemoryStore(window_seconds)
        self._window_ms = int(window_seconds * 1000)
        self._complain = complain
        self._left_alone_until = 0.0
        self._quiet_until = 0.0

    async def claim(self, key: str, entry: Entry) -> Entry | None:
        """See ``Store``."""
        known = await self._front.claim(key, entry)
        if known is not None:
            return known
        kept = await self._ask(lambda: self._eval(_CLAIM, key, entry.owner, _written(entry)))
        if not kept:
            return None
        await self._front.settle(key, entry.owner, None)
        return Entry(*json.loads(kept[0]))._replace(age_seconds=kept[1] / 1000)

    async def settle(self, key: str, owner: str, entry: Entry | None) -> None:
        """See ``Store``."""
        await self._front.settle(key, owner, entry)
        await self._ask(lambda: self._eval(_SETTLE, key, owner, _written(entry) if entry else ""))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _eval(self, script: str, key: str, owner: str, entry: str) -> Awaitable[Any]:
        return self._redis.eval(script, 1, _PREFIX + key, owner, entry, self._window_ms)

    async def _ask(self, operation: Callable[[], Awaitable[T]]) -> T | None:
        now = time.monotonic()
        if now < self._left_alone_until:
            return None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await operation()
        except (redis.RedisError, OSError, TimeoutError):
            self._left_alone_until = now + PAUSE_SECONDS
            if now >= self._quiet_until:
                self._quiet_until = now + COMPLAINT_SECONDS
                self._complain()
            return None


def _written(entry: Entry) -> str:
    return json.dumps(entry[:-1], separators=(",", ":"))
