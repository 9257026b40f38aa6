"""A text as it goes out, drawn for a terminal: its segments in boxes, and what costs more pointed at. Pure."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mitto_phone_hook.cli.columns import clusters, columns, padded, width
from mitto_phone_hook.cli.report import BOLD, COLOURS, DIM, UNICODE, Mark, Style, coloured, counted
from mitto_phone_hook.cli.settings_report import money
from mitto_phone_hook.cli.text_facts import Facts, Found, name_of, units
from mitto_phone_hook.sms.segments import Encoding

MAX_COLUMNS = 80
_MIN_COLUMNS = 48
_LABEL_COLUMNS, _VALUE_COLUMNS = 12, 10
_BAR_COLUMNS = 16
_SHOWN_COLUMNS, _NAME_COLUMNS = 7, 44
_MOST_PLACES = 6
_MOST_EXAMPLES = 12
_SHARE_OF_ANOTHER_SCRIPT = 0.2
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
    only: str = ""
    """What the region takes instead of this sender ID."""


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
        return max(min(self.style.width or MAX_COLUMNS, MAX_COLUMNS), _MIN_COLUMNS) - 6

    def rows(self, facts: Facts, terms: Terms) -> Iterator[str]:
        """Draw all that is known about a text. Yields lines without their ends."""
        yield from self._summary(facts, terms)
        yield ""
        yield from self._boxes(facts)
        if is_in_other_script(facts):
            yield from self._scripts(facts.forcing)
        else:
            yield from self._table("Not in GSM-7", self.signs.forcing, _BAD, facts.forcing)
        yield from self._table("Replaced by smart encoding", self.signs.replaced, _GOOD, facts.replaced)
        yield from self._table("Taken out, because nobody sees it", " ", DIM, facts.removed)

    def label(self, label: str, value: str, rest: str = "", colour: str = BOLD) -> str:
        """Draw one line: what it is, its value, and more about it."""
        more = f"{' ' * (_VALUE_COLUMNS - len(value))} {self.coloured(rest, DIM)}" if rest else ""
        return f"  {self.coloured(label.ljust(_LABEL_COLUMNS), DIM)}{self.coloured(value, colour)}{more}"

    def prompt(self, command: str) -> str:
        """Draw the line in which a command is typed."""
        return f"  {self.coloured('$', DIM)} {self.coloured(command, BOLD)}"

    def _summary(self, facts: Facts, terms: Terms) -> Iterator[str]:
        encoding, number = facts.sent.encoding, facts.sent.segments
        yield self.label("Encoding", encoding.value, _why(facts), f"{BOLD};{_ENCODING_COLOURS[encoding]}")
        if number > terms.max_segments:
            yield self.label("Segments", str(number), f"not sent: MAX_SEGMENTS is {terms.max_segments}", f"{BOLD};{_BAD}")
        else:
            yield self.label("Segments", str(number), _otherwise(facts))
        if facts.without_lines:
            number_alone, encoding_alone = facts.without_lines.segments, facts.without_lines.encoding
            yield self.label("Autofill", "added", f"{number_alone} in {encoding_alone} without the lines for browsers and apps")
        where = f"to {terms.region}{f', which takes only {terms.only}' if terms.only else ''}" if terms.region else ""
        yield self.label("Sender ID", terms.sender_id, where, f"{BOLD};{_WARN}" if terms.only else BOLD)
        for region in _regions_of(terms):
            price, of_one = terms.prices[region if region in terms.prices else ""], f"{number} {self.signs.times} "
            where = f" to {region}" if region else " to all other countries" if len(terms.prices) > 1 else ""
            rest = f"{of_one}{money(price)}{where}; {money(1000 * number * price)} for 1,000 messages"
            yield self.label("Cost", money(number * price), rest)

    def _boxes(self, facts: Facts) -> Iterator[str]:
        signs, total, place = self.signs, len(facts.segments), 0
        colours = {} if is_in_other_script(facts) else {where: _BAD for found in facts.forcing for where in found.positions}
        colours |= {
            where + index: _GOOD for found in facts.replaced for where in found.positions for index in range(len(found.replacement))
        }
        for number, segment in enumerate(facts.segments, 1):
            title = f"Segment {number} of {total}" if total > 1 else "One segment"
            yield self._border(signs.top if number == 1 else signs.between, title, units(segment, facts), facts.sent.encoding)
            for row in _wrapped(list(_cells(segment, place, signs)), self.columns):
                yield self._boxed("".join(self._drawn(cell, colours) for cell in row), _width(row))
                pointers = [_colour_of(cell, colours) for cell in row]
                if any(pointers):
                    yield self._boxed("".join(map(self._pointer, row, pointers)), _width(row))
            place += len(segment)
        yield f"  {self.coloured(signs.bottom[0] + signs.line * (self.columns + 2) + signs.bottom[1], DIM)}"

    def _border(self, corners: tuple[str, str], title: str, units: tuple[int, int], encoding: Encoding) -> str:
        """Draw the upper side of a box, with its title and how full the segment is."""
        used, room = units
        signs, count = self.signs, f"{used} of {room} {_UNITS[encoding]}"
        full = -(-used * _BAR_COLUMNS // room)
        gap, bar = self.columns - len(title) - len(count) - 4, ""
        if gap > _BAR_COLUMNS + 1:
            gap -= _BAR_COLUMNS + 1
            bar = (
                self.coloured(signs.full * full, _ENCODING_COLOURS[encoding]) + self.coloured(signs.free * (_BAR_COLUMNS - full), DIM) + " "
            )
        left, right = (self.coloured(text, DIM) for text in (f"{corners[0]}{signs.line}", f"{signs.line}{corners[1]}"))
        return f"  {left} {self.coloured(title, BOLD)} {self.coloured(signs.line * gap, DIM)} {bar}{count} {right}"

    def coloured(self, text: str, colour: str) -> str:
        """Colour a text if the output has colours."""
        return coloured(text, colour, self.style) if text else ""

    def _boxed(self, drawn: str, used: int) -> str:
        side = self.coloured(self.signs.side, DIM)
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
        yield from self._title(title)
        for found in rows:
            shown = self._visible(found.character)
            if found.replacement:
                shown = f"{shown} {self.style.arrow} {self._visible(found.replacement)}"
            name = padded(f"{f'U+{ord(found.character):04X}':<8}{name_of(found.character)}", _NAME_COLUMNS)
            at = self._places(found, MAX_COLUMNS - _SHOWN_COLUMNS - width(name) - 6)
            shown = self.coloured(padded(shown, _SHOWN_COLUMNS), f"{BOLD};{colour}")
            yield f"  {self.coloured(sign, colour)} {shown} {name} {self.coloured(at, DIM)}"

    def _title(self, title: str) -> Iterator[str]:
        yield ""
        yield f"  {self.coloured(title, BOLD)}"

    def _places(self, found: Found, room: int) -> str:
        """Say how often a character stands where, with as many places as there is room for."""
        number = len(found.positions)
        for most in range(min(number, _MOST_PLACES), 0, -1):
            places = ", ".join(str(place + 1) for place in found.positions[:most])
            text = f"{self.signs.times}{number} at {places}{', ...' if most < number else ''}"
            if len(text) <= room:
                return text
        return f"{self.signs.times}{number}"

    def _scripts(self, rows: tuple[Found, ...]) -> Iterator[str]:
        """Draw which scripts a text is written in, with the most frequent characters of each."""
        yield from self._title("Not in GSM-7")
        scripts: dict[str, list[Found]] = {}
        for found in sorted(rows, key=lambda found: -len(found.positions)):
            # Names of letters begin with the script: HIRAGANA LETTER A, CJK UNIFIED IDEOGRAPH-78BA.
            script = name_of(found.character).split(maxsplit=1)[0] if _is_letter(found.character) else "other signs"
            scripts.setdefault(script, []).append(found)
        for script, ones in sorted(scripts.items(), key=lambda item: -_number_of(item[1])):
            examples = " ".join(self._visible(found.character) for found in ones[:_MOST_EXAMPLES])
            count = self.coloured(f"{self.signs.times}{_number_of(ones)}".ljust(5), DIM)
            yield f"  {self.coloured(self.signs.forcing, _BAD)} {padded(script.lower(), 17)} {count} {examples}"

    def _visible(self, character: str) -> str:
        return "".join(cell.shown for cell in _cells(character, 0, self.signs))


def is_in_other_script(facts: Facts) -> bool:
    """Whether a text is in a script that GSM-7 does not have, so that it makes no sense to point at each character.

    A few letters of another script in a Latin text are a mistake, and are pointed at. Addresses are Latin in every script.
    """
    others = (found for found in facts.forcing if _is_letter(found.character) and not name_of(found.character).startswith("LATIN"))
    return _number_of(others) > _SHARE_OF_ANOTHER_SCRIPT * sum(not character.isspace() for character in facts.sent.text)


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"


def _number_of(rows: Iterable[Found]) -> int:
    return sum(len(found.positions) for found in rows)


def _why(facts: Facts) -> str:
    if is_in_other_script(facts):
        return "because it is in a script that GSM-7 does not have"
    if facts.forcing:
        return f"because of {counted(_number_of(facts.forcing), 'character')} that GSM-7 does not have"
    return "smart encoding replaced what GSM-7 does not have" if facts.replaced else "every character is in this alphabet"


def _otherwise(facts: Facts) -> str:
    if facts.otherwise and facts.replaced:
        return f"instead of {facts.otherwise.segments} in {facts.otherwise.encoding}"
    if facts.otherwise and not is_in_other_script(facts):
        return f"{facts.otherwise.segments} in {facts.otherwise.encoding} without these characters"
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
