"""OAuth 2.0 access tokens: JSON Web Tokens that an authorization server signs with its RSA keys, which it publishes.

Needs the extra ``okta`` (PyJWT with cryptography). Sources: RFC 7517, 7519 and 9068; Okta's guide to validating access tokens and its
reference of their claims (``scp``, ``uid``).
"""

import math
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mitto_phone_hook.credentials.hook_secrets import UNKNOWN_KEY, TokenRefusal
from mitto_phone_hook.credentials.rotation import RotatingSecret, RunInBackground
from mitto_phone_hook.domain import strict_json

LEEWAY_SECONDS = 60
"""How much the times of a token may differ from our clock."""

UNKNOWN_KEY_SECONDS = 180
"""Least time between two readings of the keys because of a token whose key is not known: anybody can make one."""

KEYS_COUNT_SECONDS = 86_400
"""So long keys count when the server cannot be asked again. After that every token is refused."""

FETCH_SECONDS = 5.0
"""How long a reading of the keys takes at most."""

MAX_KEYS_BYTES = 65_536

_MIN_KEY_BITS = 2048
_PIECE = 16_384

_WHY: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "token_expired",
    jwt.ImmatureSignatureError: "token_not_yet_valid",
    jwt.InvalidAudienceError: "wrong_audience",
    jwt.InvalidIssuerError: "wrong_issuer",
}
"""Causes that the operator can mend. All others are ``wrong_token``."""


class Expected(NamedTuple):
    """What a token has to say: ``iss``, one of ``aud``, and one of ``scp``."""

    issuer: str
    audience: str
    scope: str


class KeySet(NamedTuple):
    """The server's public keys by their ``kid``, and when they were read, on the monotonic clock."""

    keys: Mapping[str, RSAPublicKey] = {}
    read_at: float = -math.inf


def access_tokens(
    expected: Expected,
    fetch: Callable[[], bytes],
    run_in_background: RunInBackground = lambda work: work(),
    on_unavailable: Callable[[], None] = lambda: None,
) -> RotatingSecret[TokenRefusal]:
    """Give the judge of tokens, which is replaced with each reading of the keys. It knows no key until the first token comes.

    ``fetch`` gives the key set (RFC 7517, section 5), or raises ``OSError`` or ``ValueError``.
    """

    def read() -> TokenRefusal:
        return partial(refusal, expected, KeySet(keys_in(fetch()), time.monotonic()))

    judge: TokenRefusal = partial(refusal, expected, KeySet())
    return RotatingSecret(judge, read, run_in_background, on_unavailable, soonest_seconds=UNKNOWN_KEY_SECONDS)


def refusal(expected: Expected, known: KeySet, token: bytes) -> str | None:
    """Say in one word why ``token`` is refused; ``None`` if it is right.

    The algorithm is exactly RS256. ``exp``, ``iss`` and ``aud`` are required. A token of a user (``uid``) is refused: the same server
    issues those to every application, and the hook's own has no user.
    """
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = known.keys.get(kid) if isinstance(kid, str) else None
        if key is None or time.monotonic() - known.read_at > KEYS_COUNT_SECONDS:
            return UNKNOWN_KEY
        claims = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=expected.audience,
            issuer=expected.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.PyJWTError as error:
        return _WHY.get(type(error), "wrong_token")
    except (ValueError, TypeError, OverflowError, RecursionError):
        # Claims of another type than the library expects, or nested deeper than it can follow.
        return "wrong_token"
    scopes = claims.get("scp")
    if not isinstance(scopes, list) or expected.scope not in scopes:
        return "wrong_scope"
    return "token_of_a_user" if "uid" in claims else None


def keys_in(body: bytes) -> Mapping[str, RSAPublicKey]:
    """Give the keys that can sign tokens. Raises ``ValueError`` where there is none: then the keys before stay in force."""
    found: Any = strict_json.parse(body)
    members = found.get("keys") if isinstance(found, dict) else None
    keys = {}
    for member in members if isinstance(members, list) else []:
        if not isinstance(member, dict) or member.get("kty") != "RSA" or not isinstance(member.get("kid"), str):
            continue
        if member.get("use", "sig") != "sig" or member.get("alg", "RS256") != "RS256":
            continue
        try:
            key = jwt.PyJWK(member, algorithm="RS256").key
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if isinstance(key, RSAPublicKey) and key.key_size >= _MIN_KEY_BITS:
            keys[member["kid"]] = key
    if not keys:
        raise ValueError("no key")
    return keys


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Who answers with a redirect is not the server that the operator named."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as urllib declares it
        return None


def keys_url(issuer: str) -> str:
    """Give the address of the keys of an authorization server of Okta."""
    return f"{issuer}/v1/keys"


def fetch_keys(url: str, tls: ssl.SSLContext) -> bytes:
    """Read the key set in at most ``FETCH_SECONDS``, without a proxy and without redirects. Raises ``OSError`` or ``ValueError``."""
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls), _NoRedirect())
    until = time.monotonic() + FETCH_SECONDS
    body = bytearray()
    request = urllib.request.Request(url, headers={"accept": "application/json"})  # noqa: S310 - https, or http on loopback: see its rule
    try:
        opened = urllib.request.build_opener(*handlers).open(request, timeout=FETCH_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise
    with opened as response:
        while piece := response.read1(_PIECE):
            body += piece
            if len(body) > MAX_KEYS_BYTES or time.monotonic() > until:
                raise ValueError("too large or too slow")
    return bytes(body)
