"""The secrets that callers prove themselves with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class HookSecrets:
    """Several secrets of each kind can be valid at once, so that they can be rotated."""

    bearer: tuple[bytes, ...] = ()
    signing_keys: tuple[bytes, ...] = ()
