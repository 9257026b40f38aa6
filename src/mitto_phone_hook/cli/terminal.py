"""Prints findings, each one as soon as it is known, in the best form that the stream supports."""

import shutil
from collections.abc import Iterable, Mapping
from typing import TextIO

from mitto_phone_hook.cli.report import ASCII, UNICODE, Line, Mark, Style, format_line, heading, pending, summary

_MAX_COLUMNS = 110
_CLEAR_LINE = "\r\x1b[K"


class Terminal:
    """Prints findings and remembers their marks."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        """Take the stream. Colours are used only on a terminal, and not with ``NO_COLOR`` set (no-color.org)."""
        self.is_terminal = stream.isatty()
        self._stream = stream
        self._style = _style_for(stream, environment, is_terminal=self.is_terminal)
        self._can_erase = self.is_terminal and environment.get("TERM") != "dumb"
        self._marks: list[Mark] = []
        self._is_pending = False

    @property
    def style(self) -> Style:
        """What the output may contain."""
        return self._style

    def heading(self, text: str) -> None:
        """Start a section of the output."""
        self.write(f"{heading(text, self._style)}\n" if not self._marks else f"\n{heading(text, self._style)}\n")

    def pending(self, topic: str) -> None:
        """Show what is being checked until the next line replaces it. Does nothing where a line cannot be erased."""
        if self._can_erase:
            self.write(pending(topic, self._style))
            self._is_pending = True

    def show(self, *lines: Line) -> None:
        """Print findings."""
        for line in lines:
            self.write(f"{format_line(line, self._style)}\n")
            self._marks.append(line.mark)

    def show_all(self, lines: Iterable[Line]) -> None:
        """Print findings one by one, as they become known."""
        for line in lines:
            self.show(line)

    def finish(self) -> int:
        """Print the summary. Returns the exit status: 1 if there was an error, else 0."""
        self.write(f"\n{summary(self._marks, self._style)}\n")
        return int(Mark.ERROR in self._marks)

    def write(self, text: str) -> None:
        """Write a text unchanged. It replaces the pending line."""
        self._stream.write(_CLEAR_LINE + text if self._is_pending else text)
        self._stream.flush()
        self._is_pending = False


def _style_for(stream: TextIO, environment: Mapping[str, str], *, is_terminal: bool) -> Style:
    style = UNICODE if _can_encode(stream, "".join([*UNICODE.marks.values(), UNICODE.arrow, UNICODE.dot])) else ASCII
    if not is_terminal:
        return style
    is_coloured = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return style._replace(is_coloured=is_coloured, width=min(shutil.get_terminal_size().columns, _MAX_COLUMNS))


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        # A stream without an encoding keeps text as text.
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
