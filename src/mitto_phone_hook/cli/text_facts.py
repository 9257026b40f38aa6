"""What is known about a text before it goes out: its encoding, its segments, and why. Pure.

Nothing is estimated: the functions that send messages clean, compose, encode and split it.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import SecretStr

from mitto_phone_hook.domain.message import PhoneMessage, Recipient
from mitto_phone_hook.domain.numbering_plan import NumberKind
from mitto_phone_hook.sms.compose import SmsRules, compose
from mitto_phone_hook.sms.gsm7 import SEPTETS
from mitto_phone_hook.sms.hidden_characters import clean_text
from mitto_phone_hook.sms.segments import GSM7_EQUALS, UNITS_IN_EACH, UNITS_IN_ONE, Encoded, Encoding, encode, split, units_of
from mitto_phone_hook.sms.templates import text_of

MAX_SEGMENTS = 20
"""The most that MAX_SEGMENTS allows, and so the longest text that can be shown."""

_RECIPIENT = Recipient("+12025550110")
_CONTROLS = {"\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\t": "CHARACTER TABULATION", "\f": "FORM FEED"}


class Found(NamedTuple):
    """A character and where it stands."""

    character: str
    positions: tuple[int, ...]
    """In the text, from 0."""
    replacement: str = ""
    """What stands in its place now, if smart encoding replaced it."""


class Facts(NamedTuple):
    """How a text goes out."""

    sent: Encoded
    segments: tuple[str, ...]
    """The part of the text in each segment."""
    forcing: tuple[Found, ...] = ()
    """The characters that GSM-7 does not have, by their positions in the text that is sent."""
    replaced: tuple[Found, ...] = ()
    """What smart encoding replaced, by the positions in the text that is sent."""
    removed: tuple[Found, ...] = ()
    """What nobody sees and was taken out, by the positions in the text as it came."""
    otherwise: Encoded | None = None
    """The text without the characters that force UCS-2, or without smart encoding."""
    without_lines: Encoded | None = None
    """The text without the lines that were added for browsers and apps, if any were."""


def facts_of(message: PhoneMessage, rules: SmsRules) -> Facts:
    """Find out how a message goes out. Raises ``HiddenCharacter``, and ``Refused`` for more than ``MAX_SEGMENTS`` segments."""
    text = message.text.get_secret_value()
    message = message._replace(text=SecretStr(clean_text(text, message.code.get_secret_value() if message.code else "")))
    sms = compose(message, rules._replace(max_segments=MAX_SEGMENTS), signed_at=None, now=0, deadline_seconds=0)
    sent, words = sms.encoded, text_of(message, rules.texts, sms.validity_minutes)
    is_smart = rules.smart_encoding.get(message.region, rules.smart_encoding[""])
    alone = encode(words, is_smart=is_smart)
    forcing: tuple[Found, ...] = ()
    if sent.encoding is Encoding.UCS2:
        forcing = _grouped((place, character, "") for place, character in enumerate(sent.text) if character not in SEPTETS)
    replaced = _grouped(_replacements(words, sent.text))
    removed = _grouped((place, character, "") for place, character in enumerate(text) if _is_removed(character, words))
    otherwise = None
    if forcing:
        otherwise = encode("".join(filter(SEPTETS.__contains__, sent.text)), is_smart=False)
    elif replaced:
        otherwise = encode(words + sent.text[len(alone.text) :], is_smart=False)
    without_lines = alone if sent.text != alone.text else None
    return Facts(sent, tuple(split(sent.text, sent.encoding)), forcing, replaced, removed, otherwise, without_lines)


def message_of(text: str, region: str = "", locale: str | None = None, code: str | None = None) -> PhoneMessage:
    """Give the message that a caller would hand over; without a text a template makes it."""
    secret = SecretStr(code) if code else None
    return PhoneMessage("text", _RECIPIENT, region, NumberKind.MOBILE, SecretStr(text), code=secret, locale=locale)


def name_of(character: str) -> str:
    """Give the name that Unicode has for a character."""
    return unicodedata.name(character, _CONTROLS.get(character, "without a name"))


def units(segment: str, facts: Facts) -> tuple[int, int]:
    """Give how many units a segment uses, and how many it holds."""
    room = (UNITS_IN_ONE if len(facts.segments) == 1 else UNITS_IN_EACH)[facts.sent.encoding]
    return units_of(segment, facts.sent.encoding), room


def _grouped(found: Iterable[tuple[int, str, str]]) -> tuple[Found, ...]:
    """Group places, characters and replacements by character, in the order in which they appear."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, character, replacement in found:
        groups.setdefault((character, replacement), []).append(place)
    return tuple(Found(character, tuple(places), replacement) for (character, replacement), places in groups.items())


def _replacements(before: str, after: str) -> Iterator[tuple[int, str, str]]:
    """Yield what smart encoding did: the place in ``after``, the character, and what stands there now."""
    place = 0
    for character in before:
        now = character
        if not after.startswith(character, place) and (now := GSM7_EQUALS.get(ord(character), "")):
            yield place, character, now
        place += len(now)


def _is_removed(character: str, cleaned: str) -> bool:
    return unicodedata.category(character) == "Cf" and character not in cleaned
