"""The secrets that callers prove themselves with."""

from collections.abc import Callable
from dataclasses import dataclass

TokenRefusal = Callable[[bytes], str | None]
"""Says in one word why an OAuth 2.0 access token is refused; ``None`` for a right one."""

UNKNOWN_KEY = "unknown_key"
"""Why a token is refused whose key is not known: the keys may be new, and are read again."""


@dataclass(frozen=True, slots=True, repr=False)
class HookSecrets:
    """Several secrets of each kind can be valid at once, so that they can be rotated."""

    bearer: tuple[bytes, ...] = ()
    signing_keys: tuple[bytes, ...] = ()
    token_refusal: TokenRefusal | None = None
    """Only on the route of a platform for which the operator names the issuer of its access tokens."""
