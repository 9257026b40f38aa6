"""Clerk's events come through Svix: 2xx ends the attempts, everything else is repeated for about 28 hours."""

import base64
import json

import httpx
import pytest

from mitto_phone_hook.domain.outcome import Outcome
from support.callers import Reading, call, reading, response_to, sample, sent
from support.stage import SIGNING_KEY, Stage, signed

REPEATED = {
    *(Outcome.NOT_FOUND, Outcome.METHOD_NOT_ALLOWED, Outcome.BODY_TOO_LARGE, Outcome.UNSUPPORTED_ENCODING, Outcome.UNAUTHORIZED),
    *(Outcome.INVALID_JSON, Outcome.IN_PROGRESS, Outcome.RATE_LIMITED, Outcome.INTERNAL_ERROR),
    *(Outcome.UPSTREAM_AUTH, Outcome.UPSTREAM_UNAVAILABLE),
}
"""What a later attempt can change, and what never reached the message."""

NOW = 1_767_225_600


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_repeated_only_where_that_can_help(outcome: Outcome) -> None:
    response = response_to("clerk", outcome)
    assert reading("clerk", response) is (Reading.REPEATED if outcome in REPEATED else Reading.SUCCESS)
    if outcome not in REPEATED:
        assert (response.status, response.body) == (204, b"")


def test_a_limit_is_503() -> None:
    assert response_to("clerk", Outcome.RATE_LIMITED).status == 503


def test_a_message_is_sent() -> None:
    response, stage = call("clerk", sample("clerk", "sms_created"))
    assert (response.status, sent(stage)) == (204, [("12025550110", "049217 is your Acme verification code.")])


@pytest.mark.parametrize("stem", ["ignored_delivered_by_clerk", "ignored_user_created"])
def test_what_is_not_for_us_is_acknowledged_and_not_sent(stem: str) -> None:
    response, stage = call("clerk", sample("clerk", stem))
    line = stage.lines[-1]
    assert (response.status, line["severity"], line["event"], stage.requests) == (204, "INFO", "ignored", [])


@pytest.mark.parametrize("value", [None, True, 0, "false"])
def test_only_a_clear_false_means_that_clerk_does_not_deliver(value: object) -> None:
    event = json.loads(sample("clerk", "sms_created"))
    event["data"]["delivered_by_clerk"] = value
    _, stage = call("clerk", json.dumps(event).encode())
    assert (stage.lines[-1]["event"], stage.requests) == ("ignored", [])


def test_a_message_of_clerks_is_not_sent_a_second_time_where_the_event_has_no_type() -> None:
    event = json.loads(sample("clerk", "ignored_delivered_by_clerk"))
    del event["type"]
    _, stage = call("clerk", json.dumps(event).encode())
    assert (stage.lines[-1]["event"], stage.requests) == ("ignored", [])


@pytest.mark.parametrize(("age", "event"), [(5, "accepted"), (400, "code_expired"), (7 * 3600, "code_expired")])
def test_an_attempt_of_hours_later_does_not_deliver_a_dead_code(age: int, event: str) -> None:
    body = json.dumps(json.loads(sample("clerk", "sms_created")) | {"timestamp": NOW * 1000}).encode()
    stage = Stage(None, lambda: NOW + age)
    response, _ = call("clerk", body, stage)
    assert (response.status, stage.lines[-1]["event"], len(stage.requests)) == (204, event, int(event == "accepted"))


def test_a_retry_after_the_code_has_expired_gets_the_first_result() -> None:
    body = json.dumps(json.loads(sample("clerk", "sms_created")) | {"timestamp": NOW * 1000}).encode()
    age = 5
    stage = Stage(None, lambda: NOW + age, HOOK_SECRETS=f"whsec_{base64.b64encode(SIGNING_KEY).decode()}")
    stage.call(body, signed(body, "msg_1", NOW + age), path="/hooks/clerk")
    # Svix signs each attempt anew, with the same id.
    age = 400
    stage.call(body, signed(body, "msg_1", NOW + age), path="/hooks/clerk")
    stage.call(body, signed(body, "msg_2", NOW + age), path="/hooks/clerk")
    assert [(line["event"], line.get("duplicate")) for line in stage.lines] == [
        ("accepted", None),
        ("accepted", True),
        ("code_expired", None),
    ]
    assert len(stage.requests) == 1


def test_a_failure_is_repeated_and_then_sent_once() -> None:
    replies = iter([httpx.Response(503)] * 3 + [httpx.Response(200, json={"responseCode": 0, "id": "m1"})])
    stage = Stage(lambda _: next(replies), MAX_ATTEMPTS="3")
    body = sample("clerk", "sms_created")
    assert [call("clerk", body, stage)[0].status for _ in range(3)] == [503, 204, 204]
    assert len(stage.requests) == 4


@pytest.mark.parametrize("timestamp", ["soon", -1, 10**20, True])
def test_a_time_that_cannot_be_read_is_refused(timestamp: object) -> None:
    body = json.dumps(json.loads(sample("clerk", "sms_created")) | {"timestamp": timestamp}).encode()
    _, stage = call("clerk", body)
    assert (stage.lines[-1]["event"], stage.requests) == ("invalid_request", [])
