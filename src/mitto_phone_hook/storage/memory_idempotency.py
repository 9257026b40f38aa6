"""Duplicates in the memory of this process: exact and bounded. They end with the process."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from mitto_phone_hook.storage.protocols import ALWAYS, Acquired, Claimed, Entry, Quota, Validity

MAX_ENTRIES = 100_000


class MemoryIdempotencyStore:
    """Keeps entries in a dictionary ordered by age. One event loop uses it, so each operation is atomic."""

    def __init__(self, window_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Forget entries after ``window_seconds`` of ``clock``, or the oldest when there are ``MAX_ENTRIES``."""
        self._window_seconds = window_seconds
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, Entry]] = OrderedDict()

    def __len__(self) -> int:
        """Count the entries kept."""
        return len(self._entries)

    async def claim(  # nobody waits here
        self,
        key: str,
        entry: Entry,
        validity: Validity = ALWAYS,
        latest: float = math.inf,  # noqa: ARG002
    ) -> Entry | None:
        """See ``IdempotencyStore``."""
        now = self._clock()
        self._forget(now)
        kept = self._entries.get(key)
        if kept is not None and (kept[1].owner != entry.owner or kept[1].state != "pending"):
            known = kept[1]._replace(age_seconds=now - kept[0])
            if validity.holds(known):
                return known
        self._put(key, entry, now)
        return None

    async def claim_and_acquire(
        self, key: str, entry: Entry, quota: Quota, validity: Validity = ALWAYS, latest: float = math.inf
    ) -> Claimed:
        """See ``IdempotencyStore``."""
        kept = await self.claim(key, entry, validity, latest)
        if kept is not None:
            return Claimed(kept)
        counted = await quota.acquire(latest)
        if quota.is_binding and not isinstance(counted, Acquired):
            await self.settle(key, entry.owner, None)
        return Claimed(None, counted)

    async def settle(self, key: str, owner: str, entry: Entry | None) -> None:
        """See ``IdempotencyStore``."""
        kept = self._entries.get(key)
        if kept is not None and kept[1].owner != owner and (entry is None or kept[1].state != "pending"):
            return
        if entry is None:
            self._entries.pop(key, None)
        else:
            self._put(key, entry._replace(age_seconds=0) if entry.age_seconds else entry, self._clock() - entry.age_seconds)

    async def find(self, key: str) -> Entry | None:
        """Give the entry there is, whoever owns it."""
        now = self._clock()
        self._forget(now)
        kept = self._entries.get(key)
        return kept[1]._replace(age_seconds=kept[1].age_seconds + now - kept[0]) if kept else None

    async def forget(self, key: str) -> None:
        """Remove the entry there is, whoever owns it."""
        self._entries.pop(key, None)

    def _put(self, key: str, entry: Entry, now: float) -> None:
        self._entries[key] = (now, entry)
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)

    def _forget(self, now: float) -> None:
        while self._entries:
            since, _ = next(iter(self._entries.values()))
            if now - since < self._window_seconds:
                return
            self._entries.popitem(last=False)
