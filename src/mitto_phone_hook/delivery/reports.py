"""From Mitto's delivery reports to log events: did the message arrive, and after how long.

Order and number of reports are not guaranteed, and a report may overtake Mitto's response to the message. So the first final
state wins, and a report of a message that nobody knows yet is looked at again.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.mitto.reports import Report, State
from mitto_phone_hook.storage.message_records import Found, MessageRecord, RecordStore, key_of_id
from mitto_phone_hook.telemetry.log_lines import Emit
from mitto_phone_hook.telemetry.tally import Tally

ROUTE = "/reports/*"
"""The path in the log. The last part of the real one is a secret."""

SEVERITIES = dict.fromkeys(State, "WARNING") | {State.DELIVERED: "INFO", State.BUFFERED: "INFO"}

MAX_WAITING = 20_000
"""Reports that wait for their turn. Then the newest are counted and lost."""

MAX_EARLY = 1_000
"""Reports of unknown messages that wait for their message. Further ones are logged with what they say themselves."""

_UUID = re.compile("[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")

_AT_ONCE = 8
"""After so many reports the event loop does its other work."""


class _Waiting(NamedTuple):
    report: Report
    came_at: float
    """Unix seconds."""
    is_early: bool = True
    """Whether its message may still come."""


class DeliveryReports:
    """Logs one event per report that says something new."""

    def __init__(self, store: RecordStore, emit: Emit, *, early_seconds: float, wall_clock: Callable[[], float]) -> None:
        """Look messages up in ``store``; for one that is not there again after ``early_seconds``, when its call has ended."""
        self._store = store
        self._emit = emit
        self._tally = Tally(emit)
        self._early_seconds = early_seconds
        self._wall_clock = wall_clock
        self._waiting: deque[_Waiting] = deque()
        self._early = 0
        self._working: asyncio.Task[None] | None = None

    def take(self, reports: Sequence[Report], unreadable: int = 0) -> None:
        """Take the reports of one call. Returns at once; they are handled one after the other, beside the messages."""
        if unreadable:
            self._tally.add({"severity": "WARNING", "event": "report_unreadable", "route": ROUTE}, unreadable)
        space = MAX_WAITING - len(self._waiting)
        if len(reports) > space:
            self._tally.add({"severity": "ERROR", "event": "reports_lost", "route": ROUTE}, len(reports) - space)
        now = self._wall_clock()
        self._waiting.extend(_Waiting(report, now) for report in reports[:space])
        self._work()

    def refuse(self) -> None:
        """Count a call with a wrong token."""
        self._tally.add({"severity": "WARNING", "event": "report_refused", "route": ROUTE})

    def _work(self) -> None:
        if self._waiting and (self._working is None or self._working.done()):
            self._working = asyncio.create_task(self._handle_all())

    async def _handle_all(self) -> None:
        while self._waiting:
            for _ in range(min(_AT_ONCE, len(self._waiting))):
                await self._handle(self._waiting.popleft())
            await asyncio.sleep(0)

    async def _handle(self, waiting: _Waiting) -> None:
        report, found = waiting.report, None
        for known_id in filter(None, (report.message_id, report.request_id)):
            found = found or await self._store.report(key_of_id(known_id), _status_of(report), is_final=report.state.is_final)
        if found is None and waiting.is_early and self._early < MAX_EARLY:
            self._early += 1
            asyncio.get_running_loop().call_later(self._early_seconds, self._again, waiting)
        elif found is None:
            self._emit(_line(report) | _said(report))
        elif found.is_changed:
            self._emit(_line(report) | _known(found, waiting.came_at))
        else:
            self._tally.add({"severity": "INFO", "event": "report_repeated", "route": ROUTE})

    def _again(self, waiting: _Waiting) -> None:
        self._early -= 1
        self._waiting.append(waiting._replace(is_early=False))
        self._work()


def _status_of(report: Report) -> str:
    return report.status if report.state is State.UNKNOWN_STATUS else report.state.value


def _line(report: Report) -> dict[str, object]:
    return {
        "severity": SEVERITIES[report.state],
        "event": report.state.value,
        "route": ROUTE,
        "status": report.status,
        "error": report.error,
        "network": report.network,
    }


def _known(found: Found, came_at: float) -> dict[str, object]:
    """Say which message it is, from its record."""
    record: MessageRecord = found.record
    return {
        "request_id": record.request_id,
        "message_id": record.message_id,
        "source": record.platform,
        "recipient": record.recipient,
        "region": record.region,
        "segments": record.segments,
        "after_seconds": max(round(came_at - record.accepted_at, 1), 0.0),
    }


def _said(report: Report) -> dict[str, object]:
    """Say what the report itself says of a message that nobody knows. Its id may be anything, so only ids in Mitto's form are logged."""
    said: dict[str, object] = {"request_id": report.request_id, "why": "no_record"}
    if report.message_id and _UUID.fullmatch(report.message_id):
        said["message_id"] = report.message_id
    if report.receiver:
        said |= _described(report.receiver)
    return said


def _described(receiver: Recipient) -> dict[str, object]:
    try:
        region = read_number(receiver.get_secret_value(), None).region
    except ValueError:
        return {}
    return {"recipient": str(receiver), "region": region}
