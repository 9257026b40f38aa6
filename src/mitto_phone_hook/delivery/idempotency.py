"""One code, one SMS: what has become of a message before, whoever asks for it again.

Mitto has no idempotency key, and callers repeat themselves, some with a new id each time. So a message is known
by its content: tenant, recipient, code and text, as a keyed hash from which none of them can be read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import NamedTuple

from mitto_phone_hook.credentials.keyed_hash import keyed_hash
from mitto_phone_hook.delivery.finalizer import Finalizer
from mitto_phone_hook.domain.deadline import reserve_seconds
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import POSSIBLY_SENT, Outcome, Refused, Result
from mitto_phone_hook.storage.protocols import Entry, IdempotencyStore

POLL_SECONDS = 0.1
"""Between two looks at a message that another call is sending."""

GRACE_SECONDS = 2.0
"""After its deadline and this, a call that has not told its result is dead, and its message's fate unknown."""

_PURPOSE = b"mitto-phone-hook ledger 2"


class IdempotentResult(NamedTuple):
    """One call's turn at a message: its result, and the seconds that it took."""

    result: Result
    claim_seconds: float
    """For the store to say whose the message is."""
    wait_seconds: float
    """For another call to tell its result."""
    settle_seconds: float | None = None
    """For the store to take this call's result."""


class IdempotencyGuard:
    """Lets one call send a message and tells all others what became of it."""

    def __init__(self, store: IdempotencyStore, *, deadline_seconds: float) -> None:
        """Keep the entries in ``store``; ``deadline_seconds`` is how long a living call takes at most."""
        self._store = store
        self._finalizer = Finalizer(deadline_seconds)
        self._reserve_seconds = reserve_seconds(deadline_seconds)
        self._dead_after = deadline_seconds + GRACE_SECONDS

    async def once(self, key: str, owner: str, until: float, send: Callable[[], Awaitable[Result]]) -> IdempotentResult:
        """Send if nobody has, or give the result of whoever has; wait for it while it is in flight.

        Accepted and unknown results stay; after all others the message may be tried anew. ``until`` is the
        caller's deadline on the event loop's clock; too near it, a message in flight is ``in_progress``.
        """
        clock = asyncio.get_running_loop().time
        pending = Entry("pending", owner)
        asking = started = perf_counter()
        while (entry := await self._store.claim(key, pending, until - self._reserve_seconds)) is not None:
            claimed = perf_counter()
            is_in_flight = entry.state == "pending" and entry.age_seconds < self._dead_after
            if is_in_flight and until - clock() >= self._reserve_seconds + POLL_SECONDS:
                await asyncio.sleep(POLL_SECONDS)
                asking = perf_counter()
                continue
            result = Result(Outcome.IN_PROGRESS, is_duplicate=True) if is_in_flight else _earlier(entry)
            return IdempotentResult(result, claimed - asking, asking - started)
        claimed = perf_counter()
        try:
            result = await send()
        except Refused:
            await self._finalizer.finish(self._store.settle(key, owner, None), until)
            raise
        except Exception:
            await self._finalizer.finish(self._store.settle(key, owner, pending._replace(state="unknown")), until)
            raise
        settling = perf_counter()
        await self._finalizer.finish(self._store.settle(key, owner, _settled(pending, result)), until)
        return IdempotentResult(result, claimed - asking, asking - started, perf_counter() - settling)


def key_of(message: PhoneMessage, key: bytes) -> str:
    """Give the name under which a message is kept: a hash, keyed with ``key``, of tenant, recipient, code and text."""
    code = message.code.get_secret_value() if message.code else ""
    content = (message.tenant or "", message.recipient.get_secret_value(), code, message.text.get_secret_value())
    return keyed_hash("\0".join(content), key, _PURPOSE)


def _earlier(entry: Entry) -> Result:
    if entry.state == "accepted":
        return Result(Outcome.ACCEPTED, message_id=entry.message_id, segments=entry.segments, is_duplicate=True)
    return Result(Outcome.OUTCOME_UNKNOWN, "earlier_attempt", is_duplicate=True)


def _settled(pending: Entry, result: Result) -> Entry | None:
    if result.outcome is Outcome.ACCEPTED:
        return Entry("accepted", pending.owner, result.message_id, result.segments)
    return pending._replace(state="unknown") if result.outcome in POSSIBLY_SENT else None
