"""Okta: the telephony inline hook.

Source: okta/okta-management-openapi-spec, ``CreateTelephonyInlineHook``, ``TelephonyRequest`` and ``TelephonyResponse``, and Okta's guide
to the telephony inline hook. After any status but 200, an unknown body or 3 s, Okta sends the message itself.
"""

import hashlib
import re
from datetime import datetime
from typing import Annotated

from pydantic_core import to_json

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import Channel
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.domain.read_by import ReadBy
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms import _signatures
from mitto_phone_hook.platforms._contract import Headers, Platform, Response
from mitto_phone_hook.platforms._native_response import HEADERS
from mitto_phone_hook.platforms._payload import Payload, at, reader

_TOKEN = re.compile(rb"bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.IGNORECASE)

STATUSES = {
    Outcome.ACCEPTED: "SUCCESSFUL",
    Outcome.OUTCOME_UNKNOWN: "PENDING",
    Outcome.IN_PROGRESS: "PENDING",
    Outcome.INTERNAL_ERROR: "PENDING",
}
"""After ``FAILED`` Okta may send the message itself, so it needs the certainty that nothing was sent. All others are ``FAILED``."""


def _instant(raw: object) -> datetime | None:
    """Read a time with a zone, as in ISO 8601. Another one only describes the message."""
    try:
        instant = datetime.fromisoformat(str(raw))
    except ValueError:
        return None
    return instant if instant.tzinfo else None


class TelephonyRequest(Payload):
    """What the hook sends. A phone call (``CALL``) comes without a text; it is refused for what it is."""

    SOURCE = "okta"
    OBJECTS = frozenset({"data", "data.messageProfile"})

    recipient: field.WrittenNumber = at("data.messageProfile.phoneNumber")
    text: field.MessageText | None = at("data.messageProfile.msgTemplate", default=None)
    channel: field.MessageChannel = at("data.messageProfile.deliveryChannel", default=Channel.SMS)
    code: field.Code | None = at("data.messageProfile.otpCode", default=None)
    locale: field.Language = at("data.messageProfile.locale", default=None)
    client_ip: field.EndUserAddress = at("data.context.request.ipAddress", default=None)
    expires_at: Annotated[datetime | None, ReadBy(_instant)] = at("data.messageProfile.otpExpires", default=None)
    sent_at: Annotated[datetime | None, ReadBy(_instant)] = at("eventTime", default=None)


def authenticate(headers: Headers, body: bytes, secrets: HookSecrets, now: float) -> float | None:
    """Accept an access token of the operator's Okta organization, which it sends where the hook has OAuth 2.0, or a plain secret."""
    found = _TOKEN.fullmatch(headers.get(b"authorization", b""))
    if found is None or secrets.token_refusal is None:
        return _signatures.authenticate(headers, body, secrets, now)
    why = secrets.token_refusal(found[1])
    if why is None:
        return None
    try:
        return _signatures.authenticate(headers, body, secrets, now)
    except Refused:
        raise Refused(Outcome.UNAUTHORIZED, why) from None


def call_id(_headers: Headers, body: bytes) -> str | None:
    """Give a hash of the body, which has an ``eventId`` of its own in each call. Nothing signs this id, so it counts with its body."""
    return hashlib.sha256(body).hexdigest() if b'"eventId"' in body else None


def respond(result: Result, request_id: str) -> Response:
    """Respond with 200 and a command to every authenticated call, whatever came of it."""
    value = {"status": STATUSES.get(result.outcome, "FAILED"), "provider": "MITTO", "transactionId": result.message_id or request_id}
    content = {"commands": [{"type": "com.okta.telephony.action", "value": [value]}]}
    return Response(401 if result.outcome is Outcome.UNAUTHORIZED else 200, to_json(content), dict(HEADERS))


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(TelephonyRequest),
    respond=respond,
    unknown_counts_as_accepted=True,
    failures_repeat=True,
    timeout_seconds=2.5,  # Okta waits 3 s
    call_id=call_id,
    needs_signature_for_id=False,
)
