"""The limits' windows shared between instances, in Redis: all of a message's windows in one round trip.

In a cluster that is one script for each slot, at the same time. What some of them have counted is released when another refuses, so for
a moment a window can be too full, and never too empty.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.storage.deferred_writes import DeferredWrites
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.protocols import Acquired, Charge, Refusal
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, PAUSE_SECONDS, NotAsked, PoolTimeout, RedisClient, Unavailable

# KEYS: windows. ARGV, four a window: length in ms, limit, amount, step in ms. A window is a hash of time -> amount.
_ACQUIRE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local worst, longest, used = 0, -1, {}
for i, key in ipairs(KEYS) do
  local length, limit, amount = tonumber(ARGV[4*i-3]), tonumber(ARGV[4*i-2]), tonumber(ARGV[4*i-1])
  local flat, kept, sum = redis.call('HGETALL', key), {}, 0
  for j = 1, #flat, 2 do
    local at = tonumber(flat[j])
    if at <= now - length then
      redis.call('HDEL', key, flat[j])
    else
      kept[#kept + 1] = {at, tonumber(flat[j + 1])}
      sum = sum + tonumber(flat[j + 1])
    end
  end
  local excess = sum + amount - limit
  if excess > 0 then
    local wait = length
    table.sort(kept, function(a, b) return a[1] < b[1] end)
    for _, entry in ipairs(kept) do
      excess = excess - entry[2]
      if excess <= 0 then wait = entry[1] + length - now; break end
    end
    if wait > longest then worst, longest = i, wait end
  end
  used[i] = sum + amount
end
if worst > 0 then return {worst, longest} end
for i, key in ipairs(KEYS) do
  local length, step = tonumber(ARGV[4*i-3]), tonumber(ARGV[4*i])
  local at = step > 0 and math.ceil(now / step) * step or now
  redis.call('HINCRBY', key, string.format('%.0f', at), ARGV[4*i-1])
  redis.call('PEXPIRE', key, length + step)
end
-- No `unpack`: Lua 5.4 and strict interpreters have none.
local given = {0, now}
for i = 1, #used do given[i + 2] = used[i] end
return given
"""

# KEYS: windows. ARGV, two a window: time under which it was counted, amount. What holds nothing goes: all that is kept is
# read with every message, and no limit bounds how many messages do not leave.
_RELEASE = """
for i, key in ipairs(KEYS) do
  local at = ARGV[2*i-1]
  if redis.call('HEXISTS', key, at) == 1 and redis.call('HINCRBY', key, at, -ARGV[2*i]) <= 0 then redis.call('HDEL', key, at) end
end
return 1
"""


class _Counted(NamedTuple):
    """What one window has of one message."""

    name: str
    stamp: int
    amount: int


class RedisCounterStore:
    """``CounterStore`` in Redis with ``MemoryCounterStore`` in front, which alone go on when Redis does not answer."""

    def __init__(self, client: RedisClient, *, is_closed_on_failure: bool) -> None:
        """With ``is_closed_on_failure`` nothing passes while Redis, or one server of a cluster that is needed, does not answer."""
        self._client = client
        self._local = MemoryCounterStore()
        self._is_closed_on_failure = is_closed_on_failure
        self._unreleased = DeferredWrites[int, _Counted](self._release)

    async def acquire(self, charges: Sequence[Charge], latest: float = math.inf) -> Acquired | Refusal:
        """See ``CounterStore``. What this process has counted is a part of what Redis has, so it never refuses too much.

        A Redis that is only too busy has not failed: a flood must not be what switches the limits off.
        """
        own = await self._local.acquire(charges)
        if isinstance(own, Refusal) or not charges:
            return own
        parts = await self._client.by_slot(charges, _name, partial(self._acquire, latest=latest))
        counted = [part for part in parts if isinstance(part, Acquired)]
        acquired = Acquired(
            [charge for part in counted for charge in part.charges],
            [at_ms for part in counted for at_ms in part.at_ms],
            [used for part in counted for used in part.used],
            local=own,
        )
        if len(counted) == len(parts):
            return acquired
        refusals = [part for part in parts if isinstance(part, Refusal)]
        is_busy = any(isinstance(part, PoolTimeout) for part in parts)
        if not refusals and not is_busy and not self._is_closed_on_failure:
            return acquired if counted else own
        await self.release(acquired, latest)
        if refusals:
            return max(refusals, key=lambda refusal: refusal.retry_after_seconds)
        if is_busy:
            raise Refused(Outcome.UPSTREAM_UNAVAILABLE, "store_busy")
        raise Refused(Outcome.UPSTREAM_UNAVAILABLE, "limits_unknown", retry_after_seconds=math.ceil(PAUSE_SECONDS))

    async def _acquire(self, charges: Sequence[Charge], latest: float) -> Acquired | Refusal | Unavailable:
        """Count what has one slot."""
        arguments = [number for c in charges for number in (c.window.seconds * 1000, c.window.limit, c.amount, c.step_ms)]
        try:
            # Asked twice when its connection breaks: at worst one message is counted twice, and none not at all.
            worst, number, *used = await self._client.eval(_ACQUIRE, list(map(_name, charges)), arguments, latest=latest)
        except Unavailable as fault:
            return fault
        if worst:
            charge = charges[worst - 1]
            return Refusal(charge.name, charge.window.seconds, math.ceil(number / 1000))
        return Acquired(charges, [number] * len(charges), used)

    async def release(self, acquired: Acquired, latest: float = math.inf) -> None:
        """See ``CounterStore``. What Redis could not be asked to take back it is asked again when it answers."""
        await self._local.release(acquired.local or acquired)
        if acquired.local is None or not acquired.charges:
            return
        counted = [_Counted(_name(charge), charge.stamp(at), charge.amount) for charge, at in zip(*acquired[:2], strict=True)]
        # Nobody else holds these objects while they wait, so their id is a key.
        released = {id(one): one for one in counted}
        if not_asked := await self._release(released, latest):
            for key in not_asked:
                self._unreleased.put(key, released[key])
            self._unreleased.retry_later()

    async def _release(self, counted: Mapping[int, _Counted], latest: float) -> Collection[int]:
        """Ask each server once: if it was asked and did not answer, nobody knows whether it did it."""

        async def release(keys: Sequence[int]) -> Sequence[int]:
            arguments = [number for key in keys for number in (counted[key].stamp, counted[key].amount)]
            try:
                await self._client.eval(_RELEASE, [counted[key].name for key in keys], arguments, latest=latest, may_repeat=False)
            except NotAsked:
                return keys
            except Unavailable:
                return ()
            return ()

        return {key for keys in await self._client.by_slot(list(counted), lambda key: counted[key].name, release) for key in keys}


def _name(charge: Charge) -> str:
    return KEY_PREFIX + charge.key
