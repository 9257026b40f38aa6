"""Plain secrets and Standard Webhooks signatures, checked over the raw bytes before anything is parsed.

A plain secret comes as a bearer value, as the password of Basic (any user name), as the bare value of ``Authorization`` or in
``X-API-Key``: older ZITADEL, Casdoor, authentik, FusionAuth and Keycloak can send only one of these.

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
"""How much the time of a signature may differ from our clock."""

CREDENTIAL_HEADERS = frozenset(
    {
        b"authorization",
        b"x-api-key",
        *(prefix + part for prefix in (b"webhook-", b"svix-") for part in (b"id", b"timestamp", b"signature")),
        b"zitadel-signature",
        b"x-authgear-body-signature",
        b"x-descope-webhook-s256",
    }
)
"""The headers that authenticate. With two of one, this function and a front end could each look at another."""

IsToken = Callable[[bytes, tuple[bytes, ...], float], bool]
"""Whether a bearer value is a token that one of the secrets signed; the last argument is the time in Unix seconds."""

_BEARER = re.compile(rb"bearer +(\S+)", re.IGNORECASE)
_BASIC = re.compile(rb"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
# With a full stop in the id, the same signed bytes could be read in two ways.
_ID = re.compile(rb"[!-\-/-~]{1,256}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
# The specification separates signatures by a space, Supabase by ", ". Other versions (v1a, v2) are ignored.
_V1_SIGNATURE = re.compile(rb"(?:\A|[ ,])v1,([A-Za-z0-9+/]{43}=)(?=\Z|[ ,])")


def authenticate(headers: Headers, body: bytes, secrets: HookSecrets, now: float, is_token: IsToken = lambda *_: False) -> float | None:
    """Accept a call with a right plain secret or signature; otherwise raise ``Refused``, the same for every cause.

    ``now`` is in Unix seconds. Returns when the caller signed (Unix seconds), ``None`` for a call with a plain secret. A platform
    whose bearer value can be a signed token passes ``is_token``.
    """
    given = _plain_secrets(headers)
    # A call with two different secrets is refused: one of them is a guess.
    is_plain = bool(given) and False not in [is_any(one, secrets.bearer) for one in given]
    if not is_plain and (found := _BEARER.fullmatch(headers.get(b"authorization", b""))):
        is_plain = is_token(found[1], secrets.bearer, now)
    signed_at = _signed_at(headers, body, secrets.signing_keys, now)
    if not is_plain and signed_at is None:
        raise Refused(Outcome.UNAUTHORIZED, _why(headers, now))
    return signed_at


def _plain_secrets(headers: Headers) -> list[bytes]:
    """Give every plain secret that the headers hold."""
    authorization, api_key = headers.get(b"authorization", b""), headers.get(b"x-api-key", b"")
    if found := _BASIC.fullmatch(authorization):
        try:
            authorization = base64.b64decode(found[1]).partition(b":")[2]
        except ValueError:
            authorization = b"-"
    elif found := _BEARER.fullmatch(authorization):
        authorization = found[1]
    return [given for given in (authorization, api_key) if given]


def is_any(given: bytes, accepted: tuple[bytes, ...]) -> bool:
    """Compare with every accepted value, each in constant time, so that the timing reveals nothing."""
    return True in [hmac.compare_digest(given, one) for one in accepted]


def _signed_at(headers: Headers, body: bytes, keys: tuple[bytes, ...], now: float) -> float | None:
    message_id, timestamp = headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b"")
    if not _ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return None
    signed = b".".join((message_id, timestamp, body))
    expected = tuple(base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys)
    signatures = _V1_SIGNATURE.findall(headers.get(b"webhook-signature", b""))
    return float(timestamp) if True in [is_any(signature, expected) for signature in signatures] else None


def _why(headers: Headers, now: float) -> str:
    """Give the cause for the log. The caller never learns it."""
    timestamp = headers.get(b"webhook-timestamp", b"")
    if b"webhook-signature" in headers:
        is_stale = _TIMESTAMP.fullmatch(timestamp) and abs(now - int(timestamp)) > TOLERANCE_SECONDS
        return "clock_or_replay" if is_stale else "wrong_signature"
    authorization = headers.get(b"authorization", b"")
    if not authorization and b"x-api-key" not in headers:
        return "no_credentials"
    if b"whsec_" in authorization or any(b"whsec_" in given for given in _plain_secrets(headers)):
        return "signing_key_sent_as_bearer"
    is_known = b" " not in authorization or _BEARER.fullmatch(authorization) or _BASIC.fullmatch(authorization)
    return "wrong_secret" if is_known else "not_a_bearer"
