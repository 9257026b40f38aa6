"""Who calls: one file per identity platform, whole. Knows nothing of Mitto, of stores and of other platforms."""

from functools import cache
from importlib import import_module

from mitto_phone_hook.platforms._contract import Platform

NAMES = ("native", "auth0")
"""Every platform: its module here, its route ``/hooks/<name>``, its own secrets ``HOOK_SECRETS_<NAME>``."""

ROOT = "auth0"
"""The platform at ``/``. Auth0's routes take the native payload, too, so ``/`` serves both."""


@cache
def load_platform(name: str) -> Platform:
    """Import a platform on its first call: a start pays only for the platforms that call."""
    platform: Platform = import_module(f"{__name__}.{name}").PLATFORM
    return platform
