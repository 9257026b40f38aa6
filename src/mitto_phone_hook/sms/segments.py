"""What a text costs: its encoding and its segments.

Source of the sizes: 3GPP TS 23.040, section 9.2.3.24.1. A segment has 140 octets. In a text of several segments, six octets
of each are a header, with which the handset joins them.
"""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from mitto_phone_hook.sms.gsm7 import SEPTETS, is_gsm7

LAST_LINE_OF_WEBOTP = re.compile(r"(?:\A|\n)@\S+ #\S+(?: @\S+)?\Z")


class Encoding(StrEnum):
    """How a text is encoded on the radio network."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


UNITS_IN_ONE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
"""Units (septets or UTF-16 units) that fit when the text is a single segment."""

UNITS_IN_EACH = {Encoding.GSM7: 153, Encoding.UCS2: 67}
"""Units that fit into each segment of a longer text."""

GSM7_EQUALS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2039\u203a", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
    | {"\u2026": "..."},
)
"""Typographic characters, and the GSM-7 characters that replace them. No letters: "ç" is not "c"."""


class Encoded(NamedTuple):
    """A text with its encoding and the number of segments that Mitto charges. The text is secret."""

    text: str
    encoding: Encoding
    segments: int

    def __repr__(self) -> str:
        """Leave out the text."""
        return f"Encoded(encoding={self.encoding.value!r}, segments={self.segments})"


def encode(text: str, *, is_smart: bool = True) -> Encoded:
    """Choose the cheaper encoding for ``text`` and count its segments.

    With ``is_smart``, typographic quotes, dashes, ellipses and spaces are replaced, but only when this makes the whole text
    GSM-7 and needs no more segments. A last line ``@domain #code`` never changes: browsers compare it byte for byte (WebOTP).
    """
    if is_gsm7(text):
        return _count(text, Encoding.GSM7)
    unchanged = as_ucs2(text)
    if not is_smart:
        return unchanged
    found = LAST_LINE_OF_WEBOTP.search(text)
    end = found.start() if found else len(text)
    replaced = text[:end].translate(GSM7_EQUALS) + text[end:]
    if not is_gsm7(replaced):
        return unchanged
    return min(_count(replaced, Encoding.GSM7), unchanged, key=lambda encoded: encoded.segments)


def as_ucs2(text: str) -> Encoded:
    """Encode ``text`` in UCS-2, which has every character."""
    return _count(text, Encoding.UCS2)


def units_of(text: str, encoding: Encoding) -> int:
    """Count the units of ``text``: septets, or UTF-16 units. In GSM-7 every character must be one of its alphabet."""
    return sum(map(_COSTS[encoding], text))


def split(text: str, encoding: Encoding) -> Iterator[str]:
    """Yield the part of ``text`` in each segment. An escaped character or a surrogate pair is never cut."""
    cost = _COSTS[encoding]
    if units_of(text, encoding) <= UNITS_IN_ONE[encoding]:
        yield text
        return
    room = UNITS_IN_EACH[encoding]
    start = used = 0
    for index, character in enumerate(text):
        units = cost(character)
        if used + units > room:
            yield text[start:index]
            start, used = index, 0
        used += units
    yield text[start:]


def _count(text: str, encoding: Encoding) -> Encoded:
    # A character has at most two units, so a short text needs no counting.
    is_short = 2 * len(text) <= UNITS_IN_ONE[encoding]
    return Encoded(text, encoding, 1 if is_short else sum(1 for _ in split(text, encoding)))


def _utf16_units(character: str) -> int:
    return 2 if character > "\uffff" else 1


_COSTS: dict[Encoding, Callable[[str], int]] = {Encoding.GSM7: SEPTETS.__getitem__, Encoding.UCS2: _utf16_units}
