"""What an event of the log means, in words for a person who reads along."""

from collections.abc import Mapping

from mitto_phone_hook.cli.log_line import LogLine
from mitto_phone_hook.cli.report import Mark, milliseconds
from mitto_phone_hook.domain.outcome import Outcome

OUTCOME_WORDS: Mapping[Outcome, str] = {
    Outcome.ACCEPTED: "accepted by Mitto",
    Outcome.IGNORED: "needs no SMS of ours",
    Outcome.NOT_FOUND: "no such path",
    Outcome.METHOD_NOT_ALLOWED: "not a POST",
    Outcome.BODY_TOO_LARGE: "refused: body too large",
    Outcome.UNSUPPORTED_ENCODING: "refused: compressed or multipart",
    Outcome.UNAUTHORIZED: "refused: not authenticated",
    Outcome.INVALID_JSON: "refused: body not readable",
    Outcome.INVALID_REQUEST: "refused: wrong fields",
    Outcome.INVALID_RECIPIENT: "refused: not a phone number",
    Outcome.VOICE_UNSUPPORTED: "refused: voice call",
    Outcome.BLOCKED_COUNTRY: "refused: country not allowed",
    Outcome.BLOCKED_NUMBER_TYPE: "refused: not a mobile number",
    Outcome.BLOCKED_RECIPIENT: "refused: number is blocked",
    Outcome.CODE_EXPIRED: "refused: code expires too soon",
    Outcome.TEXT_TOO_LONG: "refused: text too long",
    Outcome.IN_PROGRESS: "refused: the same message is on its way",
    Outcome.RATE_LIMITED: "refused: limit reached",
    Outcome.UPSTREAM_REJECTED: "rejected by Mitto",
    Outcome.UPSTREAM_AUTH: "Mitto refuses this function",
    Outcome.UPSTREAM_UNAVAILABLE: "not sent: Mitto unavailable",
    Outcome.OUTCOME_UNKNOWN: "unknown whether it was sent",
    Outcome.INTERNAL_ERROR: "a bug: nothing is known",
}
"""How a call ended."""

DELIVERED = "delivered"
FAILED_REPORTS = {
    "undelivered": "not delivered",
    "expired": "expired before it was delivered",
    "rejected": "rejected by the network",
}
"""Delivery reports after which the message will not arrive."""

REPORT_WORDS = FAILED_REPORTS | {
    DELIVERED: "delivered",
    "buffered": "waiting in the network",
    "unknown_status": "delivery report with an unknown status",
}
"""Events of delivery reports."""

OTHER_WORDS = REPORT_WORDS | {
    "converted": "the code was used",
    "conversion_failed": "Mitto was not told that the code was used",
    "test_number": "test number, nothing sent",
    "started": "the function started",
}
"""Events that end no call. Any other one is shown by its name."""

REPEATED = "repeated call, nothing sent"

_CAUSES = ("limit", "setting", "use", "regions", "store", "logger", "prefix")
_SEVERITIES = {"WARNING": Mark.WARNING, "ERROR": Mark.ERROR, "CRITICAL": Mark.ERROR}
_MINUTE, _HOUR = 60, 3600


def mark_of(line: LogLine) -> Mark:
    """Say how bad it is: by the severity, and a message that does not arrive is at least a warning."""
    mark = _SEVERITIES.get(line.text("severity"), Mark.OK)
    return Mark.WARNING if mark is Mark.OK and line.event in FAILED_REPORTS else mark


def words_of(line: LogLine) -> str:
    """Say what happened, with the cause where the line has one."""
    if line.event == Outcome.ACCEPTED and line.has("duplicate"):
        words = REPEATED
    elif line.event in OUTCOME_WORDS:
        words = OUTCOME_WORDS[Outcome(line.event)]
    else:
        words = OTHER_WORDS.get(line.event, line.event.replace("_", " "))
        seconds = handset_seconds(line)
        words += f" after {duration(seconds)}" if seconds is not None else ""
    causes = [line.text("why"), *line.texts("fields"), *(line.text(name) for name in _CAUSES)]
    causes += [f"error {line.text('error')}" if line.text("error") else ""]
    causes += [f"observe: {name}" for name in line.texts("would_refuse")]
    if line.event == "unknown_status":
        causes.append(line.text("status"))
    if line.event == "conversion_rate":
        causes.append(f"{line.number('converted') or 0:,.0f} of {line.number('messages') or 0:,.0f}")
    if (count := line.number("count") or 0) > 1:
        causes.append(f"{count:,.0f} times")
    shown = ", ".join(dict.fromkeys(filter(None, causes)))
    return f"{words} ({shown})" if shown else words


def handset_seconds(line: LogLine) -> float | None:
    """Give the seconds from Mitto's acceptance to this report, where the line has them."""
    return line.number("after_seconds") if line.event in REPORT_WORDS else None


def platform_of(line: LogLine) -> str:
    """Name the platform that called: by its own route, else by the format of its message."""
    route = line.text("route")
    if route.startswith("/hooks/"):
        return route.removeprefix("/hooks/")
    return line.text("source").partition("_")[0] or (route if route == "/" else "")


def duration(seconds: float) -> str:
    """Format a duration as a person says it."""
    if seconds < 1:
        return milliseconds(seconds)
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s".removesuffix(" 0 s")
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min".removesuffix(" 0 min")
