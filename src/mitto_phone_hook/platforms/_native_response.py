"""The native response: one row per outcome, with a sentence that tells a person what to do."""

from typing import NamedTuple

from pydantic_core import to_json

from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.domain.phone_number import AMBIGUOUS, OLD_PLAN
from mitto_phone_hook.platforms._contract import Response

MAX_RETRY_AFTER_SECONDS = 3600
DEFAULT_RETRY_AFTER_SECONDS = 5


class Row(NamedTuple):
    """HTTP status and sentence for one outcome."""

    status: int
    message: str


RESPONSES = {
    Outcome.ACCEPTED: Row(200, "Mitto accepted the message."),
    Outcome.IGNORED: Row(200, "The platform called for something that needs no SMS."),
    Outcome.NOT_FOUND: Row(404, "This path does not exist; POST phone messages to /hooks/native, to the route of your platform, or to /."),
    Outcome.METHOD_NOT_ALLOWED: Row(405, "This path does not support this method; see the Allow header."),
    Outcome.BODY_TOO_LARGE: Row(413, "The body is larger than MAX_BODY_BYTES allows."),
    Outcome.UNSUPPORTED_ENCODING: Row(415, "Send the body uncompressed, as JSON or as a URL-encoded form."),
    Outcome.UNAUTHORIZED: Row(
        401,
        "Send a secret of this path (bearer, Basic's password or X-API-Key), or a Standard Webhooks signature made with its whsec_ key.",
    ),
    Outcome.INVALID_JSON: Row(400, "The body is not valid JSON or not a valid form, or it is incomplete."),
    Outcome.INVALID_REQUEST: Row(422, "A field is missing, has the wrong type, or has characters that an SMS must not have."),
    Outcome.INVALID_RECIPIENT: Row(
        422,
        "The recipient is no valid phone number: write it with + and country code; if all are in one country, set DEFAULT_REGION.",
    ),
    Outcome.VOICE_UNSUPPORTED: Row(422, "The caller asked for a phone call, but Mitto's SMS API cannot call. Offer text messages only."),
    Outcome.BLOCKED_COUNTRY: Row(422, "The recipient's country is not in ALLOWED_REGIONS."),
    Outcome.BLOCKED_NUMBER_TYPE: Row(422, "The recipient is not a mobile number, but a landline, premium-rate or similar number."),
    Outcome.BLOCKED_RECIPIENT: Row(422, "The recipient is in BLOCKED_NUMBERS."),
    Outcome.CODE_EXPIRED: Row(422, "The code would expire before the SMS arrives; request a new one."),
    Outcome.TEXT_TOO_LONG: Row(422, "The text needs more segments than MAX_SEGMENTS allows; shorten the template."),
    Outcome.IN_PROGRESS: Row(409, "Another call is sending the same message; wait for its response."),
    Outcome.RATE_LIMITED: Row(429, "A limit of this function is reached; try again after the time in Retry-After."),
    Outcome.UPSTREAM_REJECTED: Row(502, "Mitto refused the message; the log line of this request says why."),
    Outcome.UPSTREAM_AUTH: Row(502, "Mitto refuses this function; check its API key, IP allow-list, sender ID and certificate."),
    Outcome.UPSTREAM_UNAVAILABLE: Row(503, "Nothing was sent: Mitto, or this function's store, is down, busy or too slow."),
    Outcome.OUTCOME_UNKNOWN: Row(504, "The message was possibly sent; do not repeat it."),
    Outcome.INTERNAL_ERROR: Row(500, "This function has a bug; the log line of this request says where."),
}
"""One row for every outcome. The names of wrong fields follow the sentence."""

REASONS = {
    AMBIGUOUS: "Without + this can be a number at home or one abroad: write it with + and country code, or set BARE_DIGITS.",
    OLD_PLAN: "The numbering plan of this country has changed, and this number is of the old one: ask for its form of today.",
}
"""Sentences for causes that need another step than the rest of their outcome, by the word in ``why``."""

RETRYABLE = frozenset({Outcome.RATE_LIMITED, Outcome.UPSTREAM_UNAVAILABLE})
"""Nothing was sent, and the same call can succeed later."""

HEADERS = {"content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff"}

HEALTHY = Response(200, b'{"status":"ok"}', HEADERS)


def respond(result: Result, request_id: str) -> Response:
    """Tell the caller how its call ended. The response repeats nothing of the request but names of fields."""
    outcome, headers = result.outcome, dict(HEADERS)
    status, message = RESPONSES[outcome]
    if outcome is Outcome.ACCEPTED:
        content: dict[str, object] = {
            "status": outcome.value,
            "message_id": result.message_id,
            "segments": result.segments,
            "duplicate": result.is_duplicate,
            "request_id": request_id,
        }
        if result.is_test:
            content["test"] = True
        return Response(status, to_json(content), headers)
    if outcome is Outcome.IGNORED:
        return Response(status, to_json({"status": outcome.value, "message": message, "request_id": request_id}), headers)
    if outcome is Outcome.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if outcome in RETRYABLE:
        seconds = result.retry_after_seconds or DEFAULT_RETRY_AFTER_SECONDS
        headers["retry-after"] = str(min(max(seconds, 1), MAX_RETRY_AFTER_SECONDS))
    message = REASONS.get(result.why or "", message)
    if result.fields:
        message += f" Fields: {', '.join(result.fields)}."
    if result.position:
        message += f" Look at character {result.position}, which may be invisible."
    error = {"code": outcome.value, "message": message, "retryable": outcome in RETRYABLE, "request_id": request_id}
    return Response(status, to_json({"error": error}), headers)
