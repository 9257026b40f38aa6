"""Responses whose text platforms show to end users: one short plain sentence, without a vendor's name and without JSON."""

from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.platforms._native_response import HEADERS, RESPONSES

_NO_SMS_THERE = "This phone number cannot receive a text message."

SENTENCES = {
    Outcome.INVALID_RECIPIENT: _NO_SMS_THERE,
    Outcome.BLOCKED_COUNTRY: _NO_SMS_THERE,
    Outcome.BLOCKED_NUMBER_TYPE: _NO_SMS_THERE,
    Outcome.BLOCKED_RECIPIENT: _NO_SMS_THERE,
    Outcome.VOICE_UNSUPPORTED: "Phone calls are not available. Choose a text message.",
    Outcome.CODE_EXPIRED: "This code has expired. Request a new one.",
    Outcome.RATE_LIMITED: "Too many messages. Try again later.",
    Outcome.OUTCOME_UNKNOWN: "The text message may arrive late or not at all. Wait a moment before you try again.",
}
"""What an end user can do something about. All other failures have the same sentence."""

FAILED = "The text message could not be sent. Try again later."

COUNTS_AS_SENT = frozenset({Outcome.ACCEPTED, Outcome.IGNORED, Outcome.IN_PROGRESS})
"""For platforms that never repeat a call and show each failure: an SMS of this call was sent, or a parallel call is sending it."""


def sentence(outcome: Outcome) -> str:
    """Give the sentence for an end user."""
    return SENTENCES.get(outcome, FAILED)


def respond(result: Result, _request_id: str) -> Response:
    """Respond with an empty object where the SMS counts as sent, else with the native status and one sentence as plain text."""
    if result.outcome in COUNTS_AS_SENT:
        return Response(200, b"{}", dict(HEADERS))
    headers = HEADERS | {"content-type": "text/plain; charset=utf-8"}
    return Response(RESPONSES[result.outcome].status, sentence(result.outcome).encode(), headers)
