"""All templates in one table: what each says, in which encoding, with how many segments. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mitto_phone_hook.cli.columns import clusters, columns, padded
from mitto_phone_hook.cli.report import BOLD, COLOURS, DIM, Mark, counted
from mitto_phone_hook.cli.text_facts import Facts, facts_of, message_of, units
from mitto_phone_hook.cli.text_view import MAX_COLUMNS, Drawing
from mitto_phone_hook.sms.compose import SmsRules
from mitto_phone_hook.sms.segments import Encoding
from mitto_phone_hook.sms.templates import NAMES, NOTICE, built_in, fill

EXAMPLE_APP = "Acme"
_ORDER = {name: number for number, name in enumerate(dict.fromkeys(NAMES.values()))}
_TAG_COLUMNS, _ENCODING_COLUMNS, _UNITS_COLUMNS = 9, 7, 9
_TEXT_COLUMN = 2 + _TAG_COLUMNS + _ENCODING_COLUMNS + 3 + _UNITS_COLUMNS
_COLOURS = {Encoding.GSM7: COLOURS[Mark.OK], Encoding.UCS2: COLOURS[Mark.WARNING]}


class Entry(NamedTuple):
    """One template, filled in."""

    caller: str
    """``client:…`` or ``org:…``; empty: for all."""
    name: str
    tag: str
    """The language."""
    facts: Facts

    def as_json(self) -> dict[str, object]:
        """Give it in plain values."""
        sent = self.facts.sent
        named = {"caller": self.caller or None, "template": self.name, "language": self.tag}
        return {**named, "text": sent.text, "encoding": sent.encoding.value, "segments": sent.segments}


def entries(rules: SmsRules, code: str, region: str) -> Iterator[Entry]:
    """Yield every template, the built-in ones and the operator's own, as its messages go out."""
    templates = {**built_in(), **rules.texts.own}
    # What is filled in is a text already.
    rules = rules._replace(texts=rules.texts._replace(replaces_texts=False))
    for caller, name, tag in sorted(templates, key=lambda key: (key[0], _ORDER.get(key[1], len(_ORDER)), key[2])):
        kind, _, value = caller.partition(":")
        message = message_of("", region, tag, None if name == NOTICE else code)
        message = message._replace(client_id=value if kind == "client" else None, organization=value if kind == "org" else None)
        minutes = max(int(rules.code_lifetime_seconds // 60), 1)
        values = {"code": code, "app": rules.texts.app_name or EXAMPLE_APP, "minutes": str(minutes)}
        text = fill(templates[caller, name, tag], {**values, "domain": rules.texts.autofill_of(message).domain})
        yield Entry(caller, name, tag, facts_of(message._replace(text=message_of(text).text), rules))


def catalogue_rows(found: Sequence[Entry], drawing: Drawing) -> Iterator[str]:
    """Draw the table, by template. Yields lines without their ends."""
    heading = ""
    for entry in found:
        name = f"{entry.caller} {entry.name}".strip()
        if name != heading:
            yield from ["", f"  {drawing.coloured(name, BOLD)}"] if heading else [f"  {drawing.coloured(name, BOLD)}"]
            heading = name
        sent = entry.facts.sent
        used, room = units(entry.facts.segments[-1], entry.facts)
        measured = f"{sent.segments}  {f'{used}/{room}':<{_UNITS_COLUMNS}}"
        encoding = drawing.coloured(f"{sent.encoding.value:<{_ENCODING_COLUMNS}}", _COLOURS[sent.encoding])
        first, *more = _lines(sent.text, min(drawing.style.width or MAX_COLUMNS, MAX_COLUMNS) - _TEXT_COLUMN, drawing.signs.line_feed)
        yield f"  {drawing.coloured(padded(entry.tag, _TAG_COLUMNS), BOLD)}{encoding}{drawing.coloured(measured, DIM)}{first}"
        yield from (" " * _TEXT_COLUMN + line for line in more)
    encodings = [entry.facts.sent.encoding for entry in found]
    of_each = " and ".join(f"{encodings.count(encoding)} in {encoding}" for encoding in Encoding)
    most = max(entry.facts.sent.segments for entry in found)
    segments = f"each {counted(most, 'segment')}" if most == 1 else f"at most {counted(most, 'segment')}"
    yield ""
    yield f"  {drawing.coloured(f'{len(found)} templates, {of_each}, {segments}', DIM)}"


def _lines(text: str, room: int, line_feed: str) -> Iterator[str]:
    """Cut a text into lines that fit, where possible after a space. A line feed is shown, and ends its line."""
    line, used, cut = "", 0, 0
    for cluster in clusters(text):
        shown = line_feed if cluster == "\n" else cluster
        if used + columns(shown) > room:
            cut = cut or len(line)
            yield line[:cut].rstrip()
            line, cut = line[cut:], 0
            used = sum(map(columns, clusters(line)))
        line, used = line + shown, used + columns(shown)
        if cluster == "\n":
            yield line
            line, used, cut = "", 0, 0
        elif cluster == " ":
            cut = len(line)
    yield line
