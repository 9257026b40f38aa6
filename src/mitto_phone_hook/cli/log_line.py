"""One line of our log, read back: alone, behind the time that a collector puts before it, or inside an entry of Cloud Logging.

Whatever is read may come from anywhere: each value is checked, cut and rid of characters that a terminal would obey.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from mitto_phone_hook.domain.strict_json import parse

WRAPPERS = (("jsonPayload", "timestamp"), ("textPayload", "timestamp"), ("log", "time"))
"""Where others put our line, as an object or as a text, and its time: twice Cloud Logging (LogEntry), Docker's ``json-file``."""

_MAX_TEXT = 120
_MAX_LIST = 20
_MAX_PREFIX = 200
_MAX_NUMBER = 1e15
_EVENT = re.compile("[a-z][a-z0-9_]{0,39}")
_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?")
# Calling code and last two digits, as our log shows a number.
_MASKED = re.compile(r"\+[0-9]{0,3}\*+[0-9]{0,2}")

Value = str | float | bool | tuple[str, ...]


class LogLine(NamedTuple):
    """One line of our log. ``values`` holds only texts without control characters, finite numbers, truth values and lists of texts."""

    at: datetime | None
    """In UTC: the line's own time, else its collector's; ``None`` where nobody wrote it down: lines of older versions have no time."""
    values: Mapping[str, Value]

    @property
    def event(self) -> str:
        """The name of the event."""
        return self.text("event")

    @property
    def ids(self) -> tuple[str, ...]:
        """The message's own ids, ours and Mitto's, as ``key_of_id`` gives them."""
        return tuple(key_of_id(text) for name in ("request_id", "message_id") if (text := self.text(name)))

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


def key_of_id(text: str) -> str:
    """Give an id as it can be compared: Mitto writes one id with hyphens and without."""
    return text.replace("-", "").lower()


def line_of(text: bytes, arrived: datetime | None = None) -> LogLine | None:
    """Read one line; ``None`` where it is none of ours. ``arrived`` is its time where it has none.

    The line's own time comes first: a collector's is that of reading it, which is late where the output had to wait.
    """
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
    return LogLine(_time(values.get("time")) or at or _time(values.get("timestamp")) or arrived, kept)


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
