"""Tests whether the shared store is reachable, fast, and writable by a script like the function's."""

import asyncio
import contextlib
import itertools
import os
import socket
import ssl
import statistics
import time
from collections.abc import Awaitable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from redis import exceptions

from mitto_phone_hook.cli.report import Line, Mark, milliseconds
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, TIMEOUT_SECONDS
from mitto_phone_hook.storage.redis_nodes import CONNECT_SECONDS, Nodes

MAX_WAIT_SECONDS = 3.0
"""Longer than the function's own timeout, to distinguish a slow Redis from an unreachable one."""

SLOW_SECONDS = 0.02
"""Slower than this gets a warning. A message needs three round trips."""

ROUNDS = 5

# Like the function's scripts: it reads and writes one key under the function's prefix. It deletes the key at the end.
_SCRIPT = """
redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return redis.call('DEL', KEYS[1])
"""


class Fault(NamedTuple):
    """Why the store cannot be used, and what to do."""

    text: str
    next_step: str


UNREACHABLE = Fault(
    "cannot be reached", "is it running? Is its network open to this machine? Does it use TLS (rediss://) or not (redis://)?"
)
REPLICA = Fault("is a read-only replica", "set STORE_URL to the primary")
SENTINEL = Fault("is a Sentinel, which stores nothing", "set STORE_URL to the primary that it watches, by a name that follows a failover")
NO_RESPONSE = Fault("does not respond", UNREACHABLE.next_step)
WRONG_PASSWORD = Fault("refuses the user or the password", "correct them in STORE_URL: redis://user:password@host")

FAULTS: tuple[tuple[type[Exception], Fault], ...] = (
    (exceptions.AuthenticationError, WRONG_PASSWORD),
    (exceptions.AuthorizationError, WRONG_PASSWORD),
    (exceptions.BusyLoadingError, Fault("is still loading its data", "wait, then check again")),
    (exceptions.ReadOnlyError, REPLICA),
    (exceptions.OutOfMemoryError, Fault("is out of memory", "give it more memory, or set its maxmemory-policy to volatile-ttl")),
    (
        exceptions.NoPermissionError,
        Fault(
            "denies this user a permission that is needed",
            f"allow it +@scripting +@read +@write +@fast +cluster|slots on ~{KEY_PREFIX}*",
        ),
    ),
    (
        exceptions.ClusterDownError,
        Fault("is a cluster that is down", "give each of its slots a master: redis-cli --cluster check host:port"),
    ),
    (exceptions.ResponseError, Fault("cannot run the function's script (EVAL)", "use Redis 5 or later, or Valkey, with scripting enabled")),
    (exceptions.TimeoutError, NO_RESPONSE),
    (TimeoutError, NO_RESPONSE),
    (socket.gaierror, Fault("has a host name that does not resolve", "correct STORE_URL, or fix the DNS of this network")),
    (ssl.SSLError, Fault("does not use TLS, or its certificate is not trusted", "use redis:// without TLS, rediss:// with TLS")),
    (exceptions.RedisError, UNREACHABLE),
    (OSError, UNREACHABLE),
)
"""What each error of the client means. The first type that matches counts. Its own text is never shown: it may quote the URL."""


def lines(url: str, *, when_it_fails: str, max_wait_seconds: float = MAX_WAIT_SECONDS) -> Iterator[Line]:
    """Test the store at ``url``. ``when_it_fails`` says what happens to messages while it fails."""
    yield from asyncio.run(_lines(url, when_it_fails, max_wait_seconds))


async def _lines(url: str, when_it_fails: str, max_wait_seconds: float) -> list[Line]:
    nodes, address = Nodes(url, MAX_WAIT_SECONDS), _address(url)
    async with contextlib.aclosing(nodes):
        try:
            async with asyncio.timeout(max_wait_seconds):
                connecting = await _timed(nodes.connect())
            seconds = await _slowest(nodes, max_wait_seconds)
        except tuple(kind for kind, _ in FAULTS) as error:
            fault = await _explained(nodes, fault_of(error))
            address = f"a master of the cluster at {address}" if nodes.is_cluster else address
            return [Line(Mark.ERROR, "redis", f"{address} {fault.text}", fault.next_step, [when_it_fails])]
        cluster = Line(Mark.OK, "cluster", f"{len(nodes.masters)} masters, which the function finds from this address")
        return [
            speed_line(address, seconds, connecting, max_round_trip_seconds(url)),
            *([cluster] if nodes.is_cluster else []),
            Line(Mark.OK, "writable", "the function's script runs", more=[when_it_fails]),
        ]


def speed_line(address: str, seconds: float, connecting: float, most: float) -> Line:
    """Judge the time of a round trip, and of opening the first connection. ``most`` is the longest round trip that works (seconds)."""
    measured = f"{address} responds in {milliseconds(seconds)}, median of {ROUNDS}; connecting took {milliseconds(connecting)}"
    text = f"{measured}. It works up to a round trip of {1000 * most:.0f} ms"
    if seconds >= TIMEOUT_SECONDS or connecting >= CONNECT_SECONDS:
        step = (
            f"the function waits {1000 * TIMEOUT_SECONDS:.0f} ms for a response and {1000 * CONNECT_SECONDS:.0f} ms for a connection, "
            "then continues without Redis: move it closer"
        )
        return Line(Mark.ERROR, "redis", text, step)
    if seconds >= SLOW_SECONDS:
        return Line(Mark.WARNING, "redis", text, "each message needs three round trips: move Redis to the function's region")
    return Line(Mark.OK, "redis", text)


def max_round_trip_seconds(url: str) -> float:
    """Give the longest round trip to Redis with which the function can still connect and get a response in time."""
    parts = urlsplit(url)
    # TCP, the client's name with the database, the question for a cluster; two for TLS 1.2, and one for the password.
    round_trips = 3 + 2 * (parts.scheme == "rediss") + (parts.password is not None)
    return min(TIMEOUT_SECONDS, CONNECT_SECONDS / round_trips)


def fault_of(error: BaseException) -> Fault:
    """Find the real cause: the client wraps the errors of the system in its own."""
    chain: list[BaseException] = []
    while error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__ or error
    for kind in (ssl.SSLError, socket.gaierror):
        if any(isinstance(link, kind) for link in chain):
            return dict(FAULTS)[kind]
    return next(fault for kind, fault in FAULTS if isinstance(chain[0], kind))


async def _slowest(nodes: Nodes, max_wait_seconds: float) -> float:
    """Give the median of the server that takes the longest. Raises ``TimeoutError`` if one takes ``max_wait_seconds`` for all rounds."""
    names = (f"{KEY_PREFIX}check:{os.urandom(8).hex()}" for _ in itertools.count())
    keys = [next(name for name in names if nodes.owner(name) is master) for master in nodes.masters]
    medians = []
    for key in keys:
        async with asyncio.timeout(max_wait_seconds):
            # The first round trip may connect, and brings the script.
            times = [await _timed(nodes.eval(_SCRIPT, [key], ["1000"])) for _ in range(ROUNDS + 1)]
        medians.append(statistics.median(times[1:]))
    return max(medians)


async def _timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _explained(nodes: Nodes, fault: Fault) -> Fault:
    """Let a server that answers, but refuses, say what it is."""
    info: dict[str, str] = {}
    if fault not in (UNREACHABLE, NO_RESPONSE, WRONG_PASSWORD):
        with contextlib.suppress(exceptions.RedisError, OSError, TimeoutError):
            info = await nodes.info()
    # Redis, and Valkey.
    if "sentinel" in (info.get("redis_mode"), info.get("server_mode")):
        return SENTINEL
    if info.get("role") == "slave" and not nodes.is_cluster:
        return REPLICA._replace(next_step=f"{REPLICA.next_step}, {info.get('master_host')}:{info.get('master_port')}")
    return fault


def _address(url: str) -> str:
    """Return host and port, without the password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"
