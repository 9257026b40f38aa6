"""What a store promises: one for duplicates, one for limits. Each is kept in memory and in Redis."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mitto_phone_hook.domain.outcome import Refused

_TAG_LENGTH = 8


class Entry(NamedTuple):
    """What is known of a message."""

    state: str
    """``pending``, ``accepted`` or ``unknown``."""
    owner: str
    """Request id of the call that claimed it."""
    message_id: str | None = None
    segments: int | None = None
    fingerprint: str | None = None
    """Keyed hash of the body, where the entry is of a call and not of a message."""
    age_seconds: float = 0.0
    """Since it was claimed or settled; filled in by the store."""


class Validity(NamedTuple):
    """For how many seconds an entry counts; an older one is replaced as if there were none."""

    settled_seconds: float = math.inf
    pending_seconds: float = math.inf

    def holds(self, entry: Entry) -> bool:
        """Tell whether the entry still counts."""
        return entry.age_seconds <= (self.pending_seconds if entry.state == "pending" else self.settled_seconds)


ALWAYS = Validity()


def keep_together(subject: str, rest: str) -> str:
    """Give a key. A cluster keeps all keys of one subject in one slot, because it hashes only what is in braces (a hash tag)."""
    return f"{{{subject[:_TAG_LENGTH]}}}{rest}"


class IdempotencyStore(Protocol):
    """Where entries are kept. Both operations are atomic."""

    async def claim(self, key: str, entry: Entry, validity: Validity = ALWAYS, latest: float = math.inf) -> Entry | None:
        """Keep ``entry`` if there is none that counts, or a claim of the same owner, and give ``None``; else give the one there is.

        Waits for its turn until the event loop's clock shows ``latest``.
        Raises ``Refused``, and keeps nothing, where nobody knows which and sending might be sending twice.
        """

    async def claim_and_acquire(
        self, key: str, entry: Entry, quota: "Quota", validity: Validity = ALWAYS, latest: float = math.inf
    ) -> "Claimed":
        """Claim as ``claim`` does and, where it is claimed, acquire ``quota``: in one step, where both are kept in the same place.

        Where the quota refuses and is binding, nothing is kept. Raises ``Refused`` as ``claim`` does.
        """

    async def settle(self, key: str, owner: str, entry: Entry | None) -> None:
        """Replace the owner's entry, ``None`` to remove it. Raises nothing. An entry with an age was settled so long ago.

        A shared store is told in the background: until then it shows the claim, and this process knows the result.

        An entry of somebody else stays, but for a pending one where this message has left, or may have.
        """


class Window(NamedTuple):
    """At most ``limit`` within any stretch of ``seconds``."""

    limit: int
    seconds: int


class Charge(NamedTuple):
    """What one message adds to one window."""

    name: str
    """The rule, as in ``LIMITS``, or the setting of a budget."""
    key: str
    """Subject, rule and length of the window; personal data only as a keyed hash."""
    window: Window
    amount: int
    step_ms: int = 0
    """Budgets forget in steps, which keeps them small; 0 forgets to the millisecond."""

    def stamp(self, now_ms: int) -> int:
        """Give the time under which this is counted: never earlier than now, so that no step forgets too soon."""
        return -(-now_ms // self.step_ms) * self.step_ms if self.step_ms else now_ms


class Refusal(NamedTuple):
    """The rule that refuses, and the seconds after which it does not."""

    name: str
    window_seconds: int
    retry_after_seconds: int


class Acquired(NamedTuple):
    """What was counted, and for each charge when (milliseconds of the store's clock) and how full its window is now."""

    charges: Sequence[Charge]
    at_ms: Sequence[int]
    used: Sequence[int]
    local: "Acquired | None" = None
    """The same in the counters that stand in front of a shared store."""


class CounterStore(Protocol):
    """Where windows are kept."""

    async def acquire(self, charges: Sequence[Charge], latest: float = math.inf) -> Acquired | Refusal:
        """Count all charges, or none of them and say which window refuses for longest.

        Waits for its turn until the event loop's clock shows ``latest``.
        Raises ``Refused``, and counts nothing, where nobody knows whether they fit and nothing may leave then.
        """

    async def release(self, acquired: Acquired, latest: float = math.inf) -> None:
        """Undo ``acquire``: nothing was sent after all. Waits for its turn until the event loop's clock shows ``latest``."""


class Quota(NamedTuple):
    """What one message is counted for, and where."""

    counters: CounterStore
    charges: Sequence[Charge]
    is_binding: bool
    """Whether a full window refuses the message; if not, it is only reported."""

    async def acquire(self, latest: float) -> Acquired | Refusal | Refused:
        """Count; a ``Refused`` is given and not raised."""
        try:
            return await self.counters.acquire(self.charges, latest)
        except Refused as refusal:
            return refusal


class Claimed(NamedTuple):
    """The entry of another call, or ``None`` where the message is claimed, and then what has become of its quota."""

    entry: Entry | None
    counted: Acquired | Refusal | Refused | None = None
