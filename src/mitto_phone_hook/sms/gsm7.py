"""The GSM 7 bit default alphabet: which characters an SMS carries in seven bits.

Source: 3GPP TS 23.038 V17.0.0, section 6.2.1 (basic character set) and 6.2.1.1 (extension table).
The tests compare both tables with the ``gsm0338`` codec on every code point of Unicode.
"""

# fmt: off
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
# fmt: on
"""The 128 characters of the basic set by septet value; 0x1B is the escape to the extension table."""

EXTENSION = {"\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65}
"""The ten characters of two septets: the escape, and the value given here."""

ESCAPE = "\x1b"

SEPTETS = {character: 1 for character in BASIC if character != ESCAPE} | dict.fromkeys(EXTENSION, 2)
"""Septets of every GSM-7 character."""

_ALPHABET = frozenset(SEPTETS)


def is_gsm7(text: str) -> bool:
    """Whether every character of ``text`` is in the basic set or the extension table."""
    return _ALPHABET.issuperset(text)
