"""Conversion: a user has entered the code. That is what delivery reports cannot fake, and Mitto's signal of quality and fraud."""

import asyncio
from collections.abc import Callable

from mitto_phone_hook.credentials.keyed_hash import keyed_hash
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.storage.message_records import MessageRecord, RecordStore, key_of_id
from mitto_phone_hook.telemetry.log_lines import Emit
from mitto_phone_hook.telemetry.tally import Tally

ROUTE = "/conversions"

WITHIN_SECONDS = 1800
"""A message converts so long after it was accepted. A code that is used later came in another message."""

RELAY_SECONDS = 10.0

MAX_WAITING = 1_000
"""Conversions on their way. Further ones are counted and lost."""

MAX_AT_ONCE = 4
"""Conversions that Mitto is told of at the same time: the messages need the connections."""

NO_MESSAGE = "no_message"
ALREADY_CONVERTED = "already_converted"

_PURPOSE = b"mitto-phone-hook recipient 1"


def hash_of_recipient(number: str, key: bytes) -> str:
    """Give the keyed hash under which the last message to an E.164 number is found."""
    return keyed_hash(number, key, _PURPOSE)


class Conversions:
    """Tells Mitto of used codes, at most once per message, and logs one line for each. Nobody waits for it."""

    def __init__(self, store: RecordStore, mitto: Mitto, emit: Emit, wall_clock: Callable[[], float]) -> None:
        """Find messages in ``store``, and tell ``mitto``."""
        self._store = store
        self._mitto = mitto
        self._emit = emit
        self._tally = Tally(emit)
        self._wall_clock = wall_clock
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)
        self._relaying: set[asyncio.Task[None]] = set()

    def take(self, *, request_id: str, message_id: str | None = None, recipient_hash: str | None = None) -> None:
        """Find the message by its id, or else the last one to a recipient, and tell Mitto. Returns at once."""
        if len(self._relaying) >= MAX_WAITING:
            self._tally.add({"severity": "ERROR", "event": "conversions_lost", "route": ROUTE})
            return
        task = asyncio.create_task(self._relay(request_id, message_id, recipient_hash or ""))
        self._relaying.add(task)
        task.add_done_callback(self._relaying.discard)

    async def _relay(self, request_id: str, message_id: str | None, recipient_hash: str) -> None:
        async with self._turns:
            key = key_of_id(message_id) if message_id else await self._store.find_last(recipient_hash)
            record = await self._store.find(key) if key else None
            why = await self._why_not(key or "", record)
            severity = "INFO" if why in (None, NO_MESSAGE, ALREADY_CONVERTED) else "WARNING"
            event = (
                {"severity": severity, "event": "conversion_failed", "why": why} if why else {"severity": severity, "event": "converted"}
            )
            self._emit({**event, "route": ROUTE, "request_id": request_id, **(_described(record, self._wall_clock()) if record else {})})

    async def _why_not(self, key: str, record: MessageRecord | None) -> str | None:
        """Tell Mitto, or give the reason why that was not done."""
        if record is None or record.message_id is None or self._wall_clock() - record.accepted_at > WITHIN_SECONDS:
            return NO_MESSAGE
        found = await self._store.convert(key)
        if found is None or not found.is_changed:
            return ALREADY_CONVERTED
        return await self._mitto.convert(record.message_id, until=asyncio.get_running_loop().time() + RELAY_SECONDS)


def _described(record: MessageRecord, now: float) -> dict[str, object]:
    return {
        "message_id": record.message_id,
        "source": record.platform,
        "recipient": record.recipient,
        "region": record.region,
        "after_seconds": max(round(now - record.accepted_at, 1), 0.0),
    }
