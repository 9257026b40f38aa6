"""What has to be written down when the end of a message is known, also after the response."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from mitto_phone_hook.domain.deadline import queue_seconds

_MARGIN_SECONDS = 0.05
_STORE_SECONDS = 0.75


class Finalizer:
    """What has to be written down when a message's end is known; it is, even where the answer cannot wait for it."""

    def __init__(self, deadline_seconds: float) -> None:
        """Begin with nothing to do; ``deadline_seconds`` is how long a call takes at most."""
        self._ample_seconds = queue_seconds(deadline_seconds) + _STORE_SECONDS
        self._late: set[asyncio.Task[None]] = set()

    async def finish(self, work: Coroutine[Any, Any, None], until: float) -> None:
        """Do ``work``, and wait for it until little after ``until`` at most."""
        left_seconds = until + _MARGIN_SECONDS - asyncio.get_running_loop().time()
        if left_seconds > self._ample_seconds:
            # No store takes so long, its time in line and its own time-out included. So a task of its own is saved.
            await work
            return
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        await asyncio.wait({task}, timeout=max(left_seconds, 0.0))
