"""The connection to Redis or Valkey that duplicates and limits share: never in the way of a message.

A Redis that is down, hanging or read-only must not lock users out: it costs one short time-out, then it is left
alone for a moment, and the operator hears of it.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import redis
from redis.exceptions import ClusterCrossSlotError

from mitto_phone_hook.storage.redis_nodes import Nodes

TIMEOUT_SECONDS = 0.25
"""For one command, and for the wait for a first connection; opening one may take ``CONNECT_SECONDS`` in the background."""

PAUSE_SECONDS = 1.0
"""After a failure a server is left alone for this long, so that it does not cost every message the time-out."""

REPORT_SECONDS = 60.0

LINE_SECONDS = 1.0
"""An operation waits so long for its turn, where nobody says otherwise."""

KEY_PREFIX = "mitto-phone-hook:3:"
"""Of all keys."""

T = TypeVar("T")
R = TypeVar("R")
Keys = Sequence[str]
Arguments = Sequence[str | int]


class Unavailable(Exception):  # noqa: N818 - a state of the world, met every time
    """Redis does not answer."""


class NotAsked(Unavailable):
    """Redis was certainly not asked: what was to be done may be done later."""


class PoolTimeout(NotAsked):
    """So many operations wait that this one's turn did not come in time: Redis may be well, and was not asked."""


class RedisClient:
    """The connection that duplicates and limits share: one time-out for an operation, one report a minute."""

    def __init__(
        self, url: str, on_unavailable: Callable[[], None], *, timeout_seconds: float = TIMEOUT_SECONDS, queue_seconds: float = LINE_SECONDS
    ) -> None:
        """Connect on first use. ``on_unavailable`` is called when Redis fails, at most once in ``REPORT_SECONDS``.

        An operation waits for its turn for ``queue_seconds`` at most; then a command takes ``timeout_seconds`` at most.
        """
        self._nodes = Nodes(url, timeout_seconds)
        self._on_unavailable = on_unavailable
        self._queue_seconds = queue_seconds
        self._quiet_until = 0.0
        self._is_closed = False

    async def by_slot(self, items: Sequence[T], key: Callable[[T], str], work: Callable[[Sequence[T]], Awaitable[R]]) -> list[R]:
        """Do ``work``, which runs one script, for all items; in a cluster for those of each slot of ``key``, at the same time."""
        groups = self._nodes.by_slot(items, key)
        if len(groups) == 1:
            try:
                return [await work(items)]
            except ClusterCrossSlotError:
                groups = self._nodes.by_slot(items, key)
        return await asyncio.gather(*map(work, groups))

    async def eval(self, script: str, keys: Keys, arguments: Arguments, *, latest: float = math.inf, may_repeat: bool = True) -> Any:  # noqa: ANN401 - whatever the script gives
        """Run a script on the server of its keys, which have one slot where Redis is a cluster.

        Raises ``Unavailable`` when that server does not answer, ``NotAsked`` when it is left alone after that, or ``PoolTimeout``.
        It waits in line until the event loop's clock shows ``latest`` at most. With ``may_repeat`` it is run again, once and at
        once, when its connection breaks: one from before a restart of Redis does, although Redis is there.
        """
        queue = self._nodes.owner(*keys).queue
        # Waiting in line is not Redis' fault, so it stands outside the time-out.
        try:
            if queue.locked():
                async with asyncio.timeout_at(min(latest, asyncio.get_running_loop().time() + self._queue_seconds)):
                    await queue.acquire()
            else:
                await queue.acquire()
        except TimeoutError:
            raise PoolTimeout from None
        try:
            return await self._eval(script, keys, arguments, may_repeat=may_repeat)
        finally:
            queue.release()

    async def _eval(self, script: str, keys: Keys, arguments: Arguments, *, may_repeat: bool) -> Any:  # noqa: ANN401 - the same
        node, now = self._nodes.owner(*keys), time.monotonic()
        if self._is_closed or now < node.left_alone_until:
            raise NotAsked
        try:
            return await self._nodes.eval(script, keys, arguments, may_repeat=may_repeat)
        except ClusterCrossSlotError:
            raise
        except (redis.RedisError, OSError, TimeoutError) as fault:
            node.left_alone_until = time.monotonic() + PAUSE_SECONDS
            self._nodes.failed(node, fault)
            if now >= self._quiet_until:
                self._quiet_until = now + REPORT_SECONDS
                self._on_unavailable()
            raise Unavailable from None

    async def aclose(self) -> None:
        """Close the connections. Nothing more is asked."""
        self._is_closed = True
        await self._nodes.aclose()
