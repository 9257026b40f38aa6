"""Okta reads only 200 with commands, and may send the message itself after anything else."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms import load_platform
from support.callers import Reading, call, reading, response_to, sample, sent
from support.processes import Process, function
from support.stage import Stage

MAY_HAVE_LEFT = {Outcome.ACCEPTED, Outcome.OUTCOME_UNKNOWN, Outcome.IN_PROGRESS, Outcome.INTERNAL_ERROR}


def status_in(body: bytes) -> str:
    [command] = json.loads(body)["commands"]
    [value] = command["value"]
    return str(value["status"])


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_a_command_and_only_what_was_not_sent_failed(outcome: Outcome) -> None:
    response = response_to("okta", outcome)
    assert response.status == (401 if outcome is Outcome.UNAUTHORIZED else 200)
    assert reading("okta", response) is (Reading.SUCCESS if outcome in MAY_HAVE_LEFT else Reading.SENT_BY_PLATFORM)
    assert status_in(response.body) in {"SUCCESSFUL", "PENDING", "FAILED"}
    assert "retry-after" not in response.headers


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"0" * 70_000])
def test_what_cannot_be_read_gets_200_with_commands_too(body: bytes) -> None:
    response, stage = call("okta", body)
    assert (response.status, status_in(response.body), stage.requests) == (200, "FAILED", [])


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/hooks/okta"), ("PUT", "/hooks/okta"), ("POST", "/hooks/okta/"), ("POST", "/hooks/okta/mfa")]
)
def test_a_wrong_path_or_method_gets_200_with_commands_too(method: str, path: str) -> None:
    stage = Stage()
    response = stage.call(sample("okta", "mfa"), method=method, path=path)
    assert (response.status, status_in(response.body), stage.requests) == (200, "FAILED", [])
    assert stage.lines[-1]["event"] in {"not_found", "method_not_allowed"}


MALFORMED = {
    "no host": b"POST /hooks/okta HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"POST /hooks/okta HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "broken field": b"POST /hooks/okta HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "long line": b"POST /hooks/okta?" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "many fields": b"POST /hooks/okta HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_request_that_breaks_the_rules_of_http_gets_200_with_commands_too(running: Process, name: str) -> None:
    head, body = raw_response(running.port, MALFORMED[name])
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-type: application/json" in head.lower()
    assert status_in(body) == "FAILED"


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("path", [b"/", b"/hooks/native", b"/hooks/clerk", b"/hooks/oktan"])
def test_such_a_request_gets_an_empty_refusal_elsewhere(running: Process, name: str, path: bytes) -> None:
    head, body = raw_response(running.port, MALFORMED[name].replace(b"/hooks/okta", path))
    assert (head.split()[1][:1], body) == (b"4", b"")


def raw_response(port: int, request: bytes) -> tuple[bytes, bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with function(tmp_path_factory.mktemp("okta") / "function.txt") as process:
        yield process


@pytest.mark.parametrize("resend_after", ["0", "30"])
def test_the_same_event_is_sent_once_and_another_one_is_not_held_back(resend_after: str) -> None:
    stage, payload = Stage(RESEND_AFTER_SECONDS=resend_after), json.loads(sample("okta", "mfa"))
    told = []
    for event in ("event-1", "event-1", "event-2"):
        response, _ = call("okta", json.dumps(payload | {"eventId": event}).encode(), stage)
        told.append(status_in(response.body))
    assert told == ["SUCCESSFUL"] * 3
    assert len(stage.requests) == (2 if resend_after == "0" else 1)


@pytest.mark.parametrize(("age_seconds", "event"), [(0, "accepted"), (200, "accepted"), (400, "code_expired"), (-3600, "accepted")])
def test_an_old_event_without_an_expiry_is_not_sent(age_seconds: int, event: str) -> None:
    payload = json.loads(sample("okta", "mfa"))
    payload["eventTime"] = (datetime.now(UTC) - timedelta(seconds=age_seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    response, stage = call("okta", json.dumps(payload).encode())
    assert (stage.lines[-1]["event"], status_in(response.body)) == (event, "SUCCESSFUL" if event == "accepted" else "FAILED")


def test_the_text_of_okta_is_sent_and_named_by_mittos_id() -> None:
    response, stage = call("okta", sample("okta", "mfa"))
    [value] = json.loads(response.body)["commands"][0]["value"]
    assert value == {"status": "SUCCESSFUL", "provider": "MITTO", "transactionId": "m1"}
    assert sent(stage) == [("12025550110", "Your code is 04921")]


@pytest.mark.parametrize("stem", ["voice", "voice_without_template"])
def test_a_phone_call_becomes_no_sms(stem: str) -> None:
    response, stage = call("okta", sample("okta", stem))
    assert (status_in(response.body), stage.lines[-1]["event"], stage.requests) == ("FAILED", "voice_unsupported", [])


def test_an_answer_of_mitto_that_never_comes_is_pending() -> None:
    def lost(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("")

    response, _ = call("okta", sample("okta", "mfa"), Stage(lost))
    assert status_in(response.body) == "PENDING"


@pytest.mark.parametrize(("seconds", "event"), [(120, "accepted"), (-1, "code_expired")])
def test_a_code_that_has_expired_is_not_sent(seconds: int, event: str) -> None:
    payload = json.loads(sample("okta", "mfa"))
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    payload["data"]["messageProfile"]["otpExpires"] = expires.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    _, stage = call("okta", json.dumps(payload).encode())
    assert (stage.lines[-1]["event"], len(stage.requests)) == (event, int(seconds > 0))


@pytest.mark.parametrize("expires", [None, "", "soon", 5, "2020-01-01T00:00:00"])
def test_an_expiry_that_cannot_be_read_refuses_nothing(expires: object) -> None:
    payload = json.loads(sample("okta", "mfa"))
    payload["data"]["messageProfile"]["otpExpires"] = expires
    assert len(call("okta", json.dumps(payload).encode())[1].requests) == 1


def test_it_responds_within_the_three_seconds_of_okta() -> None:
    assert load_platform("okta").timeout_seconds <= 2.5
