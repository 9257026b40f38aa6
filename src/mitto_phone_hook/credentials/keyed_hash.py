"""Names for numbers, addresses and messages, by which they are found again and nobody without the key can read them."""

import hashlib
import hmac
import os
from functools import lru_cache


def keyed_hash(subject: str, key: bytes, purpose: bytes) -> str:
    """Give 32 hexadecimal digits, always the same for the same three; names for different purposes have nothing in common."""
    # BLAKE2 takes a key by itself, in a third of the time of HMAC-SHA256.
    return hashlib.blake2b(subject.encode(), key=_key(key, purpose), digest_size=16).hexdigest()


def state_key(state_secret: str | None, api_key: str) -> bytes:
    """Give the key of all names that instances share: made from ``STATE_SECRET``, or where there is none from Mitto's API key.

    It is never stored beside the names. When it changes, what was remembered is forgotten.
    """
    return hmac.digest((state_secret or api_key).encode(), b"mitto-phone-hook state 1", "sha256")


def random_key() -> bytes:
    """Give the key of names that only this process keeps."""
    return os.urandom(32)


@lru_cache(maxsize=8)
def _key(key: bytes, purpose: bytes) -> bytes:
    """Derive a key for every purpose: whoever learns one of them learns nothing about the others."""
    return hmac.digest(key, purpose, "sha256")
