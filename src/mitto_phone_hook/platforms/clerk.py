"""Clerk: the webhook ``sms.created``, sent through Svix.

Source: clerk/javascript, ``packages/backend/src/webhooks.ts`` and ``api/resources/JSON.ts`` (payload); svix/svix-webhooks,
``server/svix-server/src/worker.rs`` (2xx ends the attempts; all others are repeated for about 28 hours with the same id).
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic_core import from_json

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import POSSIBLY_SENT, Outcome, Refused, Result
from mitto_phone_hook.domain.read_by import ReadBy
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms import _signatures
from mitto_phone_hook.platforms._contract import Defaults, Headers, Platform, Response, webhook_id
from mitto_phone_hook.platforms._native_response import HEADERS
from mitto_phone_hook.platforms._native_response import respond as respond_natively
from mitto_phone_hook.platforms._payload import Payload, at, reader

_SVIX, _STANDARD = b"svix-", b"webhook-"
_MOST_MILLISECONDS = 10**14

DROPPED = POSSIBLY_SENT | {
    Outcome.IGNORED,
    Outcome.INVALID_REQUEST,
    Outcome.INVALID_RECIPIENT,
    Outcome.VOICE_UNSUPPORTED,
    Outcome.BLOCKED_COUNTRY,
    Outcome.BLOCKED_NUMBER_TYPE,
    Outcome.BLOCKED_RECIPIENT,
    Outcome.CODE_EXPIRED,
    Outcome.TEXT_TOO_LONG,
    Outcome.UPSTREAM_REJECTED,
}
"""What another attempt cannot change: 204 ends the attempts. The log has the reason."""


def _instant(raw: object) -> datetime:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 0 <= raw < _MOST_MILLISECONDS:
        raise ValueError
    return datetime.fromtimestamp(raw / 1000, UTC)


class SmsCreated(Payload):
    """What the event has. ``timestamp`` is the time of the event, the same in each attempt: it lets an old code expire."""

    SOURCE = "clerk"
    OBJECTS = frozenset({"data"})

    recipient: field.WrittenNumber = at("data.to_phone_number")
    text: field.MessageText = at("data.message")
    code: field.Code | None = at("data.data.otp_code", default=None)
    tenant: field.Name | None = at("instance_id", default=None)
    client_ip: field.EndUserAddress = at("event_attributes.http_request.client_ip", default=None)
    sent_at: Annotated[datetime, ReadBy(_instant)] | None = at("timestamp", default=None)


_read = reader(SmsCreated)


def read(body: bytes, headers: Headers, defaults: Defaults) -> PhoneMessage:
    """Read a message that Clerk does not deliver itself. Raises ``Refused``, with ``ignored`` for every other event."""
    try:
        event = from_json(body, allow_inf_nan=False)
    except ValueError:
        event = None
    if isinstance(event, dict):
        data, is_other = event.get("data"), isinstance(event.get("type"), str) and event["type"] != "sms.created"
        if is_other or (isinstance(data, dict) and data.get("delivered_by_clerk") is not False):
            raise Refused(Outcome.IGNORED)
    return _read(body, headers, defaults)


def authenticate(headers: Headers, body: bytes, secrets: HookSecrets, now: float) -> float | None:
    """Accept the signature of Svix: Standard Webhooks with other names. A call without one is judged as on all routes."""
    if b"svix-signature" in headers:
        headers = {_STANDARD + name.removeprefix(_SVIX): value for name, value in headers.items() if name.startswith(_SVIX)}
    return _signatures.authenticate(headers, body, secrets, now)


def call_id(headers: Headers, body: bytes) -> str | None:
    """Give the id that ``authenticate`` has checked."""
    return headers.get(b"svix-id", b"").decode("latin-1") if b"svix-signature" in headers else webhook_id(headers, body)


def respond(result: Result, request_id: str) -> Response:
    """Respond with 204 where no other attempt can help, else with the native response; a limit is 503."""
    if result.outcome in DROPPED:
        return Response(204, b"", {name: value for name, value in HEADERS.items() if name != "content-type"})
    response = respond_natively(result, request_id)
    return response._replace(status=503) if result.outcome is Outcome.RATE_LIMITED else response


PLATFORM = Platform(
    authenticate=authenticate,
    read=read,
    respond=respond,
    unknown_counts_as_accepted=True,
    failures_repeat=True,
    timeout_seconds=15,  # open-source Svix waits 30 s; Clerk's own value is not known
    call_id=call_id,
)
