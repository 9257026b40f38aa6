"""Waiting for what happens beside a call, without a clock."""

import asyncio
from collections.abc import Callable

LIMIT_SECONDS = 10


async def until(is_so: Callable[[], bool]) -> None:
    """Let the event loop do its other work until something is so. Fails where it never is."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


async def some_turns() -> None:
    """Let the event loop do all that is ready, and what that makes ready."""
    for _ in range(50):
        await asyncio.sleep(0)
