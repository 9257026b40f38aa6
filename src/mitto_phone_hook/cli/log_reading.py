"""Reads our log lines back: alone, behind the time that a collector puts before them, or inside the entries of Cloud Logging.

Whatever is read may come from anywhere: each value is checked, cut and rid of characters that a terminal would obey.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from mitto_phone_hook.domain.strict_json import parse

MAX_LINE_BYTES = 256 * 1024
"""The longest line, and the largest entry over several lines, that is kept. Ours have a few KiB."""

WRAPPERS = (("jsonPayload", "timestamp"), ("textPayload", "timestamp"), ("log", "time"))
"""Where others put our line, as an object or as a text, and its time: twice Cloud Logging (LogEntry), Docker's ``json-file``."""

_MAX_TEXT = 120
_MAX_LIST = 20
_MAX_PREFIX = 200
_MAX_NUMBER = 1e15
_EVENT = re.compile("[a-z][a-z0-9_]{0,39}")
_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?")
_OPENING = re.compile(rb"( *)\{")
_CLOSING = re.compile(rb"( *)\},?")
# Calling code and last two digits, as our log shows a number.
_MASKED = re.compile(r"\+[0-9]{0,3}\*+[0-9]{0,2}")

Value = str | float | bool | tuple[str, ...]


class LogLine(NamedTuple):
    """One line of our log. ``values`` holds only texts without control characters, finite numbers, truth values and lists of texts."""

    at: datetime | None
    """In UTC; ``None`` where nobody wrote it down, for the line itself has no time."""
    values: Mapping[str, Value]

    @property
    def event(self) -> str:
        """The name of the event."""
        return self.text("event")

    def text(self, *names: str) -> str:
        """Give the first of these fields that is a text, else an empty one."""
        return next((value for name in names if isinstance(value := self.values.get(name), str)), "")

    def number(self, name: str) -> float | None:
        """Give a field that is a number and not negative."""
        value = self.values.get(name)
        return value if isinstance(value, float) and value >= 0 else None

    def has(self, name: str) -> bool:
        """Whether a field is ``true``."""
        return self.values.get(name) is True

    def texts(self, name: str) -> tuple[str, ...]:
        """Give a field that is a list of texts."""
        value = self.values.get(name)
        return value if isinstance(value, tuple) else ()


class LogReader:
    """Reads pieces of a log as they come, and counts what is no line of ours. Its memory is bounded, whatever comes."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self.passed_over = 0
        """Lines, and entries over several lines, that are none of ours."""
        self._rest = b""
        self._is_too_long = False
        self._entry: list[bytes] = []
        self._entry_bytes = 0
        self._indent = b""

    def read_all(self, pieces: Iterable[bytes], arrived: datetime | None = None) -> Iterator[LogLine]:
        """Read every piece, then the end. ``arrived`` is the time of lines without one."""
        for piece in pieces:
            yield from self.read(piece, arrived)
        yield from self.end(arrived)

    def read(self, piece: bytes, arrived: datetime | None = None) -> Iterator[LogLine]:
        """Read the next piece, which may begin and end within a line."""
        first, *others = piece.split(b"\n")
        if not self._is_too_long:
            self._rest += first
        for other in others:
            yield from self._take(self._rest, arrived)
            self._rest, self._is_too_long = other, False
        if len(self._rest) > MAX_LINE_BYTES:
            # What follows of this line is not kept; what came counts as one line that is none.
            self._rest, self._is_too_long = self._rest[: MAX_LINE_BYTES + 1], True
        elif self._entry and self._closes(self._rest):
            # ``gcloud logging tail`` ends the line of an entry only when the next one has come.
            yield from self._take(self._rest, arrived)
            self._rest = b""

    def end(self, arrived: datetime | None = None) -> Iterator[LogLine]:
        """Read what is left at the end of the log."""
        yield from self._take(self._rest, arrived)
        self._rest, self._is_too_long = b"", False
        self.passed_over += bool(self._entry)
        self._entry = []

    def _take(self, raw: bytes, arrived: datetime | None) -> Iterator[LogLine]:
        text = raw.rstrip()
        if self._entry:
            self._entry_bytes += len(text)
            if self._entry_bytes <= MAX_LINE_BYTES:
                self._entry.append(text)
            if text.startswith(self._indent + b" "):
                return
            if self._closes(text):
                text = b"\n".join(self._entry).rstrip(b",") if self._entry_bytes <= MAX_LINE_BYTES else b""
                self._entry = []
                yield from self._line(text, arrived)
                return
            # The entry never ended. This line is none of it.
            self.passed_over += 1
            self._entry = []
        if opened := _OPENING.fullmatch(text):
            self._entry, self._entry_bytes, self._indent = [text], len(text), opened[1]
        elif text.strip(b"[], "):
            yield from self._line(text, arrived)

    def _line(self, text: bytes, arrived: datetime | None) -> Iterator[LogLine]:
        line = line_of(text, arrived) if len(text) <= MAX_LINE_BYTES else None
        self.passed_over += line is None
        if line is not None:
            yield line

    def _closes(self, text: bytes) -> bool:
        # No text in JSON holds a line break, so that a closing brace below the opening one is its own.
        found = _CLOSING.fullmatch(text.rstrip())
        return found is not None and found[1] == self._indent


def line_of(text: bytes, arrived: datetime | None = None) -> LogLine | None:
    """Read one line; ``None`` where it is none of ours. ``arrived`` is its time where it has none."""
    start = text.find(b"{", 0, _MAX_PREFIX)
    values = _object(text[start:]) if start >= 0 else None
    prefix = _TIME.search(text[:start]) if start > 0 else None
    at = _time(prefix[0].decode().replace(",", ".")) if prefix else None
    entry: Mapping[str, object] = {}
    for name, time in WRAPPERS if values is not None and "event" not in values else ():
        if values is not None and name in values:
            entry, inner = values, values[name]
            at = _time(values.get(time)) or at
            values = inner if isinstance(inner, dict) else _object(inner.encode("utf-8", "replace")) if isinstance(inner, str) else None
            break
    if values is None or not isinstance(event := values.get("event"), str) or not _EVENT.fullmatch(event):
        return None
    # Cloud Logging takes severity and time out of the line.
    kept = {name: value for name, raw in {**entry, **values}.items() if (value := _value(raw)) is not None}
    if not _MASKED.fullmatch(str(kept.get("recipient", ""))):
        kept.pop("recipient", None)
    return LogLine(at or _time(values.get("time")) or _time(values.get("timestamp")) or arrived, kept)


def clean(text: str) -> str:
    """Give a text as it may be shown: without line breaks and control characters, and not too long."""
    cut = text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
    if cut.isprintable():
        return cut
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)


def _object(text: bytes) -> dict[str, object] | None:
    try:
        values = parse(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _value(raw: object) -> Value | None:
    match raw:
        case bool():
            return raw
        case int() | float():
            # An integer may have hundreds of digits, and a float may be infinite.
            return float(raw) if abs(raw) < _MAX_NUMBER else None
        case str():
            return clean(raw)
        case list():
            return tuple(clean(item) for item in raw[:_MAX_LIST] if isinstance(item, str))
        case _:
            return None


def _time(raw: object) -> datetime | None:
    if not isinstance(raw, str):
        return None
    try:
        read = datetime.fromisoformat(raw)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
