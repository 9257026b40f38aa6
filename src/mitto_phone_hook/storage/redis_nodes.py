"""The servers behind ``STORE_URL``: one, or the masters of a Redis or Valkey Cluster, and the connections to each.

redis-py's own ``RedisCluster`` is not used: it sends ``ASKING`` and the command after it on two connections of a pool, so a script
fails while its slot is moved, and it retries for longer than a message may wait.
"""

import asyncio
import contextlib
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
from redis.exceptions import AskError, ClusterCrossSlotError, ClusterDownError, MovedError, NoScriptError, TryAgainError

CONNECT_SECONDS = 1.0
"""For opening one connection: TCP, TLS and login take several round trips. It goes on in the background when nobody waits any more."""

TRY_AGAIN_SECONDS = 0.02
"""Between two tries while a slot is moved and its keys are on both servers."""

MAX_CONNECTIONS = 16
"""To one server. Further operations wait in line: opening hundreds at once would miss the time-out and pass for a server that is down."""

_CLUSTER_ERRORS = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "CROSSSLOT": ClusterCrossSlotError,
    "MOVED": MovedError,
    "TRYAGAIN": TryAgainError,
}

T = TypeVar("T")

Command = tuple[str | int, ...]


class Node:
    """The connections to one server. One call at a time uses a connection, and one that breaks is not used again."""

    def __init__(
        self, make: Callable[[], AbstractConnection], timeout_seconds: float, greet: Callable[[AbstractConnection], Awaitable[None]]
    ) -> None:
        """Open no connection yet. ``greet`` is awaited with the first one, before any call uses it."""
        self.queue = asyncio.Semaphore(MAX_CONNECTIONS)
        self.left_alone_until = -math.inf
        """On the monotonic clock: after a failure it is not asked for a moment."""
        self._make = make
        self._timeout_seconds = timeout_seconds
        self._greet = greet
        self._idle: list[AbstractConnection] = []
        self._loaded: set[str] = set()
        """The scripts that the server certainly has."""
        self._open = 0
        self._is_closed = False
        self._opening: set[asyncio.Task[Exception | None]] = set()

    async def eval(self, script: str, keys: Sequence[str], arguments: Sequence[str | int], *, is_asking: bool = False) -> Any:  # noqa: ANN401 - whatever the script gives
        """Run a script. The first time it is sent in full: asking for its hash in vain would take another round trip."""
        rest = (len(keys), *keys, *arguments)
        asking: tuple[Command, ...] = (("ASKING",),) if is_asking else ()
        if script in self._loaded:
            try:
                return await self.call(*asking, ("EVALSHA", _sha(script), *rest))
            except NoScriptError:
                self._loaded.clear()
        given = await self.call(*asking, ("EVAL", script, *rest))
        self._loaded.add(script)
        return given

    async def call(self, *commands: Command) -> Any:  # noqa: ANN401 - whatever the last command gives
        """Send commands on one connection in one round trip, and give the response to the last.

        Raises what redis-py and the system raise, and ``TimeoutError``.
        """
        connection = self._idle.pop() if self._idle else await self._connected()
        is_sound = False
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await connection.send_packed_command(_packed(commands))
                for _ in commands[:-1]:
                    await connection.read_response()
                try:
                    given = await connection.read_response()
                except redis.ResponseError as error:
                    is_sound = True
                    raise _typed(error) from None
            is_sound = True
            return given
        finally:
            await self._give_back(connection, is_sound=is_sound)

    async def _give_back(self, connection: AbstractConnection, *, is_sound: bool) -> None:
        if is_sound and not self._is_closed:
            self._idle.append(connection)
        else:
            await self._close(connection)

    async def ready(self) -> None:
        """Wait for the first connection, together with all others; it is opened once."""
        while not self._open:
            if self._is_closed:
                raise redis.ConnectionError
            await self._wait_for(next(iter(self._opening)) if self._opening else self._open_one(), self._timeout_seconds)

    async def _connected(self) -> AbstractConnection:
        while not self._idle:
            await self.ready()
            if not self._idle:
                await self._wait_for(self._open_one(), max(CONNECT_SECONDS, self._timeout_seconds))
        return self._idle.pop()

    async def _wait_for(self, opening: asyncio.Task[Exception | None], seconds: float) -> None:
        done, _ = await asyncio.wait({opening}, timeout=seconds)
        if not done:
            raise TimeoutError
        if error := opening.result():
            raise error

    def _open_one(self) -> asyncio.Task[Exception | None]:
        task = asyncio.create_task(self._opened())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return task

    async def _opened(self) -> Exception | None:
        connection = self._make()
        try:
            async with asyncio.timeout(max(CONNECT_SECONDS, self._timeout_seconds)):
                await connection.connect()  # type: ignore[no-untyped-call] # redis has none
                if not self._open:
                    self._loaded.clear()
                    await self._greet(connection)
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if not isinstance(error, (redis.RedisError, OSError, TimeoutError)):
                raise
            return error
        self._open += 1
        self._idle.append(connection)
        return None

    async def _close(self, *connections: AbstractConnection) -> None:
        self._open -= len(connections)
        for connection in connections:
            await connection.disconnect(nowait=True)

    async def drop_idle(self) -> None:
        """Close what nobody uses: a server that went away breaks all of its connections."""
        idle, self._idle = self._idle, []
        await self._close(*idle)

    async def drop_broken(self) -> None:
        """Close the connections that the server has closed: what may be asked once only must not be asked on one of them."""
        for connection in tuple(self._idle):
            if connection in self._idle:
                self._idle.remove(connection)
                is_sound = False
                # The name in redis-py 8, and the one before.
                has_data_or_end = getattr(connection, "can_read", None) or connection.can_read_destructive
                try:
                    with contextlib.suppress(redis.RedisError, OSError):
                        is_sound = not await has_data_or_end()
                finally:
                    await self._give_back(connection, is_sound=is_sound)

    async def aclose(self) -> None:
        """Close all connections, those in use as soon as they are not."""
        self._is_closed = True
        for task in tuple(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect()


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
            if not self._owners:
                await self._named.ready()
            node = node or self.owner(*keys)
            if not may_repeat:
                await node.drop_broken()
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
                await node.drop_idle()
                if not may_repeat or isinstance(error, TimeoutError):
                    raise
                may_repeat = False
                if self._owners:
                    # A replica may have taken its place.
                    await asyncio.wait({self._learn_later()}, timeout=max(end - clock(), 0))
                    node, is_asking = None, False
            if clock() > end:
                raise TimeoutError

    async def failed(self, node: Node, fault: Exception) -> None:
        """Note that a server has failed, and ask a cluster in the background who took its place."""
        if isinstance(fault, redis.ResponseError):
            # A server that was demoted, and can only be read, keeps its connections; a new one leads to whoever took its place.
            await node.drop_idle()
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


def _typed(error: redis.ResponseError) -> redis.ResponseError:
    """Give the error its own type, which redis-py 5 knows in its cluster client only."""
    kind, _, rest = str(error).partition(" ")
    return _CLUSTER_ERRORS[kind](rest) if kind in _CLUSTER_ERRORS else error


def _packed(commands: Sequence[Command]) -> bytes:
    """Give the bytes of commands in Redis' protocol (RESP), as redis-py's ``pack_commands`` does, in less time."""
    words = [[str(word) for word in command] for command in commands]
    return "".join(
        [f"*{len(command)}\r\n" + "".join([f"${_length(word)}\r\n{word}\r\n" for word in command]) for command in words]
    ).encode()


def _length(word: str) -> int:
    return len(word) if word.isascii() else len(word.encode())


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
