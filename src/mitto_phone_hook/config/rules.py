"""How each setting is read from its text: one function a form, raising ``ValueError`` with the rule and never the value."""

import base64
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from phonenumbers import SUPPORTED_REGIONS

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.phone_number import E164, BareDigits
from mitto_phone_hook.policy.destination import ANY_REGION, INTERNATIONAL_NETWORKS
from mitto_phone_hook.policy.limits import read_money

_VISIBLE_ASCII = re.compile("[!-~]+")
_SENDER_ID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9 ]{1,9})[A-Za-z0-9]|[0-9]{3,14}")
_NUMBER_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_DNS_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_INTERNAL_SUFFIXES = (".internal", ".local", ".localhost", "metadata.goog")
MEMORY = "memory://"
OBSERVE = "observe"
CLOSED = "closed"
_KEY_LIKE = re.compile(r"wh(?:sec|pk|sk)_", re.IGNORECASE)
_MIN_BEARER_LENGTH = 24
_KEY_BYTES = range(24, 65)


def api_key(text: str) -> str:
    """Read an API key: it becomes an HTTP header, where a line break would be smuggling."""
    if not _VISIBLE_ASCII.fullmatch(text):
        raise ValueError("must be visible ASCII characters in one line, without spaces")
    return text


def refuse_quotation_marks(text: str) -> None:
    """Files of variables are no shell: there the marks become a part of the value, which is then another one."""
    if text and text[0] == text[-1] and text[0] in "'\"`":
        raise ValueError("stands in quotation marks: leave them out")


def sender_id(text: str) -> str:
    """Read a sender ID as Mitto takes it."""
    if not _SENDER_ID.fullmatch(text):
        raise ValueError("must be 3 to 11 letters, digits and inner spaces with at least one letter, or 3 to 14 digits")
    return text


def base_url(text: str) -> str:
    """Read the address of the API, which gets every number and code: no way to point it inwards or at a look-alike."""
    msg = "must be https:// and a host name without user, query or fragment (http:// only for loopback)"
    if not _VISIBLE_ASCII.fullmatch(text) or set("\\?#") & set(text):
        raise ValueError(msg)
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        # The library's own sentence quotes the value.
        raise ValueError(msg) from None
    host = url.hostname or ""
    is_public = _DNS_NAME.fullmatch(host) is not None and not host.endswith(_INTERNAL_SUFFIXES)
    is_right_scheme = url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)
    written = f"[{host}]" if ":" in host else host
    is_bare = url.netloc.lower() == (written if port is None else f"{written}:{port}")
    if not (is_right_scheme and is_bare and (is_public or host in _LOOPBACK)) or port == 0:
        raise ValueError(msg)
    return text.rstrip("/")


def hook_secrets(text: str) -> HookSecrets:
    """Read bearer secrets and Standard Webhooks keys; ``v1,whsec_…`` is how Supabase writes them."""
    bearer, keys = [], []
    for secret in re.split(r"[\s|]+", text.strip()):
        refuse_quotation_marks(secret)
        parts = secret.removeprefix("v1,").split(",")
        if len(parts) > 1 and all(map(_looks_like_a_secret, parts)):
            raise ValueError("has a comma between secrets: separate them by a space or |")
        if secret.startswith(("whsec_", "v1,whsec_")):
            keys.append(_signing_key(secret.removeprefix("v1,")))
        elif _KEY_LIKE.search(secret):
            raise ValueError("every signing key must begin with whsec_ or v1,whsec_; other kinds of keys are not for this")
        elif len(secret) < _MIN_BEARER_LENGTH or not _VISIBLE_ASCII.fullmatch(secret):
            raise ValueError(f"every bearer secret must be at least {_MIN_BEARER_LENGTH} visible ASCII characters")
        else:
            bearer.append(secret.encode())
    is_key_first = text.lstrip().startswith(("whsec_", "v1,whsec_"))
    return HookSecrets(tuple(bearer), tuple(keys), first=(keys if is_key_first else bearer)[0])


def _looks_like_a_secret(text: str) -> bool:
    return len(text) >= _MIN_BEARER_LENGTH or text.startswith("whsec_")


def store_url(text: str) -> str:
    """Read where ledger and limits are kept. The address may hold a password, and no options: a wrong one would only show in use."""
    try:
        url = urlsplit(text)
        is_redis = text.startswith(("redis://", "rediss://")) and text.isprintable() and bool(url.hostname) and url.port != 0
    except ValueError:
        is_redis = False
    if text != MEMORY and not (is_redis and not url.query and not url.fragment and re.fullmatch("/?[0-9]{0,4}", url.path)):
        raise ValueError(f"must be {MEMORY}, redis://host or rediss://host, with :port and /database where needed")
    return text


def _signing_key(secret: str) -> bytes:
    msg = "every whsec_ secret must be base64 of 24 to 64 bytes"
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError(msg) from None
    if len(key) not in _KEY_BYTES:
        raise ValueError(msg)
    return key


def boolean(text: str) -> bool:
    """Read on or off, or what else people write for them."""
    words = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
    if text.lower() not in words:
        raise ValueError("must be true or false, or on or off")
    return words[text.lower()]


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Give the reader of a time between two bounds."""

    def parse(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError(f"must be seconds from {low:g} to {high:g}")
        return float(text)

    return parse


def whole(low: int, high: int) -> Callable[[str], int]:
    """Give the reader of a whole number between two bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _items(text: str) -> list[str]:
    return [item for item in re.split(r"[\s,;]+", text) if item]


def _right_items(text: str, is_right: Callable[[str], bool], rule: str) -> list[str]:
    """Give the items, or say by its place which one breaks ``rule``: what a setting holds is never repeated."""
    items = _items(text)
    if text.strip() and not items:
        raise ValueError(rule)
    for place, item in enumerate(items, 1):
        if not is_right(item):
            raise ValueError(f"{rule} (entry {place} is not)")
    return items


_REGIONS = "must be ISO 3166 regions such as CH,DE,GB, or * for all"


def regions(text: str) -> frozenset[str]:
    """Read ISO 3166 regions, ``*`` and ``001``."""
    if "UK" in map(str.upper, _items(text)):
        raise ValueError(f"{_REGIONS}; the United Kingdom is GB, not UK")
    known = SUPPORTED_REGIONS | {ANY_REGION, INTERNATIONAL_NETWORKS}
    items = _right_items(text, lambda item: item.isascii() and item.upper() in known, _REGIONS)
    return frozenset(item.upper() for item in items)


def region(text: str) -> str | None:
    """Read one ISO 3166 region, or none."""
    if text and not (text.isascii() and text.upper() in SUPPORTED_REGIONS):
        raise ValueError("must be one ISO 3166 region such as CH")
    return text.upper() or None


def numbers(text: str) -> tuple[str, ...]:
    """Read E.164 numbers or their first digits."""
    rule = "must be E.164 numbers or their first digits, each with +, separated by commas"
    return tuple(_right_items(text, lambda item: bool(_NUMBER_PREFIX.fullmatch(item)), rule))


def whole_numbers(text: str) -> tuple[str, ...]:
    """Read E.164 numbers, none of them only a beginning."""
    if not all(map(E164.fullmatch, numbers(text))):
        raise ValueError("must be complete E.164 numbers, such as +41791234567, separated by commas")
    return numbers(text)


def bare_digits(text: str) -> BareDigits:
    """Read how digits without ``+`` are read."""
    return BareDigits(word(*BareDigits)(text))


def log_level(text: str) -> str:
    """Read the least severity that is logged."""
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()


def word(*words: str) -> Callable[[str], str]:
    """Give the reader of one of a few words."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return text.lower()

    return parse


def prices(text: str) -> dict[str, int]:
    """Read prices of a segment, in millionths: lines ``region,price``, with ``*`` for all other regions (key ``""``)."""
    read: dict[str, int] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        region, _, price = (part.strip() for part in line.partition(","))
        if not line.strip() or (number == 1 and region.lower() == "region"):
            continue
        is_known = region.isascii() and region.upper() in SUPPORTED_REGIONS | {INTERNATIONAL_NETWORKS}
        if region != ANY_REGION and not is_known:
            raise ValueError(
                f"must have lines such as CH,0.05 (region, comma, price) and one *,0.10; line {number} has no ISO 3166 region and no *"
            )
        read["" if region == ANY_REGION else region.upper()] = read_money(price)
    if "" not in read:
        raise ValueError("needs a line for all other regions: *,price")
    return read


def budget(text: str) -> int | None:
    """Read an amount of money, in millionths, or none."""
    return read_money(text) if text else None


def as_is(text: str) -> str:
    """Take a text as it is."""
    return text
