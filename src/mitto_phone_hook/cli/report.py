"""The findings of a check, and their format as text. Pure: no terminal, no clock."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Mark(StrEnum):
    """The verdict on one finding."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Line(NamedTuple):
    """One finding. For an error or a warning ``next_step`` says what to do."""

    mark: Mark
    topic: str
    text: str
    next_step: str = ""
    more: Sequence[str] = ()
    """Further lines of the text."""


class Style(NamedTuple):
    """What the output may contain: signs, colours, width."""

    marks: Mapping[Mark, str]
    arrow: str
    dot: str
    is_coloured: bool = False
    width: int | None = None
    """In columns. ``None``: lines are not wrapped, so that they can be searched."""


UNICODE = Style({Mark.OK: "✓", Mark.WARNING: "!", Mark.ERROR: "✗"}, arrow="→", dot="·")
ASCII = Style({Mark.OK: "+", Mark.WARNING: "!", Mark.ERROR: "x"}, arrow="->", dot=".")
"""For streams that cannot encode ``UNICODE``."""

COLOURS = {Mark.OK: "32", Mark.WARNING: "33", Mark.ERROR: "31"}
BOLD = "1"
DIM = "2"

_TOPIC_COLUMNS = 17
_TEXT_COLUMN = 4 + _TOPIC_COLUMNS
_MIN_COLUMNS = 20


def format_line(line: Line, style: Style) -> str:
    """Format a finding: the mark, the topic, and all text in one column."""
    sign = coloured(style.marks[line.mark], COLOURS[line.mark], style)
    rows = [row for text in (line.text, *line.more) for row in _wrapped(text, style)]
    if line.next_step:
        first, *others = _wrapped(line.next_step, style, reserve=len(style.arrow) + 1)
        rows.append(f"{coloured(style.arrow, COLOURS[line.mark], style)} {first}")
        rows += [" " * (len(style.arrow) + 1) + row for row in others]
    # A long topic moves its text to the right, but never touches it.
    return f"  {sign} {f'{line.topic} ':<{_TOPIC_COLUMNS}}" + f"\n{' ' * _TEXT_COLUMN}".join(rows)


def heading(text: str, style: Style) -> str:
    """Format a heading for the lines that follow."""
    return coloured(text, BOLD, style)


def pending(topic: str, style: Style) -> str:
    """Format what is being checked now."""
    return coloured(f"  {style.dot} {topic} ...", DIM, style)


def summary(marks: Iterable[Mark], style: Style) -> str:
    """Count the findings by mark, errors first."""
    found = list(marks)
    counts = [(mark, found.count(mark)) for mark in (Mark.ERROR, Mark.WARNING, Mark.OK)]
    # "2 ok", never "2 oks".
    texts = [(mark, f"{number} {mark}" if mark is Mark.OK else counted(number, mark)) for mark, number in counts if number]
    return ", ".join(coloured(text, COLOURS[mark], style) for mark, text in texts)


def coloured(text: str, colour: str, style: Style) -> str:
    """Colour a text if the style has colours."""
    return f"\x1b[{colour}m{text}\x1b[0m" if style.is_coloured else text


def counted(number: int, thing: str) -> str:
    """Return ``1 key`` or ``2 keys``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def milliseconds(seconds: float) -> str:
    """Format a duration in milliseconds, with one decimal below 10 ms."""
    return f"{1000 * seconds:.1f} ms" if seconds < 0.01 else f"{1000 * seconds:.0f} ms"  # noqa: PLR2004 - ten


def _wrapped(text: str, style: Style, *, reserve: int = 0) -> list[str]:
    if style.width is None:
        return [text]
    columns = max(style.width - _TEXT_COLUMN - reserve, _MIN_COLUMNS)
    return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False)
