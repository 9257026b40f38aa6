"""How many of the codes are used, per region and per prefix: the figure that shows SMS pumping first.

Each instance counts the messages that it has sent itself, whichever instance heard that they converted. So sums over all
instances are right.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from mitto_phone_hook.storage.message_records import RecordStore
from mitto_phone_hook.telemetry.log_lines import Emit

EVERY_SECONDS = 600
"""How often the rates are logged: those of the messages that had between one and two such times to convert."""

LOW_RATE = 0.3
"""A lower rate is a warning. Users who asked for a code mostly enter it; who asks for the money never does."""

MIN_MESSAGES = 20
"""Fewer messages prove nothing. A prefix with fewer is not logged, since it could be one person."""

MAX_MESSAGES = 5_000
"""Messages that are looked up each time; the first ones of a larger number stand for all."""

MAX_PREFIXES = 50
"""Prefixes that are logged each time, those with the lowest rates."""

PREFIX_DROPS = 4
"""Last digits of a number that its prefix does not have: as for the limit per prefix."""


class _Sent(NamedTuple):
    key: str
    region: str
    prefix: str


class ConversionRates:
    """Logs how many messages of some minutes ago have converted."""

    def __init__(self, store: RecordStore, emit: Emit) -> None:
        """Look up in ``store`` which messages have converted."""
        self._store = store
        self._emit = emit
        self._now: list[_Sent] = []
        self._before: list[_Sent] = []
        self._timer: asyncio.TimerHandle | None = None
        self._logging: asyncio.Task[None] | None = None

    def add(self, key: str, number: str, region: str) -> None:
        """Note an accepted message: the key of its record, its E.164 number and its region."""
        if len(self._now) < MAX_MESSAGES:
            self._now.append(_Sent(key, region, number[:-PREFIX_DROPS]))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_SECONDS, self._tick)

    def _tick(self) -> None:
        sent, self._before, self._now = self._before, self._now, []
        self._logging = asyncio.create_task(self._log(sent))
        self._timer = asyncio.get_running_loop().call_later(EVERY_SECONDS, self._tick) if self._before else None

    async def _log(self, sent: list[_Sent]) -> None:
        messages: Counter[tuple[str, str]] = Counter()
        converted: Counter[tuple[str, str]] = Counter()
        for one in sent:
            record = await self._store.find(one.key)
            for subject in ((one.region, ""), (one.region, one.prefix)):
                messages[subject] += 1
                converted[subject] += record is not None and record.is_converted
            await asyncio.sleep(0)
        for line in _lines(messages, converted):
            self._emit(line)


def _lines(messages: Counter[tuple[str, str]], converted: Counter[tuple[str, str]]) -> Iterator[dict[str, object]]:
    rates = {subject: converted[subject] / number for subject, number in messages.items()}
    prefixes = sorted((one for one in rates if one[1] and messages[one] >= MIN_MESSAGES), key=lambda one: rates[one])
    for subject in [*(one for one in rates if not one[1]), *prefixes[:MAX_PREFIXES]]:
        is_low = rates[subject] < LOW_RATE and messages[subject] >= MIN_MESSAGES
        yield {
            "severity": "WARNING" if is_low else "INFO",
            "event": "conversion_rate",
            "region": subject[0],
            "prefix": subject[1] or None,
            "messages": messages[subject],
            "converted": converted[subject],
            "rate": round(rates[subject], 3),
        }
