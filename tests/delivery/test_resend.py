"""A user asks for the same code again: repeats get the first result, resends an SMS; in memory and in a real Redis."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from mitto_phone_hook.delivery.idempotency import CALL_SECONDS, kept_seconds
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from support.stage import AUTHORIZED, SIGNING_KEY, Stage, signed
from support.stores import KEYS, with_patience

SECRETS = "bearer-secret-of-the-tests-0001 whsec_" + base64.b64encode(SIGNING_KEY).decode()
FIELDS = {"recipient": "+12025550110", "text": "Your security code is 314272", "code": "314272"}
SEQUENCE = ((0, False), (5, True), (20, True), (31, False), (60, True), (62, False), (121, False), (301, False))
"""Seconds, and whether the call is a repeat of one that was settled less than 30 seconds ago."""

# Moves every key of a Redis that a test has for itself so many milliseconds closer to its end.
_AGE = """
for _, key in ipairs(redis.call('KEYS', '*mitto-phone-hook:*')) do
  local left = redis.call('PTTL', key) - tonumber(ARGV[1])
  if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
end
"""

# Counts the entries of calls that have ended here and of which Redis has not been told yet.
_UNTOLD = """
local count = 0
for _, key in ipairs(redis.call('KEYS', '*mitto-phone-hook:*')) do
  local is_entry = redis.call('TYPE', key).ok == 'string'
  if is_entry and string.sub(redis.call('GET', key), 1, 19) == '{"state": "pending"' then count = count + 1 end
end
return count
"""


Write = Callable[[float], tuple[bytes, dict[bytes, bytes]]]
"""Gives body and headers of a call at that moment, in Unix seconds."""


class Clock:
    """Unix seconds that pass when a test says so."""

    seconds = 0.0

    def __call__(self) -> float:
        return 1_700_000_000.0 + self.seconds


class Function:
    """The function at any moment: in memory, or as a new instance at each call with what Redis knows."""

    def __init__(self, client: RedisClient | None, outcomes: Iterator[int] | None = None, **settings: str) -> None:
        self._clock, self._client = Clock(), client
        self.sent, self._outcomes = 0, outcomes
        self.stage = Stage(self._send, self._clock, **({"HOOK_SECRETS": SECRETS, "LIMITS": "off"} | settings))

    def _send(self, _: httpx.Request) -> httpx.Response:
        self.sent += 1
        status = next(self._outcomes) if self._outcomes else 200
        return httpx.Response(status, json={"responseCode": 0, "id": f"m{self.sent}"} if status == 200 else None)

    def pass_seconds(self, seconds: float) -> None:
        """Let so much time pass."""
        self._clock.seconds += seconds

    async def call(self, seconds: float, write: Write) -> tuple[int, bool, int]:
        """Call at that moment; give the status, whether it was a duplicate, and how many SMS left by it."""
        before, passed = self.sent, seconds - self._clock.seconds
        self._clock.seconds = seconds
        if self._client is not None:
            # A result that reached Redis only after the clock was put forward would be kept for too long.
            async with asyncio.timeout(30):
                untold = 1
                while untold:
                    untold = await self._client.eval(_UNTOLD, [KEY_PREFIX], [])
                    await asyncio.sleep(0)
            await self._client.eval(_AGE, [KEY_PREFIX], [int(passed * 1000)])
            self._renew(self._client)
        response = await self.stage.acall(*write(self._clock()))
        return response.status, bool(json.loads(response.body).get("duplicate")), self.sent - before

    def _renew(self, client: RedisClient) -> None:
        messages, calls = (RedisIdempotencyStore(client, kept_seconds(repeat, 8)) for repeat in (30, CALL_SECONDS))
        counters = RedisCounterStore(client, is_closed_on_failure=True)
        self.stage.stores = self.stage.stores._replace(messages=messages, calls=calls, counters=counters)
        self.stage.restart()


MakeFunction = Callable[..., Awaitable[Function]]


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> object:
    if request.param == "memory":

        async def in_memory(outcomes: Iterator[int] | None = None, **settings: str) -> Function:
            return Function(None, outcomes, **settings)

        yield in_memory
        return
    async with with_patience(request.getfixturevalue("redis")) as client:

        async def shared(outcomes: Iterator[int] | None = None, **settings: str) -> Function:
            await client.eval("redis.call('FLUSHALL')", [], [])
            return Function(client, outcomes, **settings)

        yield shared


def as_json(_now: float, **changes: str) -> tuple[bytes, dict[bytes, bytes]]:
    return json.dumps(FIELDS | changes).encode(), {**AUTHORIZED, b"content-type": b"application/json"}


def as_form(_now: float) -> tuple[bytes, dict[bytes, bytes]]:
    return urlencode(FIELDS).encode(), {**AUTHORIZED, b"content-type": b"application/x-www-form-urlencoded"}


def as_signed(now: float, call_id: str = "", **changes: str) -> tuple[bytes, dict[bytes, bytes]]:
    body = json.dumps(FIELDS | changes).encode()
    return body, signed(body, call_id or next(KEYS), now)


@pytest.mark.parametrize("write", [as_json, as_form, as_signed])
async def test_a_repeat_within_30_seconds_gets_the_first_result_and_a_resend_an_sms(make: MakeFunction, write: Write) -> None:
    function = await make()
    for seconds, is_repeat in SEQUENCE:
        assert await function.call(seconds, write) == (200, is_repeat, 0 if is_repeat else 1), seconds


async def test_after_an_unknown_outcome_a_resend_leaves_too(make: MakeFunction) -> None:
    function = await make(iter([500, 200]))
    assert await function.call(0, as_json) == (504, False, 1)
    assert (await function.call(5, as_json))[::2] == (504, 0)
    assert await function.call(31, as_json) == (200, False, 1)


async def test_a_call_with_an_id_is_never_sent_twice_in_600_seconds(make: MakeFunction) -> None:
    function, call_id = await make(), next(KEYS)
    for seconds, is_repeat in ((0, False), (45, True), (290, True), (599, True), (601, False)):
        assert await function.call(seconds, partial(as_signed, call_id=call_id)) == (200, is_repeat, 0 if is_repeat else 1), seconds


async def test_a_repeat_under_a_new_id_is_known_by_that_id_too(make: MakeFunction) -> None:
    function, first, second = await make(), next(KEYS), next(KEYS)
    assert await function.call(0, partial(as_signed, call_id=first)) == (200, False, 1)
    assert await function.call(10, partial(as_signed, call_id=second)) == (200, True, 0)
    assert await function.call(60, partial(as_signed, call_id=second)) == (200, True, 0)


@pytest.mark.parametrize(
    "changes", [{"recipient": "+12025550111"}, {"text": "Your code is 111111", "code": "111111"}, {"ip": "203.0.113.9"}]
)
async def test_an_id_that_comes_with_another_body_is_refused_as_a_replay(make: MakeFunction, changes: Any) -> None:
    function, call_id = await make(), next(KEYS)
    assert await function.call(0, partial(as_signed, call_id=call_id)) == (200, False, 1)
    assert await function.call(3, partial(as_signed, call_id=call_id, **changes)) == (401, False, 0)
    assert (function.stage.lines[-1]["event"], function.stage.lines[-1]["why"]) == ("unauthorized", "replayed_id")


async def test_an_id_whose_message_was_not_sent_may_be_tried_anew(make: MakeFunction) -> None:
    function, call_id = await make(iter([503, 503, 503, 200]), MAX_ATTEMPTS="3"), next(KEYS)
    assert (await function.call(0, partial(as_signed, call_id=call_id)))[0] == 503
    assert (await function.call(2, partial(as_signed, call_id=call_id)))[0] == 200


async def test_an_id_that_nobody_has_signed_says_nothing(make: MakeFunction) -> None:
    function = await make()

    def with_id(now: float) -> tuple[bytes, dict[bytes, bytes]]:
        body, headers = as_json(now)
        return body, {**headers, b"webhook-id": b"msg_1"}

    for seconds in (0, 31):
        assert await function.call(seconds, with_id) == (200, False, 1)


async def test_the_limit_per_recipient_caps_the_copies() -> None:
    function = Function(None, LIMITS="recipient=5/10minute")
    done = [await function.call(seconds, as_json) for seconds in (0, 40, 80, 120, 160, 200)]
    assert done == [(200, False, 1)] * 5 + [(429, False, 0)]


async def test_without_a_guard_against_repeats_each_call_is_sent() -> None:
    function = Function(None, RESEND_AFTER_SECONDS="0")
    assert [await function.call(seconds, as_json) for seconds in (0, 0, 1)] == [(200, False, 1)] * 3


async def test_the_setting_of_the_version_before_is_still_understood() -> None:
    function = Function(None, DUPLICATE_WINDOW_SECONDS="100")
    assert [(await function.call(seconds, as_json))[2] for seconds in (0, 99, 101)] == [1, 0, 1]


@pytest.mark.parametrize("settings", [{}, {"HOOK_SECRETS_NATIVE": SECRETS}])
async def test_a_captured_call_is_a_replay_on_every_route_that_its_key_opens(settings: Any) -> None:
    function = Function(None, **settings)
    body, headers = as_signed(1_700_000_000.0, "msg_captured")
    assert (await function.stage.acall(body, headers)).status == 200
    function.pass_seconds(60)
    other = await function.stage.acall(body, headers, path="/hooks/native")
    assert (other.status, json.loads(other.body)["duplicate"], function.sent) == (200, True, 1)


async def test_two_callers_with_secrets_of_their_own_may_choose_the_same_id() -> None:
    function = Function(None, HOOK_SECRETS_NATIVE=SECRETS)
    for path, text in (("/", "Your code is 111111"), ("/hooks/native", "Your code is 222222")):
        body, headers = as_signed(1_700_000_000.0, "msg_1", text=text, code=text[-6:])
        assert (await function.stage.acall(body, headers, path=path)).status == 200
    assert function.sent == 2
