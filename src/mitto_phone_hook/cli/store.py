"""Whether the shared store is there, fast, and writable by a script like the function's."""

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

PATIENCE_SECONDS = 3.0
"""Longer than the function's own, to tell slow from gone."""

SLOW_SECONDS = 0.02
"""A message takes three round trips."""

ROUNDS = 5

# As the function does it: a script under its prefix that reads and writes one key, which is gone afterwards.
_SCRIPT = """
redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return redis.call('DEL', KEYS[1])
"""


class Fault(NamedTuple):
    """Why the store is of no use, and what to do."""

    text: str
    next_step: str


UNREACHABLE = Fault(
    "cannot be reached", "is it running, may the function reach its network, and does it speak TLS (rediss://) or not (redis://)?"
)
OVERLONG = Fault("does not answer", UNREACHABLE.next_step)
WRONG_PASSWORD = Fault("refuses the user or the password", "correct them in STORE_URL: redis://user:password@host")

FAULTS: tuple[tuple[type[Exception], Fault], ...] = (
    (exceptions.AuthenticationError, WRONG_PASSWORD),
    (exceptions.AuthorizationError, WRONG_PASSWORD),
    (exceptions.BusyLoadingError, Fault("is still loading its data", "wait, then check again")),
    (exceptions.ReadOnlyError, Fault("is a read-only replica", "let STORE_URL name the primary")),
    (exceptions.OutOfMemoryError, Fault("is full and takes nothing more", "give it memory, or a maxmemory-policy of volatile-ttl")),
    (
        exceptions.NoPermissionError,
        Fault("lets this user not do all that is needed", f"allow it +@scripting +@read +@write +@fast on ~{KEY_PREFIX}*"),
    ),
    (exceptions.ClusterError, Fault("is one node of a cluster, and not the right one", "let STORE_URL name a plain Redis or its proxy")),
    (exceptions.ResponseError, Fault("does not run the function's script (EVAL)", "it needs Redis 5 or Valkey, with scripting")),
    (exceptions.TimeoutError, OVERLONG),
    (TimeoutError, OVERLONG),
    (socket.gaierror, Fault("has a host name that does not resolve", "correct STORE_URL, or the DNS of the network")),
    (ssl.SSLError, Fault("speaks no TLS, or with a certificate that is not trusted", "redis:// without TLS, rediss:// with it")),
    (exceptions.RedisError, UNREACHABLE),
    (OSError, UNREACHABLE),
)
"""The client's errors; the first that fits counts. None of their own texts is shown: some quote the address."""


def lines(url: str, *, when_it_fails: str, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[Line]:
    """Try the store at ``url``; ``when_it_fails`` says what becomes of messages then."""
    place = _place(url)
    try:
        seconds = asyncio.run(asyncio.wait_for(_round_trips(url), patience_seconds))
    except tuple(kind for kind, _ in FAULTS) as error:
        fault = fault_of(error)
        yield Line(Mark.WRONG, "redis", f"{place} {fault.text}", fault.next_step, [when_it_fails])
        return
    yield speed_line(place, statistics.median(seconds))
    yield Line(Mark.RIGHT, "writable", "its script runs", more=[when_it_fails])


def speed_line(place: str, seconds: float) -> Line:
    """Judge a round trip."""
    text = f"{place} answers in {milliseconds(seconds)}, median of {ROUNDS}"
    if seconds >= TIMEOUT_SECONDS:
        step = f"the function waits {1000 * TIMEOUT_SECONDS:.0f} ms and then goes on without it: put it nearer"
        return Line(Mark.WRONG, "redis", text, step)
    if seconds >= SLOW_SECONDS:
        return Line(Mark.LOOK, "redis", text, "each message takes three such round trips: put it into the function's region")
    return Line(Mark.RIGHT, "redis", text)


def fault_of(error: BaseException) -> Fault:
    """Find the true cause: the client wraps the system's errors into its own."""
    chain: list[BaseException] = []
    while error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__ or error
    for kind in (ssl.SSLError, socket.gaierror):
        if any(isinstance(one, kind) for one in chain):
            return dict(FAULTS)[kind]
    return next(fault for kind, fault in FAULTS if isinstance(chain[0], kind))


async def _round_trips(url: str) -> list[float]:
    client = redis.asyncio.from_url(url, retry=Retry(NoBackoff(), 0), decode_responses=True)
    try:
        key = f"{KEY_PREFIX}check:{os.urandom(8).hex()}"
        # The first one connects, and is not counted.
        return [await _timed(client, key) for _ in range(ROUNDS + 1)][1:]
    finally:
        await client.aclose()


async def _timed(client: "redis.asyncio.Redis", key: str) -> float:
    started = time.perf_counter()
    await client.eval(_SCRIPT, 1, key, "1000")
    return time.perf_counter() - started


def _place(url: str) -> str:
    """Name the store without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"
