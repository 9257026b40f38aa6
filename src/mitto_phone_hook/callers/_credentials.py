"""How platforms prove themselves: the counterpart of ``platforms/_signatures.py``. Each uses the first secret of its kind."""

import base64
import hmac
import json
from functools import partial

from mitto_phone_hook.callers._contract import Message, MissingSecret, Sign
from mitto_phone_hook.credentials.hook_secrets import HookSecrets

TOKEN_SECONDS = 60
"""How long a JSON Web Token of ours is valid."""


def signing_key(secrets: HookSecrets) -> bytes:
    """Give the key of a signature. Raises ``MissingSecret``."""
    if not secrets.signing_keys:
        raise MissingSecret("a signing key (whsec_...)")
    return secrets.signing_keys[0]


def plain_secret(secrets: HookSecrets) -> bytes:
    """Give a secret that is not a signing key. Raises ``MissingSecret``."""
    if not secrets.bearer:
        raise MissingSecret("a plain secret")
    return secrets.bearer[0]


def signed(prefix: str = "webhook-", *, has_stable_id: bool = False) -> Sign:
    """Sign as Standard Webhooks says, in headers with this prefix. The id is new in each attempt, or that of the message."""

    def sign(secrets: HookSecrets, body: bytes, message: Message) -> dict[str, str]:
        call_id, timestamp = f"msg_{message.message_id() if has_stable_id else message.attempt_id()}", str(message.signed_at)
        digest = hmac.digest(signing_key(secrets), b".".join((call_id.encode(), timestamp.encode(), body)), "sha256")
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {f"{prefix}id": call_id, f"{prefix}timestamp": timestamp, f"{prefix}signature": signature}

    return sign


def bearer(secrets: HookSecrets, _body: bytes, _message: Message) -> dict[str, str]:
    """Send the secret as a bearer value."""
    return {"Authorization": f"Bearer {plain_secret(secrets).decode()}"}


def basic(user: str) -> Sign:
    """Send the secret as the password of a user."""
    return partial(_basic, user)


def _basic(user: str, secrets: HookSecrets, _body: bytes, _message: Message) -> dict[str, str]:
    pair = base64.b64encode(user.encode() + b":" + plain_secret(secrets)).decode()
    return {"Authorization": f"Basic {pair}"}


def signed_or_bearer(secrets: HookSecrets, body: bytes, message: Message) -> dict[str, str]:
    """Sign where there is a key, else send a bearer value."""
    return (signed() if secrets.signing_keys else bearer)(secrets, body, message)


def hex_signature(signed_bytes: bytes, secrets: HookSecrets) -> str:
    """Give HMAC-SHA256 in hexadecimal digits, with the secret as it stands as key."""
    return hmac.digest(plain_secret(secrets), signed_bytes, "sha256").hex()


def token(claims: dict[str, str]) -> Sign:
    """Send a JSON Web Token that the secret signs with HS256 (RFC 7519)."""

    def sign(secrets: HookSecrets, _body: bytes, message: Message) -> dict[str, str]:
        times = {"iat": message.signed_at, "exp": message.signed_at + TOKEN_SECONDS}
        parts = b".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims | times))
        signature = _base64url(hmac.digest(plain_secret(secrets), parts, "sha256"))
        return {"Authorization": f"Bearer {(parts + b'.' + signature).decode()}"}

    return sign


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
