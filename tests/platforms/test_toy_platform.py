"""A platform is what its file says, and nothing else has to know of it: one that is defined here is served."""

import asyncio
import json
from typing import Any, ClassVar

import httpx

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.hook import Hook, Stores
from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.platforms._contract import Defaults, Headers, Platform, Response
from mitto_phone_hook.platforms._fields import Code, MessageText, WrittenNumber
from mitto_phone_hook.platforms._payload import Payload, at, reader
from mitto_phone_hook.request import Call
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from support.messages import mitto_over
from support.stage import ENVIRONMENT, SECRET, pieces

OWN_SECRET = "the-secret-of-the-toy-platform"


def read(body: bytes, headers: Headers, defaults: Defaults) -> PhoneMessage:
    if json.loads(body).get("kind") == "farewell":
        raise Refused(Outcome.IGNORED)
    return reader(ToyCall)(body, headers, defaults)


class ToyCall(Payload):
    """What the toy sends."""

    SOURCE: ClassVar[str] = "toy"
    recipient: WrittenNumber = at("who.phone")
    text: MessageText = at("words")
    code: Code | None = at("pin", default=None)


def authenticate(headers: Headers, _body: bytes, secrets: HookSecrets, _now: float) -> None:
    if headers.get(b"x-toy") not in secrets.bearer:
        raise Refused(Outcome.UNAUTHORIZED, "wrong_secret")


def respond(result: Result, request_id: str) -> Response:
    is_sent = result.outcome is Outcome.ACCEPTED
    return Response(202 if is_sent else 418, f"{result.outcome} {request_id}".encode(), {"content-type": "text/plain"})


TOY = Platform(authenticate, read, respond, timeout_seconds=3)


async def test_a_platform_defined_in_a_few_lines_is_served_on_its_route() -> None:
    sent: list[dict[str, object]] = []
    lines: list[Any] = []

    def send(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json={"responseCode": 0, "id": "m1"})

    settings = load(ENVIRONMENT | {"HOOK_SECRETS_TOY": OWN_SECRET}, platforms=(*NAMES, "toy"))
    stores = Stores(MemoryIdempotencyStore(600), MemoryIdempotencyStore(600), MemoryCounterStore(), b"key of the tests")
    hook = Hook(settings, mitto_over(httpx.MockTransport(send), settings), stores, lines.append, platforms={"toy": TOY})

    async def call(secret: str, payload: object) -> Response:
        return await hook.respond(Call("POST", "/hooks/toy", {b"x-toy": secret.encode()}, pieces(json.dumps(payload).encode())))

    payload = {"who": {"phone": "+1 202-555-0110"}, "words": "The pin is 739105", "pin": 739105}
    assert (await call(SECRET, payload)).status == 418
    assert (await call(OWN_SECRET, {"words": "nobody"})).body.startswith(b"invalid_request ")
    assert (await call(OWN_SECRET, {"kind": "farewell"})).body.startswith(b"ignored ")
    await asyncio.sleep(0)
    assert (lines[-1]["severity"], lines[-1]["event"], sent) == ("INFO", "ignored", [])
    accepted = await call(OWN_SECRET, payload)
    assert (accepted.status, accepted.headers) == (202, {"content-type": "text/plain"})
    assert [(fields["to"], fields["text"]) for fields in sent] == [("12025550110", "The pin is 739105")]
