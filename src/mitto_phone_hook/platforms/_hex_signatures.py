"""HMAC-SHA256 in hexadecimal digits. The key is the secret as it stands, not decoded."""

import hmac

from mitto_phone_hook.platforms._signatures import is_any


def is_signed(signed: bytes, signatures: list[bytes], keys: tuple[bytes, ...]) -> bool:
    """Whether one of the signatures was made over these bytes with one of the keys."""
    expected = tuple(hmac.digest(key, signed, "sha256").hex().encode() for key in keys)
    return True in [is_any(signature, expected) for signature in signatures]
