"""Tests whether the shared store is reachable, fast, and writable by a script like the function's."""

import asyncio
import os
import socket
import ssl
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mitto_phone_hook.cli.report import Line, Mark, milliseconds
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, TIMEOUT_SECONDS

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
NO_RESPONSE = Fault("does not respond", UNREACHABLE.next_step)
WRONG_PASSWORD = Fault("refuses the user or the password", "correct them in STORE_URL: redis://user:password@host")

FAULTS: tuple[tuple[type[Exception], Fault], ...] = (
    (exceptions.AuthenticationError, WRONG_PASSWORD),
    (exceptions.AuthorizationError, WRONG_PASSWORD),
    (exceptions.BusyLoadingError, Fault("is still loading its data", "wait, then check again")),
    (exceptions.ReadOnlyError, Fault("is a read-only replica", "set STORE_URL to the primary")),
    (exceptions.OutOfMemoryError, Fault("is out of memory", "give it more memory, or set its maxmemory-policy to volatile-ttl")),
    (
        exceptions.NoPermissionError,
        Fault("denies this user a permission that is needed", f"allow it +@scripting +@read +@write +@fast on ~{KEY_PREFIX}*"),
    ),
    (exceptions.ClusterError, Fault("is a node of a Redis Cluster", "set STORE_URL to a Redis without cluster mode, or to a proxy")),
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
    address = _address(url)
    try:
        seconds = asyncio.run(asyncio.wait_for(_round_trips(url), max_wait_seconds))
    except tuple(kind for kind, _ in FAULTS) as error:
        fault = fault_of(error)
        yield Line(Mark.ERROR, "redis", f"{address} {fault.text}", fault.next_step, [when_it_fails])
        return
    yield speed_line(address, statistics.median(seconds))
    yield Line(Mark.OK, "writable", "the function's script runs", more=[when_it_fails])


def speed_line(address: str, seconds: float) -> Line:
    """Judge the time of a round trip."""
    text = f"{address} responds in {milliseconds(seconds)}, median of {ROUNDS}"
    if seconds >= TIMEOUT_SECONDS:
        step = f"the function waits {1000 * TIMEOUT_SECONDS:.0f} ms, then continues without Redis: move it closer"
        return Line(Mark.ERROR, "redis", text, step)
    if seconds >= SLOW_SECONDS:
        return Line(Mark.WARNING, "redis", text, "each message needs three round trips: move Redis to the function's region")
    return Line(Mark.OK, "redis", text)


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


async def _round_trips(url: str) -> list[float]:
    client = redis.asyncio.from_url(url, retry=Retry(NoBackoff(), 0), decode_responses=True)
    try:
        key = f"{KEY_PREFIX}check:{os.urandom(8).hex()}"
        # The first round trip connects, and is not counted.
        return [await _timed(client, key) for _ in range(ROUNDS + 1)][1:]
    finally:
        await client.aclose()


async def _timed(client: "redis.asyncio.Redis", key: str) -> float:
    started = time.perf_counter()
    await client.eval(_SCRIPT, 1, key, "1000")
    return time.perf_counter() - started


def _address(url: str) -> str:
    """Return host and port, without the password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"
