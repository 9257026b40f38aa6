"""The characters of a phone number, as it is typed or pasted."""

import re

NOT_A_NUMBER = "not_a_number"
"""Why something is no phone number: it holds other characters, or too many."""

_MAX_CHARACTERS = 80
# libphonenumber reads letters, direction marks and foreign digits; none of that may reach it.
_TYPED = re.compile(r"[+0-9 ().\-/]{1,40}")
# 0171 1234567/8 stands for two numbers; read as one it would be a stranger's. After an area code a slash is only a separator.
_TWO_NUMBERS = re.compile(r"[0-9][0-9 ().\-]{5,}/ *[0-9]{1,3} *\Z")
_SEPARATORS = str.maketrans("", "", " ().-/")

_SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_TYPOGRAPHIC = str.maketrans(_SPACES + _HYPHENS, " " * len(_SPACES) + "-" * len(_HYPHENS))
"""Unicode's spaces and hyphens (UAX #14: they keep a number in one line), and its minus."""

_OPENING = " \u200e\u202a\u2066\u2068" + _SPACES
_CLOSING = " \u200e\u202c\u2069" + _SPACES
"""The marks with which address books wrap a whole number, so that it is shown from left to right (UAX #9): LRM; LRE, LRI, FSI; PDF, PDI."""

_FULL_WIDTH = str.maketrans("０１２３４５６７８９＋（）．／－ー", "0123456789+()./--")  # noqa: RUF001 - as said
"""What an East Asian keyboard types in their place; the last is the vowel mark that Japanese use as a hyphen."""


def digits_of(written: str) -> str:
    """Give the digits of a number with ``+`` in front where it is written with ``+`` or ``00``.

    Read are ASCII digits, or full-width ones and no others, with spaces, hyphens, ``().-/`` between them, ``tel:`` in front and
    direction marks around. Raises ``ValueError`` with ``not_a_number`` for letters and everything else.
    """
    typed = written if _TYPED.fullmatch(written) else _typed(written)
    if not _TYPED.fullmatch(typed) or _TWO_NUMBERS.search(typed):
        raise ValueError(NOT_A_NUMBER)
    digits = typed.translate(_SEPARATORS)
    return "+" + digits[2:] if digits.startswith("00") else digits


def _typed(written: str) -> str:
    """Give a pasted number as somebody would type it."""
    if len(written) > _MAX_CHARACTERS:
        return ""
    inner = written.lstrip(_OPENING).rstrip(_CLOSING)
    if inner[:4].lower() == "tel:":
        inner = inner[4:].lstrip(_OPENING)
    if not re.search("[0-9]", inner):
        inner = inner.translate(_FULL_WIDTH)
    return inner.translate(_TYPOGRAPHIC)
