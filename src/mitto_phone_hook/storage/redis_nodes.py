"""The servers behind ``STORE_URL``: one, or the masters of a Redis or Valkey Cluster, and the connections to each.

redis-py's own ``RedisCluster`` is not used: it sends ``ASKING`` and the command after it on two connections of a pool, so a script
fails while its slot is moved, and it retries for longer than a message may wait.
"""

import asyncio
import hashlib
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterCrossSlotError, MovedError, NoScriptError, TryAgainError

from mitto_phone_hook.storage.redis_connection import Command, Connection

CONNECT_SECONDS = 1.0
"""For opening one connection: TCP, TLS and login take several round trips. It goes on in the background when nobody waits any more."""

TRY_AGAIN_SECONDS = 0.02
"""Between two tries while a slot is moved and its keys are on both servers."""

MAX_CALLS = 16
"""Under way at one server. Further operations wait in line, so that a server that hangs has little to do twice when it goes on."""

_TURNS_TO_NOTICE = 2
"""Of the event loop: asyncio looks at its sockets in the first, and tells of it in the second."""

T = TypeVar("T")


class Node:
    """The connection to one server, which all operations share. One that breaks is replaced."""

    def __init__(
        self, make: Callable[[], AbstractConnection], timeout_seconds: float, greet: Callable[[AbstractConnection], Awaitable[None]]
    ) -> None:
        """Open no connection yet. ``greet`` is awaited with each, before any call uses it."""
        self.queue = asyncio.Semaphore(MAX_CALLS)
        self.left_alone_until = -math.inf
        """On the monotonic clock: after a failure it is not asked for a moment."""
        self._make = make
        self._timeout_seconds = timeout_seconds
        self._greet = greet
        self._connection: Connection | None = None
        self._loaded: set[str] = set()
        """The scripts that the server certainly has."""
        self._is_closed = False
        self._opening: asyncio.Task[Connection | Exception] | None = None

    async def eval(self, script: str, keys: Sequence[str], arguments: Sequence[str | int], *, is_asking: bool = False) -> Any:  # noqa: ANN401 - whatever the script gives
        """Run a script. The first time it is sent in full: asking for its hash in vain would take another round trip."""
        rest = (len(keys), *keys, *arguments)
        asking: tuple[Command, ...] = (("ASKING",),) if is_asking else ()
        if script in self._loaded:
            try:
                return await self.call(*asking, ("EVALSHA", sha(script), *rest))
            except NoScriptError:
                self._loaded.clear()
        given = await self.call(*asking, ("EVAL", script, *rest))
        self._loaded.add(script)
        return given

    async def call(self, *commands: Command) -> Any:  # noqa: ANN401 - whatever the last command gives
        """Send commands in one round trip, and give the response to the last.

        Raises what redis-py and the system raise, and ``TimeoutError``.
        """
        connection = self._connection
        if connection is None or not connection.is_usable:
            connection = await self.ready()
        return await connection.call(commands)

    @property
    def is_ready(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None and self._connection.is_usable

    async def ready(self) -> Connection:
        """Give the connection. Where there is none, wait for it together with all others; it is opened once."""
        if self._connection is not None and self._connection.is_usable:
            return self._connection
        if self._is_closed:
            raise redis.ConnectionError
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._opened())
        # Another call may have begun the next try by the time this one is over.
        opening = self._opening
        done, _ = await asyncio.wait({opening}, timeout=self._timeout_seconds)
        if not done:
            raise TimeoutError
        given = opening.result()
        if isinstance(given, Exception):
            raise given
        return given

    async def _opened(self) -> Connection | Exception:
        opened = self._make()
        try:
            async with asyncio.timeout(max(CONNECT_SECONDS, self._timeout_seconds)):
                await opened.connect()  # type: ignore[no-untyped-call] # redis has none
                self._loaded.clear()
                await self._greet(opened)
        except BaseException as error:
            await opened.disconnect(nowait=True)
            if not isinstance(error, (redis.RedisError, OSError, TimeoutError)):
                raise
            return error
        self._connection = Connection(opened, self._timeout_seconds)
        return self._connection

    def replace(self) -> None:
        """Give no more to the connection there is. What is under way may end."""
        if self._connection is not None:
            self._connection.retire()

    async def notice(self) -> None:
        """Notice that the server has closed the connection: what may be asked once only must not be asked on it."""
        for _ in range(_TURNS_TO_NOTICE):
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Close the connection, as soon as nobody uses it."""
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._connection is not None:
            await self._connection.aclose()


class Nodes:
    """Finds the server of each key. Which one it is, a cluster is asked on the first connection, and tells again when it changes."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Connect on first use. A command takes ``timeout_seconds`` at most, and waits as long for the first connection."""
        self._pool = redis.asyncio.ConnectionPool.from_url(
            url,
            socket_timeout=None,  # `Node` has its own, for all of a call
            socket_connect_timeout=max(CONNECT_SECONDS, timeout_seconds),
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            protocol=2,  # 3 costs every new connection a round trip more and gives nothing here
        )
        self._timeout_seconds = timeout_seconds
        self._named = self._new_node({})
        """The server that the URL names."""
        self._known: dict[tuple[str, int], Node] = {}
        self._owners: list[Node] = []
        """By slot; empty without a cluster."""
        self._learning: asyncio.Task[None] | None = None

    @property
    def is_cluster(self) -> bool:
        """Whether the servers are a cluster, as far as they have said."""
        return bool(self._owners)

    @property
    def masters(self) -> list[Node]:
        """The servers that keep something."""
        return list(dict.fromkeys(self._owners)) or [self._named]

    async def eval(self, script: str, keys: Sequence[str], arguments: Sequence[str | int], *, may_repeat: bool = True) -> Any:  # noqa: ANN401 - whatever the script gives
        """Run a script where its keys are; they have one slot. Raises as ``Node.call`` does.

        With ``may_repeat`` it is run again, once and at once, when its connection breaks.
        """
        clock = asyncio.get_running_loop().time
        end, node, is_asking = clock() + self._timeout_seconds, None, False
        while True:
            if not self._owners and not self._named.is_ready:
                await self._named.ready()
            node = node or self.owner(*keys)
            if not may_repeat:
                await node.notice()
            try:
                return await node.eval(script, keys, arguments, is_asking=is_asking)
            except (AskError, TryAgainError) as told:
                node, is_asking = await self._redirected(told)
            except ClusterCrossSlotError:
                # A cluster that did not say so on connecting: a proxy, or a user who may not ask.
                self._take([])
                self._learn_later()
                raise
            except (redis.ConnectionError, OSError) as error:
                if not may_repeat or isinstance(error, TimeoutError):
                    raise
                may_repeat = False
                if self._owners:
                    # A replica may have taken its place.
                    await asyncio.wait({self._learn_later()}, timeout=max(end - clock(), 0))
                    node, is_asking = None, False
            if clock() > end:
                raise TimeoutError

    def failed(self, node: Node, fault: Exception) -> None:
        """Note that a server has failed, and ask a cluster in the background who took its place."""
        if isinstance(fault, redis.ResponseError):
            # A server that was demoted, and can only be read, keeps its connections; a new one leads to whoever took its place.
            node.replace()
        if self._owners:
            self._learn_later()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        for node in (self._named, *self._known.values()):
            await node.aclose()

    async def connect(self) -> None:
        """Open the first connection, and find out whether it leads to a cluster. Raises as ``Node.call`` does."""
        await self._named.ready()

    def owner(self, *keys: str) -> Node:
        """Give the server of keys in one slot."""
        return self._owners[key_slot(keys[0].encode())] if self._owners and keys else self._named

    def by_slot(self, items: Sequence[T], key: Callable[[T], str]) -> list[Sequence[T]]:
        """Group items by the slot of their key; without a cluster all are one group."""
        if not self._owners:
            return [items]
        groups = defaultdict[int, list[T]](list)
        for item in items:
            groups[key_slot(key(item).encode())].append(item)
        return list(groups.values())

    async def info(self) -> dict[str, str]:
        """Give what the named server tells of itself (``INFO``). Raises as ``Node.call`` does."""
        lines = (await self._named.call(("INFO",))).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    async def _redirected(self, told: AskError | TryAgainError) -> tuple[Node | None, bool]:
        """Give whom to ask instead, ``None`` for the owner, and whether with ``ASKING``."""
        if isinstance(told, TryAgainError):
            await asyncio.sleep(TRY_AGAIN_SECONDS)
            return None, False
        node = self._node(told.host, told.port)
        if not isinstance(told, MovedError):
            return node, True
        if not self._owners:
            self._take([])
        self._owners[told.slot_id] = node
        self._learn_later()
        return node, False

    def _learn_later(self) -> asyncio.Task[None]:
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn())
        return self._learning

    async def _learn(self) -> None:
        for node in sorted((*self._known.values(), self._named), key=lambda node: node.left_alone_until):
            try:
                self._take(await node.call(("CLUSTER", "SLOTS")))
            except (redis.RedisError, OSError, TypeError, ValueError):
                continue
            return

    async def _greet_named(self, connection: AbstractConnection) -> None:
        await connection.send_packed_command(connection.pack_command("CLUSTER", "SLOTS"))
        try:
            self._take(await connection.read_response())
        except (redis.ResponseError, TypeError, ValueError):
            # No cluster, or a user who may not ask: then it tells with the first command. Or a proxy that says something else.
            return

    def _take(self, rows: list[Any]) -> None:
        owners = [self._named] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_replicas in rows:
            owners[first : last + 1] = [self._node(host, port)] * (last + 1 - first)
        self._owners = owners

    def _node(self, host: str | None, port: int) -> Node:
        # A server that does not know its own name gives none: it means the one that was asked.
        address = {"host": host, "port": int(port)} if host else {"port": int(port)}
        key = (host or "", int(port))
        if key not in self._known:
            self._known[key] = self._new_node(address)
        return self._known[key]

    def _new_node(self, address: dict[str, Any]) -> Node:
        def make() -> AbstractConnection:
            return self._pool.connection_class(**self._pool.connection_kwargs | address)

        return Node(make, self._timeout_seconds, _no_greeting if address else self._greet_named)


async def _no_greeting(_: AbstractConnection) -> None:
    return


@cache
def sha(script: str) -> str:
    """Give the hash under which Redis knows a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
