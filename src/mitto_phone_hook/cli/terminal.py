"""Where findings are shown: each one as soon as it is known, in the best form that the stream can take."""

import shutil
from collections.abc import Iterable, Mapping
from typing import TextIO

from mitto_phone_hook.cli.report import ASCII, SIGNS, Line, Mark, Style, heading, pending, summary, written

_MAX_COLUMNS = 110
_BACK_AND_CLEAR = "\r\x1b[K"


class Terminal:
    """Shows findings and remembers how they were."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        """Look at what ``stream`` can show. Colours only on a terminal, and not where ``NO_COLOR`` is set (no-color.org)."""
        self.is_terminal = stream.isatty()
        self._stream = stream
        self._style = _style_for(stream, environment, is_terminal=self.is_terminal)
        self._can_erase = self.is_terminal and environment.get("TERM") != "dumb"
        self._marks: list[Mark] = []
        self._is_pending = False

    def heading(self, text: str) -> None:
        """Begin a part of the output."""
        self.write(f"{heading(text, self._style)}\n" if not self._marks else f"\n{heading(text, self._style)}\n")

    def pending(self, topic: str) -> None:
        """Say what is being looked at, until the next line; only where that can be taken away again."""
        if self._can_erase:
            self.write(pending(topic, self._style))
            self._is_pending = True

    def show(self, *lines: Line) -> None:
        """Show findings."""
        for line in lines:
            self.write(f"{written(line, self._style)}\n")
            self._marks.append(line.mark)

    def show_all(self, lines: Iterable[Line]) -> None:
        """Show findings as they come."""
        for line in lines:
            self.show(line)

    def finish(self) -> int:
        """Sum up, and give the exit status: 1 when something is wrong."""
        self.write(f"\n{summary(self._marks, self._style)}\n")
        return int(Mark.WRONG in self._marks)

    def write(self, text: str) -> None:
        """Write a text as it is, in place of what was pending."""
        self._stream.write(_BACK_AND_CLEAR + text if self._is_pending else text)
        self._stream.flush()
        self._is_pending = False


def _style_for(stream: TextIO, environment: Mapping[str, str], *, is_terminal: bool) -> Style:
    style = SIGNS if _can_encode(stream, "".join([*SIGNS.marks.values(), SIGNS.arrow, SIGNS.dot])) else ASCII
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
