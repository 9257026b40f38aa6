"""Lines to standard output, which somebody may have stopped reading: no message waits for its log line.

A container's collector that stalls leaves the pipe full, and a program that writes on stands still, with every call that
it was answering.
"""

import asyncio
import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

MAX_WAITING = 10_000
"""Lines kept for a reader that stalls, some 4 MiB; what comes then is counted and lost."""

RETRY_SECONDS = 0.1

PATIENCE_AT_EXIT_MS = 1000
"""At the end of the process the reader has so long to go on reading, again for every piece that it takes."""


class LineOutput:
    """Writes whole lines as long as the reader takes them, and keeps the others until it does again."""

    def __init__(self, stream: TextIO | None, about_loss: Callable[[int], str], *, max_waiting: int = MAX_WAITING) -> None:
        """Write to the file behind ``stream``; ``about_loss`` gives the line that tells how many were lost."""
        self._about_loss = about_loss
        self._max_waiting = max_waiting
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._is_coming_back = False
        # A thread that reads a mounted secret may have something to say, too.
        self._writing = threading.Lock()
        self._ready = select.poll()
        try:
            self._file = stream.fileno() if stream else None
        except (OSError, ValueError):
            self._file = None
        if self._file is not None:
            self._ready.register(self._file, select.POLLOUT)
            atexit.register(self._write_waiting, self._file, PATIENCE_AT_EXIT_MS)

    def write(self, line: str) -> None:
        """Write ``line``, or keep it. Raises nothing: a line that cannot be written must not make a message look failed."""
        if self._file is None:
            return
        if len(self._waiting) < self._max_waiting:
            self._waiting.append(line.encode())
        else:
            self._lost += 1
        self._write_waiting(self._file)
        if self._waiting:
            self._come_back()

    def flush(self) -> None:
        """Do nothing: what could be written is written already. Whoever writes to a stream may ask for it."""

    def _come_back(self) -> None:
        """Look again soon where an event loop runs; where none does, the next line takes along what waits."""
        if self._is_coming_back:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._is_coming_back = True
        loop.call_later(RETRY_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._is_coming_back = False
        if self._file is not None:
            self._write_waiting(self._file)
        if self._waiting:
            self._come_back()

    def _write_waiting(self, file: int, patience_ms: int = 0) -> None:
        with self._writing:
            try:
                while self._waiting and self._ready.poll(patience_ms):
                    # So much a pipe takes at once when it is ready, unless another process is faster.
                    piece = self._waiting[0][: select.PIPE_BUF]
                    rest = self._waiting[0][os.write(file, piece) :]
                    if rest:
                        self._waiting[0] = rest
                        continue
                    self._waiting.popleft()
                    if self._lost and not self._waiting:
                        self._waiting.append(self._about_loss(self._lost).encode())
                        self._lost = 0
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()
