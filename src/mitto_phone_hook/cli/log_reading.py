"""Reads a log in pieces: lines, and entries over several lines as ``gcloud`` prints them. Its memory is bounded, whatever comes."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from mitto_phone_hook.cli.log_line import LogLine, line_of

MAX_LINE_BYTES = 256 * 1024
"""The longest line, and the largest entry over several lines, that is kept. Ours have a few KiB."""

_OPENING = re.compile(rb"( *)\{")
_CLOSING = re.compile(rb"( *)\},?")


class LogReader:
    """Reads pieces of a log as they come, and counts what is no line of ours."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self.passed_over = 0
        """Lines, and entries over several lines, that are none of ours."""
        self.found = 0
        """Lines of ours."""
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
            self.found += 1
            yield line

    def _closes(self, text: bytes) -> bool:
        # No text in JSON holds a line break, so that a closing brace below the opening one is its own.
        found = _CLOSING.fullmatch(text.rstrip())
        return found is not None and found[1] == self._indent
