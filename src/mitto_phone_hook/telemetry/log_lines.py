"""The log: lines of JSON, with fields that everybody who reads logs may know.

Cloud Logging's structured format names some of the fields. Any other collector can read the same lines.
"""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from time import gmtime, strftime, time_ns
from typing import TextIO

from pydantic_core import to_json

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.telemetry.log_output import LineOutput

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

SEVERITIES = dict.fromkeys(Outcome, "WARNING") | {
    Outcome.ACCEPTED: "INFO",
    Outcome.IGNORED: "INFO",
    Outcome.UPSTREAM_REJECTED: "ERROR",
    Outcome.UPSTREAM_AUTH: "ERROR",
    Outcome.UPSTREAM_UNAVAILABLE: "ERROR",
    Outcome.OUTCOME_UNKNOWN: "ERROR",
    Outcome.INTERNAL_ERROR: "CRITICAL",
}
"""A caller's fault is a warning. An error is something that the operator has to look into."""

FIELDS = (
    *("time", "severity", "event", "request_id", "route"),
    *("source", "recipient", "region", "purpose", "message_id"),  # the message
    *("attempts", "segments", "encoding"),  # what was sent
    *("duration_ms", "upstream_ms", "claim_ms", "wait_ms", "count_ms", "settle_ms"),
    *("duplicate", "why", "fields", "would_refuse", "limit", "hint"),  # the decision
    *("status", "error", "network", "after_seconds", "count"),  # delivery reports and conversions
    *("prefix", "messages", "converted", "rate"),  # conversion rates
    *("setting", "use", "regions", "policy", "store"),  # the start
    *("logger", "stack_trace"),  # faults
    *("logging.googleapis.com/trace", "logging.googleapis.com/spanId", "logging.googleapis.com/trace_sampled"),
    *("trace_id", "span_id", "http.route", "http.response.status_code", "error.type"),  # as OpenTelemetry names them
)
"""The only fields that a line can have. None can hold a code, a text, a full number, a secret or a body."""

_ALLOWED = frozenset(FIELDS)

Emit = Callable[[Mapping[str, object]], None]


Output = LineOutput | TextIO


def standard_output() -> LineOutput:
    """Give the output of the log. It is not ``sys.stdout``, which the framework may wrap to add the caller's input."""
    return LineOutput(sys.__stdout__, lambda lost: line_of_now({"severity": "ERROR", "event": "log_lines_lost", "why": f"{lost}_lines"}))


def emitter(level: str, output: Output) -> Emit:
    """Give the function that writes a line to ``output`` when its severity is ``level`` or higher."""
    threshold = LEVELS[level]

    def emit(values: Mapping[str, object]) -> None:
        if LEVELS[str(values["severity"])] >= threshold:
            output.write(line_of_now(values))

    return emit


def line_of_now(values: Mapping[str, object]) -> str:
    """Give the line of what happens now: its time stands first, so that lines of several instances can be sorted as texts."""
    # Each line has a severity, so a comma follows. Writing the text costs half of another dictionary.
    return f'{{"time":"{time_text(time_ns())}",{as_line(values)[1:]}'


def time_text(nanoseconds: int) -> str:
    """Give a time since 1970 in UTC, as RFC 3339 writes it, with milliseconds.

    Cloud Logging reads a field ``time`` of this form as the time of the entry (https://cloud.google.com/logging/docs/structured-logging).
    """
    milliseconds = nanoseconds // 1_000_000
    return f"{_second_text(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=1)
def _second_text(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))


def as_line(values: Mapping[str, object]) -> str:
    """Give one line of JSON with those allowed fields that have a value."""
    if not _ALLOWED.issuperset(values):
        values = {name: value for name, value in values.items() if name in _ALLOWED}
    kept = {name: value for name, value in values.items() if value is not None}
    return to_json(kept, ensure_ascii=True).decode("ascii") + "\n"


def stack_of(error: BaseException) -> str:
    """Give the type of an error and the lines of code it came through, without text and values: they may quote the request."""
    frames = traceback.extract_tb(error.__traceback__)
    return "\n".join([type(error).__name__, *(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in frames)])  # noqa: PTH119 - no import of pathlib
