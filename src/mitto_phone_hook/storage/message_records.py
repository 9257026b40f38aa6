"""Where each accepted message is: what reports and conversions need to know of it, in memory. No text, code or full number."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

KEPT_SECONDS = 48 * 3600
"""Mitto attempts delivery for so long at most."""

MAX_RECORDS = 20_000
"""Of one process' memory, about 15 MiB. Then the oldest are forgotten."""


class MessageRecord(NamedTuple):
    """What is known of a message that Mitto accepted, or may have accepted."""

    request_id: str
    accepted_at: float
    """Unix seconds."""
    platform: str
    """Name of the payload in which the message came."""
    recipient: str
    """Masked."""
    region: str
    sender_id: str
    segments: int
    message_id: str | None = None
    client_id: str | None = None
    recipient_hash: str | None = None
    """Keyed hash of the number, by which a conversion finds its message."""
    status: str = ""
    """What Mitto's reports have said, the final state if there is one; filled in by the store."""
    is_converted: bool = False
    """Filled in by the store."""

    @property
    def key(self) -> str:
        """The name under which it is kept."""
        return key_of_id(self.message_id or self.request_id)


class Found(NamedTuple):
    """A record as it was, and whether what was asked for has changed it."""

    record: MessageRecord
    is_changed: bool


def key_of_id(message_id: str) -> str:
    """Give the key of a message: Mitto writes one id with hyphens and without."""
    return message_id.replace("-", "").lower()


class RecordStore(Protocol):
    """Where records are kept for ``KEPT_SECONDS``. Nothing raises: a store that does not answer knows of nothing."""

    def add(self, record: MessageRecord) -> None:
        """Keep a record, at once or soon. It is the last one of its recipient."""

    async def find(self, key: str) -> MessageRecord | None:
        """Give the record under ``key``."""

    async def find_last(self, recipient_hash: str) -> str | None:
        """Give the key of the last message to a recipient."""

    async def report(self, key: str, status: str, *, is_final: bool) -> Found | None:
        """Note a status in one step; ``None`` without a record. After a final status, and for the same one, nothing changes."""

    async def convert(self, key: str) -> Found | None:
        """Note in one step that the code was used; ``None`` without a record. The second time nothing changes."""


class MemoryRecordStore:
    """Keeps records in a dictionary ordered by age. One event loop uses it, so each operation is one step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_records: int = MAX_RECORDS) -> None:
        """Forget records after ``KEPT_SECONDS`` of ``clock``, or the oldest when there are more than ``max_records``."""
        self._clock = clock
        self._max_records = max_records
        self._records: OrderedDict[str, tuple[float, MessageRecord, bool]] = OrderedDict()
        self._last: dict[str, str] = {}

    def __len__(self) -> int:
        """Count the records."""
        return len(self._records)

    def add(self, record: MessageRecord) -> None:
        """See ``RecordStore``."""
        key = record.key
        self._records[key] = (self._clock(), record, False)
        if record.recipient_hash:
            self._last[record.recipient_hash] = key
        if len(self._records) > self._max_records:
            self._forget_oldest()

    async def find(self, key: str) -> MessageRecord | None:
        """See ``RecordStore``."""
        now = self._clock()
        while self._records and now - next(iter(self._records.values()))[0] >= KEPT_SECONDS:
            self._forget_oldest()
        kept = self._records.get(key)
        return kept[1] if kept else None

    async def find_last(self, recipient_hash: str) -> str | None:
        """See ``RecordStore``."""
        return self._last.get(recipient_hash)

    async def report(self, key: str, status: str, *, is_final: bool) -> Found | None:
        """See ``RecordStore``."""
        record = await self.find(key)
        if record is None:
            return None
        since, _, is_ended = self._records[key]
        if is_ended or record.status == status:
            return Found(record, is_changed=False)
        self._records[key] = (since, record._replace(status=status), is_final)
        return Found(record, is_changed=True)

    async def convert(self, key: str) -> Found | None:
        """See ``RecordStore``."""
        record = await self.find(key)
        if record is None:
            return None
        since, _, is_ended = self._records[key]
        self._records[key] = (since, record._replace(is_converted=True), is_ended)
        return Found(record, is_changed=not record.is_converted)

    def _forget_oldest(self) -> None:
        key, (_, record, _) = self._records.popitem(last=False)
        if record.recipient_hash and self._last.get(record.recipient_hash) == key:
            del self._last[record.recipient_hash]
