"""Records of messages, shared between instances in Redis: one key per message, written in the background."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from mitto_phone_hook.storage.message_records import KEPT_SECONDS, Found, MessageRecord
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, PAUSE_SECONDS, RedisClient, Unavailable

RECORD_PREFIX = f"{KEY_PREFIX}record:"
"""Of records, which a cluster spreads over its masters by message."""

LAST_PREFIX = f"{KEY_PREFIX}last:"
"""Of the last message of each recipient, by its keyed hash."""

LAST_SECONDS = 1800
"""A code that was used later has no message."""

MAX_UNWRITTEN = 10_000
"""Records that wait for Redis. Then the oldest are lost."""

WRITES_AT_ONCE = 100
"""Records of one round trip."""

# KEYS: records, or the last messages of recipients. ARGV, for each: its value; then the seconds for which they are kept.
_ADD = """
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'record', ARGV[i])
  redis.call('EXPIRE', key, ARGV[#KEYS + 1])
end
return 1
"""
_SET_LAST = """
for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[i], 'EX', ARGV[#KEYS + 1]) end
return 1
"""

_GET_LAST = "return redis.call('GET', KEYS[1])"

_FIND = "return redis.call('HMGET', KEYS[1], 'record', 'status', 'converted')"

# KEYS: a record. ARGV: a status, 1 if it is final.
_REPORT = """
local kept = redis.call('HMGET', KEYS[1], 'record', 'status', 'converted', 'final')
if not kept[1] then return false end
if kept[4] or kept[2] == ARGV[1] then return {kept, 0} end
redis.call('HSET', KEYS[1], 'status', ARGV[1])
if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'final', '1') end
return {kept, 1}
"""

# KEYS: a record.
_CONVERT = """
local kept = redis.call('HMGET', KEYS[1], 'record', 'status', 'converted')
if not kept[1] then return false end
return {kept, redis.call('HSETNX', KEYS[1], 'converted', '1')}
"""


class RedisRecordStore:
    """A ``RecordStore`` in Redis. One task writes, so messages keep most of the turns; it goes on when Redis answers again."""

    def __init__(self, client: RedisClient) -> None:
        """Write and read through ``client``."""
        self._client = client
        self._unwritten: deque[MessageRecord] = deque(maxlen=MAX_UNWRITTEN)
        self._writing: asyncio.Task[None] | None = None

    def add(self, record: MessageRecord) -> None:
        """See ``RecordStore``."""
        self._unwritten.append(record)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())

    async def find(self, key: str) -> MessageRecord | None:
        """See ``RecordStore``."""
        kept = await self._ask(_FIND, RECORD_PREFIX + key)
        return _read(kept) if kept and kept[0] else None

    async def find_last(self, recipient_hash: str) -> str | None:
        """See ``RecordStore``."""
        kept = await self._ask(_GET_LAST, LAST_PREFIX + recipient_hash)
        return str(kept) if kept else None

    async def report(self, key: str, status: str, *, is_final: bool) -> Found | None:
        """See ``RecordStore``."""
        return _found(await self._ask(_REPORT, RECORD_PREFIX + key, status, int(is_final)))

    async def convert(self, key: str) -> Found | None:
        """See ``RecordStore``."""
        return _found(await self._ask(_CONVERT, RECORD_PREFIX + key))

    async def _ask(self, script: str, key: str, *arguments: str | int) -> Any:  # noqa: ANN401 - whatever the script gives
        try:
            return await self._client.eval(script, [key], arguments, may_repeat=script in (_FIND, _GET_LAST))
        except Unavailable:
            return None

    async def _write_all(self) -> None:
        while self._unwritten:
            records = list(islice(self._unwritten, WRITES_AT_ONCE))
            try:
                await self._write(records)
            except Unavailable:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            for record in records:
                # Where too many wait, some of them are lost already.
                if self._unwritten and self._unwritten[0] is record:
                    self._unwritten.popleft()

    async def _write(self, records: list[MessageRecord]) -> None:
        """Write records. Raises ``Unavailable``."""
        await self._set(_ADD, {RECORD_PREFIX + record.key: _written(record) for record in records}, KEPT_SECONDS)
        last = {LAST_PREFIX + record.recipient_hash: record.key for record in records if record.recipient_hash}
        if last:
            await self._set(_SET_LAST, last, LAST_SECONDS)

    async def _set(self, script: str, values: Mapping[str, str], seconds: int) -> None:
        async def work(keys: Sequence[str]) -> None:
            await self._client.eval(script, keys, [*map(values.__getitem__, keys), seconds])

        await self._client.by_slot(list(values), str, work)


def _written(record: MessageRecord) -> str:
    return json.dumps({name: value for name, value in record._asdict().items() if value not in (None, "", False)})


def _read(kept: list[str | None]) -> MessageRecord:
    record, status, converted = kept[:3]
    return MessageRecord(**json.loads(record or "{}"))._replace(status=status or "", is_converted=bool(converted))


def _found(answer: Any) -> Found | None:  # noqa: ANN401 - as the script gives it
    return Found(_read(answer[0]), is_changed=answer[1] == 1) if answer else None
