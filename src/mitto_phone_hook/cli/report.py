"""What a check has to say, and how it is written down. Pure: no terminal, no clock."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Mark(StrEnum):
    """How something is: right, worth a look, or wrong."""

    RIGHT = "right"
    LOOK = "to look at"
    WRONG = "wrong"


class Line(NamedTuple):
    """One finding. What is wrong says in ``next_step`` what to do about it."""

    mark: Mark
    topic: str
    text: str
    next_step: str = ""
    more: Sequence[str] = ()
    """Further lines of the text."""


class Style(NamedTuple):
    """How the output can look."""

    marks: Mapping[Mark, str]
    arrow: str
    dot: str
    is_coloured: bool = False
    width: int | None = None
    """Columns; ``None`` does not wrap, so that a line can be searched for."""


SIGNS = Style({Mark.RIGHT: "✓", Mark.LOOK: "!", Mark.WRONG: "✗"}, arrow="→", dot="·")
ASCII = Style({Mark.RIGHT: "+", Mark.LOOK: "!", Mark.WRONG: "x"}, arrow="->", dot=".")
"""For streams that cannot encode the signs."""

COLOURS = {Mark.RIGHT: "32", Mark.LOOK: "33", Mark.WRONG: "31"}
BOLD = "1"
DIM = "2"

_TOPIC_COLUMNS = 17
_TEXT_COLUMN = 4 + _TOPIC_COLUMNS
_MIN_COLUMNS = 20


def written(line: Line, style: Style) -> str:
    """Write a finding: the mark, its topic, and all text in one column."""
    sign = painted(style.marks[line.mark], COLOURS[line.mark], style)
    rows = [row for text in (line.text, *line.more) for row in _wrapped(text, style)]
    if line.next_step:
        first, *others = _wrapped(line.next_step, style, reserve=len(style.arrow) + 1)
        rows.append(f"{painted(style.arrow, COLOURS[line.mark], style)} {first}")
        rows += [" " * (len(style.arrow) + 1) + row for row in others]
    # A long name pushes its text, but never touches it.
    return f"  {sign} {f'{line.topic} ':<{_TOPIC_COLUMNS}}" + f"\n{' ' * _TEXT_COLUMN}".join(rows)


def heading(text: str, style: Style) -> str:
    """Write what the following lines are about."""
    return painted(text, BOLD, style)


def pending(topic: str, style: Style) -> str:
    """Write what is being looked at right now."""
    return painted(f"  {style.dot} {topic} ...", DIM, style)


def summary(marks: Iterable[Mark], style: Style) -> str:
    """Count the findings, the worst first."""
    found = list(marks)
    counts = [(mark, found.count(mark)) for mark in (Mark.WRONG, Mark.LOOK, Mark.RIGHT)]
    return ", ".join(painted(f"{number} {mark}", COLOURS[mark], style) for mark, number in counts if number)


def painted(text: str, colour: str, style: Style) -> str:
    """Colour a text where colours are wanted."""
    return f"\x1b[{colour}m{text}\x1b[0m" if style.is_coloured else text


def counted(number: int, thing: str) -> str:
    """Say ``1 key``, ``2 keys``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def milliseconds(seconds: float) -> str:
    """Say how long it took, with as many digits as mean something."""
    return f"{1000 * seconds:.1f} ms" if seconds < 0.01 else f"{1000 * seconds:.0f} ms"  # noqa: PLR2004 - ten


def _wrapped(text: str, style: Style, *, reserve: int = 0) -> list[str]:
    if style.width is None:
        return [text]
    columns = max(style.width - _TEXT_COLUMN - reserve, _MIN_COLUMNS)
    return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False)
