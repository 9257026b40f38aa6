"""Secrets that change while the function runs: a value, or a file that is read again."""

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

REREAD_SECONDS = 300

SOONEST_SECONDS = 5
"""Least time between two readings for refused callers: a caller without a secret must not make us read all the time."""

PATIENCE_SECONDS = 1.0
"""How long refused callers wait for such a reading. A slower one goes on without them."""

RunInBackground = Callable[[Callable[[], object]], object]
"""Runs work now or later: at once by default, in a thread in production."""


class RotatingSecret(Generic[T]):
    """A secret that is always the current one.

    ``read`` is called again every ``REREAD_SECONDS`` and when a caller is refused. When the file is unreadable or wrong, the last
    good value stays in force, because a failed rotation must not lock out everybody. The operator gets a log line: a start would fail.
    """

    def __init__(
        self,
        value: T,
        read: Callable[[], T] | None = None,
        run_in_background: RunInBackground = lambda work: work(),
        on_unavailable: Callable[[], None] = lambda: None,
        soonest_seconds: float = SOONEST_SECONDS,
    ) -> None:
        """Start with ``value``; ``read`` may raise ``OSError`` or ``ValueError``. Without ``read`` the value never changes.

        ``run_in_background`` runs the regular reading: a file may be a call over the network, for which no message should wait.
        ``on_unavailable`` is called in any thread when the file is unreadable or wrong, at most once in ``REREAD_SECONDS``.
        ``soonest_seconds`` is the least time between a good reading for refused callers and the next.
        """
        self._value = value
        self._read = read
        self._run_in_background = run_in_background
        self._on_unavailable = on_unavailable
        self._soonest_seconds = soonest_seconds
        self._quiet_until = -math.inf
        self._read_at: float | None = None
        self._refreshed_at = -math.inf
        self._is_being_read = False
        self._last_begun = self._last_used = 0
        self._refreshing: asyncio.Task[None] | None = None

    def current(self, now: float) -> T:
        """Give the value as of ``now``, in seconds of a monotonic clock."""
        if self._read_at is None:
            self._read_at = now
        elif self._read is not None and not self._is_being_read and now - self._read_at >= REREAD_SECONDS:
            self._read_at = now
            self._run_in_background(lambda: self.reread(now))
        return self._value

    async def refresh_for_refused(self, now: float, until: float) -> bool:
        """Read the file because a caller was refused; ``False`` where that was done a moment ago.

        All who are refused meanwhile wait for the same reading, none of them beyond ``until`` of the event loop's clock.
        """
        is_running = self._refreshing is not None and not self._refreshing.done() and now - self._refreshed_at < PATIENCE_SECONDS
        soonest = self._soonest_seconds if self._quiet_until == -math.inf else SOONEST_SECONDS
        if self._read is None or (now - self._refreshed_at < soonest and not is_running):
            return False
        if not is_running:
            self._refreshed_at = now
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + PATIENCE_SECONDS)):
                await self.refresh(now)
        return True

    async def refresh(self, now: float) -> None:
        """Read the file, in one thread for all who ask meanwhile: a file system that hangs must not take one thread each."""
        if self._read is None:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(asyncio.to_thread(self.reread, now))
        # A caller that runs out of time must not cancel the reading of the others.
        await asyncio.shield(self._refreshing)

    def reread(self, now: float) -> None:
        """Read the file now."""
        self._read_at = now
        if self._read is None:
            return
        self._is_being_read = True
        self._last_begun = number = self._last_begun + 1
        try:
            value = self._read()
        except (OSError, ValueError):
            if now >= self._quiet_until:
                self._quiet_until = now + REREAD_SECONDS
                self._on_unavailable()
            return
        finally:
            self._is_being_read = False
        self._quiet_until = -math.inf
        if number > self._last_used:  # otherwise a later reading has been faster
            self._last_used = number
            self._value = value
