"""Authgear takes every object without ``"code": "ok"`` for a failure, and shows the user one sentence per code."""

import json

import pytest

from mitto_phone_hook.domain.outcome import Outcome
from support.callers import Reading, call, reading, response_to, sample, sent

SUCCESSES = {Outcome.ACCEPTED, Outcome.IGNORED, Outcome.OUTCOME_UNKNOWN, Outcome.IN_PROGRESS}
CODES = {"invalid_phone_number", "rate_limited", "authentication_failed", "unsupported_request", "delivery_rejected", "timeout"}


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.UNAUTHORIZED])
def test_every_outcome_has_a_code_of_authgear(outcome: Outcome) -> None:
    response = response_to("authgear", outcome)
    content = json.loads(response.body)
    assert reading("authgear", response) is (Reading.SUCCESS if outcome in SUCCESSES else Reading.FAILURE)
    assert (response.status == 200) == (content == {"code": "ok"})
    assert content["code"] in CODES | {"ok"}


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        (Outcome.INVALID_RECIPIENT, 400, "invalid_phone_number"),
        (Outcome.RATE_LIMITED, 429, "rate_limited"),
        (Outcome.UPSTREAM_UNAVAILABLE, 500, "timeout"),
        (Outcome.UPSTREAM_AUTH, 500, "authentication_failed"),
        (Outcome.UPSTREAM_REJECTED, 500, "delivery_rejected"),
        (Outcome.INVALID_JSON, 400, "unsupported_request"),
    ],
)
def test_the_user_is_told_the_right_cause(outcome: Outcome, status: int, code: str) -> None:
    response = response_to("authgear", outcome)
    assert (response.status, json.loads(response.body)) == (status, {"code": code})


def test_a_stranger_gets_an_empty_body() -> None:
    response = response_to("authgear", Outcome.UNAUTHORIZED)
    assert (response.status, response.body) == (401, b"")


def test_a_link_without_a_code_is_sent() -> None:
    _, stage = call("authgear", sample("authgear", "forgot_password_link"))
    assert sent(stage) == [("12025550110", "Reset your password: https://auth.example.org/reset?code=x")]
