"""Duplicates and limits survive a rotation of the hook secrets, in memory and in Redis."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.credentials.keyed_hash import random_key, state_key
from mitto_phone_hook.hook import Hook, Stores
from mitto_phone_hook.request import Call
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.messages import mitto_over
from support.stage import ENVIRONMENT, body, pieces
from support.stores import with_patience

OLD, NEW = "the-old-secret-of-the-tests", "the-new-secret-of-the-tests"
API_KEY = ENVIRONMENT["MITTO_API_KEY"]


@pytest.fixture(params=["memory", "redis"])
async def make_stores(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[], Stores]]:
    """Give stores as the function builds them; those in Redis anew each time, as a new instance would."""
    if request.param == "memory":
        kept = Stores(MemoryIdempotencyStore(600), MemoryIdempotencyStore(600), MemoryCounterStore(), random_key())
        yield lambda: kept
        return
    async with with_patience(request.getfixturevalue("redis")) as client:
        yield lambda: Stores(
            RedisIdempotencyStore(client, 600),
            RedisIdempotencyStore(client, 600),
            RedisCounterStore(client, is_closed_on_failure=True),
            state_key(None, API_KEY),
        )


class Instances:
    """Instances of the function with the same secrets in a file, and a Mitto that counts."""

    def __init__(self, directory: Path, make_stores: Callable[[], Stores]) -> None:
        self.may_respond, self.is_sending, self.sent = asyncio.Event(), asyncio.Event(), 0
        self.may_respond.set()
        self._secrets = directory / "secrets"
        self._make_stores = make_stores

    def start(self, **settings: str) -> Hook:
        environment = {name: value for name, value in ENVIRONMENT.items() if name != "HOOK_SECRETS"}
        loaded = load(environment | {"HOOK_SECRETS_FILE": str(self._secrets)} | settings)
        return Hook(loaded, mitto_over(httpx.MockTransport(self._send), loaded), self._make_stores(), lambda _: None)

    def rotate(self, *secrets: str) -> None:
        self._secrets.write_text("\n".join(secrets), encoding="utf-8")

    async def _send(self, _: httpx.Request) -> httpx.Response:
        self.sent += 1
        self.is_sending.set()
        await self.may_respond.wait()
        return httpx.Response(200, json={"responseCode": 0, "id": f"m{self.sent}"})


async def call(hook: Hook, secret: str, **fields: object) -> tuple[int, bool]:
    response = await hook.respond(Call("POST", "/", {b"authorization": f"Bearer {secret}".encode()}, pieces(body(**fields))))
    return response.status, bool(json.loads(response.body).get("duplicate"))


async def test_a_code_in_flight_is_still_known_after_a_rotation(tmp_path: Path, make_stores: Callable[[], Stores]) -> None:
    instances, number = Instances(tmp_path, make_stores), "+12025550111"
    instances.rotate(OLD)
    old = instances.start()
    instances.may_respond.clear()
    first = asyncio.create_task(call(old, OLD, recipient=number))
    await instances.is_sending.wait()
    instances.rotate(NEW)
    running, fresh = (asyncio.create_task(call(hook, NEW, recipient=number)) for hook in (old, instances.start()))
    await asyncio.sleep(0.05)
    instances.may_respond.set()
    assert [*await asyncio.gather(first, running, fresh)] == [(200, False), (200, True), (200, True)]
    assert instances.sent == 1


async def test_a_limit_that_is_half_used_stays_half_used_after_a_rotation(tmp_path: Path, make_stores: Callable[[], Stores]) -> None:
    instances, number, limits = Instances(tmp_path, make_stores), "+12025550112", "recipient=2/hour"
    instances.rotate(OLD)
    old = instances.start(LIMITS=limits)
    assert await call(old, OLD, recipient=number, text="Your code is 111111") == (200, False)
    instances.rotate(NEW)
    new = instances.start(LIMITS=limits)
    assert await call(old, NEW, recipient=number, text="Your code is 222222") == (200, False)
    assert (await call(new, NEW, recipient=number, text="Your code is 333333"))[0] == 429
    assert instances.sent == 2


def test_the_state_key_follows_from_its_secret_and_else_from_the_api_key() -> None:
    own = state_key("a-secret-for-the-state-of-tests", "key")
    assert own == state_key("a-secret-for-the-state-of-tests", "another key")
    assert len({own, state_key(None, "key"), state_key(None, "another key"), random_key(), random_key()}) == 5
