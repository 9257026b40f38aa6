"""What is known about one hook call, and the one line of the log that it becomes."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mitto_phone_hook.delivery.attempts import Sent
from mitto_phone_hook.delivery.idempotency import Turn
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Result
from mitto_phone_hook.routes import ROUTES
from mitto_phone_hook.telemetry.log_lines import SEVERITIES, stack_of

_PROJECT = os.environ.get("GOOGLE_CLOUD_PROJECT")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_CLOUD_TRACE = re.compile(rb"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=[0-9]+)?")


@dataclass(slots=True)
class CallRecord:
    """What is known about one call while it runs, so that its line can be written whatever ends it."""

    request_id: str
    path: str = field(repr=False)
    headers: Mapping[bytes, bytes] = field(repr=False)
    started: float
    """Seconds of any clock that ``line`` is told, too."""
    message: PhoneMessage | None = None
    count_seconds: float | None = None
    sent: Sent | None = None
    turn: Turn | None = None
    bug: Exception | None = None
    would_refuse: list[str] = field(default_factory=list)

    def line(self, result: Result, now: float) -> dict[str, object]:
        """Give the values of the call's log line. An unknown path stays out: it may hold a secret."""
        values: dict[str, object] = {
            "severity": SEVERITIES[result.outcome],
            "event": result.outcome.value,
            "request_id": self.request_id,
            "route": self.path if self.path in ROUTES else None,
            "duration_ms": _milliseconds(now - self.started),
            "count_ms": _milliseconds(self.count_seconds),
            "message_id": result.message_id,
            "duplicate": result.is_duplicate or None,
            "why": result.why,
            "fields": result.fields or None,
            "would_refuse": self.would_refuse or None,
            "stack_trace": stack_of(self.bug) if self.bug else None,
        }
        if self.message:
            values["source"] = self.message.source
            values["purpose"] = self.message.purpose.value
            values["recipient"] = str(self.message.recipient)
            values["region"] = self.message.region
        if self.sent:
            values["attempts"] = self.sent.attempts
            values["segments"] = self.sent.sms.encoded.segments
            values["encoding"] = self.sent.sms.encoded.encoding.value
            values["upstream_ms"] = _milliseconds(self.sent.seconds)
        if self.turn:
            values["claim_ms"] = _milliseconds(self.turn.claim_seconds)
            values["wait_ms"] = _milliseconds(self.turn.wait_seconds or None)
            values["settle_ms"] = _milliseconds(self.turn.settle_seconds)
        return values | trace_fields(self.headers, _PROJECT)


def trace_fields(headers: Mapping[bytes, bytes], project: str | None) -> dict[str, str]:
    """Read the caller's trace from ``traceparent`` or ``X-Cloud-Trace-Context``, so that the log joins the platform's own lines."""
    if found := _TRACEPARENT.fullmatch(headers.get(b"traceparent", b"")):
        trace, span = found[1].decode(), found[2].decode()
    elif found := _CLOUD_TRACE.fullmatch(headers.get(b"x-cloud-trace-context", b"")):
        trace, span = found[1].decode().lower(), f"{int(found[2] or 0):016x}"[-16:]
    else:
        return {}
    name = f"projects/{project}/traces/{trace}" if project else trace
    return {"logging.googleapis.com/trace": name, "logging.googleapis.com/spanId": span}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
