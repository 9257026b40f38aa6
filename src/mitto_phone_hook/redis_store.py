"""The ledger shared between instances, in Redis: one round trip an operation."""

import json

from mitto_phone_hook.ledger import Entry
from mitto_phone_hook.memory_store import MemoryStore
from mitto_phone_hook.redis_link import KEY_PREFIX, RedisLink, Unavailable

MAX_UNSETTLED = 10_000
SETTLED_AT_ONCE = 10
"""Results that Redis could not be told before, told along with a new one."""

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
        self._elsewhere = MemoryStore(window_seconds)
        """What other instances were seen to hold: a Redis that falls silent does not make it ours."""

    async def claim(self, key: str, entry: Entry) -> Entry | None:
        """See ``Store``."""
        known = await self._front.claim(key, entry)
        if known is not None:
            return known
        try:
            kept = await self._link.eval(_CLAIM, [KEY_PREFIX + key], [entry.owner, _written(entry), self._window_ms])
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
        """See ``Store``. What Redis could not be told is told it as soon as it answers again."""
        await self._front.settle(key, owner, entry)
        late = [self._unsettled.popitem() for _ in range(min(len(self._unsettled), SETTLED_AT_ONCE))]
        for one, (its_owner, its_entry) in [(key, (owner, entry)), *late]:
            try:
                written = _written(its_entry) if its_entry else ""
                await self._link.eval(_SETTLE, [KEY_PREFIX + one], [its_owner, written, self._window_ms])
            except Unavailable:
                self._unsettled[one] = (its_owner, its_entry)
        if len(self._unsettled) > MAX_UNSETTLED:
            self._unsettled.pop(next(iter(self._unsettled)))


def _written(entry: Entry) -> str:
    return json.dumps(entry[:-1], separators=(",", ":"))
