"""Duplicates, shared between instances in Redis: one round trip an operation."""

import json
import math
import time
from collections.abc import Collection, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.storage.deferred_writes import MAX_DEFERRED, DeferredWrites
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.storage.protocols import ALWAYS, Acquired, Claimed, Entry, Quota, Refusal, Validity
from mitto_phone_hook.storage.redis_admission import Admitted, EntryClaim, Held, admit
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, PoolTimeout, RedisClient, Unavailable
from mitto_phone_hook.storage.redis_counters import RedisCounterStore

_quoted = encode_basestring_ascii

MAX_OWNERS = 20
"""The most calls of one message that wait for Redis to learn their end. Beyond it the first are forgotten."""

MARGIN_SECONDS = 1.0
"""An entry of another instance counts for so much less than its time, because the clock of Redis is not ours."""

# KEYS: entries. ARGV, for each: its owners, separated by spaces, the entry or nothing, and the ms for which it is kept. What somebody
# else holds stays, but for a claim where the message has left, or may have.
_SETTLE = """
for i, key in ipairs(KEYS) do
  local owners, entry = ARGV[3*i-2], ARGV[3*i-1]
  local kept = redis.call('GET', key)
  local owner = kept and string.match(kept, '"owner": "([^"]*)"')
  if not owner or string.find(' ' .. owners .. ' ', ' ' .. owner .. ' ', 1, true)
    or (entry ~= '' and string.sub(kept, 1, 19) == '{"state": "pending"') then
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
    window_ms: int

    def arguments(self) -> tuple[str, str, int]:
        """Give what the script takes. A result that is told late is kept for the rest of its time, or no more."""
        left_ms = self.window_ms - int((time.monotonic() - self.since) * 1000)
        return " ".join(self.owners), _written(self.entry) if self.entry and left_ms > 0 else "", left_ms


class Settlements(DeferredWrites[str, _Settled]):
    """The results that Redis has not been told. Stores may share them: then the results of a message and of its call share a script."""

    def __init__(self, client: RedisClient, stores: int = 1) -> None:
        """Write through ``client``, for so many stores."""
        super().__init__(self._write_all, most=stores * MAX_DEFERRED)
        self._client = client

    async def _write_all(self, results: Mapping[str, _Settled], latest: float) -> Collection[str]:
        async def write(keys: Sequence[str]) -> Sequence[str]:
            arguments = [argument for key in keys for argument in results[key].arguments()]
            try:
                await self._client.eval(_SETTLE, [_name(key) for key in keys], arguments, latest=latest)
            except Unavailable:
                return keys
            return ()

        return {key for undone in await self._client.by_slot(list(results), _name, write) for key in undone}


class RedisIdempotencyStore:
    """A ``IdempotencyStore`` in Redis with a ``MemoryIdempotencyStore`` in front, which goes on alone when Redis does not answer."""

    def __init__(self, client: RedisClient, window_seconds: float, unsettled: Settlements | None = None) -> None:
        """Keep entries for ``window_seconds``. ``unsettled`` are the results that Redis has not been told, also those of other stores."""
        self._client = client
        self._local = MemoryIdempotencyStore(window_seconds)
        self._window_ms = int(window_seconds * 1000)
        self._unsettled = Settlements(client) if unsettled is None else unsettled
        self._other_instances = MemoryIdempotencyStore(window_seconds)
        """What other instances were seen to hold: a Redis that falls silent does not make it ours."""

    async def claim(self, key: str, entry: Entry, validity: Validity = ALWAYS, latest: float = math.inf) -> Entry | None:
        """See ``IdempotencyStore``. Raises ``Refused`` when Redis could not be asked in time although it may well answer others."""
        return (await self._claim(key, entry, None, validity, latest)).entry

    async def claim_and_acquire(
        self, key: str, entry: Entry, quota: Quota, validity: Validity = ALWAYS, latest: float = math.inf
    ) -> Claimed:
        """See ``IdempotencyStore``, and ``claim``. In a cluster, what many recipients share is counted elsewhere at the same time."""
        return await self._claim(key, entry, quota, validity, latest)

    async def _claim(self, key: str, entry: Entry, quota: Quota | None, validity: Validity, latest: float) -> Claimed:
        known = await self._local.claim(key, entry, validity)
        if known is not None:
            return Claimed(known)
        # Else Redis would still say that the message is on its way, in the name of a call that has ended.
        await self._unsettled.make(key, latest=latest)
        settled_ms, pending_ms = (int(min(seconds, self._window_ms / 1000) * 1000) for seconds in validity)
        is_binding = quota is not None and quota.is_binding
        asked = EntryClaim(key, entry.owner, _written(entry), self._window_ms, settled_ms, pending_ms, is_binding)
        counters, counted = quota and quota.counters, None
        if quota and isinstance(counters, RedisCounterStore) and counters.shares(self._client):
            said, counted = await counters.acquire_with(asked, quota.charges, latest)
        else:
            said = await admit(self._client, asked, (), latest)
        try:
            found = await self._found(key, entry, validity, said)
        except Refused:
            await _release(quota, counted, latest)
            raise
        if found is not None:
            await _release(quota, counted, latest)
            return Claimed(found)
        if quota is None:
            return Claimed(None)
        counted = counted or await quota.acquire(latest)
        if is_binding and not isinstance(counted, Acquired):
            # Where Redis itself refused, it has kept no claim.
            settle = self._local.settle if isinstance(said, Refusal) else self.settle
            await settle(key, entry.owner, None)
        return Claimed(None, counted)

    async def _found(self, key: str, entry: Entry, validity: Validity, said: Admitted) -> Entry | None:
        """Give the entry that counts, after what Redis has said, or has not."""
        if isinstance(said, Unavailable):
            seen = await self._seen_at_other_instance(key, validity)
            if seen is not None or isinstance(said, PoolTimeout):
                await self._local.settle(key, entry.owner, None)
            if seen is None and isinstance(said, PoolTimeout):
                raise Refused(Outcome.UPSTREAM_UNAVAILABLE, "store_busy")
            return seen
        if not isinstance(said, Held):
            return await self._remembered(key, entry, validity)
        await self._local.settle(key, entry.owner, None)
        other = Entry(**json.loads(said.written), age_seconds=said.age_ms / 1000)
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
        """See ``IdempotencyStore``. Redis is told in the loop's next turn, or as soon as it responds again."""
        await self._local.settle(key, owner, entry)
        # A Redis that hung runs the claim of an earlier call when it wakes, and nobody else would take that away.
        earlier = self._unsettled.get(key)
        owners = (*earlier.owners, owner)[-MAX_OWNERS:] if earlier and earlier.entry is None else (owner,)
        self._unsettled.put(key, _Settled(owners, entry, time.monotonic() - (entry.age_seconds if entry else 0), self._window_ms))
        self._unsettled.make_soon(key)


def _name(key: str) -> str:
    return KEY_PREFIX + key


async def _release(quota: Quota | None, counted: Acquired | Refusal | Refused | None, latest: float) -> None:
    """Take back what was counted for a message that another call has, or that nobody may send."""
    if quota is not None and isinstance(counted, Acquired):
        await quota.counters.release(counted, latest)


def _written(entry: Entry) -> str:
    # The scripts, and earlier versions, read state and owner at its beginning. What is not there is left out.
    fields = [f'"state": "{entry.state}", "owner": {_quoted(entry.owner)}']
    if entry.message_id is not None:
        fields.append(f'"message_id": {_quoted(entry.message_id)}')
    if entry.segments is not None:
        fields.append(f'"segments": {entry.segments}')
    if entry.fingerprint is not None:
        fields.append(f'"fingerprint": {_quoted(entry.fingerprint)}')
    return "{" + ", ".join(fields) + "}"
