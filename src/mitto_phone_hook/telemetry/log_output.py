"""Standard output that never blocks: a collector that stops reading leaves the pipe full, but no message waits for its log line."""

import asyncio
import atexit
import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

MAX_WAITING = 10_000
"""Lines kept for a reader that stalls, about 4 MiB. Further lines are counted and lost."""

RETRY_SECONDS = 0.1

PATIENCE_AT_EXIT_MS = 1000
"""How long the end of the process waits for the reader, again for every piece that it takes."""


class LineOutput:
    """Writes whole lines while the reader takes them, and keeps the others until it does so again."""

    def __init__(self, stream: TextIO | None, loss_line: Callable[[int], str], *, max_waiting: int = MAX_WAITING) -> None:
        """Write to the file behind ``stream``; ``loss_line`` gives the line that says how many lines were lost."""
        self._loss_line = loss_line
        self._max_waiting = max_waiting
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._is_retry_planned = False
        # A thread that reads a secret from a file writes lines, too.
        self._lock = threading.Lock()
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
        self._write_or_retry(self._file)

    def _write_or_retry(self, file: int) -> None:
        """Write what waits, and try again soon. Without an event loop the next line takes along what waits."""
        self._write_waiting(file)
        if self._waiting and not self._is_retry_planned:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._retry, file)
                self._is_retry_planned = True

    def _retry(self, file: int) -> None:
        self._is_retry_planned = False
        self._write_or_retry(file)

    def _write_waiting(self, file: int, patience_ms: int = 0) -> None:
        with self._lock:
            try:
                while self._waiting and self._ready.poll(patience_ms):
                    # A pipe that is ready takes so much at once, unless another process is faster.
                    piece = self._waiting[0][: select.PIPE_BUF]
                    rest = self._waiting[0][os.write(file, piece) :]
                    if rest:
                        self._waiting[0] = rest
                        continue
                    self._waiting.popleft()
                    if self._lost and not self._waiting:
                        self._waiting.append(self._loss_line(self._lost).encode())
                        self._lost = 0
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()
