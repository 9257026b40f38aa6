"""From the bytes of an authenticated call to a ``PhoneMessage``: strict where it protects, tolerant where callers differ."""

import re
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import parse_qsl

from pydantic import SecretStr
from pydantic_core import from_json

from mitto_phone_hook.domain.message import PhoneMessage, Purpose, Recipient
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.platforms._shapes import CHANNELS, NATIVE_SHAPES, PURPOSES, Shape

FORM = b"application/x-www-form-urlencoded"

_MAX_FORM_FIELDS = 50
_CODE = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_SECONDS = re.compile("[0-9]{1,11}")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([^\]]+)\](?::[0-9]{1,5})?")
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{0,512}")

# Control characters (but tab, line feed, carriage return), bidirectional embeddings and overrides,
# characters of no width, fillers, tags and noncharacters: nothing that a person would see, all that a forger would like.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028-\u202e\u2060-\u2065\u206a-\u206f"
    "\u2800\u3164\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U00013430-\U0001343f\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
    + "]"
)
# Persian, Indic scripts and emoji need joiners and selectors between their characters; beside ASCII they only split
# codes, but for the keycap emoji.
_JOINER_BESIDE_ASCII = re.compile(
    "(?:\\A|[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?:\\Z|[\x00-\x7f])|[\x00-\x7f][\ufe00-\ufe0f](?!\u20e3)|[0-9][\u0300-\u036f\u0600-\u0605\u20d0-\u20ff]"
)
# Direction marks and isolates belong to texts in a script that runs from right to left.
_DIRECTION_MARK = re.compile("[\u200e\u200f\u2066-\u2069]")
# What Go's formatting writes where a template does not fit its values, as Casdoor's do.
_BROKEN_TEMPLATE = re.compile(r"%![A-Za-z]?\(")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")


def parse(body: bytes, content_type: bytes, default_region: str | None) -> PhoneMessage:
    """Read any of the native shapes.

    JSON whatever the Content-Type says, except for forms. Raises ``Refused`` with ``invalid_json``,
    ``invalid_request`` or ``invalid_recipient``, naming the fields at fault and never their values.
    """
    payload = _read_form(body) if content_type.split(b";")[0].strip().lower() == FORM else _read_json(body)
    if not isinstance(payload, dict):
        raise Refused(Outcome.INVALID_REQUEST, "not_an_object")
    shape = next(s for s in NATIVE_SHAPES if s.marker is None or payload.get(s.marker) is not None)
    objects, wrong = _open(payload, shape)
    values: dict[str, Any] = {}
    for field, places in shape.places.items():
        for place in places:
            raw = objects[place.holder].get(place.key)
            if raw is not None and raw != "":
                break
        else:
            if field not in _NEVER_ABSENT:
                continue
            place = places[0]
            raw = objects[place.holder].get(place.key)
        try:
            values[field] = _CLEANERS[field](raw)
        except (TypeError, ValueError):
            wrong.append(place.dotted)
    if wrong:
        raise Refused(Outcome.INVALID_REQUEST, "wrong_fields", tuple(dict.fromkeys(wrong)))
    try:
        number = read_number(values.pop("recipient"), default_region)
    except ValueError as error:
        places = shape.places["recipient"]
        place = next((p for p in places if objects[p.holder].get(p.key)), places[0])
        raise Refused(Outcome.INVALID_RECIPIENT, str(error), (place.dotted,)) from None
    return PhoneMessage(
        source=shape.source,
        recipient=Recipient(number.e164),
        region=number.region,
        number_kind=number.kind,
        purpose=PURPOSES.get(values.get("purpose_raw") or "", Purpose.OTHER),
        **values,
    )


def _read_json(body: bytes) -> object:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        # The parser's own sentence quotes the body.
        raise Refused(Outcome.INVALID_JSON, "not_json") from None


def _read_form(body: bytes) -> object:
    if body.lstrip().startswith(b"{"):
        # curl announces a form where nobody says what it is.
        raise Refused(Outcome.INVALID_JSON, "not_a_form")
    try:
        text = body.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except ValueError:
        raise Refused(Outcome.INVALID_JSON, "not_a_form") from None
    return dict(pairs)


def _open(payload: dict[str, Any], shape: Shape) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Give the objects in which to look, by their dotted paths, and the paths where something else must be an object."""
    objects, wrong = {"": payload}, []
    for place, path in shape.holders:
        value = objects[place.holder].get(place.key)
        if isinstance(value, dict):
            objects[path] = value
            continue
        objects[path] = {}
        if value is not None and place in shape.objects:
            wrong.append(path)
    return objects, wrong


def _digits_or_string(raw: object) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return str(raw)
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _text(raw: object) -> SecretStr:
    if not isinstance(raw, str):
        raise TypeError
    if not raw.strip() or (not (raw.isascii() and raw.isprintable()) and _is_forged(raw)):
        raise ValueError
    if "%!" in raw and _BROKEN_TEMPLATE.search(raw):
        raise ValueError
    return SecretStr(raw)


def _is_forged(text: str) -> bool:
    """Whether a person would see something else than what is written."""
    if _HIDDEN.search(text) or (not text.isascii() and _JOINER_BESIDE_ASCII.search(text)):
        return True
    return bool(_DIRECTION_MARK.search(text)) and not _RIGHT_TO_LEFT.search(text)


def _code(raw: object) -> SecretStr:
    code = _digits_or_string(raw)
    if not _CODE.fullmatch(code):
        raise ValueError
    return SecretStr(code)


def _channel(raw: object) -> object:
    if not isinstance(raw, str | None):
        raise TypeError
    word = raw.lower() if raw else raw
    if word not in CHANNELS:
        raise ValueError
    return CHANNELS[word]


def _name(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError
    if not _NAME.fullmatch(raw):
        raise ValueError
    return raw


def _description(raw: object) -> str | None:
    """Take what only describes the message and decides nothing; what cannot be read is left out, since no login may fail for it."""
    return raw if isinstance(raw, str) and _NAME.fullmatch(raw) else None


def _locale(raw: object) -> str | None:
    tag = (_description(raw) or "").replace("_", "-")
    if not _LOCALE.fullmatch(tag):
        return None
    language, *rest = tag.split("-")
    return "-".join([language.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])  # noqa: PLR2004 - ISO 3166


def _ip(raw: object) -> IPv4Address | IPv6Address | None:
    """Read an address, also with a port, or the first of a list as ``X-Forwarded-For`` has it: none is one without a limit."""
    first = _name(raw).partition(",")[0].strip()
    found = _WITH_PORT.fullmatch(first)
    try:
        # What stands behind % names an interface of the caller's, in words of the caller's.
        address = ip_address((found[1] or found[2] if found else first).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _time(raw: object) -> datetime:
    seconds = _digits_or_string(raw)
    if not _SECONDS.fullmatch(seconds):
        raise ValueError
    return datetime.fromtimestamp(int(seconds), UTC)


_CLEANERS = {
    "recipient": _digits_or_string,
    "text": _text,
    "channel": _channel,
    "code": _code,
    "purpose_raw": _description,
    "locale": _locale,
    "client_id": _description,
    "client_name": _description,
    "organization": _description,
    "user_id": _description,
    "tenant": _name,
    "client_ip": _ip,
    "sender_hint": _description,
    "expires_at": _time,
    "sent_at": _time,
}
"""How each field of a ``PhoneMessage`` is read; raises ``TypeError`` or ``ValueError`` on what must be refused."""

_NEVER_ABSENT = frozenset({"recipient", "text", "channel"})
"""Read even where nothing is given; all other fields may be absent, empty or null."""
