"""The deadline of a call: what must be left of it for something to begin, and what goes on after the answer.

A deadline is a time on the event loop's clock, called ``until`` everywhere.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

RESERVE_SECONDS = 0.5
"""What must be left when an attempt at a message begins: one with less would only be cut."""

_RESERVE_SHARE = 0.25
_MARGIN_SECONDS = 0.05
_AMPLE_SECONDS = 1.0


def reserve_seconds(deadline_seconds: float) -> float:
    """Give ``RESERVE_SECONDS``, or a quarter of a deadline that is shorter than two seconds."""
    return min(RESERVE_SECONDS, deadline_seconds * _RESERVE_SHARE)


class Closing:
    """What has to be written down when a message's end is known; it is, even where the answer cannot wait for it."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._late: set[asyncio.Task[None]] = set()

    async def finish(self, work: Coroutine[Any, Any, None], until: float) -> None:
        """Do ``work``, and wait for it until little after ``until`` at most."""
        left_seconds = until + _MARGIN_SECONDS - asyncio.get_running_loop().time()
        if left_seconds > _AMPLE_SECONDS:
            # No store takes so long: its own time-outs are a fraction of this. So a task of its own is saved.
            await work
            return
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        await asyncio.wait({task}, timeout=max(left_seconds, 0.0))
