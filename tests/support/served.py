"""The real function in this process: the bytes of a call go in, and those of its response come out. A Mitto on loopback accepts all.

Its settings are in this process's environment, and no two of ``SETUPS`` fit into one process: ``benchmarks.instructions`` and
``support.budget`` start one for each. Everything is the same in every run but for the clock, so that work can be counted.
"""

import asyncio
import base64
import gc
import hmac
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import uvicorn
import uvloop
from uvicorn.server import ServerState

from mitto_phone_hook.storage.redis_client import RedisClient
from support.processes import API_KEY

_SIGNING_KEY = b"signing-key-of-the-counted-calls"
_ACCEPTED = b'{"id":"5f1e0d7c-0000-4000-8000-000000000000","responseCode":0,"responseMessage":"Success"}'
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_ACCEPTED), _ACCEPTED)
_OK = b"HTTP/1.1 200 "
_HEAD = (
    "POST {path} HTTP/1.1\r\nHost: hook.example.org\r\nUser-Agent: node\r\nAccept: */*\r\nContent-Type: application/json\r\n"
    "webhook-id: msg_{number:08d}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: v1,{signature}\r\nContent-Length: {length}\r\n\r\n"
)
_BEARER = "bearer-secret-of-the-counted-calls"
_PLAIN_HEAD = (
    "POST {path} HTTP/1.1\r\nHost: hook.example.org\r\nUser-Agent: node\r\nAccept: */*\r\nContent-Type: application/json\r\n"
    f"Authorization: Bearer {_BEARER}\r\n"
    "Content-Length: {length}\r\n\r\n"
)


def native_payload(number: int) -> dict[str, Any]:
    """Give a message with a text, as Auth0's Hook has it, to a number of its own."""
    context = {"code": f"{number:06d}", "message_type": "sms", "action": "mfa", "language": "de-CH", "ip": "203.0.113.7"}
    return {"recipient": _recipient(number), "text": f"Your code is {number:06d}", "context": context}


def supabase_payload(number: int) -> dict[str, Any]:
    """Give a code for which a template has the words, as Supabase sends it."""
    user = {"id": "7f6d9a52-0000-4000-8000-000000000000", "phone": _recipient(number)[1:], "user_metadata": {"locale": "de-CH"}}
    return {"user": user, "sms": {"otp": f"{number:06d}", "phone": _recipient(number)[1:]}}


class Setup(NamedTuple):
    """Calls of one kind, and how the function is served to them: by default as ``mitto-phone-hook run`` does it."""

    path: str = "/hooks/native"
    payload: Callable[[int], Mapping[str, Any]] = native_payload
    http: str = "mitto_phone_hook.function:protocol"
    """What uvicorn calls for each connection. ``auto``: its own protocol, guarded."""
    is_framework: bool = False
    """Served by functions-framework, as Google's buildpack does it; else without."""
    is_signed: bool = True
    """Else a bearer secret, and no id of the call: its message alone is remembered."""
    needs_redis: bool = False
    """Whether ``STORE_URL`` has to be in the environment."""
    callers: int = 1
    """Connections of callers, each of which has one call under way."""


SETUPS = {
    "native": Setup(),
    "supabase": Setup("/hooks/supabase", supabase_payload),
    "framework": Setup(http="auto", is_framework=True),
}

FOR_COMPARISON = {
    "guarded": Setup(http="auto"),
    "unguarded": Setup(http="httptools"),
    **{
        name + ("" if is_signed else "-unsigned") + ("" if callers == 1 else f"-{callers}"): Setup(
            is_signed=is_signed, needs_redis=name == "redis", callers=callers
        )
        for name in ("memory", "redis")
        for is_signed in (True, False)
        for callers in (1, 16)
    },
}
"""The function as a plain ASGI application, with and without ``http_guard``; and with memory and with Redis, for signed and other calls."""


class _Mitto(asyncio.Protocol):
    """Accepts every message at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        self._transport.write(_RESPONSE)  # type: ignore[attr-defined] # a socket's


class _Caller(asyncio.Transport):
    """The connection of a caller who reads everything at once."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.got_response = asyncio.Event()
        self.received = b""
        self._protocol = protocol
        protocol.connection_made(self)

    async def call_all(self, requests: Iterator[bytes]) -> None:
        """Send one request after the other. Raises ``RuntimeError`` when one is not accepted."""
        for request in requests:
            self.received = b""
            self.got_response.clear()
            self._protocol.data_received(request)
            await self.got_response.wait()
            if not self.received.startswith(_OK):
                raise RuntimeError(f"a call got {self.received!r}")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received += data
        if self.received.endswith((b"}", b"{}")):
            self.got_response.set()

    def is_closing(self) -> bool:
        return False


async def handle(name: str, few: int, many: int, between: Callable[[], object]) -> None:
    """Handle ``few`` calls over kept connections, then ``between``, then ``many`` calls. All of them are made before.

    Raises ``RuntimeError`` when one is not accepted.
    """
    setup, loop = (SETUPS | FOR_COMPARISON)[name], asyncio.get_running_loop()
    mitto = await loop.create_server(_Mitto, "127.0.0.1", 0)
    key = base64.b64encode(_SIGNING_KEY).decode()
    url = f"http://127.0.0.1:{mitto.sockets[0].getsockname()[1]}"
    # The total limit counts, but does not end the run.
    secrets = f"whsec_{key}" if setup.is_signed else _BEARER
    os.environ |= {"MITTO_API_KEY": API_KEY, "MITTO_BASE_URL": url, "HOOK_SECRETS": secrets, "ALLOWED_REGIONS": "CH,DE"}
    os.environ |= {"LIMITS": "ip=9999999/hour; total=9999999/hour,9999999/day"}
    if setup.needs_redis:
        # callgrind makes everything slow, and a time-out is not to be counted.
        os.environ["DEADLINE_SECONDS"] = "25"
        (RedisClient.__init__.__kwdefaults__ or {})["timeout_seconds"] = 30.0
    make = _protocols(setup)
    callers = [_Caller(make()) for _ in range(setup.callers)]
    requests = [_request(setup, number) for number in range(few + many)]
    await _call_all(callers, requests[:few])
    between()
    await _call_all(callers, requests[few:])


async def _call_all(callers: Sequence["_Caller"], requests: Sequence[bytes]) -> None:
    left = iter(requests)
    await asyncio.gather(*(caller.call_all(left) for caller in callers))
    # What Redis is told afterwards belongs to it.
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


def run(name: str, few: int, many: int, between: Callable[[], object]) -> None:
    """Do ``handle`` on the event loop of the server. The log goes to where nobody reads it: a full pipe would change what is done."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(handle(name, few, many, between))


def _protocols(setup: Setup) -> Callable[[], Any]:
    """Give what makes the protocol of a connection."""
    application = import_module("mitto_phone_hook.function").app
    if setup.is_framework:
        application = import_module("functions_framework.aio").create_asgi_app("send_phone_message", "src/main.py", "http")
    config = uvicorn.Config(application, http=setup.http, lifespan="off", log_config=None, access_log=False, ws="none")
    config.load()
    # The first call decides about garbage collection. Its moments would differ in every run.
    gc.enable = gc.disable
    state = ServerState()
    return lambda: config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg] # uvicorn's own


def _request(setup: Setup, number: int) -> bytes:
    body, now = json.dumps(setup.payload(number)).encode(), int(time.time())
    if not setup.is_signed:
        return _PLAIN_HEAD.format(path=setup.path, length=len(body)).encode() + body
    signed = b"msg_%08d.%d.%b" % (number, now, body)
    signature = base64.b64encode(hmac.digest(_SIGNING_KEY, signed, "sha256")).decode()
    return _HEAD.format(path=setup.path, number=number, now=now, signature=signature, length=len(body)).encode() + body


def _recipient(number: int) -> str:
    """Give a number of a Swiss mobile block. Few others have the same first digits."""
    return f"+4179{number % 1000:03d}{number // 1000:04d}"
