"""Secrets that change while the function runs: a value, or a mounted file that is read again."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

REREAD_SECONDS = 300

SOONEST_SECONDS = 5
"""Between two readings for callers that are refused: whoever has no secret must not keep us reading."""

PATIENCE_SECONDS = 1.0
"""For one such reading: a mount that is slower is read on, but holds no strangers' calls."""

RunInBackground = Callable[[Callable[[], object]], object]
"""Runs work somewhere, now or later: at once by default, in a thread in production."""


class RotatingSecret(Generic[T]):
    """A secret that is always the current one.

    ``read`` gives the parsed secret; it is called again every ``REREAD_SECONDS`` and when somebody is refused. A file that
    has become unreadable or wrong leaves the last good value in force: a rotation that went wrong must not lock
    out everybody. But the next start would fail, so the operator is told.
    """

    def __init__(
        self,
        value: T,
        read: Callable[[], T] | None = None,
        run_in_background: RunInBackground = lambda work: work(),
        on_unavailable: Callable[[], None] = lambda: None,
    ) -> None:
        """Start with ``value``; ``read`` may raise ``OSError`` or ``ValueError``. Without it nothing changes.

        ``run_in_background`` runs the regular reading: a mounted file may be a call over the network, for which no message
        should wait. Until it is done the value is the last one. ``on_unavailable`` is called, in any thread, when the file is
        unreadable or wrong, and again after ``REREAD_SECONDS`` at the soonest.
        """
        self._value = value
        self._read = read
        self._run_in_background = run_in_background
        self._on_unavailable = on_unavailable
        self._quiet_until: float | None = None
        self._read_at: float | None = None
        self._looked_at: float | None = None
        self._is_being_read = False
        self._begun = self._latest = 0
        self._look: asyncio.Task[None] | None = None

    def current(self, now: float) -> T:
        """Give the value as of ``now``, in seconds of a monotonic clock."""
        if self._read_at is None:
            self._read_at = now
        elif self._read is not None and not self._is_being_read and now - self._read_at >= REREAD_SECONDS:
            self._read_at = now
            self._run_in_background(lambda: self.reread(now))
        return self._value

    async def look_for_refused(self, now: float, until: float) -> bool:
        """Look whether a caller that is refused brings a newer secret; ``False`` where there was no look.

        All who are refused meanwhile wait for the same look, none of them beyond ``until`` of the event loop's clock.
        """
        ago = None if self._looked_at is None else now - self._looked_at
        is_under_way = self._look is not None and not self._look.done() and ago is not None and ago < PATIENCE_SECONDS
        if self._read is None or (ago is not None and ago < SOONEST_SECONDS and not is_under_way):
            return False
        if not is_under_way:
            self._looked_at = now
        # A mounted file may be a call over the network that nobody answers.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + PATIENCE_SECONDS)):
                await self.look_again(now)
        return True

    async def look_again(self, now: float) -> None:
        """Read the file, in one thread for all who ask meanwhile: a mount that hangs must not take one after the other."""
        if self._read is None:
            return
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(asyncio.to_thread(self.reread, now))
        # Whoever is out of time must not end it for the others.
        await asyncio.shield(self._look)

    def reread(self, now: float) -> None:
        """Read the file now."""
        self._read_at = now
        if self._read is None:
            return
        self._is_being_read = True
        self._begun = number = self._begun + 1
        try:
            value = self._read()
        except (OSError, ValueError):
            if self._quiet_until is None or now >= self._quiet_until:
                self._quiet_until = now + REREAD_SECONDS
                self._on_unavailable()
            return
        finally:
            self._is_being_read = False
        self._quiet_until = None
        if number > self._latest:  # else one that was begun later has been faster
            self._latest = number
            self._value = value
