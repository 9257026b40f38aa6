"""The log: one JSON line a hook call, of fields that may be known to everybody who reads logs.

Fields of Cloud Logging's structured format where it has them; any other collector reads the same line.
"""

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic_core import to_json

from mitto_phone_hook.ledger import Turn
from mitto_phone_hook.log_output import LineOutput
from mitto_phone_hook.message import PhoneMessage
from mitto_phone_hook.outcome import Outcome, Result
from mitto_phone_hook.routes import ROUTES
from mitto_phone_hook.send import Sent

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

SEVERITIES = dict.fromkeys(Outcome, "WARNING") | {
    Outcome.ACCEPTED: "INFO",
    Outcome.UPSTREAM_REJECTED: "ERROR",
    Outcome.UPSTREAM_AUTH: "ERROR",
    Outcome.UPSTREAM_UNAVAILABLE: "ERROR",
    Outcome.OUTCOME_UNKNOWN: "ERROR",
    Outcome.INTERNAL_ERROR: "CRITICAL",
}
"""A caller's fault is a warning; what the operator has to look into is an error."""

FIELDS = (
    "severity",
    "event",
    "request_id",
    "route",
    "source",
    "recipient",
    "region",
    "purpose",
    "message_id",
    "attempts",
    "segments",
    "encoding",
    "duration_ms",
    "upstream_ms",
    "claim_ms",
    "wait_ms",
    "count_ms",
    "settle_ms",
    "duplicate",
    "why",
    "fields",
    "would_refuse",
    "limit",
    "setting",
    "regions",
    "policy",
    "store",
    "logger",
    "stack_trace",
    "logging.googleapis.com/trace",
    "logging.googleapis.com/spanId",
)
"""The only fields that a line can have. None can hold a code, a text, a full number, a secret or a body."""

_PROJECT = os.environ.get("GOOGLE_CLOUD_PROJECT")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_CLOUD_TRACE = re.compile(rb"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=[0-9]+)?")

Emit = Callable[[Mapping[str, object]], None]


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


class Output(Protocol):
    """What takes lines; a file does, and ``LineOutput``."""

    def write(self, line: str, /) -> object:
        """Take a line with its end."""

    def flush(self) -> object:
        """Keep none back."""


def standard_output() -> LineOutput:
    """Give what the log is written to. Not ``sys.stdout``: the framework may wrap that and add what the caller wrote."""
    return LineOutput(sys.__stdout__, lambda lost: as_line({"severity": "ERROR", "event": "log_lines_lost", "why": f"{lost}_lines"}))


def emitter(level: str, output: Output) -> Emit:
    """Give the function that writes one line to ``output``, from ``level`` up."""
    threshold = LEVELS[level]

    def emit(values: Mapping[str, object]) -> None:
        if LEVELS[str(values["severity"])] >= threshold:
            output.write(as_line(values))

    return emit


def as_line(values: Mapping[str, object]) -> str:
    """Write the allowed fields that are filled as one line of JSON."""
    kept = {name: value for name in FIELDS if (value := values.get(name)) is not None}
    return to_json(kept, ensure_ascii=True).decode("ascii") + "\n"


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


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


def stack_of(error: BaseException) -> str:
    """Where an error came from: its type and the code's places. Its text and values stay out, they may quote the request."""
    places = traceback.extract_tb(error.__traceback__)
    return "\n".join([type(error).__name__, *(f"{os.path.basename(p.filename)}:{p.lineno} {p.name}" for p in places)])  # noqa: PTH119


class LibraryFormatter(logging.Formatter):
    """Says that a library logged something, and where; never what, since its sentences quote URLs, headers and bodies."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line of JSON."""
        severity = record.levelname if record.levelname in LEVELS else "ERROR"
        place = f"{os.path.basename(record.pathname)}:{record.lineno} {record.funcName}"  # noqa: PTH119
        error = record.exc_info[1] if record.exc_info else None
        values = {"severity": severity, "event": "library", "logger": record.name, "why": place}
        return as_line(values | ({"stack_trace": stack_of(error)} if error else {})).rstrip("\n")


def take_over_library_logs(level: str, output: Output) -> None:
    """Send every library's warnings, or only its errors where ``level`` says so, through ``LibraryFormatter`` to ``output``.

    To be called when the server runs: it sets up handlers of its own after the function was imported.
    """
    logging.raiseExceptions = False  # its complaint about a line that it cannot write quotes the line
    handler = logging.StreamHandler(output)
    handler.setFormatter(LibraryFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(LEVELS[level], logging.WARNING))
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    # A list of URLs that nobody sees: where nobody listens, the server does not even put it together.
    logging.getLogger("uvicorn.access").propagate = False
