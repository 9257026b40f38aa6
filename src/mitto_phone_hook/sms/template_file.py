"""A catalogue of templates as a TOML file, and everything that can be wrong in it.

``[login]`` holds the texts for a login by language; ``[client.abc123.login]`` and ``[org.acme.login]`` hold those of one client or
organization. A text is a string, or ``{ text = "…", segments = 2 }`` where it may cost more than one segment.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mitto_phone_hook.sms.hidden_characters import HiddenCharacter, clean_text
from mitto_phone_hook.sms.segments import UNITS_IN_ONE, encode
from mitto_phone_hook.sms.templates import NAMES, NOTICE, PLACEHOLDER, PLACEHOLDERS, Catalogue, fill

SAMPLE = {"code": "314159", "app": "Twelve chars", "minutes": "10"}
"""What a template is measured with: six digits, and an app name of twelve characters."""

_TEMPLATES = tuple(dict.fromkeys(NAMES.values()))
_CALLERS = ("client", "org")
_TAG = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*")
_KEY = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_KEYS = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_TABLE_LINE = re.compile(rf"\s*\[\s*({_KEYS})\s*\]")
_KEY_LINE = re.compile(rf"\s*({_KEYS})\s*=")
_MOST_SEGMENTS = 20


class _Entry(NamedTuple):
    """One value of the file: its keys from the top, and what stands there."""

    keys: tuple[str, ...]
    value: object

    @property
    def depth(self) -> int:
        """How many keys lead to a text."""
        return 4 if self.keys[0] in _CALLERS else 2

    @property
    def place(self) -> tuple[str, str, str]:
        """Caller, name of the template, and language; the first two may be wrong."""
        *caller, name, language = ("", *self.keys)[-self.depth :]
        return ":".join(caller), name, language.lower().replace("_", "-")

    @property
    def text(self) -> object:
        """The template, if it is one."""
        return self.value.get("text") if isinstance(self.value, dict) else self.value

    @property
    def segments(self) -> object:
        """How many segments it may cost, if that is a number."""
        return self.value.get("segments", 1) if isinstance(self.value, dict) else 1


def read_unchecked(text: str) -> Catalogue:
    """Read a catalogue of which is known that it is right."""
    return {entry.place: str(entry.text) for entry in _entries(tomllib.loads(text))}


def read(text: str, domains: Mapping[str, str], *, is_smart: bool = True, max_segments: int = _MOST_SEGMENTS) -> Catalogue:
    """Read and check a catalogue. Raises ``ValueError`` with one sentence for each fault, with its line and key.

    ``domains`` are the host names by caller that ``{domain}`` can stand for. No message of more than ``max_segments`` is sent.
    """
    try:
        entries = [*_entries(tomllib.loads(text.removeprefix("\ufeff")))]
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"must be TOML: {error}") from None
    except RecursionError:
        raise ValueError("must be TOML that is not nested so deeply") from None
    lines = _lines(text)
    found = [(entry, [*_faults(entry, domains, is_smart=is_smart, max_segments=max_segments)]) for entry in entries]
    faults = [(_line_of(entry.keys, lines), entry, fault) for entry, of_entry in found for fault in of_entry]
    places = [entry.place for entry in entries]
    faults += [
        (_line_of(entry.keys, lines), entry, "has this template twice")
        for number, entry in enumerate(entries)
        if entry.place in places[:number]
    ]
    if faults:
        raise ValueError(
            *(f"line {line}, {'.'.join(entry.keys)}: {fault}" for line, entry, fault in sorted(faults, key=lambda one: one[0]))
        )
    return {entry.place: str(entry.text) for entry in entries}


def _entries(table: Mapping[str, Any], keys: tuple[str, ...] = ()) -> Iterator[_Entry]:
    """Yield what stands where the form has texts, and what stands where it has none."""
    for key, value in table.items():
        entry = _Entry((*keys, key), value)
        if isinstance(value, dict) and value and len(entry.keys) < entry.depth:
            yield from _entries(value, entry.keys)
        else:
            yield entry


def _faults(entry: _Entry, domains: Mapping[str, str], *, is_smart: bool, max_segments: int) -> Iterator[str]:
    """Yield what is wrong with one text; of what depends on another fault only that one."""
    if len(entry.keys) != entry.depth:
        yield f"must be a table of texts by language, as in [login] or [client.abc123.login], with the tables {', '.join(_TEMPLATES)}"
        return
    caller, name, language = entry.place
    if name not in _TEMPLATES:
        yield f"is no template: there are {', '.join(_TEMPLATES)}"
        return
    if caller and entry.keys[1] != (entry.keys[1].strip() or None):
        yield "must have the id of a client or an organization, without spaces around it"
    if not _TAG.fullmatch(language):
        yield "must have a language tag as its key, such as de or pt-BR"
    text, allowed = entry.text, entry.segments
    if not isinstance(text, str) or not text.strip() or (isinstance(entry.value, dict) and entry.value.keys() - {"text", "segments"}):
        yield 'must be a text, or { text = "…", segments = 2 }'
        return
    domain = domains.get(caller) or domains.get("", "")
    if wrong := [*_wrong_placeholders(text, name, domain)]:
        yield from wrong
        return
    if type(allowed) is not int or not 0 < allowed <= _MOST_SEGMENTS:
        yield f"must have segments from 1 to {_MOST_SEGMENTS}"
        return
    yield from _faults_of_sample(fill(text, SAMPLE | {"domain": domain}), allowed, max_segments, is_smart=is_smart)


def _wrong_placeholders(text: str, name: str, domain: str) -> Iterator[str]:
    found = PLACEHOLDER.findall(text)
    if set(found) - PLACEHOLDERS or set("{}") & set(PLACEHOLDER.sub("", text)):
        yield f"must have no braces but those of {', '.join(f'{{{one}}}' for one in sorted(PLACEHOLDERS))}"
        return
    if (name == NOTICE) == ("code" in found):
        yield "must not have {code}: a notice has none" if name == NOTICE else "must have {code}"
    if "domain" in found and not domain:
        yield "has {domain}, which needs OTP_DOMAIN"


def _faults_of_sample(sample: str, allowed: int, max_segments: int, *, is_smart: bool) -> Iterator[str]:
    """Yield what is wrong with a text as it will be sent."""
    try:
        is_clean = clean_text(sample) == sample
    except HiddenCharacter:
        is_clean = False
    if not is_clean:
        yield "must have no characters that nobody sees, and accents in one character with their letter (NFC)"
        return
    encoded = encode(sample, is_smart=is_smart)
    if encoded.segments > max_segments:
        yield f"needs {encoded.segments} segments, and MAX_SEGMENTS allows {max_segments}: no message with this text would be sent"
    elif encoded.segments > allowed:
        one = f"{encoded.encoding.value}, {UNITS_IN_ONE[encoded.encoding]} in one"
        yield (
            f"needs {encoded.segments} segments ({one}) with a code of 6 and an app name of 12 characters: shorten it, or allow it with "
            f'{{ text = "…", segments = {encoded.segments} }}'
        )


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Find the lines of tables and keys, from 1."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE_LINE.match(line):
            table = _names(header[1])
            lines.setdefault(table, number)
        elif key := _KEY_LINE.match(line):
            lines.setdefault((*table, *_names(key[1])), number)
    return lines


def _names(keys: str) -> tuple[str, ...]:
    return tuple(key.strip("\"'") for key in re.findall(_KEY, keys))


def _line_of(keys: tuple[str, ...], lines: Mapping[tuple[str, ...], int]) -> int:
    """Give the line of a key, or of the innermost table around it."""
    return next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), 1)
