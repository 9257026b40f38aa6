"""The ledger shared between instances, in Redis: one round trip an operation."""

import asyncio
import json

from mitto_phone_hook.ledger import Entry
from mitto_phone_hook.memory_store import MemoryStore
from mitto_phone_hook.outcome import Outcome, Refused
from mitto_phone_hook.redis_link import KEY_PREFIX, PAUSE_SECONDS, Crowded, RedisLink, Unavailable

MAX_UNSETTLED = 10_000
"""Results that Redis could not be told; then the oldest are given up."""

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

    def __init__(self, link: RedisLink, window_seconds: float) -> None:
        """Keep entries for ``window_seconds``."""
        self._link = link
        self._front = MemoryStore(window_seconds)
        self._window_ms = int(window_seconds * 1000)
        self._unsettled: dict[str, tuple[str, Entry | None]] = {}
        """Results by key that Redis has not heard, with their owners."""
        self._teller: asyncio.Task[None] | None = None
        self._elsewhere = MemoryStore(window_seconds)
        """What other instances were seen to hold: a Redis that falls silent does not make it ours."""

    async def claim(self, key: str, entry: Entry) -> Entry | None:
        """See ``Store``. Raises ``Refused`` when Redis could not be asked in time although it may well answer others."""
        known = await self._front.claim(key, entry)
        if known is not None:
            return known
        if key in self._unsettled:
            # Else Redis would still say that the message is on its way, in the name of a call that has ended.
            await self._tell(key)
        try:
            kept = await self._link.eval(_CLAIM, [KEY_PREFIX + key], [entry.owner, _written(entry), self._window_ms])
        except Crowded:
            await self._front.settle(key, entry.owner, None)
            raise Refused(Outcome.UPSTREAM_UNAVAILABLE, "store_busy") from None
        except Unavailable:
            seen = await self._elsewhere.find(key)
            if seen is not None:
                await self._front.settle(key, entry.owner, None)
            return seen
        if not kept:
            await self._elsewhere.forget(key)
            return None
        await self._front.settle(key, entry.owner, None)
        other = Entry(*json.loads(kept[0]))._replace(age_seconds=kept[1] / 1000)
        await self._elsewhere.forget(key)
        await self._elsewhere.claim(key, other)
        return other

    async def settle(self, key: str, owner: str, entry: Entry | None) -> None:
        """See ``Store``. What Redis cannot be told is told it as soon as it answers again, with or without further messages."""
        await self._front.settle(key, owner, entry)
        self._unsettled[key] = (owner, entry)
        if len(self._unsettled) > MAX_UNSETTLED:
            self._unsettled.pop(next(iter(self._unsettled)))
        if not await self._tell(key) and (self._teller is None or self._teller.done()):
            self._teller = asyncio.create_task(self._tell_all())

    async def _tell(self, key: str) -> bool:
        """Tell Redis a result that it has not heard; whether it has now."""
        owner, entry = result = self._unsettled[key]
        try:
            await self._link.eval(_SETTLE, [KEY_PREFIX + key], [owner, _written(entry) if entry else "", self._window_ms])
        except Unavailable:
            return False
        if self._unsettled.get(key) == result:
            del self._unsettled[key]
        return True

    async def _tell_all(self) -> None:
        while self._unsettled:
            await asyncio.sleep(PAUSE_SECONDS)
            for key in list(self._unsettled):
                if key in self._unsettled and not await self._tell(key):
                    break


def _written(entry: Entry) -> str:
    return json.dumps(entry[:-1], separators=(",", ":"))
