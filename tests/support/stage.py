"""A hook with everything outside it in plain sight, and an event loop whose clock can be put forward."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cached_property
from typing import Any

import httpx

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.hook import Hook, Stores
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.request import Call
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from support.messages import mitto_over

SECRET = "bearer-secret-of-the-tests-0001"


CODE = "739105"


SIGNING_KEY = bytes(range(32))


AUTHORIZED = {b"authorization": f"Bearer {SECRET}".encode()}


ENVIRONMENT = {"MITTO_API_KEY": "key-of-the-tests", "HOOK_SECRETS": SECRET, "ALLOWED_REGIONS": "US", "MITTO_BASE_URL": "http://127.0.0.1:9"}


class Stage:
    """A hook with everything outside it in plain sight; ``clock`` gives Unix seconds, to the stores too."""

    def __init__(self, mitto: Any = None, clock: Callable[[], float] = time.time, /, **settings: str) -> None:
        self._clock = clock
        self.requests: list[httpx.Request] = []
        self.lines: list[Mapping[str, object]] = []
        self.store = MemoryIdempotencyStore(600, clock)
        self.stores = Stores(self.store, MemoryIdempotencyStore(612, clock), MemoryCounterStore(clock), b"key of the tests")
        self.access_tokens: dict[str, Any] = {}
        self._mitto = mitto or (lambda _: httpx.Response(200, json={"responseCode": 0, "id": "m1"}))
        self._settings = load(ENVIRONMENT | settings)
        self.restart()

    def restart(self) -> None:
        """Forget the hook: the next one is a new instance of the function, with the stores as they are then."""
        self.__dict__.pop("hook", None)

    @cached_property
    def hook(self) -> Hook:
        mitto = mitto_over(httpx.MockTransport(self._receive), self._settings)
        return Hook(self._settings, mitto, self.stores, self.lines.append, access_tokens=self.access_tokens, wall_clock=self._clock)

    def _receive(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response: httpx.Response = self._mitto(request)
        return response

    def call(self, body: bytes, headers: Mapping[bytes, bytes] = AUTHORIZED, method: str = "POST", path: str = "/") -> Response:
        return asyncio.run(self.acall(body, headers, method, path))

    async def acall(
        self, body: bytes, headers: Mapping[bytes, bytes] = AUTHORIZED, method: str = "POST", path: str = "/", query: bytes = b""
    ) -> Response:
        reply = await self.hook.respond(Call(method, path, headers, pieces(body), query=query))
        await asyncio.sleep(0)  # the line of the log follows the reply
        return reply


def signed(body: bytes, call_id: str, now: float) -> dict[bytes, bytes]:
    """Sign as Standard Webhooks says, with ``SIGNING_KEY``."""
    message_id, timestamp = call_id.encode(), str(int(now)).encode()
    digest = hmac.digest(SIGNING_KEY, b".".join((message_id, timestamp, body)), "sha256")
    return {
        b"webhook-id": message_id,
        b"webhook-timestamp": timestamp,
        b"webhook-signature": b"v1," + base64.b64encode(digest),
        b"content-type": b"application/json",
    }


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body[:10]
    yield body[10:]


def body(**changes: Any) -> bytes:
    payload = {"recipient": "+12025550110", "text": f"Your code is {CODE}", "context": {"code": CODE}}
    return json.dumps(payload | changes).encode()


class PassingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward, so that nobody has to wait."""

    passed_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.passed_seconds
