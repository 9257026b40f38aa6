"""The limits' windows shared between instances, in Redis: all of a message's windows in one round trip.

In a cluster that is one script for each slot, at the same time. What some of them have counted is released when another refuses, so for
a moment a window can be too full, and never too empty.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, cast

from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.storage.deferred_writes import DeferredWrites
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.protocols import Acquired, Charge, Refusal
from mitto_phone_hook.storage.redis_admission import Admitted, EntryClaim, Held, admit, name_of
from mitto_phone_hook.storage.redis_client import PAUSE_SECONDS, NotAsked, PoolTimeout, RedisClient, Unavailable

# KEYS: windows. ARGV, two a window: time under which it was counted, amount to add. What holds nothing goes: all that is kept is
# read again and again, and no limit bounds how many messages do not leave.
_RELEASE = """
for i, key in ipairs(KEYS) do
  local at, amount = ARGV[2*i-1], ARGV[2*i]
  if redis.call('HEXISTS', key, at) == 1 then
    if redis.call('HINCRBY', key, at, amount) <= 0 then redis.call('HDEL', key, at) end
    if redis.call('HEXISTS', key, '-1') == 1 and redis.call('HINCRBY', key, '-1', amount) <= 0 then redis.call('DEL', key) end
  end
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
        parts = await self._client.by_slot(charges, name_of, lambda part: admit(self._client, None, part, latest))
        counted = await self._together(own, parts, latest)
        if isinstance(counted, Refused):
            raise counted
        return counted

    async def acquire_with(
        self, claim: EntryClaim, charges: Sequence[Charge], latest: float
    ) -> tuple[Admitted, Acquired | Refusal | Refused | None]:
        """Count and claim at the same time; tell what has become of the claim, and of the charges.

        Where another call has the message nothing is counted, and where ``claim`` is binding it may be kept although a charge is refused.
        """
        own = await self._local.acquire(charges)
        if isinstance(own, Refusal) or not charges:
            return await admit(self._client, claim, (), latest), own
        items: list[EntryClaim | Charge] = [claim, *charges]

        async def ask(part: Sequence[EntryClaim | Charge]) -> tuple[Admitted, bool]:
            # Groups keep the order, so the claim is the first of its own.
            has_claim = part[0] is claim
            counted = cast("Sequence[Charge]", part[1:] if has_claim else part)
            return await admit(self._client, claim if has_claim else None, counted, latest), bool(counted)

        asked = await self._client.by_slot(items, name_of, ask)
        said, counting = asked[0][0], [part for part, has_charges in asked if has_charges]
        if isinstance(said, Held):
            await self.release(_sum(own, counting), latest)
            return said, None
        return said, await self._together(own, counting, latest)

    def shares(self, client: RedisClient) -> bool:
        """Tell whether the windows are in the Redis of this client."""
        return client is self._client

    async def _together(self, own: Acquired, parts: Sequence[Admitted], latest: float) -> Acquired | Refusal | Refused:
        """Give what all servers together have counted, or take it back where one refuses."""
        acquired = _sum(own, parts)
        refusals = [part for part in parts if isinstance(part, Refusal)]
        is_busy = any(isinstance(part, PoolTimeout) for part in parts)
        is_silent = any(isinstance(part, Unavailable) for part in parts)
        if not refusals and not is_busy and not (is_silent and self._is_closed_on_failure):
            return acquired if acquired.charges or not is_silent else own
        await self.release(acquired, latest)
        if refusals:
            return max(refusals, key=lambda refusal: refusal.retry_after_seconds)
        if is_busy:
            return Refused(Outcome.UPSTREAM_UNAVAILABLE, "store_busy")
        return Refused(Outcome.UPSTREAM_UNAVAILABLE, "limits_unknown", retry_after_seconds=math.ceil(PAUSE_SECONDS))

    async def release(self, acquired: Acquired, latest: float = math.inf) -> None:
        """See ``CounterStore``. What Redis could not be asked to take back it is asked again when it answers."""
        await self._local.release(acquired.local or acquired)
        if acquired.local is None or not acquired.charges:
            return
        counted = [_Counted(name_of(charge), charge.stamp(at), charge.amount) for charge, at in zip(*acquired[:2], strict=True)]
        # Nobody else holds these objects while they wait, so their id is a key.
        released = {id(one): one for one in counted}
        if not_asked := await self._release(released, latest):
            for key in not_asked:
                self._unreleased.put(key, released[key])
            self._unreleased.retry_later()

    async def _release(self, counted: Mapping[int, _Counted], latest: float) -> Collection[int]:
        """Ask each server once: if it was asked and did not answer, nobody knows whether it did it."""

        async def release(keys: Sequence[int]) -> Sequence[int]:
            arguments = [number for key in keys for number in (counted[key].stamp, -counted[key].amount)]
            try:
                await self._client.eval(_RELEASE, [counted[key].name for key in keys], arguments, latest=latest, may_repeat=False)
            except NotAsked:
                return keys
            except Unavailable:
                return ()
            return ()

        return {key for keys in await self._client.by_slot(list(counted), lambda key: counted[key].name, release) for key in keys}


def _sum(own: Acquired, parts: Sequence[Admitted]) -> Acquired:
    """Give all that was counted."""
    counted = [part for part in parts if isinstance(part, Acquired)]
    if len(counted) == 1:
        return Acquired(*counted[0][:3], local=own)
    return Acquired(
        [charge for part in counted for charge in part.charges],
        [at_ms for part in counted for at_ms in part.at_ms],
        [used for part in counted for used in part.used],
        local=own,
    )
