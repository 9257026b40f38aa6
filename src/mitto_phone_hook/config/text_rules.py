"""How the settings of texts are read: templates, and values by caller or by region."""

import re
from collections.abc import Callable, Mapping

from phonenumbers import SUPPORTED_REGIONS

from mitto_phone_hook.config import rules
from mitto_phone_hook.sms.templates import Catalogue

ALWAYS = "always"

_TAG = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")
_CALLER = re.compile(r"(?:client|org):[^\s;]+")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_APP_HASH = re.compile(r"[A-Za-z0-9+/]{11}")


def locale(text: str) -> str:
    """Read one language tag."""
    if not _TAG.fullmatch(text):
        raise ValueError("must be a language tag such as en, de or pt-BR")
    return text


def smart_encoding(text: str) -> Mapping[str, bool]:
    """Read a switch and its exceptions by region: ``on; IN=off``. Key ``""``: all other regions."""
    values: dict[str, bool] = {}
    for position, (region, switch) in enumerate(_parts(text), 1):
        if region and region.upper() not in SUPPORTED_REGIONS:
            raise ValueError(f"must name regions by ISO 3166, as in on; IN=off (entry {position} does not)")
        try:
            is_on = rules.boolean(switch)
        except ValueError:
            raise ValueError(f"must be on or off, with regions where it differs: on; IN=off (entry {position} is not)") from None
        if region.upper() in values:
            raise ValueError(f"must name each region once, as in on; IN=off (entry {position} does not)")
        values[region.upper()] = is_on
    return {"": True} | values


def _by_caller(is_right: Callable[[str], object], rule: str) -> Callable[[str], Mapping[str, str]]:
    """Give the reader of a value with exceptions by client or organization; key ``""``: all other callers."""

    def read(text: str) -> Mapping[str, str]:
        values: dict[str, str] = {}
        for position, (caller, value) in enumerate(_parts(text), 1):
            if (caller and not _CALLER.fullmatch(caller)) or not is_right(value) or caller in values:
                raise ValueError(f"{rule} (entry {position} is not)")
            values[caller] = value
        return values

    return read


def _parts(text: str) -> list[tuple[str, str]]:
    """Split ``value; name=value; …`` into names and values; the name is empty where none stands. A name may have an equals sign."""
    parts = [part.strip().rpartition("=") for part in text.split(";") if part.strip()]
    return [(name.strip(), value.strip()) for name, _, value in parts]


domains = _by_caller(
    _DOMAIN.fullmatch,
    "must be a host name in lower case, alone or by caller: login.example.com; client:abc123=id.example.org; org:acme=…",
)
app_hashes = _by_caller(_APP_HASH.fullmatch, "must be 11 letters, digits and signs of +/, alone or by caller: FA+9qCX9VSu; client:abc123=…")


def templates(text: str, domains: Mapping[str, str], *, is_smart: bool, max_segments: int) -> Catalogue:
    """Read a catalogue of templates. Raises ``ValueError`` with one sentence for each fault."""
    # Only who has a file of templates needs the reader of TOML at the start.
    from mitto_phone_hook.sms.template_file import read  # noqa: PLC0415 - as said

    return read(text, domains, is_smart=is_smart, max_segments=max_segments)
