"""What holds for all tests, and the stores that several rooms ask for."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import settings

from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.storage.protocols import IdempotencyStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.clusters import redis_cluster
from support.processes import Process, redis_server
from support.programs import bundled, in_use
from support.stores import MakeStore, with_patience

# How long an example takes says something about the machine, and nothing about what is tested.
settings.register_profile("any time", settings(), deadline=None)
settings.load_profile("any time")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the tests ran against; a header would say it first, but ``-q`` leaves that out."""
    terminalreporter.write_line(f"Ran against {', '.join(in_use())}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio, which is what serves."""
    return "asyncio"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with redis_server(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with redis_server(tmp_path_factory.mktemp("valkey"), program=bundled("valkey-server")) as process:
        yield process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Give one node of a cluster of three masters."""
    with redis_cluster(tmp_path_factory.mktemp("cluster"), program=bundled("valkey-server")) as cluster:
        yield cluster.nodes[2]


@pytest.fixture(params=["memory", "redis", "valkey", "cluster"])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    """Give what makes a store of either kind; for as long as a message is remembered, in seconds."""
    if request.param == "memory":
        return _in_memory
    redis = request.getfixturevalue(request.param)

    @contextlib.asynccontextmanager
    async def shared(window_seconds: float) -> AsyncIterator[IdempotencyStore]:
        async with with_patience(redis) as link:
            yield RedisIdempotencyStore(link, window_seconds)

    return shared


@contextlib.asynccontextmanager
async def _in_memory(window_seconds: float) -> AsyncIterator[IdempotencyStore]:
    yield MemoryIdempotencyStore(window_seconds)
