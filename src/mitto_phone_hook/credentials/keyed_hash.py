"""Keyed hashes of numbers, addresses and messages. Nobody without the key can find out what a hash stands for."""

import hashlib
import hmac
import os
from functools import lru_cache

_RECIPIENT_PURPOSE = b"mitto-phone-hook recipient 1"


def keyed_hash(subject: str, key: bytes, purpose: bytes) -> str:
    """Give 32 hexadecimal digits, which depend on all three. Hashes for two purposes cannot be compared."""
    # BLAKE2 has a key built in, and takes a third of the time of HMAC-SHA256.
    return hashlib.blake2b(subject.encode(), key=_key(key, purpose), digest_size=16).hexdigest()


def hash_of_recipient(number: str, key: bytes) -> str:
    """Give the keyed hash that names a recipient wherever something is kept about one."""
    return keyed_hash(number, key, _RECIPIENT_PURPOSE)


def state_key(state_secret: str | None, api_key: str) -> bytes:
    """Give the key of all hashes that instances share, made from ``STATE_SECRET`` or else from Mitto's API key.

    It is never stored beside the hashes. When it changes, nothing that was stored is found again.
    """
    return hmac.digest((state_secret or api_key).encode(), b"mitto-phone-hook state 1", "sha256")


def random_key() -> bytes:
    """Give the key of hashes that only this process keeps."""
    return os.urandom(32)


@lru_cache(maxsize=8)
def _key(key: bytes, purpose: bytes) -> bytes:
    """Derive one key per purpose: a key that leaks says nothing about the others."""
    return hmac.digest(key, purpose, "sha256")
