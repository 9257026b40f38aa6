"""The native response: one row per outcome, with a sentence that a person can act on."""

from typing import NamedTuple

from pydantic_core import to_json

from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.domain.phone_number import AMBIGUOUS, OLD_PLAN
from mitto_phone_hook.platforms._contract import Response

MAX_RETRY_AFTER_SECONDS = 3600
DEFAULT_RETRY_AFTER_SECONDS = 5


class Row(NamedTuple):
    """How one outcome is told: HTTP status and a sentence to act on."""

    status: int
    message: str


RESPONSES = {
    Outcome.ACCEPTED: Row(200, "Mitto took the message."),
    Outcome.NOT_FOUND: Row(404, "There is nothing at this path; POST phone messages to /."),
    Outcome.METHOD_NOT_ALLOWED: Row(405, "This path does not take this method; see the Allow header."),
    Outcome.BODY_TOO_LARGE: Row(413, "The body is larger than MAX_BODY_BYTES allows."),
    Outcome.UNSUPPORTED_ENCODING: Row(415, "Send the body uncompressed, as JSON or as a URL-encoded form."),
    Outcome.UNAUTHORIZED: Row(401, "Send a bearer secret of this path, or sign with its whsec_ key as Standard Webhooks says."),
    Outcome.INVALID_JSON: Row(400, "The body is not the JSON or form that was announced, or not all of it arrived."),
    Outcome.INVALID_REQUEST: Row(422, "A field is missing, of the wrong type, or holds characters that no SMS may carry."),
    Outcome.INVALID_RECIPIENT: Row(
        422, "No phone number for Mitto, or an incomplete one: write it with + and country code, or set DEFAULT_REGION."
    ),
    Outcome.VOICE_UNSUPPORTED: Row(422, "Voice was asked for; Mitto's SMS API cannot call. Offer text messages only."),
    Outcome.BLOCKED_COUNTRY: Row(422, "The recipient's country is not in ALLOWED_REGIONS."),
    Outcome.BLOCKED_NUMBER_TYPE: Row(422, "Not a mobile number, but a landline, premium-rate or similar one."),
    Outcome.BLOCKED_RECIPIENT: Row(422, "The recipient is on the list BLOCKED_NUMBERS."),
    Outcome.CODE_EXPIRED: Row(422, "The code would expire before the SMS arrives; request a new one."),
    Outcome.TEXT_TOO_LONG: Row(422, "The text needs more segments than MAX_SEGMENTS allows; shorten the template."),
    Outcome.IN_PROGRESS: Row(409, "The same message is being sent by another call; wait for its answer."),
    Outcome.RATE_LIMITED: Row(429, "A limit of this function is reached; try again after the time in Retry-After."),
    Outcome.UPSTREAM_REJECTED: Row(502, "Mitto refused the message; the log line of this request says why."),
    Outcome.UPSTREAM_AUTH: Row(502, "Mitto refuses this function; check its API key, IP allow-list, sender ID and certificate."),
    Outcome.UPSTREAM_UNAVAILABLE: Row(503, "Nothing was sent: Mitto, or this function's store, is down, busy or too slow."),
    Outcome.OUTCOME_UNKNOWN: Row(504, "Nobody can tell whether the message left; do not repeat it."),
    Outcome.INTERNAL_ERROR: Row(500, "This function has a bug; its log line of this request says where."),
}
"""Every outcome's row; the names of the fields at fault follow the sentence."""

REASONS = {
    AMBIGUOUS: "Without + this can be a number at home or one abroad: write it with + and country code, or set BARE_DIGITS.",
    OLD_PLAN: "The numbering plan of this country has changed, and this number is of the old one: ask for its form of today.",
}
"""Sentences for causes that need another step than the rest of their outcome, by the word in ``why``."""

RETRYABLE = frozenset({Outcome.RATE_LIMITED, Outcome.UPSTREAM_UNAVAILABLE})
"""Where the same call may be repeated later: certainly nothing was sent, and time heals it."""

HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}

_BODY_UNREAD = frozenset({Outcome.NOT_FOUND, Outcome.METHOD_NOT_ALLOWED, Outcome.BODY_TOO_LARGE})


HEALTHY = Response(200, b'{"status":"ok"}', HEADERS)


def respond(result: Result, request_id: str) -> Response:
    """Tell the caller how its call ended. Of the request only names of fields are repeated."""
    row = RESPONSES[result.outcome]
    headers = dict(HEADERS)
    if result.outcome is Outcome.ACCEPTED:
        content: dict[str, object] = {
            "status": result.outcome.value,
            "message_id": result.message_id,
            "segments": result.segments,
            "duplicate": result.is_duplicate,
            "request_id": request_id,
        }
        return Response(row.status, to_json(content), headers)
    if result.outcome is Outcome.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if result.outcome in RETRYABLE:
        seconds = result.retry_after_seconds or DEFAULT_RETRY_AFTER_SECONDS
        headers["retry-after"] = str(min(max(seconds, 1), MAX_RETRY_AFTER_SECONDS))
    if result.outcome in _BODY_UNREAD:
        # Else the server would go on to read, and throw away, whatever the caller still sends.
        headers["connection"] = "close"
    message = REASONS.get(result.why or "", row.message) + (f" Fields: {', '.join(result.fields)}." if result.fields else "")
    error = {"code": result.outcome.value, "message": message, "retryable": result.outcome in RETRYABLE, "request_id": request_id}
    return Response(row.status, to_json({"error": error}), headers)
