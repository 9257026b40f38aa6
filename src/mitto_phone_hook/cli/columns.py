"""How many columns of a terminal a text takes, and tables of such texts. Pure.

Source: UAX #11 (East Asian width) and UAX #29 (what people take for one character), as far as terminals follow them.
"""

import unicodedata
from collections.abc import Iterator, Sequence

_JOINER = "\u200d"
_EMOJI_SELECTOR = "\ufe0f"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_VOWELS_AND_FINALS_OF_HANGUL = range(0x1160, 0x1200)
_WIDE = ("W", "F")

GAP = "  "
"""Between two columns of a table."""


def clusters(text: str) -> Iterator[str]:
    """Yield what stands in one place: a character with the marks on it, an emoji with all its parts."""
    cluster = ""
    for character in text:
        if cluster and not _continues(cluster, character):
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


def columns(cluster: str) -> int:
    """Count the columns of one cluster: 2 for a wide character, 0 for what nobody sees, else 1."""
    first = cluster[0]
    if _has_no_width(first):
        return 0
    is_flag = ord(first) in _FLAG_LETTERS and len(cluster) > 1
    return 2 if unicodedata.east_asian_width(first) in _WIDE or _EMOJI_SELECTOR in cluster or is_flag else 1


def width(text: str) -> int:
    """Count the columns of a text in one line."""
    return sum(map(columns, clusters(text)))


def padded(text: str, to: int) -> str:
    """Fill up with spaces, to so many columns."""
    return text + " " * (to - width(text))


def padded_left(text: str, to: int) -> str:
    """Fill up with spaces in front, to so many columns."""
    return " " * (to - width(text)) + text


def fit(text: str, to: int) -> str:
    """Fill up to so many columns, or cut down to them."""
    while width(text) > to:
        text = text[:-1]
    return padded(text, to)


def table(rows: Sequence[Sequence[str]], *, numbers: Sequence[int]) -> list[str]:
    """Align rows of equal length. Columns whose place is in ``numbers`` are aligned at the right."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join((padded_left if place in numbers else padded)(cell, widths[place]) for place, cell in enumerate(row)).rstrip()
        for row in rows
    ]


def _continues(cluster: str, character: str) -> bool:
    return (
        _has_no_width(character)
        or (cluster[-1] == _JOINER and not character.isascii())
        or (ord(character) in _SKIN_TONES and unicodedata.category(cluster[0]) == "So")
        or (len(cluster) == 1 and ord(cluster) in _FLAG_LETTERS and ord(character) in _FLAG_LETTERS)
    )


def _has_no_width(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Me", "Cf"} or ord(character) in _VOWELS_AND_FINALS_OF_HANGUL
