"""The log: lines of JSON, of fields that may be known to everybody who reads logs.

Fields of Cloud Logging's structured format where it has them; any other collector reads the same line.
"""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Protocol

from pydantic_core import to_json

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.telemetry.log_output import LineOutput

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
    "use",
    "regions",
    "policy",
    "store",
    "logger",
    "stack_trace",
    "logging.googleapis.com/trace",
    "logging.googleapis.com/spanId",
)
"""The only fields that a line can have. None can hold a code, a text, a full number, a secret or a body."""

Emit = Callable[[Mapping[str, object]], None]


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


def stack_of(error: BaseException) -> str:
    """Where an error came from: its type and the code's places. Its text and values stay out, they may quote the request."""
    places = traceback.extract_tb(error.__traceback__)
    return "\n".join([type(error).__name__, *(f"{os.path.basename(p.filename)}:{p.lineno} {p.name}" for p in places)])  # noqa: PTH119 - no import of pathlib
