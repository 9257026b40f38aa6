"""Bearer secrets and Standard Webhooks signatures, checked over raw bytes before anything is parsed.

Source of the signature: the Standard Webhooks specification, version 1, symmetric signatures.
"""

import base64
import hmac
import re
from collections.abc import Callable

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms._contract import Headers

TOLERANCE_SECONDS = 300
"""A signature may be so much older, or newer, than our clock."""

IsToken = Callable[[bytes, tuple[bytes, ...], float], bool]
"""Tells whether a bearer value is a token that one of the secrets has signed; takes Unix seconds, too."""

_BEARER = re.compile(rb"bearer +(\S+)", re.IGNORECASE)
# A full stop in the id would let one signature fit two readings of the same bytes.
_ID = re.compile(rb"[!-\-/-~]{1,256}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
# Separated by a space as specified, or by ", " as Supabase does. Unknown versions (v1a, v2) are ignored.
_V1_SIGNATURE = re.compile(rb"(?:\A|[ ,])v1,([A-Za-z0-9+/]{43}=)(?=\Z|[ ,])")


def authenticate(headers: Headers, body: bytes, secrets: HookSecrets, now: float, is_token: IsToken | None = None) -> float | None:
    """Accept the call if a bearer secret or a signature is right; else raise ``Refused``, the same for every cause.

    ``now`` is in Unix seconds. Returns the time at which the caller signed (Unix seconds), ``None`` for a bearer call.
    A platform whose bearer value may be a signed token says so with ``is_token``.
    """
    found = _BEARER.fullmatch(headers.get(b"authorization", b""))
    is_bearer = found is not None and (
        is_any(found[1], secrets.bearer) or (is_token is not None and is_token(found[1], secrets.bearer, now))
    )
    signed_at = _signed_at(headers, body, secrets.signing_keys, now)
    if not is_bearer and signed_at is None:
        raise Refused(Outcome.UNAUTHORIZED, _why(headers, now))
    return signed_at


def is_any(given: bytes, accepted: tuple[bytes, ...]) -> bool:
    """Compare with all of them, in constant time each, so that timing does not tell which one was close."""
    is_equal = False
    for one in accepted:
        is_equal |= hmac.compare_digest(given, one)
    return is_equal


def _why(headers: Headers, now: float) -> str:
    """Say in the log what to look at; the caller is never told."""
    timestamp = headers.get(b"webhook-timestamp", b"")
    if b"webhook-signature" in headers:
        is_stale = _TIMESTAMP.fullmatch(timestamp) and abs(now - int(timestamp)) > TOLERANCE_SECONDS
        return "clock_or_replay" if is_stale else "wrong_signature"
    authorization = headers.get(b"authorization")
    if authorization is None:
        return "no_credentials"
    if b"whsec_" in authorization:
        return "signing_key_sent_as_bearer"
    return "wrong_secret" if _BEARER.fullmatch(authorization) else "not_a_bearer"


def _signed_at(headers: Headers, body: bytes, keys: tuple[bytes, ...], now: float) -> float | None:
    message_id = headers.get(b"webhook-id", b"")
    timestamp = headers.get(b"webhook-timestamp", b"")
    if not _ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        return None
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return None
    signed = b".".join((message_id, timestamp, body))
    expected = tuple(base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys)
    is_right = False
    for signature in _V1_SIGNATURE.findall(headers.get(b"webhook-signature", b"")):
        is_right |= is_any(signature, expected)
    return float(timestamp) if is_right else None
