"""Packages that only some settings need."""

from collections.abc import Iterator
from importlib.util import find_spec

from mitto_phone_hook.config.rules import MEMORY
from mitto_phone_hook.config.settings import Settings


def missing_packages(settings: Settings) -> Iterator[str]:
    """Yield one sentence for each package that these settings need and that is not installed."""
    if settings.store_url != MEMORY and find_spec("redis") is None:
        yield "STORE_URL needs the package redis: stage with deploy/bundle.py --redis, or pip install redis"
    if settings.okta_issuer and (find_spec("jwt") is None or find_spec("cryptography") is None):
        yield "OKTA_ISSUER needs the package PyJWT: stage with deploy/bundle.py --okta, or pip install 'PyJWT[crypto]'"
