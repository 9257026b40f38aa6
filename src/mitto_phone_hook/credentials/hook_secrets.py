"""The active secrets of one caller."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class HookSecrets:
    """Several secrets of each kind are active at once, so that they can be rotated."""

    bearer: tuple[bytes, ...] = ()
    signing_keys: tuple[bytes, ...] = ()
