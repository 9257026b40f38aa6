"""Who may call: bearer secrets and signatures, checked over raw bytes before anything is parsed.

Source of the signature: the Standard Webhooks specification, version 1, symmetric signatures. Auth0's passwordless
SMS gateway can only send a JSON Web Token signed with the secret (RFC 7519, HS256), which counts as the secret.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_core import from_json

from mitto_phone_hook.domain.outcome import Outcome, Refused

TOLERANCE_SECONDS = 300

_BEARER = re.compile(rb"bearer +(\S+)", re.IGNORECASE)
# A full stop in the id would let one signature fit two readings of the same bytes.
_ID = re.compile(rb"[!-\-/-~]{1,256}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_TOKEN = re.compile(rb"([A-Za-z0-9_-]+\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]{43})")
# Separated by a space as specified, or by ", " as Supabase does. Unknown versions (v1a, v2) are passed over.
_V1_SIGNATURE = re.compile(rb"(?:\A|[ ,])v1,([A-Za-z0-9+/]{43}=)(?=\Z|[ ,])")


@dataclass(frozen=True, slots=True, repr=False)
class HookSecrets:
    """The active secrets of one caller: several of each kind, so that they can be rotated."""

    bearer: tuple[bytes, ...] = ()
    signing_keys: tuple[bytes, ...] = ()
    first: bytes = b""
    """The secret named first, from which other keys are derived."""


def authenticate(headers: Mapping[bytes, bytes], body: bytes, secrets: HookSecrets, now: float) -> float | None:
    """Let the call pass if a bearer secret or a signature is right; else raise ``Refused``, the same for every cause.

    ``headers`` have lower-case names; ``now`` is in Unix seconds. Returns the time at which the caller
    signed (Unix seconds), ``None`` for a bearer call.
    """
    is_bearer = _is_bearer(headers.get(b"authorization", b""), secrets.bearer, now)
    signed_at = _signed_at(headers, body, secrets.signing_keys, now)
    if not is_bearer and signed_at is None:
        raise Refused(Outcome.UNAUTHORIZED, _why(headers, now))
    return signed_at


def _why(headers: Mapping[bytes, bytes], now: float) -> str:
    """Say for the log, never for the caller, what to look at."""
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


def _is_bearer(authorization: bytes, secrets: tuple[bytes, ...], now: float) -> bool:
    found = _BEARER.fullmatch(authorization)
    return found is not None and (_is_any(found[1], secrets) or _is_token(found[1], secrets, now))


def _is_token(bearer: bytes, secrets: tuple[bytes, ...], now: float) -> bool:
    found = _TOKEN.fullmatch(bearer)
    if found is None:
        return False
    signed, claims, signature = found.groups()
    expected = tuple(base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=") for secret in secrets)
    return _is_any(signature, expected) and not _is_expired(claims, now)


def _is_expired(claims: bytes, now: float) -> bool:
    """Read ``exp`` of claims that the right secret has signed. A token without it is as good as the secret itself."""
    try:
        expiry = from_json(base64.urlsafe_b64decode(claims + b"=="), allow_inf_nan=False).get("exp", now)
    except (ValueError, AttributeError):
        return True
    return not isinstance(expiry, int | float) or expiry + TOLERANCE_SECONDS < now


def _signed_at(headers: Mapping[bytes, bytes], body: bytes, keys: tuple[bytes, ...], now: float) -> float | None:
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
        is_right |= _is_any(signature, expected)
    return float(timestamp) if is_right else None


def _is_any(given: bytes, accepted: tuple[bytes, ...]) -> bool:
    """Compare with all of them, in constant time each, so that timing does not tell which one was near."""
    is_equal = False
    for one in accepted:
        is_equal |= hmac.compare_digest(given, one)
    return is_equal
