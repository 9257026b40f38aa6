"""Okta reads only 200 with commands, and may send the message itself after anything else."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms import load_platform
from support.callers import Reading, call, reading, response_to, sample, sent
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
