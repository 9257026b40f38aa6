"""Who calls: each identity platform in one file. Knows nothing of Mitto, of the stores and of other platforms."""

from functools import cache
from importlib import import_module

from mitto_phone_hook.platforms._contract import Platform

NAMES = ("native", "auth0", "supabase", "zitadel", "authgear", "logto", "authentik", "fusionauth", "clerk", "descope", "okta")
"""Every platform: the name of its module, of its route ``/hooks/<name>`` and of its secrets ``HOOK_SECRETS_<NAME>``."""

ROOT = "auth0"
"""The platform at ``/``. It also reads the native payload, so ``/`` serves both."""


@cache
def load_platform(name: str) -> Platform:
    """Import a platform on its first call, so that a start does not load platforms that never call."""
    platform: Platform = import_module(f"{__name__}.{name}").PLATFORM
    return platform
