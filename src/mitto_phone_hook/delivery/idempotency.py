"""One code, one SMS: what has become of a message, or of a call, that comes again.

Mitto has no idempotency key, and callers repeat themselves. A call is known by its id where it has a stable one: it is a retry or a
replay for ``CALL_SECONDS``. A message is known by its content, since some callers repeat it with a new id each time: it is a repeat for
``RESEND_AFTER_SECONDS``. After that a user asks for the same code again, and gets it. Both are kept as keyed hashes.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import NamedTuple

from mitto_phone_hook.credentials.keyed_hash import hash_of_recipient, keyed_hash
from mitto_phone_hook.delivery.finalizer import Finalizer
from mitto_phone_hook.domain.deadline import reserve_seconds
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import POSSIBLY_SENT, Outcome, Refused, Result
from mitto_phone_hook.storage.protocols import Entry, IdempotencyStore, Validity, keep_together

POLL_SECONDS = 0.1
"""Between two looks at a message that another call is sending."""

GRACE_SECONDS = 2.0
"""A call without a result so long after its deadline is dead, and the outcome of its message is unknown."""

CALL_SECONDS = 600.0
"""So long the id of a call is known: a signature counts for 300 seconds before and after its time."""

_NEVER = -1.0

REPLAYED_ID = "replayed_id"
"""Why a call is refused whose id came with another body before."""

_PURPOSE = b"mitto-phone-hook idempotency 3"
_CALL_PURPOSE = b"mitto-phone-hook call 1"
_BODY_PURPOSE = b"mitto-phone-hook body 1"


Claim = Callable[[IdempotencyStore, str, Entry, Validity, float], Awaitable[Entry | None]]
"""Claims a key in a store as ``IdempotencyStore.claim`` does, and may do more in the same step."""


class IdempotentResult(NamedTuple):
    """The result of one call for a message, and the seconds that it took."""

    result: Result
    claim_seconds: float
    """Until the store said which call sends the message."""
    wait_seconds: float
    """Until another call had its result."""
    settle_seconds: float | None = None
    """Until the store had this call's result."""


class IdempotencyGuard:
    """Lets one call send a message, and gives its result to all others."""

    def __init__(self, store: IdempotencyStore, *, deadline_seconds: float, repeat_seconds: float = math.inf) -> None:
        """Keep the entries in ``store``. ``deadline_seconds`` is how long a living call takes at most.

        What comes again in less than ``repeat_seconds`` after it was settled gets the first result.
        """
        self._store = store
        self._repeat_seconds = repeat_seconds
        self._finalizer = Finalizer(deadline_seconds)
        self._reserve_seconds = reserve_seconds(deadline_seconds)
        self._dead_after = deadline_seconds + GRACE_SECONDS

    async def once(  # noqa: PLR0913 - what tells one call from another, and what it does
        self,
        key: str,
        owner: str,
        until: float,
        send: Callable[[], Awaitable[Result]],
        *,
        fingerprint: str | None = None,
        claim: Claim | None = None,
    ) -> IdempotentResult:
        """Send if nobody has, or give the result of whoever has; wait for it while it is in flight.

        Accepted and unknown results stay; after all others the message may be tried anew. ``until`` is the
        caller's deadline on the event loop's clock; too near it, a message in flight is ``in_progress``. ``claim`` claims in place
        of the store's own operation, and may raise ``Refused`` when it has kept nothing.
        Raises ``Refused`` if the same key comes with another ``fingerprint`` of the same scope. With one of another scope it sends.
        """
        clock = asyncio.get_running_loop().time
        pending = Entry("pending", owner, fingerprint=fingerprint)
        claim_once = self._store.claim if claim is None else partial(claim, self._store)
        latest = until - self._reserve_seconds
        asking = started = perf_counter()
        while (entry := await claim_once(key, pending, self._validity(asking - started), latest)) is not None:
            claimed = perf_counter()
            if _is_other_body(entry.fingerprint, fingerprint):
                if _scope(entry.fingerprint) == _scope(fingerprint):
                    raise Refused(Outcome.UNAUTHORIZED, REPLAYED_ID)
                # Two callers with secrets of their own chose the same id by chance: the content alone tells repeats.
                return IdempotentResult(await send(), claimed - asking, asking - started)
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

    def _validity(self, waited_seconds: float) -> Validity:
        """Say how long entries count: the result for which this very call has waited does in any case."""
        repeat_seconds = max(self._repeat_seconds, waited_seconds) or _NEVER
        return Validity(repeat_seconds, self._dead_after + self._repeat_seconds)


def kept_seconds(repeat_seconds: float, deadline_seconds: float) -> float:
    """Give how long a store has to keep entries for such a guard."""
    return repeat_seconds + deadline_seconds + GRACE_SECONDS


def key_of_call(call_id: str, key: bytes) -> str:
    """Give the name under which a call is kept: a hash, keyed with ``key``, of its id."""
    return keyed_hash(call_id, key, _CALL_PURPOSE)


def fingerprint_of(body: bytes, scope: str, key: bytes) -> str:
    """Give the scope, which is whose secrets the route takes, and a hash of the body, keyed with ``key``."""
    return f"{scope} {keyed_hash(body.decode('latin-1'), key, _BODY_PURPOSE)}"


def _scope(fingerprint: str | None) -> str:
    return (fingerprint or "").partition(" ")[0]


def _is_other_body(one: str | None, other: str | None) -> bool:
    return (one or "").partition(" ")[2] != (other or "").partition(" ")[2]


def key_of(message: PhoneMessage, key: bytes) -> str:
    """Give the name under which a message is kept: a hash, keyed with ``key``, of tenant, recipient, code and text.

    It begins with the recipient's hash tag.
    """
    code = message.code.get_secret_value() if message.code else ""
    number = message.recipient.get_secret_value()
    content = (message.tenant or "", number, code, message.text.get_secret_value())
    return keep_together(hash_of_recipient(number, key), keyed_hash("\0".join(content), key, _PURPOSE))


def _earlier(entry: Entry) -> Result:
    if entry.state == "accepted":
        return Result(Outcome.ACCEPTED, message_id=entry.message_id, segments=entry.segments, is_duplicate=True)
    return Result(Outcome.OUTCOME_UNKNOWN, "earlier_attempt", is_duplicate=True)


def _settled(pending: Entry, result: Result) -> Entry | None:
    if result.outcome is Outcome.ACCEPTED:
        return pending._replace(state="accepted", message_id=result.message_id, segments=result.segments)
    return pending._replace(state="unknown") if result.outcome in POSSIBLY_SENT else None
