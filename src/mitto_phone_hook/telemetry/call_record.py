"""What is known about one hook call, and the log line made from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.telemetry.hints import HINTS
from mitto_phone_hook.telemetry.log_lines import SEVERITIES, stack_of

TEST_EVENT = "test_number"
"""The event of a message to a test number: whoever counts accepted messages must not count it."""

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 1
_FINE = frozenset({Outcome.ACCEPTED, Outcome.IGNORED})
_CLOUD_TRACE = re.compile(rb"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]+))?")


@dataclass(slots=True)
class CallRecord:
    """What is known about one call while it runs, so that its log line can be written whatever ends it.

    ``None`` where the call did not come so far. Times are seconds.
    """

    request_id: str
    started: float
    """On the same clock as ``now`` of ``log_line``."""
    headers: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    """Empty until the caller is known, so that a stranger's trace does not get into the log."""
    route: str | None = None
    """One of our paths. An unknown path is not kept, because it may hold a secret."""
    status: int | None = None
    """The HTTP status of our response."""
    message: PhoneMessage | None = None
    would_refuse: list[str] = field(default_factory=list)
    """Reasons for which observe mode would refuse the message."""
    sender_id: str = ""
    """The one of the SMS that was sent. Not in the log line: it may be a phone number."""
    attempts: int | None = None
    segments: int | None = None
    encoding: str | None = None
    upstream_seconds: float | None = None
    claim_seconds: float | None = None
    wait_seconds: float | None = None
    count_seconds: float | None = None
    settle_seconds: float | None = None
    bug: Exception | None = None

    def log_line(self, result: Result, now: float, cloud_project: str | None = None) -> dict[str, object]:
        """Give the values of the call's log line; ``cloud_project`` is the Google Cloud project whose traces it joins."""
        values: dict[str, object] = {
            "severity": SEVERITIES[result.outcome],
            "event": TEST_EVENT if result.is_test else result.outcome.value,
            "request_id": self.request_id,
            "route": self.route,
        }
        if one := self.message:
            values |= {"source": one.source, "recipient": str(one.recipient), "region": one.region, "purpose": one.purpose.value}
        values |= {
            "message_id": result.message_id,
            "attempts": self.attempts,
            "segments": self.segments,
            "encoding": self.encoding,
            "duration_ms": _milliseconds(now - self.started),
            "upstream_ms": _milliseconds(self.upstream_seconds),
            "claim_ms": _milliseconds(self.claim_seconds),
            "wait_ms": _milliseconds(self.wait_seconds or None),
            "count_ms": _milliseconds(self.count_seconds),
            "settle_ms": _milliseconds(self.settle_seconds),
            "duplicate": result.is_duplicate or None,
            "why": result.why,
            "fields": result.fields or None,
            "would_refuse": self.would_refuse or None,
            "stack_trace": stack_of(self.bug) if self.bug else None,
            "http.route": self.route,
            "http.response.status_code": self.status,
        }
        if result.outcome not in _FINE:
            values["hint"] = HINTS.get(result.why or result.outcome)
            values["error.type"] = type(self.bug).__name__ if self.bug else result.why or result.outcome.value
        return values | trace_fields(self.headers, cloud_project)


def trace_fields(headers: Mapping[bytes, bytes], project: str | None) -> dict[str, object]:
    """Read the caller's trace from ``traceparent`` or ``X-Cloud-Trace-Context``: it connects our log lines with the caller's.

    Under the names of Google Cloud, and under those that OpenTelemetry gives them in logs that are not OTLP.
    """
    if found := _TRACEPARENT.fullmatch(headers.get(b"traceparent", b"")):
        trace, span, flags = found[1].decode(), found[2].decode(), int(found[3], 16)
    elif found := _CLOUD_TRACE.fullmatch(headers.get(b"x-cloud-trace-context", b"")):
        trace, span, flags = found[1].decode().lower(), f"{int(found[2] or 0):016x}"[-16:], int(found[3] or 0)
    else:
        return {}
    return {
        "logging.googleapis.com/trace": f"projects/{project}/traces/{trace}" if project else trace,
        "logging.googleapis.com/spanId": span,
        "logging.googleapis.com/trace_sampled": bool(flags & _SAMPLED),
        "trace_id": trace,
        "span_id": span,
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
