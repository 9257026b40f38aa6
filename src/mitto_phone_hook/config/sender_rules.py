"""How the rules for sender IDs are read from their text."""

from collections.abc import Collection

from mitto_phone_hook.config import rules
from mitto_phone_hook.policy.destination import ANY_REGION
from mitto_phone_hook.sms.sender_ids import Scope

_RULE = "must be rules such as US=18005550100; client:abc123=Acme; org:acme+supabase+CH=Acme"
_PREFIXES = {"client:": "client_id", "org:": "organization"}


def sender_ids(text: str, platforms: Collection[str]) -> dict[Scope, str]:
    """Read ``SENDER_IDS``: ``scope=sender ID; …``. A scope is a region, ``client:…``, ``org:…``, a platform, or several with ``+``."""
    read: dict[Scope, str] = {}
    for position, rule in enumerate(text.split(";"), 1):
        if not rule.strip():
            continue
        written, _, sender_id = rule.partition("=")
        try:
            scope, named = _scope(written, platforms), rules.sender_id(sender_id.strip())
            if scope in read:
                raise ValueError("must name each combination once")  # noqa: TRY301 - with its position, like the others
        except ValueError as error:
            raise ValueError(f"{error} (rule {position} does not)") from None
        read[scope] = named
    return read


def _scope(text: str, platforms: Collection[str]) -> Scope:
    parts: dict[str, str] = {}
    for written in text.split("+"):
        kind, value = _part(written.strip(), platforms)
        if kind in parts:
            raise ValueError("must combine different parts with +: one client, one org, one platform, one region")
        parts[kind] = value
    return Scope(**parts)


def _part(text: str, platforms: Collection[str]) -> tuple[str, str]:
    """Give the name of the part in ``Scope``, and its value."""
    for prefix, kind in _PREFIXES.items():
        if (value := text.removeprefix(prefix)) != text and value and value == value.strip():
            return kind, value
    if text.lower() in platforms:
        return "platform", text.lower()
    if text.upper() == "UK":
        raise ValueError(f"{_RULE}; the United Kingdom is GB, not UK")
    if text.isascii() and text.upper() in rules.KNOWN_REGIONS - {ANY_REGION}:
        return "region", text.upper()
    raise ValueError(f"{_RULE}, with ISO 3166 regions and platforms of {', '.join(platforms)}")
