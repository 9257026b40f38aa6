"""ZITADEL: the HTTP SMS provider.

Source: zitadel/zitadel, ``internal/notification/channels/webhook/channel.go`` (request, timeout), ``pkg/actions/signing.go``
(signature) and ``internal/notification/types/user_phone.go`` (payload).
"""

import hashlib
import re

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms import _signatures
from mitto_phone_hook.platforms._contract import Headers, Platform, Response, webhook_id
from mitto_phone_hook.platforms._hex_signatures import is_signed
from mitto_phone_hook.platforms._native_response import respond as respond_natively
from mitto_phone_hook.platforms._payload import Payload, at, reader

_HEADER = b"zitadel-signature"
_SIGNATURE = re.compile(rb"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64}){1,10})")


class Notification(Payload):
    """What the provider sends. ``args`` has the names and e-mail addresses of the user, too: none of them is read."""

    SOURCE = "zitadel"
    OBJECTS = frozenset({"args", "contextInfo", "templateData"})

    recipient: field.WrittenNumber = at("contextInfo.recipientPhoneNumber")
    text: field.MessageText = at("templateData.text")
    code: field.Code | None = at("args.code", "args.oTP", default=None)
    organization: field.Description = at("args.orgID", default=None)


def authenticate(headers: Headers, body: bytes, secrets: HookSecrets, now: float) -> float | None:
    """Accept ZITADEL's signature. A call without one needs a plain secret: early releases cannot sign."""
    given = headers.get(_HEADER)
    if given is None:
        return _signatures.authenticate(headers, body, secrets, now)
    found = _SIGNATURE.fullmatch(given)
    if found is None:
        raise Refused(Outcome.UNAUTHORIZED, "wrong_signature")
    if abs(now - int(found[1])) > _signatures.TOLERANCE_SECONDS:
        raise Refused(Outcome.UNAUTHORIZED, "clock_or_replay")
    if not is_signed(found[1] + b"." + body, found[2].split(b",v1=")[1:], secrets.bearer):
        raise Refused(Outcome.UNAUTHORIZED, "wrong_signature")
    return float(found[1])


def respond(result: Result, request_id: str) -> Response:
    """Respond natively, but tell a message that was possibly sent as accepted: ZITADEL repeats every failure."""
    outcome = Outcome.ACCEPTED if result.outcome is Outcome.OUTCOME_UNKNOWN else result.outcome
    return respond_natively(result._replace(outcome=outcome), request_id)


def call_id(headers: Headers, body: bytes) -> str | None:
    """Give the time of the signature with a hash of the body: ZITADEL sends no id, and signs each attempt anew."""
    found = _SIGNATURE.fullmatch(headers.get(_HEADER, b""))
    return f"{found[1].decode()}.{hashlib.sha256(body).hexdigest()}" if found else webhook_id(headers, body)


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(Notification),
    respond=respond,
    unknown_counts_as_accepted=True,
    failures_repeat=True,
    timeout_seconds=4,  # ZITADEL waits 5 s
    call_id=call_id,
)
