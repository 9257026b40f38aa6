"""Descope: the connector "Generic SMS Gateway".

Source: Descope's documentation of the connector and of its HMAC. It does not document which response it expects, how long it waits and
whether it calls again; every 2xx is taken for success, as usual.
"""

import base64
import hmac
import json
import math

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain import strict_json
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms import _signatures
from mitto_phone_hook.platforms._contract import Headers, Platform
from mitto_phone_hook.platforms._native_response import respond
from mitto_phone_hook.platforms._payload import Payload, at, reader

_HEADER = b"x-descope-webhook-s256"
_PLAIN = (b"authorization", b"x-api-key")


class ConnectorCall(Payload):
    """What the connector sends."""

    SOURCE = "descope"

    recipient: field.WrittenNumber = at("recipient")
    text: field.MessageText = at("body")
    code: field.Code | None = at("token", default=None)
    sender_id: field.SenderId = at("sender", default=None)


def authenticate(headers: Headers, body: bytes, secrets: HookSecrets, now: float) -> float | None:
    """Accept a plain secret, or Descope's signature, which has no time, where there is none.

    Descope's pages disagree on what is signed, so a signature beside a right secret decides nothing: it must not lock anybody out.
    """
    signature = headers.get(_HEADER)
    if signature is None or any(name in headers for name in _PLAIN):
        return _signatures.authenticate(headers, body, secrets, now)
    expected = tuple(base64.b64encode(hmac.digest(key, form, "sha256")) for key in secrets.bearer for form in _signed_forms(body))
    if not _signatures.is_any(signature, expected):
        raise Refused(Outcome.UNAUTHORIZED, "wrong_signature")
    return None


def _signed_forms(body: bytes) -> tuple[bytes, ...]:
    """Give the body as it stands, and as JSON without white space: "the JSON string, not the raw body"."""
    try:
        return body, json.dumps(strict_json.parse(body), ensure_ascii=False, separators=(",", ":")).encode()
    except ValueError:
        return (body,)


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(ConnectorCall),
    respond=respond,
    unknown_counts_as_accepted=True,
    timeout_seconds=math.inf,  # not documented: DEADLINE_SECONDS decides
)
