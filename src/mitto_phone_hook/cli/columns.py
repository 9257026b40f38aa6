"""Tables for terminals: columns as wide as their widest cell, counted in the cells that a terminal gives each character."""

import unicodedata
from collections.abc import Sequence

GAP = "  "


def cells(text: str) -> int:
    """Count the cells that a text takes: two for wide characters, none for marks that combine (Unicode Standard Annex 11)."""
    return sum(_cells(character) for character in text)


def left(text: str, width: int) -> str:
    """Fill a text up to ``width`` cells, at its right."""
    return text + " " * (width - cells(text))


def fit(text: str, width: int) -> str:
    """Fill a text up to ``width`` cells, or cut it down to them."""
    while cells(text) > width:
        text = text[:-1]
    return left(text, width)


def right(text: str, width: int) -> str:
    """Fill a text up to ``width`` cells, at its left."""
    return " " * (width - cells(text)) + text


def table(rows: Sequence[Sequence[str]], *, numbers: Sequence[int]) -> list[str]:
    """Align rows of equal length. Columns whose place is in ``numbers`` are aligned at the right."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    return [GAP.join((right if place in numbers else left)(cell, widths[place]) for place, cell in enumerate(row)).rstrip() for row in rows]


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
