"""Duplicates, shared between instances in Redis: one round trip an operation."""

import json
import math
import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.storage.deferred_writes import DeferredWrites
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.storage.protocols import ALWAYS, Entry, Validity
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, PoolTimeout, RedisClient, Unavailable

MAX_OWNERS = 20
"""The most calls of one message that wait for Redis to learn their end. Beyond it the first are forgotten."""

MARGIN_SECONDS = 1.0
"""An entry of another instance counts for so much less than its time, because the clock of Redis is not ours."""

# KEYS: entry. ARGV: owner, entry, window in ms, for how many ms a settled and a pending entry count. Another owner's entry is given
# with its age in ms, and so is a result of the same owner's: a claim that was long on its way must not make an SMS that has left one
# that is on its way.
_CLAIM = """
local kept = redis.call('GET', KEYS[1])
local held = kept and cjson.decode(kept)
if held and (held.owner ~= ARGV[1] or held.state ~= 'pending') then
  local age = tonumber(ARGV[3]) - redis.call('PTTL', KEYS[1])
  if age <= tonumber(held.state == 'pending' and ARGV[5] or ARGV[4]) then return {kept, age} end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
"""

# KEYS: entries. ARGV, for each: its owners, separated by spaces, the entry or nothing, and the ms for which it is kept. What somebody
# else holds stays, but for a claim where the message has left, or may have.
_SETTLE = """
for i, key in ipairs(KEYS) do
  local owners, entry = ARGV[3*i-2], ARGV[3*i-1]
  local kept = redis.call('GET', key)
  local held = kept and cjson.decode(kept)
  if not held or string.find(' ' .. owners .. ' ', ' ' .. held.owner .. ' ', 1, true) or (entry ~= '' and held.state == 'pending') then
    if entry == '' then redis.call('DEL', key) else redis.call('SET', key, entry, 'PX', ARGV[3*i]) end
  end
end
return 1
"""


class _Settled(NamedTuple):
    """The calls of a message that have ended, the result of the last of them, and when that was."""

    owners: tuple[str, ...]
    entry: Entry | None
    since: float

    def arguments(self, window_ms: int) -> tuple[str, str, int]:
        """Give what the script takes. A result that is told late is kept for the rest of its time, or no more."""
        left_ms = window_ms - int((time.monotonic() - self.since) * 1000)
        return " ".join(self.owners), _written(self.entry) if self.entry and left_ms > 0 else "", left_ms


class RedisIdempotencyStore:
    """A ``IdempotencyStore`` in Redis with a ``MemoryIdempotencyStore`` in front, which goes on alone when Redis does not answer."""

    def __init__(self, client: RedisClient, window_seconds: float) -> None:
        """Keep entries for ``window_seconds``."""
        self._client = client
        self._local = MemoryIdempotencyStore(window_seconds)
        self._window_ms = int(window_seconds * 1000)
        self._unsettled = DeferredWrites[str, _Settled](self._write)
        self._other_instances = MemoryIdempotencyStore(window_seconds)
        """What other instances were seen to hold: a Redis that falls silent does not make it ours."""

    async def claim(self, key: str, entry: Entry, validity: Validity = ALWAYS, latest: float = math.inf) -> Entry | None:
        """See ``IdempotencyStore``. Raises ``Refused`` when Redis could not be asked in time although it may well answer others."""
        known = await self._local.claim(key, entry, validity)
        if known is not None:
            return known
        # Else Redis would still say that the message is on its way, in the name of a call that has ended.
        await self._unsettled.make(key, latest=latest)
        limits = [int(min(seconds, self._window_ms / 1000) * 1000) for seconds in validity]
        try:
            kept = await self._client.eval(_CLAIM, [_name(key)], [entry.owner, _written(entry), self._window_ms, *limits], latest=latest)
        except PoolTimeout:
            await self._local.settle(key, entry.owner, None)
            if (seen := await self._seen_at_other_instance(key, validity)) is not None:
                return seen
            raise Refused(Outcome.UPSTREAM_UNAVAILABLE, "store_busy") from None
        except Unavailable:
            seen = await self._seen_at_other_instance(key, validity)
            if seen is not None:
                await self._local.settle(key, entry.owner, None)
            return seen
        if not kept:
            return await self._remembered(key, entry, validity)
        await self._local.settle(key, entry.owner, None)
        other = Entry(**json.loads(kept[0]), age_seconds=kept[1] / 1000)
        await self._other_instances.forget(key)
        await self._other_instances.claim(key, other)
        return other

    async def _remembered(self, key: str, claimed: Entry, validity: Validity) -> Entry | None:
        """Give what Redis, which knows of nothing, has once said: a result goes with time only, so Redis has lost its memory."""
        seen = await self._seen_at_other_instance(key, validity)
        if seen is None or seen.state == "pending":
            await self._other_instances.forget(key)
            return None
        await self.settle(key, claimed.owner, seen)
        return seen

    async def _seen_at_other_instance(self, key: str, validity: Validity) -> Entry | None:
        """Give what another instance was seen to hold, as long as Redis itself would."""
        seen = await self._other_instances.find(key)
        return seen if seen and seen.age_seconds < self._window_ms / 1000 - MARGIN_SECONDS and validity.holds(seen) else None

    async def settle(self, key: str, owner: str, entry: Entry | None) -> None:
        """See ``IdempotencyStore``. If Redis does not respond, the result is written as soon as it responds again."""
        await self._local.settle(key, owner, entry)
        # A Redis that hung runs the claim of an earlier call when it wakes, and nobody else would take that away.
        earlier = self._unsettled.get(key)
        owners = (*earlier.owners, owner)[-MAX_OWNERS:] if earlier and earlier.entry is None else (owner,)
        self._unsettled.put(key, _Settled(owners, entry, time.monotonic() - (entry.age_seconds if entry else 0)))
        if not await self._unsettled.make(key):
            self._unsettled.retry_later()

    async def _write(self, results: Mapping[str, _Settled], latest: float) -> Collection[str]:
        async def write(keys: Sequence[str]) -> Sequence[str]:
            arguments = [argument for key in keys for argument in results[key].arguments(self._window_ms)]
            try:
                await self._client.eval(_SETTLE, [_name(key) for key in keys], arguments, latest=latest)
            except Unavailable:
                return keys
            return ()

        return {key for undone in await self._client.by_slot(list(results), _name, write) for key in undone}


def _name(key: str) -> str:
    return KEY_PREFIX + key


def _written(entry: Entry) -> str:
    # What is not there is left out: Lua would read a null as something.
    return json.dumps({name: value for name, value in entry._asdict().items() if name != "age_seconds" and value is not None})
