"""What follows a message: delivery reports, conversions and test numbers, through the whole hook."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mitto_phone_hook.config.settings import SettingsError, load
from mitto_phone_hook.follow_ups import REPORT_SECONDS
from mitto_phone_hook.hook import Hook
from mitto_phone_hook.request import Call
from mitto_phone_hook.storage.message_records import MemoryRecordStore, key_of_id
from mitto_phone_hook.telemetry.log_lines import FIELDS, as_line
from support.messages import mitto_over
from support.report_forms import READABLE, UNREADABLE, filled
from support.stage import AUTHORIZED, CODE, ENVIRONMENT, SECRET, Stage, body, pieces
from support.turns import some_turns, until

TOKEN, OTHER_TOKEN = "report-secret-of-the-tests-1", "report-secret-of-the-tests-2"
REPORTS = {"REPORT_SECRETS": TOKEN}
CONVERSIONS = {"CONVERSIONS": "on"}
NUMBER = "+12025550110"


def reported(stage: Stage) -> list[object]:
    return [line["event"] for line in stage.lines if line.get("route") == "/reports/*"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_report_says_when_a_message_was_on_the_handset(method: str) -> None:
    now = [1_800_000_000.0]
    stage = Stage(None, lambda: now[0], **REPORTS)
    sent = json.loads((await stage.acall(body())).body)
    now[0] += 4.2
    fields = f"msgid={sent['message_id']}&status=DELIVERED&mcc=310&mnc=260&reference={sent['request_id']}".encode()
    as_query, as_body = (fields, b"") if method == "GET" else (b"", fields)
    reply = await stage.acall(as_body, {}, method, f"/reports/{TOKEN}", as_query)
    await until(lambda: len(stage.lines) == 2)
    assert (reply.status, reply.body) == (200, b'{"status":"ok"}')
    line = stage.lines[1]
    assert (line["event"], line["after_seconds"], line["request_id"], line["message_id"]) == ("delivered", 4.2, sent["request_id"], "m1")
    assert (line["region"], line["network"], line["recipient"]) == ("US", "310-260", "+1********10")


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 60_000, b"x" * 70_000, b"\xff" * 100, b"status=DELIVERED", b"[1,2,3]"])
async def test_with_the_right_secret_the_response_is_200_whatever_the_content(content: bytes) -> None:
    stage = Stage(**REPORTS)
    assert (await stage.acall(content, {}, "POST", f"/reports/{TOKEN}")).status == 200
    assert reported(stage) == ["report_unreadable"]


@pytest.mark.parametrize(
    "headers", [{b"content-encoding": b"gzip"}, {b"content-type": b"multipart/form-data"}, {b"content-length": b"999999"}]
)
async def test_a_body_that_is_not_read_is_answered_with_200_too(headers: dict[bytes, bytes]) -> None:
    stage = Stage(**REPORTS)
    reply = await stage.acall(b"msgid=1&status=SENT", headers, "POST", f"/reports/{TOKEN}")
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert reported(stage) == ["report_unreadable"]


async def test_a_caller_that_hangs_up_in_its_report_raises_nothing() -> None:
    async def hang_up() -> AsyncIterator[bytes]:
        yield b"msgid=1"
        raise ConnectionError

    stage = Stage(**REPORTS)
    assert (await stage.hook.respond(Call("POST", f"/reports/{TOKEN}", {}, hang_up()))).status == 200


@pytest.mark.parametrize(
    "path", ["/reports/", "/reports/x", f"/reports/{TOKEN}x", f"/reports/{TOKEN}/", f"/reports/{SECRET}", "/reports/\xff"]
)
async def test_a_wrong_secret_is_an_unknown_path_and_counted_in_one_line(path: str) -> None:
    stage = Stage(**REPORTS)
    unknown = await Stage().acall(b"", {}, "POST", path)
    for _ in range(50):
        reply = await stage.acall(b"msgid=1&status=DELIVERED", {}, "POST", path)
        assert (reply.status, reply.headers) == (unknown.status, unknown.headers) == (404, reply.headers)
    await some_turns()
    assert stage.lines == [{"severity": "WARNING", "event": "report_refused", "route": "/reports/*", "count": 1}]


async def test_without_secrets_there_are_no_reports() -> None:
    stage = Stage()
    assert (await stage.acall(b"", {}, "GET", f"/reports/{TOKEN}")).status == 404
    assert [line["event"] for line in stage.lines] == ["not_found"]


async def test_another_method_is_refused() -> None:
    reply = await Stage(**REPORTS).acall(b"", {}, "DELETE", f"/reports/{TOKEN}")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST")


async def test_every_secret_counts_and_messages_carry_the_first() -> None:
    stage = Stage(REPORT_SECRETS=f"{OTHER_TOKEN} {TOKEN}", PUBLIC_URL="https://hook.example.com/sms/")
    for token in (TOKEN, OTHER_TOKEN):
        assert (await stage.acall(b"", {}, "GET", f"/reports/{token}")).status == 200
    await stage.acall(body())
    [request] = stage.requests
    assert json.loads(request.content)["callback"] == f"https://hook.example.com/sms/reports/{OTHER_TOKEN}"
    printed = "".join(map(as_line, stage.lines)) + repr(stage.hook.settings)
    assert TOKEN not in printed
    assert OTHER_TOKEN not in printed


@pytest.mark.parametrize("settings", [REPORTS, {}])
async def test_without_a_public_address_messages_carry_no_callback(settings: dict[str, str]) -> None:
    stage = Stage(**settings)
    await stage.acall(body())
    assert "callback" not in json.loads(stage.requests[0].content)


async def test_a_secret_is_rotated_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(TOKEN)
    settings = load(ENVIRONMENT | {"REPORT_SECRETS_FILE": str(file), "PUBLIC_URL": "https://hook.example.com"})
    stage = Stage()
    hook = Hook(settings, mitto_over(httpx.MockTransport(lambda _: httpx.Response(500)), settings), stage.stores, lambda _: None)
    file.write_text(OTHER_TOKEN)
    assert (await hook.respond(Call("GET", f"/reports/{OTHER_TOKEN}", {}, pieces(b"")))).status == 200
    assert (await hook.respond(Call("GET", f"/reports/{TOKEN}", {}, pieces(b"")))).status == 404
    assert settings.callback
    assert settings.callback(0.0) == f"https://hook.example.com/reports/{OTHER_TOKEN}"


async def test_a_duplicate_has_no_record_of_its_own() -> None:
    stage = Stage(**REPORTS)
    first, second = [json.loads((await stage.acall(body())).body) for _ in range(2)]
    assert second["duplicate"] is True
    await stage.acall(b"", {}, "GET", f"/reports/{TOKEN}", b"msgid=m1&status=DELIVERED")
    await until(lambda: "delivered" in reported(stage))
    assert stage.lines[-1]["request_id"] == first["request_id"]


async def test_the_outcome_of_an_unknown_message_comes_with_its_report() -> None:
    stage = Stage(lambda _: httpx.Response(500), **REPORTS)
    await stage.acall(body())
    request_id = stage.lines[0]["request_id"]
    assert stage.lines[0]["event"] == "outcome_unknown"
    await stage.acall(b"", {}, "GET", f"/reports/{TOKEN}", f"msgid=m9&status=DELIVERED&reference={request_id}".encode())
    await until(lambda: "delivered" in reported(stage))
    assert stage.lines[1]["request_id"] == request_id


@pytest.mark.parametrize("form", [*READABLE, *UNREADABLE])
async def test_every_form_is_answered_with_200_at_once(form: str) -> None:
    query, content = (filled(part) for part in (READABLE | UNREADABLE)[form][:2])
    stage = Stage(**REPORTS)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        reply = await stage.acall(content, {}, "POST" if content else "GET", f"/reports/{TOKEN}", query)
        seconds.append(time.process_time() - started)
        assert reply.status == 200
    assert min(seconds) < 0.005
    printed = "".join(map(as_line, stage.lines))
    assert not [secret for secret in (TOKEN, SECRET, NUMBER[1:]) if secret in printed]


async def test_no_line_of_a_report_holds_a_secret_a_code_or_a_number() -> None:
    stage = Stage(**REPORTS)
    await stage.acall(body())
    hostile = [TOKEN, SECRET, CODE, NUMBER, NUMBER[1:], f"Your code is {CODE}", f"{TOKEN}\n", f"m1{CODE}"]
    names = ["msgid", "status", "errorcode", "reference", "mcc", "mnc", "receiver", "x"]
    for value in hostile:
        for field in names:
            fields = {"msgid": "m1", "status": "FAILED", "receiver": NUMBER} | {field: value}
            await stage.acall(json.dumps(fields).encode(), {}, "POST", f"/reports/{TOKEN}")
    await some_turns()
    printed = "".join(map(as_line, stage.lines))
    assert all(set(line) <= set(FIELDS) for line in stage.lines)
    for secret in (TOKEN, SECRET, CODE, NUMBER[1:]):
        assert secret not in printed


# Conversions


def converting(status: int = 200, **settings: str) -> tuple[Stage, list[Any]]:
    told: list[Any] = []

    def mitto(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/sms.json":
            return httpx.Response(200, json={"responseCode": 0, "id": "m1"})
        told.append((request.url.path, json.loads(request.content), request.headers["x-mitto-api-key"]))
        return httpx.Response(status)

    return Stage(mitto, **CONVERSIONS | settings), told


async def convert(stage: Stage, fields: object, headers: dict[bytes, bytes] = AUTHORIZED) -> int:
    content = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return (await stage.acall(content, headers, "POST", "/conversions")).status


def ends(stage: Stage) -> list[tuple[object, object]]:
    return [(line["event"], line.get("why")) for line in stage.lines if line["event"] in ("converted", "conversion_failed")]


@pytest.mark.parametrize("fields", [{"recipient": NUMBER}, {"message_id": "m1"}, b"message_id=m1", b"recipient=%2B1+202+555+0110"])
async def test_mitto_hears_once_that_a_code_was_used(fields: object) -> None:
    stage, told = converting()
    await stage.acall(body())
    assert await convert(stage, fields) == 202
    await until(lambda: len(ends(stage)) == 1)
    assert await convert(stage, fields) == 202
    await until(lambda: len(ends(stage)) == 2)
    assert ends(stage) == [("converted", None), ("conversion_failed", "already_converted")]
    assert told == [("/sms/converted", {"messageId": "m1"}, "key-of-the-tests")]
    line = next(line for line in stage.lines if line["event"] == "converted")
    assert (line["severity"], line["region"], line["message_id"], line["recipient"]) == ("INFO", "US", "m1", "+1********10")
    assert NUMBER[1:] not in "".join(map(as_line, stage.lines))


@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_a_refusal_of_mitto_is_one_line_and_is_not_tried_again(status: int) -> None:
    stage, told = converting(status)
    await stage.acall(body())
    for _ in range(2):
        assert await convert(stage, {"recipient": NUMBER}) == 202
        await some_turns()
    assert ends(stage) == [("conversion_failed", f"http_{status}"), ("conversion_failed", "already_converted")]
    assert len(told) == 1


@pytest.mark.parametrize("fields", [{"recipient": "+12025550111"}, {"message_id": "m2"}])
async def test_a_conversion_without_a_message_is_told_to_nobody(fields: object) -> None:
    stage, told = converting()
    await stage.acall(body())
    assert await convert(stage, fields) == 202
    await until(lambda: bool(ends(stage)))
    assert (ends(stage), told) == ([("conversion_failed", "no_message")], [])


async def test_a_message_converts_for_half_an_hour() -> None:
    now = [1_800_000_000.0]
    stage = Stage(None, lambda: now[0], **CONVERSIONS)
    await stage.acall(body())
    now[0] += 1801
    await convert(stage, {"message_id": "m1"})
    await until(lambda: bool(ends(stage)))
    assert ends(stage) == [("conversion_failed", "no_message")]


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({"recipient": NUMBER}, {}, 401),
        ({"recipient": NUMBER}, {b"authorization": b"Bearer wrong-secret-of-the-tests-0001"}, 401),
        ({}, AUTHORIZED, 422),
        ({"recipient": 5}, AUTHORIZED, 422),
        ({"recipient": "nobody"}, AUTHORIZED, 422),
        (b"{", AUTHORIZED, 400),
        (b"[1]", AUTHORIZED, 422),
        (b"x" * 70_000, AUTHORIZED, 413),
    ],
)
async def test_a_conversion_that_cannot_be_read_is_refused_as_a_message_is(
    fields: object, headers: dict[bytes, bytes], status: int
) -> None:
    stage, told = converting()
    assert await convert(stage, fields, headers) == status
    assert (len(stage.lines), stage.lines[0]["route"], told) == (1, "/conversions", [])


async def test_conversions_have_the_secrets_of_the_native_route() -> None:
    stage, _ = converting(HOOK_SECRETS_NATIVE="native-secret-of-the-tests-1")
    assert await convert(stage, {"message_id": "m1"}) == 401
    assert await convert(stage, {"message_id": "m1"}, {b"authorization": b"Bearer native-secret-of-the-tests-1"}) == 202


async def test_conversions_are_off_unless_they_are_on() -> None:
    stage = Stage(**REPORTS)
    assert await convert(stage, {"message_id": "m1"}) == 404


async def test_a_mitto_that_hangs_delays_nobody() -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    settings = load(ENVIRONMENT | CONVERSIONS)
    stage, lines = Stage(), list[Any]()
    hook = Hook(settings, mitto_over(httpx.MockTransport(hang), settings), stage.stores, lines.append)
    async with asyncio.timeout(5):
        reply = await hook.respond(Call("POST", "/conversions", AUTHORIZED, pieces(b'{"message_id":"m1"}')))
    assert reply.status == 202


# Test numbers

TEST_NUMBERS = {"TEST_NUMBERS": "+15005550006=739105,+12025550110=abc"}


@pytest.mark.parametrize(
    ("number", "code", "why"),
    [("+15005550006", CODE, None), ("+15005550006", "111222", "other_code"), (NUMBER, CODE, "other_code")],
)
async def test_a_test_number_gets_no_message_and_counts_nowhere(number: str, code: str, why: str | None) -> None:
    stage = Stage(LIMITS="total=1/hour", **TEST_NUMBERS, **REPORTS, **CONVERSIONS)
    for _ in range(3):
        reply = await stage.acall(body(recipient=number, context={"code": code}))
        assert (reply.status, json.loads(reply.body)["test"]) == (200, True)
    assert stage.requests == []
    assert [(line["event"], line.get("why"), line.get("message_id")) for line in stage.lines] == [("test_number", why, None)] * 3
    assert code not in "".join(map(as_line, stage.lines))
    assert (await stage.acall(body(recipient="+12025550111"))).status == 200
    assert len(stage.requests) == 1


async def test_a_test_number_without_a_code_beside_the_text_is_compared_with_the_text() -> None:
    stage = Stage(**TEST_NUMBERS)
    for code in (CODE, "111222"):
        content = json.dumps({"recipient": "+15005550006", "text": f"Your code is {code}"}).encode()
        assert (await stage.acall(content)).status == 200
    assert [line.get("why") for line in stage.lines] == [None, "other_code"]


async def test_a_test_number_needs_the_secret_like_every_other() -> None:
    assert (await Stage(**TEST_NUMBERS).acall(body(recipient="+15005550006"), {})).status == 401


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"REPORT_SECRETS": "short"}, "REPORT_SECRETS every secret must be"),
        ({"REPORT_SECRETS": "with/slash-and-24-characters"}, "REPORT_SECRETS every secret must be"),
        ({"PUBLIC_URL": "https://hook.example.com"}, "PUBLIC_URL needs REPORT_SECRETS"),
        (REPORTS | {"PUBLIC_URL": "http://hook.example.com"}, "PUBLIC_URL must be https://"),
        (REPORTS | {"PUBLIC_URL": "https://hook.example.com?x"}, "PUBLIC_URL must be https://"),
        ({"TEST_NUMBERS": "15005550006=1"}, "TEST_NUMBERS must be complete E.164 numbers"),
        ({"TEST_NUMBERS": "+15005550006"}, "TEST_NUMBERS must be complete E.164 numbers"),
        ({"TEST_NUMBERS": "+15005550006=1,+15005550006=2"}, "TEST_NUMBERS must name each number once"),
        ({"CONVERSIONS": "maybe"}, "CONVERSIONS must be true or false"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(ENVIRONMENT | settings)
    [found] = caught.value.problems
    assert found.startswith(problem)
    assert not any(value in found for value in ("slash", "example", "005=", "maybe"))


async def test_reports_of_a_storm_take_turns_and_all_are_taken() -> None:
    stage = Stage(**REPORTS)
    clock = asyncio.get_running_loop().time
    calls = [stage.acall(b"", {}, "GET", f"/reports/{TOKEN}", b"msgid=%d&status=DELIVERED" % number) for number in range(20)]
    began = clock()
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    assert clock() - began >= 19 * REPORT_SECONDS * 0.9


async def test_the_record_names_the_sender_id_that_was_used() -> None:
    records = MemoryRecordStore()
    stage = Stage(**REPORTS, SENDER_IDS="US=18005550100", MITTO_SENDER_ID="Acme")
    stage.hook = Hook(stage.hook.settings, stage.hook.mitto, stage.hook.stores._replace(records=records), stage.hook.emit)
    sent = json.loads((await stage.acall(body())).body)
    await some_turns()
    record = await records.find(key_of_id(sent["message_id"]))
    assert record is not None
    assert record.sender_id == "18005550100"
