"""Where a function is, who gets a test message, and which secrets its callers have: what the commands against a function share."""

import argparse
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import httpx

from mitto_phone_hook.cli.caller import RESPONSE_TIMEOUT_SECONDS
from mitto_phone_hook.config.settings import SettingsError, load
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.routes import ROUTES

SECRETS_STEP = "put one line of the function's HOOK_SECRETS into this shell: read -rs HOOK_SECRETS && export HOOK_SECRETS"

_CONNECT_SECONDS = 10.0
_MAX_LABEL = 63  # DNS
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def hook_url(text: str) -> str:
    """Read the address of a function. Raises ``argparse.ArgumentTypeError``."""
    msg = "must be https:// and a host, without user, query or fragment (http:// only for loopback)"
    try:
        url = urlsplit(text)
        is_scheme_allowed = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
        is_plain = "@" not in url.netloc and not url.query and not url.fragment and url.port != 0
        httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        raise argparse.ArgumentTypeError(msg) from None
    is_host_valid = all(0 < len(label) <= _MAX_LABEL for label in (url.hostname or "").rstrip(".").split("."))
    if not (is_scheme_allowed and is_plain and is_host_valid and text.isascii() and text.isprintable() and " " not in text):
        raise argparse.ArgumentTypeError(msg)
    return urlunsplit(url._replace(path=url.path or "/"))


def recipient_number(text: str) -> Recipient:
    """Read a phone number. Raises ``argparse.ArgumentTypeError``."""
    try:
        return Recipient(read_number(text, None).e164)
    except ValueError:
        # Without the number: this text may end up in a log.
        raise argparse.ArgumentTypeError("must be a phone number with + and its country code") from None


def split_route(url: str) -> tuple[str, str]:
    """Split an address into that of the function and the route that it names; ``/`` if it names none."""
    parts = urlsplit(url)
    route = next((path for path in ROUTES if path != "/" and parts.path.endswith(path)), "/")
    return urlunsplit(parts._replace(path=parts.path.removesuffix(route))), route


def is_loopback(url: str) -> bool:
    """Whether a function is on this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def open_client(url: str) -> httpx.Client:
    """Give a client for a function. Proxies from the environment are not for loopback."""
    return httpx.Client(timeout=httpx.Timeout(RESPONSE_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS), trust_env=not is_loopback(url))


def configured_platforms(environment: Mapping[str, str]) -> list[str]:
    """Name the platforms that have secrets of their own in this environment."""
    return [name for name in NAMES if has_secrets(name, environment)]


def has_secrets(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a platform has secrets of its own in this environment; empty: whether it has secrets for all platforms."""
    return any(environment.get(f"{_variable(platform)}{suffix}") for suffix in ("", "_FILE"))


def secrets_step(platform: str, environment: Mapping[str, str]) -> str:
    """Say what to do about secrets that are missing or wrong."""
    name = secrets_variable(platform, environment)
    if environment.get(name) or environment.get(f"{name}_FILE"):
        return f"write {name} as the function has it: mitto-phone-hook secret makes a new one"
    own = f"HOOK_SECRETS_{platform.upper()}"
    return f"put {own} of the function, or else its HOOK_SECRETS, into this shell: read -rs {own} && export {own}; or give --env FILE"


def secrets_variable(platform: str, environment: Mapping[str, str]) -> str:
    """Name the variable that holds a platform's secrets: its own, else that for all."""
    return _variable(platform if has_secrets(platform, environment) else "")


def secrets_of(platform: str, environment: Mapping[str, str]) -> HookSecrets:
    """Give a platform's secrets: its own, else those for all. Raises ``SettingsError``.

    A caller of the function has neither the API key nor the secrets of other platforms.
    """
    name = secrets_variable(platform, environment)
    own = {f"HOOK_SECRETS{suffix}": environment.get(f"{name}{suffix}", "") for suffix in ("", "_FILE")}
    try:
        return load({"MITTO_API_KEY": "-", **own}).secrets_of("").current(0)
    except SettingsError as error:
        raise SettingsError([problem.replace("HOOK_SECRETS", name) for problem in error.problems]) from None


def _variable(platform: str) -> str:
    return f"HOOK_SECRETS_{platform.upper()}" if platform else "HOOK_SECRETS"
