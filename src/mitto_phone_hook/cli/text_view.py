"""A text as it goes out, drawn for a terminal: its segments in boxes, and what costs more pointed at. Pure."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mitto_phone_hook.cli.columns import clusters, columns, padded, width
from mitto_phone_hook.cli.report import BOLD, COLOURS, DIM, UNICODE, Mark, Style, coloured, counted
from mitto_phone_hook.cli.settings_report import money
from mitto_phone_hook.cli.text_facts import Facts, Found, name_of, units
from mitto_phone_hook.sms.segments import Encoding

MAX_COLUMNS = 80
_LABEL_COLUMNS = 12
_BAR_COLUMNS = 16
_SHOWN_COLUMNS, _NAME_COLUMNS = 7, 44
_MOST_PLACES = 4
_GOOD, _WARN, _BAD = COLOURS[Mark.OK], COLOURS[Mark.WARNING], COLOURS[Mark.ERROR]
_ENCODING_COLOURS = {Encoding.GSM7: _GOOD, Encoding.UCS2: _WARN}
_UNITS = {Encoding.GSM7: "septets", Encoding.UCS2: "units"}


class Signs(NamedTuple):
    """What the drawing is made of."""

    top: tuple[str, str] = ("╭", "╮")
    between: tuple[str, str] = ("├", "┤")
    bottom: tuple[str, str] = ("╰", "╯")
    side: str = "│"
    line: str = "─"
    full: str = "█"
    free: str = "░"
    forcing: str = "▲"
    replaced: str = "△"
    space: str = "␣"
    line_feed: str = "⏎"
    unseen: str = "·"
    times: str = "×"  # noqa: RUF001 - a product is meant


BOXES = Signs()
PLAIN = Signs(("+", "+"), ("+", "+"), ("+", "+"), "|", "-", "#", ".", "^", "'", "_", "/", ".", "x")
"""For streams that cannot encode ``BOXES``."""


class Terms(NamedTuple):
    """Under which settings the text goes out."""

    sender_id: str
    max_segments: int
    region: str | None
    prices: Mapping[str, int]
    """Price of a segment in millionths, by region; ``""`` for all others. Empty without a price file."""


class _Cell(NamedTuple):
    """What stands in one place of a box."""

    shown: str
    places: range
    """In the text that is sent."""
    is_sign: bool = False
    """Whether it stands for a character that nobody would see."""
    is_break: bool = False
    """Whether a row may end after it."""


@dataclass(frozen=True)
class Drawing:
    """Draws with the signs and colours that the output can show, at most ``MAX_COLUMNS`` wide."""

    style: Style

    @property
    def signs(self) -> Signs:
        """The signs that the output can show."""
        return BOXES if self.style.arrow == UNICODE.arrow else PLAIN

    @property
    def columns(self) -> int:
        """The columns within a box."""
        return min(self.style.width or MAX_COLUMNS, MAX_COLUMNS) - 6

    def rows(self, facts: Facts, terms: Terms) -> Iterator[str]:
        """Draw all that is known about a text. Yields lines without their ends."""
        yield from self._summary(facts, terms)
        yield ""
        yield from self._boxes(facts)
        yield from self._table("Not in GSM-7", self.signs.forcing, _BAD, facts.forcing)
        yield from self._table("Replaced by smart encoding", self.signs.replaced, _GOOD, facts.replaced)
        yield from self._table("Taken out, because nobody sees it", " ", DIM, facts.removed)

    def label(self, label: str, value: str, rest: str = "", colour: str = BOLD) -> str:
        """Draw one line: what it is, its value, and more about it."""
        more = f"   {coloured(rest, DIM, self.style)}" if rest else ""
        return f"  {coloured(label.ljust(_LABEL_COLUMNS), DIM, self.style)}{coloured(value, colour, self.style)}{more}"

    def _summary(self, facts: Facts, terms: Terms) -> Iterator[str]:
        encoding, number = facts.sent.encoding, facts.sent.segments
        yield self.label("Encoding", encoding.value, _why(facts), f"{BOLD};{_ENCODING_COLOURS[encoding]}")
        if number > terms.max_segments:
            yield self.label("Segments", str(number), f"not sent: MAX_SEGMENTS is {terms.max_segments}", f"{BOLD};{_BAD}")
        else:
            yield self.label("Segments", str(number), _otherwise(facts))
        yield self.label("Sender ID", terms.sender_id, f"to {terms.region}" if terms.region else "")
        for region in _regions_of(terms):
            price, of_one = terms.prices[region if region in terms.prices else ""], f"{number} {self.signs.times} "
            where = f" to {region}" if region else " to all other countries" if len(terms.prices) > 1 else ""
            rest = f"{of_one}{money(price)}{where}; {money(1000 * number * price)} for 1,000 messages"
            yield self.label("Cost", money(number * price), rest)

    def _boxes(self, facts: Facts) -> Iterator[str]:
        signs, total, place = self.signs, len(facts.segments), 0
        colours = {where: _BAD for found in facts.forcing for where in found.positions}
        colours |= {
            where + index: _GOOD for found in facts.replaced for where in found.positions for index in range(len(found.replacement))
        }
        for number, segment in enumerate(facts.segments, 1):
            title = f"Segment {number} of {total}" if total > 1 else "One segment"
            yield self._border(signs.top if number == 1 else signs.between, title, *units(segment, facts), _UNITS[facts.sent.encoding])
            for row in _wrapped(list(_cells(segment, place, signs)), self.columns):
                yield self._boxed("".join(self._drawn(cell, colours) for cell in row), _width(row))
                pointers = [_colour_of(cell, colours) for cell in row]
                if any(pointers):
                    yield self._boxed("".join(map(self._pointer, row, pointers)), _width(row))
            place += len(segment)
        yield f"  {coloured(signs.bottom[0] + signs.line * (self.columns + 2) + signs.bottom[1], DIM, self.style)}"

    def _border(self, corners: tuple[str, str], title: str, used: int, room: int, unit: str) -> str:
        """Draw the upper side of a box, with its title and how full the segment is."""
        signs, count = self.signs, f"{used} of {room} {unit}"
        full = -(-used * _BAR_COLUMNS // room)
        gap = self.columns - len(title) - _BAR_COLUMNS - len(count) - 5
        bar = signs.full * full + coloured(signs.free * (_BAR_COLUMNS - full), DIM, self.style)
        left, right = (coloured(text, DIM, self.style) for text in (f"{corners[0]}{signs.line}", f"{signs.line}{corners[1]}"))
        return f"  {left} {coloured(title, BOLD, self.style)} {coloured(signs.line * gap, DIM, self.style)} {bar} {count} {right}"

    def _boxed(self, drawn: str, used: int) -> str:
        side = coloured(self.signs.side, DIM, self.style)
        return f"  {side} {drawn}{' ' * (self.columns - used)} {side}"

    def _drawn(self, cell: _Cell, colours: Mapping[int, str]) -> str:
        colour = _colour_of(cell, colours)
        return coloured(cell.shown, f"{BOLD};{colour}" if colour else DIM, self.style) if colour or cell.is_sign else cell.shown

    def _pointer(self, cell: _Cell, colour: str) -> str:
        sign = {_BAD: self.signs.forcing, _GOOD: self.signs.replaced}.get(colour, " ")
        return coloured(sign, colour, self.style) + " " * (width(cell.shown) - 1) if colour else " " * width(cell.shown)

    def _table(self, title: str, sign: str, colour: str, rows: tuple[Found, ...]) -> Iterator[str]:
        if not rows:
            return
        yield f"\n  {coloured(title, BOLD, self.style)}"
        for found in rows:
            shown = self._visible(found.character)
            if found.replacement:
                shown = f"{shown} {self.style.arrow} {self._visible(found.replacement)}"
            places = ", ".join(str(place + 1) for place in found.positions[:_MOST_PLACES])
            more = ", ..." if len(found.positions) > _MOST_PLACES else ""
            at = coloured(f"{self.signs.times}{len(found.positions)} at {places}{more}", DIM, self.style)
            name = padded(f"U+{ord(found.character):04X}  {name_of(found.character)}", _NAME_COLUMNS)
            yield f"  {coloured(sign, colour, self.style)} {coloured(padded(shown, _SHOWN_COLUMNS), f'{BOLD};{colour}', self.style)} {name} {at}"

    def _visible(self, character: str) -> str:
        return "".join(cell.shown for cell in _cells(character, 0, self.signs))


def _why(facts: Facts) -> str:
    if facts.forcing:
        return f"because of {counted(sum(len(found.positions) for found in facts.forcing), 'character')} that GSM-7 does not have"
    return (
        "because smart encoding replaced what GSM-7 does not have" if facts.replaced else "all its characters are in the cheapest alphabet"
    )


def _otherwise(facts: Facts) -> str:
    if facts.otherwise and facts.replaced:
        return f"instead of {facts.otherwise.segments} in {facts.otherwise.encoding}"
    # Of a text in another script nothing would be left that says anything.
    if facts.otherwise and 2 * len(facts.otherwise.text) > len(facts.sent.text):
        return f"without these characters {facts.otherwise.segments} in {facts.otherwise.encoding}"
    return ""


def _regions_of(terms: Terms) -> list[str]:
    """Give the regions whose prices are shown: the one that was asked for, else the cheapest and the dearest."""
    if not terms.prices:
        return []
    by_price = sorted(terms.prices, key=lambda region: (terms.prices[region], region))
    return [terms.region] if terms.region else list(dict.fromkeys((by_price[0], by_price[-1])))


def _cells(segment: str, first_place: int, signs: Signs) -> Iterator[_Cell]:
    """Yield what is shown for a segment. What nobody would see gets a sign: line ends, and spaces at a border of the segment."""
    start = 0
    for cluster in clusters(segment):
        end = start + len(cluster)
        places = range(first_place + start, first_place + end)
        is_at_border = start == 0 or end == len(segment)
        if cluster == " ":
            yield _Cell(signs.space if is_at_border else " ", places, is_sign=is_at_border, is_break=True)
        elif cluster == "\n":
            yield _Cell(signs.line_feed, places, is_sign=True, is_break=True)
        elif unicodedata.category(cluster[0]) in {"Cc", "Cf", "Zs"}:
            yield _Cell(signs.unseen, places, is_sign=True, is_break=True)
        else:
            # A mark that the segment begins with needs something to stand on.
            yield _Cell(cluster if columns(cluster) else f"\u25cc{cluster}", places, is_break=columns(cluster) > 1)
        start = end


def _wrapped(cells: list[_Cell], room: int) -> Iterator[list[_Cell]]:
    """Cut into rows: after each line feed, and before the row is full, where possible after a space."""
    row: list[_Cell] = []
    for cell in cells:
        if _width([*row, cell]) > room:
            cut = next((index for index in range(len(row), 0, -1) if row[index - 1].is_break), len(row))
            yield row[:cut]
            row = row[cut:]
        row.append(cell)
        if cell.shown in {BOXES.line_feed, PLAIN.line_feed} and cell.is_sign:
            yield row
            row = []
    if row:
        yield row


def _width(row: list[_Cell]) -> int:
    return sum(width(cell.shown) for cell in row)


def _colour_of(cell: _Cell, colours: Mapping[int, str]) -> str:
    return next((colours[place] for place in cell.places if place in colours), "")
