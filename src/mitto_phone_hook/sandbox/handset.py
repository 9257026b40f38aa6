"""A message as a handset shows it, drawn with characters."""

import unicodedata
from collections.abc import Iterator
from itertools import chain

from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sms.segments import UNITS_IN_EACH, UNITS_IN_ONE, Encoding

COLUMNS = 44
"""The largest width of the text, in terminal cells."""

UNIT_NAMES = {Encoding.GSM7: "septets", Encoding.UCS2: "UTF-16 units"}

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Controls, bidirectional marks, lone surrogates, private and unassigned characters, line separators: a terminal may act on them.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINER = "\N{ZERO WIDTH JOINER}"
_ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})
_WIDE = frozenset("WF")


def draw(message: Message) -> str:
    """Return a bubble with sender, recipient and text. Below it: segments, encoding, length and validity."""
    title = f" {clean(message.sender)} → {clean(message.to)} "
    lines = clean(message.text.replace("\r\n", "\n")).split("\n")
    rows = list(chain.from_iterable(_wrap(line, COLUMNS) for line in lines))
    columns = max(_width(title), *map(_width, rows))
    return "\n".join(
        (
            f"╭─{title}{'─' * (columns - _width(title))}─╮",
            *(f"│ {row}{' ' * (columns - _width(row))} │" for row in rows),
            f"╰─{'─' * columns}─╯",
            f"  {_cost(message)} · valid {_duration(message.validity)}",
        )
    )


def _cost(message: Message) -> str:
    one, encoding = message.segments == 1, message.encoding
    capacity = UNITS_IN_ONE[encoding] if one else UNITS_IN_EACH[encoding] * message.segments
    return f"{message.segments} segment{'' if one else 's'} · {encoding} · {message.units} of {capacity} {UNIT_NAMES[encoding]}"


def _duration(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return f"{minutes} min" if rest or not hours else f"{hours} h"


def clean(text: str) -> str:
    """Replace the characters on which a terminal or a browser could act."""
    return "".join(_REPLACEMENT if _is_unsafe(character) else character for character in text)


def _is_unsafe(character: str) -> bool:
    return character not in {"\n", _JOINER} and unicodedata.category(character) in _UNSAFE


def _wrap(line: str, columns: int) -> Iterator[str]:
    """Yield rows of at most ``columns`` cells; a row ends at a space if it has one."""
    start = used = 0
    space = -1
    for index, character in enumerate(line):
        if character == " ":
            space = index
        used += _width(character)
        if used > columns:
            end = space if space > start else index
            yield line[start:end]
            start = end + (line[end] == " ")
            used = _width(line[start : index + 1])
    yield line[start:]


def _width(text: str) -> int:
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in _ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
