"""How each setting is read from its text. A reader raises ``ValueError`` with the rule, never with the value."""

import base64
import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from phonenumbers import SUPPORTED_REGIONS
from pydantic import ValidationInfo

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.phone_number import E164, BareDigits
from mitto_phone_hook.policy.destination import ANY_REGION, INTERNATIONAL_NETWORKS

T = TypeVar("T")

MEMORY = "memory://"
OBSERVE = "observe"
CLOSED = "closed"
KNOWN_REGIONS = SUPPORTED_REGIONS | {ANY_REGION, INTERNATIONAL_NETWORKS}
DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")

_DNS_NAME = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LOOPBACK = r"(?:127\.0\.0\.1|\[::1\]|localhost)"
_BASE_URL = re.compile(
    # Without ASCII, IGNORECASE takes a long s for an s.
    rf"(?:https://(?:(?P<name>{_DNS_NAME})|{_LOOPBACK})|http://{_LOOPBACK})(?::(?P<port>[1-9][0-9]{{0,4}}))?(?:/[!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_INTERNAL_SUFFIXES = (".internal", ".local", ".localhost", "metadata.goog")
_MAX_PORT = 65535
_KEY_LIKE = re.compile(r"wh(?:sec|pk|sk)_", re.IGNORECASE)
_KEY_BYTES = range(24, 65)
_MIN_SECRET_LENGTH = 24
_SECRET = f"[!-~]{{{_MIN_SECRET_LENGTH},}}"
_SWITCH = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}


def _reader(read: Callable[[str], T | None], rule: str) -> Callable[[str], T]:
    """Give a reader that raises ``ValueError(rule)`` where ``read`` gives ``None``."""

    def checked(text: str) -> T:
        value = read(text)
        if value is None:
            raise ValueError(rule)
        return value

    return checked


def _matching(pattern: str, rule: str) -> Callable[[str], str]:
    return _reader(lambda text: text if re.fullmatch(pattern, text) else None, rule)


# In an HTTP header a line break would begin another header.
api_key = _matching("[!-~]+", "must be visible ASCII characters in one line, without spaces")
sender_id = _matching(
    "(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ]{1,9}[A-Za-z0-9]|[0-9]{3,14}",
    "must be 3 to 11 letters, digits and inner spaces with at least one letter, or 3 to 14 digits",
)
state_secret = _matching(_SECRET, f"must be at least {_MIN_SECRET_LENGTH} visible ASCII characters")
app_name = _matching(
    "|[A-Za-z0-9](?:[A-Za-z0-9 .,&'+!-]{0,28}[A-Za-z0-9.!+])?", "must be at most 30 letters, digits, inner spaces and signs of .,&'+!-"
)
boolean = _reader(lambda text: _SWITCH.get(text.lower()), "must be true or false, or on or off")


token_value = _matching("|[!-~]{1,200}", "must be at most 200 visible ASCII characters, without spaces")


def word(*words: str) -> Callable[[str], str]:
    """Give the reader of one of a few words, in capitals or not."""
    known = {one.lower(): one for one in words}
    return _reader(lambda text: known.get(text.lower()), f"must be {', '.join(words[:-1])} or {words[-1]}")


log_level = word("DEBUG", "INFO", "WARNING", "ERROR")


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Give the reader of a time between two bounds."""
    rule = f"must be seconds from {low:g} to {high:g}"
    return _reader(lambda text: float(text) if DECIMAL.fullmatch(text) and low <= float(text) <= high else None, rule)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Give the reader of a whole number between two bounds."""
    rule = f"must be a whole number from {low} to {high}"
    return _reader(lambda text: int(text) if re.fullmatch("[0-9]{1,9}", text) and low <= int(text) <= high else None, rule)


def refuse_quotation_marks(text: str) -> None:
    """Refuse quotation marks around a value: outside a shell they would become a part of it."""
    if text and text[0] == text[-1] and text[0] in "'\"`":
        raise ValueError("stands in quotation marks: leave them out")


def base_url(text: str) -> str:
    """Read the address of Mitto's API. All numbers and codes go there, so it cannot be an internal host or a look-alike."""
    found = _BASE_URL.fullmatch(text)
    is_internal = found and (found["name"] or "").lower().endswith(_INTERNAL_SUFFIXES)
    if not found or is_internal or int(found["port"] or 1) > _MAX_PORT or set("\\?#") & set(text):
        raise ValueError("must be https:// and a host name without user, query or fragment (http:// only for loopback)")
    return text.rstrip("/")


def okta_issuer(text: str) -> str:
    """Read the issuer of Okta's access tokens, whose keys are at a fixed path below it; empty for none."""
    if text and not re.fullmatch(r"[^/]+//[^/]+/oauth2/[A-Za-z0-9_-]+", base_url(text)):
        raise ValueError("must be the issuer of a custom authorization server: https://example.okta.com/oauth2/default")
    return text.rstrip("/")


def public_url(text: str) -> str:
    """Read the address of this function, which Mitto has to reach over the internet: the same rules hold."""
    return base_url(text) if text else ""


def report_secrets(text: str) -> tuple[bytes, ...]:
    """Read the secrets of the reports' path, the current one first. They are a part of a URL."""
    found = tuple(secret.encode() for secret in re.split(r"[\s|]+", text) if secret)
    if not found or not all(re.fullmatch(rb"[A-Za-z0-9_-]{24,256}", secret) for secret in found):
        raise ValueError(
            f"every secret must be {_MIN_SECRET_LENGTH} or more letters, digits, hyphens and underscores, separated by a space or |"
        )
    return found


def store_url(text: str) -> str:
    """Read the address of the store. It may hold a password, but no options: a wrong option would only show in use."""
    try:
        url = urlsplit(text)
        is_redis = text.startswith(("redis://", "rediss://")) and text.isprintable() and bool(url.hostname) and url.port != 0
    except ValueError:
        is_redis = False
    if text != MEMORY and not (is_redis and not url.query and not url.fragment and re.fullmatch("/?[0-9]{0,4}", url.path)):
        raise ValueError(f"must be {MEMORY}, redis://host or rediss://host, with :port and /database where needed")
    return text


def hook_secrets(text: str) -> HookSecrets:
    """Read bearer secrets and Standard Webhooks keys; Supabase writes a key as ``v1,whsec_…``."""
    bearer, keys = [], []
    for secret in re.split(r"[\s|]+", text.strip()):
        refuse_quotation_marks(secret)
        parts = secret.removeprefix("v1,").split(",")
        if len(parts) > 1 and all(len(part) >= _MIN_SECRET_LENGTH or part.startswith("whsec_") for part in parts):
            raise ValueError("has a comma between secrets: separate them by a space or |")
        if secret.startswith(("whsec_", "v1,whsec_")):
            keys.append(_signing_key(secret.removeprefix("v1,")))
        elif _KEY_LIKE.search(secret):
            raise ValueError("every signing key must begin with whsec_ or v1,whsec_; other kinds of keys do not work here")
        elif not re.fullmatch(_SECRET, secret):
            raise ValueError(f"every bearer secret must be at least {_MIN_SECRET_LENGTH} visible ASCII characters")
        else:
            bearer.append(secret.encode())
    return HookSecrets(tuple(bearer), tuple(keys))


def _signing_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) not in _KEY_BYTES:
        raise ValueError("every whsec_ secret must be base64 of 24 to 64 bytes")
    return key


def platform(name: str, info: ValidationInfo) -> str:
    """Read the end of a name such as ``HOOK_SECRETS_<PLATFORM>``. Secrets for a platform without a route would protect nothing."""
    known = (info.context or {})["platforms"]
    if name and name.lower() not in known:
        routes = ", ".join(f"{info.field_name}_{one}".upper() for one in known)
        raise ValueError(f"names a platform that has no route here: take it out, there are {routes}")
    return name.lower()


def region(text: str) -> str | None:
    """Read one ISO 3166 region, or none."""
    if text and not (text.isascii() and text.upper() in SUPPORTED_REGIONS):
        raise ValueError("must be one ISO 3166 region such as CH")
    return text.upper() or None


def bare_digits(text: str) -> BareDigits:
    """Read how digits without ``+`` are read."""
    return BareDigits(word(*BareDigits)(text))


def _several(is_right: Callable[[str], object], rule: str) -> Callable[[str], tuple[str, ...]]:
    """Give the reader of several entries. What is wrong is named by its position, because a value is never repeated."""

    def read(text: str) -> tuple[str, ...]:
        items = tuple(item for item in re.split(r"[\s,;]+", text) if item)
        if text.strip() and not items:
            raise ValueError(rule)
        for position, item in enumerate(items, 1):
            if not is_right(item):
                raise ValueError(f"{rule} (entry {position} is not)")
        return items

    return read


_REGIONS = "must be ISO 3166 regions such as CH,DE,GB, or * for all"
_regions = _several(lambda item: item.isascii() and item.upper() in KNOWN_REGIONS, _REGIONS)
number_prefixes = _several(
    re.compile(r"\+[1-9][0-9]{0,14}").fullmatch, "must be E.164 numbers or their first digits, each with +, separated by commas"
)
numbers = _several(E164.fullmatch, "must be complete E.164 numbers, such as +41791234567, separated by commas")


def regions(text: str) -> frozenset[str]:
    """Read ISO 3166 regions, ``*`` and ``001``."""
    if "UK" in re.split(r"[\s,;]+", text.upper()):
        raise ValueError(f"{_REGIONS}; the United Kingdom is GB, not UK")
    return frozenset(map(str.upper, _regions(text)))


_TEST_NUMBERS = "must be complete E.164 numbers, each with its code, separated by commas: +15005550006=123456"
_test_numbers = _several(re.compile(rf"{E164.pattern}=[!-+\--:<-~]{{1,64}}").fullmatch, _TEST_NUMBERS)


def test_numbers(text: str) -> dict[str, str]:
    """Read numbers that get no SMS, each with its code."""
    pairs = [item.partition("=")[::2] for item in _test_numbers(text)]
    if len(dict(pairs)) != len(pairs):
        raise ValueError("must name each number once")
    return dict(pairs)
