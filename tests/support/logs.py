"""A log of one morning, made by the code that makes the real one, in the forms in which collectors hand it on."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from mitto_phone_hook.domain.message import PhoneMessage, Purpose, Recipient
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.telemetry.call_record import CallRecord
from mitto_phone_hook.telemetry.log_lines import as_line, time_text
from support.messages import parse
from support.stage import body

MORNING = datetime(2026, 11, 28, 9, 14, tzinfo=UTC)

Timed = tuple[float, str]
"""Seconds after ``MORNING``, and a line without its time."""

READ_LATER = 0.25
"""How many seconds after it was written a collector reads a line."""


def request_id(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "ghijklmnop")).rjust(20, "g")


def message_id(number: int) -> str:
    return f"7d35863f{number:024x}"


def message(number: str, region: str, source: str, **values: Any) -> PhoneMessage:
    """Give a message to any number, also to one that nobody can have."""
    return parse(body())._replace(recipient=Recipient(number), region=region, source=source, **values)


def call(
    number: int, to: PhoneMessage | None, result: Result, milliseconds: float = 180.0, route: str = "/hooks/auth0", **known: Any
) -> str:
    """Give the line of a call, as the hook writes it."""
    record = CallRecord(request_id(number), started=0.0, route=route, message=to, **known)
    return as_line(record.log_line(result, milliseconds / 1000))


def accepted(number: int, to: PhoneMessage, milliseconds: float = 180.0, segments: int = 1, **known: Any) -> str:
    known = {"attempts": 1, "segments": segments, "encoding": "GSM-7", "upstream_seconds": (milliseconds - 4) / 1000} | known
    parts: dict[str, Any] = {"claim_seconds": 0.0012, "count_seconds": 0.0009, "settle_seconds": 0.0011}
    return call(number, to, Result(Outcome.ACCEPTED, message_id=message_id(number)), milliseconds, **parts | known)


def report(number: int, to: PhoneMessage, event: str, after_seconds: float, **values: Any) -> str:
    """Give the line of a delivery report."""
    fields = {
        "severity": "INFO" if event in ("delivered", "buffered") else "WARNING",
        "event": event,
        "request_id": request_id(number),
        "route": "/reports/*",
        "source": to.source,
        "recipient": str(to.recipient),
        "region": to.region,
        "message_id": message_id(number),
        "segments": 1,
        "status": event.upper(),
        "network": "228-01",
        "after_seconds": after_seconds,
    }
    return json.dumps(fields | values, separators=(",", ":")) + "\n"


SWISS = message("+41790000067", "CH", "auth0_hook", purpose=Purpose.AUTHENTICATION)
GERMAN = message("+491713920042", "DE", "auth0_hook", purpose=Purpose.AUTHENTICATION)  # reserved for fiction by the Bundesnetzagentur
AMERICAN = message("+12025550110", "US", "supabase", purpose=Purpose.ENROLLMENT)


def morning() -> list[Timed]:
    """Give a log with each kind of line that a person looks for."""
    started = as_line({"severity": "INFO", "event": "started", "regions": "CH,DE,US", "policy": "enforce", "store": "memory"})
    limited = Result(Outcome.RATE_LIMITED, "limit_recipient")
    return [
        (0.0, started),
        (62.4, accepted(1, SWISS)),
        (64.1, report(1, SWISS, "delivered", 1.7)),
        (71.0, accepted(2, GERMAN, 412.0, segments=2, attempts=2)),
        (71.9, report(2, GERMAN, "buffered", 0.9, network="262-02")),
        (80.3, call(3, GERMAN, limited, 2.3, claim_seconds=0.0012, count_seconds=0.0008)),
        (93.8, report(2, GERMAN, "delivered", 22.8, network="262-02", segments=2)),
        (95.2, call(4, None, Result(Outcome.UNAUTHORIZED, "wrong_signature"), 0.8, route="/hooks/okta")),
        (120.0, accepted(5, AMERICAN, 233.0, route="/hooks/supabase")),
        (121.0, call(6, AMERICAN, Result(Outcome.ACCEPTED, message_id=message_id(5), is_duplicate=True), 1.4, route="/hooks/supabase")),
        (131.5, call(7, SWISS, Result(Outcome.UPSTREAM_UNAVAILABLE, "http_503"), 1250.0, attempts=2, upstream_seconds=1.24)),
        (190.0, accepted(8, SWISS, 175.0)),
        (430.0, report(8, SWISS, "expired", 240.0, error="21")),
        (431.0, as_line({"severity": "WARNING", "event": "budget_at_80_percent", "limit": "BUDGET_PER_DAY"})),
    ]


def plain(lines: list[Timed], start: datetime = MORNING) -> str:
    """Give the lines alone, as the function writes them."""
    return "".join(_with_time(line, start, seconds) for seconds, line in lines)


def untimed(lines: list[Timed]) -> str:
    """Give the lines alone, as older versions of the function wrote them."""
    return "".join(line for _, line in lines)


def with_timestamps(lines: list[Timed], start: datetime = MORNING) -> str:
    """Give the lines behind the times at which they were read, as ``docker logs --timestamps`` does."""
    return "".join(f"{_time(start, seconds + READ_LATER)} {_with_time(line, start, seconds)}" for seconds, line in lines)


def cloud_logging(lines: list[Timed], start: datetime = MORNING) -> str:
    """Give the lines as ``gcloud logging read --format=json`` prints them: Cloud Logging takes time, severity and trace out of a line."""
    entries = []
    for seconds, line in lines:
        payload = json.loads(line)
        entry = {
            "insertId": f"{seconds:f}",
            "jsonPayload": {name: value for name, value in payload.items() if name != "severity"},
            "logName": "projects/a-project/logs/run.googleapis.com%2Fstdout",
            "receiveTimestamp": _time(start, seconds + 0.3),
            "resource": {"labels": {"service_name": "mitto-phone-hook"}, "type": "cloud_run_revision"},
            "severity": payload["severity"],
            "timestamp": _time(start, seconds),
        }
        entries.append(entry)
    return json.dumps(entries, indent=2, separators=(",", ": "), sort_keys=True) + "\n"


def _with_time(line: str, start: datetime, seconds: float) -> str:
    milliseconds = round((start + timedelta(seconds=seconds)).timestamp() * 1000)
    return f'{{"time":"{time_text(milliseconds * 1_000_000)}",{line[1:]}'


def _time(start: datetime, seconds: float) -> str:
    return (start + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
