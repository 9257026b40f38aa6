"""The laws of the hook: what holds whatever arrives."""

import asyncio
import contextlib
import json
import math
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.delivery.idempotency import key_of
from mitto_phone_hook.hook import Hook, Stores
from mitto_phone_hook.platforms._native_response import RESPONSES
from mitto_phone_hook.platforms.native import PLATFORM
from mitto_phone_hook.request import Call
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.storage.protocols import ALWAYS, Entry, Validity
from mitto_phone_hook.storage.redis_client import RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore
from mitto_phone_hook.storage.redis_nodes import MAX_CALLS
from mitto_phone_hook.telemetry.log_lines import FIELDS, as_line
from support.messages import mitto_over, parse
from support.processes import redis_server
from support.stage import AUTHORIZED, CODE, ENVIRONMENT, SECRET, PassingLoop, Stage, body, pieces

STATUSES = {row.status for row in RESPONSES.values()}


@pytest.mark.parametrize(("deadline", "late"), [("4", 3.51), ("1", 0.76)])
def test_a_message_whose_body_leaves_too_little_time_is_not_begun(deadline: str, late: float) -> None:
    stage = Stage(DEADLINE_SECONDS=deadline, CONNECT_TIMEOUT_SECONDS="0.3")

    async def slow() -> AsyncIterator[bytes]:
        yield body()[:10]
        loop.passed_seconds += late
        yield body()[10:]

    with contextlib.closing(PassingLoop()) as loop:
        reply = loop.run_until_complete(stage.hook.respond(Call("POST", "/", AUTHORIZED, slow())))
    assert json.loads(reply.body)["error"]["code"] == "upstream_unavailable"
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert (stage.requests, stage.lines[0]["why"]) == ([], "deadline")


def test_a_message_is_not_counted_when_the_store_has_used_up_its_time() -> None:
    class SlowStore(MemoryIdempotencyStore):
        async def claim(self, key: str, entry: Entry, validity: Validity = ALWAYS, latest: float = math.inf) -> Entry | None:
            loop.passed_seconds += 3.6
            return await super().claim(key, entry, validity, latest)

    stage = Stage(DEADLINE_SECONDS="4")
    stage.stores = stage.stores._replace(messages=SlowStore(600))
    with contextlib.closing(PassingLoop()) as loop:
        assert loop.run_until_complete(stage.acall(body())).status == 503
    assert (stage.requests, stage.lines[0]["why"], stage.lines[0]["count_ms"]) == ([], "deadline", None)


@pytest.mark.parametrize(("in_redis", "why"), [("idempotency", "store_busy"), ("limits", "store_busy")])
async def test_a_call_stands_in_line_for_redis_no_longer_than_its_deadline_allows(tmp_path: Path, in_redis: str, why: str) -> None:
    with redis_server(tmp_path) as redis:
        url = f"redis://127.0.0.1:{redis.port}"
        async with contextlib.aclosing(RedisClient(url, lambda: None, timeout_seconds=30, queue_seconds=30)) as client:
            stage = Stage(DEADLINE_SECONDS="1", CONNECT_TIMEOUT_SECONDS="0.3")
            if in_redis == "idempotency":
                stage.stores = stage.stores._replace(messages=RedisIdempotencyStore(client, 600))
            else:
                stage.stores = stage.stores._replace(counters=RedisCounterStore(client, is_closed_on_failure=False))
            redis.popen.send_signal(signal.SIGSTOP)
            asked = [asyncio.create_task(client.eval("return 1", [], [])) for _ in range(MAX_CALLS)]
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                reply = await stage.acall(body())
            redis.popen.send_signal(signal.SIGCONT)
            await asyncio.gather(*asked)
            assert (reply.status, stage.requests, stage.lines[0]["why"]) == (503, [], why)


def test_mitto_gets_the_operators_settings_and_the_callers_request_id() -> None:
    stage = Stage(MITTO_TEST="true", CONNECT_TIMEOUT_SECONDS="0.7")
    reply = stage.call(body())
    [request] = stage.requests
    fields = json.loads(request.content)
    assert (fields["test"], fields["reference"]) == (True, json.loads(reply.body)["request_id"])
    assert request.extensions["timeout"]["connect"] == 0.7


async def test_a_message_can_be_found_only_with_the_key_of_the_state() -> None:
    stage = Stage()
    assert (await stage.acall(body())).status == 200
    message = parse(body(), b"", None)
    found = [await stage.store.find(key_of(message, key)) for key in (stage.stores.key, SECRET.encode(), b"")]
    assert [entry and entry.message_id for entry in found] == ["m1", None, None]


async def test_nobody_waits_for_the_line_of_the_log() -> None:
    stage = Stage()
    assert (await stage.hook.respond(Call("POST", "/", AUTHORIZED, pieces(body())))).status == 200
    assert stage.lines == []
    await asyncio.sleep(0)
    assert [line["event"] for line in stage.lines] == ["accepted"]


TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40).map(str.encode)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            b"authorization",
            b"webhook-id",
            b"webhook-timestamp",
            b"webhook-signature",
            b"content-type",
            b"content-length",
            b"content-encoding",
            b"traceparent",
        ]
    ),
    st.one_of(
        st.binary(max_size=60),
        TOKENS,
        st.sampled_from(
            [b"application/x-www-form-urlencoded", b"multipart/form-data", b"gzip", b"5", b"Bearer x", str(int(time.time())).encode()]
        ),
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELD = st.one_of(JSON, st.sampled_from(["+12025550110", f"Your code is {CODE}", "voice", "sms", "\u202e1", "N/A"]))
PAYLOADS = st.dictionaries(
    st.sampled_from(["recipient", "text", "context", "body", "to", "message_options", "notification", "code", "req"]),
    FIELD | st.dictionaries(st.sampled_from(["code", "message_type", "recipient", "text", "as_text", "ip", "client"]), FIELD),
)
BODIES = st.one_of(st.binary(max_size=200), PAYLOADS.map(lambda payload: json.dumps(payload).encode()))


@given(
    body=BODIES,
    headers=HEADERS,
    method=st.sampled_from(["POST", "GET", "PATCH"]),
    path=st.sampled_from(["/", "/hooks/auth0", "/health", "/x"]),
)
def test_whatever_arrives_the_answer_is_one_of_the_table(body: bytes, headers: dict[bytes, bytes], method: str, path: str) -> None:
    stage = Stage()
    reply = stage.call(body, AUTHORIZED | headers, method, path)
    assert reply.status in STATUSES
    assert reply.status < 500
    assert isinstance(json.loads(reply.body), dict)
    assert len(stage.lines) == (path != "/health" or method in {"POST", "PATCH"})
    assert all(set(line) <= set(FIELDS) for line in stage.lines)


@given(body=st.one_of(st.just(body()), BODIES), headers=HEADERS)
def test_without_valid_credentials_no_sms_leaves_whatever_the_body(body: bytes, headers: dict[bytes, bytes]) -> None:
    stage = Stage()
    reply = stage.call(body, headers)
    assert reply.status in (400, 401, 413, 415)
    assert not stage.requests


@given(
    status=st.integers(100, 599),
    answer=st.one_of(st.binary(max_size=100), JSON.map(lambda value: json.dumps(value).encode())),
    code=st.integers() | st.booleans() | st.none(),
)
def test_whatever_mitto_answers_the_caller_gets_one_of_the_table(status: int, answer: bytes, code: object) -> None:
    content = answer if code is None else json.dumps({"responseCode": code, "id": "m1"}).encode()
    stage = Stage(lambda _: httpx.Response(status, content=content), MAX_ATTEMPTS="1")
    reply = stage.call(body())
    assert reply.status in {200, 422, 502, 503, 504}
    assert (reply.status == 200) == (200 <= status < 300 and code == 0 and code is not False)
    assert len(stage.requests) == 1


@given(payload=PAYLOADS)
def test_no_printed_form_holds_a_code_a_number_or_a_text(payload: dict[str, Any]) -> None:
    stage = Stage()
    reply = stage.call(json.dumps(payload | {"recipient": "+12025550110", "text": f"Your code is {CODE}"}).encode())
    printed = reply.body.decode() + "".join(map(as_line, stage.lines))
    for secret in (CODE, "2025550110", "Your code is", SECRET, "key-of-the-tests"):
        assert secret not in printed


def test_a_bug_is_internal_error_and_its_line_is_logged_without_its_text() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError(CODE)

    stage = Stage(fail)
    reply = stage.call(body())
    [line] = stage.lines
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (500, "internal_error")
    assert str(line["stack_trace"]).startswith("ZeroDivisionError\n")
    assert CODE not in as_line(line)


async def test_a_caller_that_hangs_up_in_its_body_sends_nothing() -> None:
    async def hang_up() -> AsyncIterator[bytes]:
        yield b'{"recipient"'
        raise ConnectionError

    stage = Stage()
    reply = await stage.hook.respond(Call("POST", "/", AUTHORIZED, hang_up()))
    await asyncio.sleep(0)  # the log line follows the response
    assert reply.status == 400
    assert stage.lines[0]["why"] == "incomplete_body"
    assert not stage.requests


@pytest.mark.parametrize(("own", "path", "secret", "status"), [
    ("", "/hooks/auth0", SECRET, 200),
    ("auth0-secret-of-the-tests-1", "/hooks/auth0", SECRET, 401),
    ("auth0-secret-of-the-tests-1", "/hooks/auth0", "auth0-secret-of-the-tests-1", 200),
    ("auth0-secret-of-the-tests-1", "/", SECRET, 200),
    ("auth0-secret-of-the-tests-1", "/", "auth0-secret-of-the-tests-1", 401),
])  # fmt: skip
def test_a_route_with_secrets_of_its_own_accepts_only_those(own: str, path: str, secret: str, status: int) -> None:
    stage = Stage(HOOK_SECRETS_AUTH0=own)
    assert stage.call(body(), {b"authorization": f"Bearer {secret}".encode()}, path=path).status == status


def test_an_unknown_path_is_not_logged_because_it_may_hold_a_secret() -> None:
    stage = Stage()
    assert stage.call(b"", path="/reports/token-of-somebody").status == 404
    assert "token" not in as_line(stage.lines[0])


def refusing_the_alphabet(request: httpx.Request) -> httpx.Response:
    """Refuse everything that is not Unicode, as Mitto does with a character outside GSM-7."""
    is_unicode = json.loads(request.content)["type"] == "Unicode"
    return httpx.Response(200, json={"responseCode": 0, "id": "m1"} if is_unicode else {"responseCode": 4})


def long_text(segments: int) -> str:
    return f"Your code is {CODE} " + "x" * (153 * segments - 40)


def test_unicode_in_place_of_a_refused_alphabet_keeps_to_the_most_segments() -> None:
    stage = Stage(refusing_the_alphabet, MAX_SEGMENTS="4")
    assert stage.call(body(text=long_text(4))).status == 502
    assert len(stage.requests) == 1


def test_unicode_in_place_of_a_refused_alphabet_is_counted_as_what_it_costs() -> None:
    stage = Stage(refusing_the_alphabet, MAX_SEGMENTS="9", LIMITS="recipient=off; total=5/hour")
    assert stage.call(body(text=long_text(2))).status == 200
    assert [json.loads(request.content)["type"] for request in stage.requests] == ["GSM", "Unicode"]
    # Five of five are spent: two segments of GSM-7 were five of UCS-2.
    assert stage.call(body(recipient="+12025550111")).status == 429


def test_unicode_that_is_too_much_for_a_budget_does_not_leave() -> None:
    stage = Stage(refusing_the_alphabet, MAX_SEGMENTS="9", LIMITS="recipient=off; total=4/hour")
    assert stage.call(body(text=long_text(2))).status == 429
    assert len(stage.requests) == 1
    # What was refused is not counted.
    assert stage.call(body(recipient="+12025550111")).status == 200


@pytest.mark.parametrize(("path", "reached"), [("/", "4915062345679"), ("/hooks/strips_the_plus", "15062345679")])
def test_a_platform_whose_digits_are_international_is_read_so_whatever_the_setting_says(path: str, reached: str) -> None:
    settings = load(ENVIRONMENT | {"ALLOWED_REGIONS": "*", "DEFAULT_REGION": "DE", "BARE_DIGITS": "national"})
    sent: list[str] = []

    def mitto(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content)["to"])
        return httpx.Response(200, json={"responseCode": 0, "id": "m1"})

    hook = Hook(
        settings,
        mitto_over(httpx.MockTransport(mitto), settings),
        Stores(MemoryIdempotencyStore(600), MemoryIdempotencyStore(600), MemoryCounterStore(), b"key of the tests"),
        lambda _: None,
        platforms={"strips_the_plus": PLATFORM._replace(digits_are_international=True)},
    )
    reply = asyncio.run(hook.respond(Call("POST", path, AUTHORIZED, pieces(body(recipient="15062345679")))))
    assert (reply.status, sent) == (200, [reached])


def test_a_mount_that_hangs_holds_up_nobody_beyond_the_deadline(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(SECRET)
    settings = load(
        {**ENVIRONMENT, "HOOK_SECRETS": "", "HOOK_SECRETS_FILE": str(file), "DEADLINE_SECONDS": "0.5", "CONNECT_TIMEOUT_SECONDS": "0.3"}
    )
    hook = Hook(
        settings,
        mitto_over(httpx.MockTransport(lambda _: httpx.Response(500)), settings),
        Stores(MemoryIdempotencyStore(600), MemoryIdempotencyStore(600), MemoryCounterStore(), b"key of the tests"),
        lambda _: None,
    )

    async def scenario() -> list[int]:
        file.unlink()
        os.mkfifo(file)
        wrong = {b"authorization": b"Bearer wrong-secret-of-the-tests-0001"}
        async with asyncio.timeout(5):
            statuses = [(await hook.respond(Call("POST", "/", wrong, pieces(body())))).status for _ in range(2)]
        # Whoever still reads it comes to an end.
        os.close(os.open(file, os.O_WRONLY))
        return statuses

    assert asyncio.run(scenario()) == [401, 401]
