"""What the caller is told: the table of the contract, row by row, and never a word of what it sent."""

import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.platforms._native_response import HEALTHY, RESPONSES, RETRYABLE, respond
from mitto_phone_hook.telemetry.log_lines import SEVERITIES
from support.stage import Stage, body

REQUEST_ID = "0123456789abcdef0123"


class Promise(NamedTuple):
    status: int
    code: str
    is_retryable: bool


PROMISES = {
    Outcome.METHOD_NOT_ALLOWED: Promise(405, "method_not_allowed", is_retryable=False),
    Outcome.NOT_FOUND: Promise(404, "not_found", is_retryable=False),
    Outcome.BODY_TOO_LARGE: Promise(413, "body_too_large", is_retryable=False),
    Outcome.UNSUPPORTED_ENCODING: Promise(415, "unsupported_encoding", is_retryable=False),
    Outcome.UNAUTHORIZED: Promise(401, "unauthorized", is_retryable=False),
    Outcome.INVALID_JSON: Promise(400, "invalid_json", is_retryable=False),
    Outcome.INVALID_REQUEST: Promise(422, "invalid_request", is_retryable=False),
    Outcome.INVALID_RECIPIENT: Promise(422, "invalid_recipient", is_retryable=False),
    Outcome.VOICE_UNSUPPORTED: Promise(422, "voice_unsupported", is_retryable=False),
    Outcome.BLOCKED_COUNTRY: Promise(422, "blocked_country", is_retryable=False),
    Outcome.BLOCKED_NUMBER_TYPE: Promise(422, "blocked_number_type", is_retryable=False),
    Outcome.BLOCKED_RECIPIENT: Promise(422, "blocked_recipient", is_retryable=False),
    Outcome.CODE_EXPIRED: Promise(422, "code_expired", is_retryable=False),
    Outcome.TEXT_TOO_LONG: Promise(422, "text_too_long", is_retryable=False),
    Outcome.IN_PROGRESS: Promise(409, "in_progress", is_retryable=False),
    Outcome.RATE_LIMITED: Promise(429, "rate_limited", is_retryable=True),
    Outcome.UPSTREAM_REJECTED: Promise(502, "upstream_rejected", is_retryable=False),
    Outcome.UPSTREAM_AUTH: Promise(502, "upstream_auth", is_retryable=False),
    Outcome.UPSTREAM_UNAVAILABLE: Promise(503, "upstream_unavailable", is_retryable=True),
    Outcome.OUTCOME_UNKNOWN: Promise(504, "outcome_unknown", is_retryable=False),
    Outcome.INTERNAL_ERROR: Promise(500, "internal_error", is_retryable=False),
}
"""The table of the contract, written by hand: what callers and dashboards rely on."""

FAILURES = [pytest.param(outcome, id=outcome.value) for outcome in PROMISES]


def test_every_outcome_has_a_promise_a_reply_and_a_severity() -> None:
    assert set(PROMISES) | {Outcome.ACCEPTED, Outcome.IGNORED} == set(Outcome)
    assert set(RESPONSES) == set(Outcome)
    assert set(SEVERITIES) == set(Outcome)


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_failure_is_told_as_the_contract_promises(outcome: Outcome) -> None:
    promise = PROMISES[outcome]
    reply = respond(Result(outcome, why="a_word_for_the_operator"), REQUEST_ID)
    content = json.loads(reply.body)
    message = content["error"].pop("message")
    assert reply.status == promise.status
    assert content == {"error": {"code": promise.code, "retryable": promise.is_retryable, "request_id": REQUEST_ID}}
    assert message.endswith(".")
    assert len(message) > 20


@pytest.mark.parametrize(
    ("recipient", "why", "steps"),
    [
        pytest.param("15062345679", "ambiguous_number", ["with +", "BARE_DIGITS"], id="ambiguous"),
        pytest.param("+22507123456", "old_number_plan", ["numbering plan", "old"], id="old plan"),
        pytest.param("+999123456789", "no_such_number", ["with +", "DEFAULT_REGION"], id="no number at all"),
    ],
)
def test_the_sentence_names_the_way_out_of_this_very_cause(recipient: str, why: str, steps: list[str]) -> None:
    stage = Stage(ALLOWED_REGIONS="*", DEFAULT_REGION="DE")
    reply = stage.call(body(recipient=recipient))
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["code"], stage.lines[0]["why"]) == (422, "invalid_recipient", why)
    assert [step for step in steps if step not in error["message"]] == []
    assert error["message"].endswith(" Fields: recipient.")
    assert recipient not in reply.body.decode()


def test_success_is_exactly_200_with_everything_the_caller_may_know() -> None:
    reply = respond(Result(Outcome.ACCEPTED, message_id="7d4f", segments=2), REQUEST_ID)
    assert reply.status == 200
    assert json.loads(reply.body) == {
        "status": "accepted",
        "message_id": "7d4f",
        "segments": 2,
        "duplicate": False,
        "request_id": REQUEST_ID,
    }


def test_a_duplicate_is_a_success_that_says_so() -> None:
    reply = respond(Result(Outcome.ACCEPTED, message_id="7d4f", segments=1, is_duplicate=True), REQUEST_ID)
    assert (reply.status, json.loads(reply.body)["duplicate"]) == (200, True)


def test_a_hidden_character_is_named_by_its_number_in_the_text() -> None:
    stage = Stage()
    reply = stage.call(json.dumps({"recipient": "+12025550110", "text": "Code 730\u200d175 canary"}).encode())
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["code"]) == (422, "invalid_request")
    assert error["message"].endswith(" Fields: text. Look at character 9, which may be invisible.")
    assert (stage.lines[0]["why"], stage.lines[0]["fields"], stage.requests) == ("hidden_character", ("text",), [])
    assert "canary" not in f"{reply.body!r} {stage.lines}"


def test_in_test_mode_mitto_may_give_no_id() -> None:
    assert json.loads(respond(Result(Outcome.ACCEPTED, segments=1), REQUEST_ID).body)["message_id"] is None


@pytest.mark.parametrize("outcome", [*Outcome])
def test_every_reply_is_json_that_nobody_caches_or_guesses_at(outcome: Outcome) -> None:
    reply = respond(Result(outcome), REQUEST_ID)
    assert json.loads(reply.body)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_nobody_is_told_to_repeat_a_message_that_may_have_left() -> None:
    assert {Outcome.ACCEPTED, Outcome.IN_PROGRESS, Outcome.OUTCOME_UNKNOWN, Outcome.INTERNAL_ERROR}.isdisjoint(RETRYABLE)
    assert {Outcome.RATE_LIMITED, Outcome.UPSTREAM_UNAVAILABLE} == RETRYABLE


def test_a_callers_fault_is_never_told_as_a_fault_of_ours() -> None:
    ours = {outcome for outcome, promise in PROMISES.items() if promise.status >= 500}
    assert {outcome for outcome in Outcome if respond(Result(outcome), REQUEST_ID).status >= 500} == ours
    assert all(outcome.startswith("upstream_") or outcome in {Outcome.OUTCOME_UNKNOWN, Outcome.INTERNAL_ERROR} for outcome in ours)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome not in {Outcome.RATE_LIMITED, Outcome.UPSTREAM_UNAVAILABLE}])
def test_retry_after_stands_nowhere_else_even_where_a_time_is_known(outcome: Outcome) -> None:
    assert "retry-after" not in respond(Result(outcome, retry_after_seconds=7), REQUEST_ID).headers


@pytest.mark.parametrize("outcome", [Outcome.RATE_LIMITED, Outcome.UPSTREAM_UNAVAILABLE])
@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        pytest.param(None, "5", id="unknown"),
        pytest.param(1, "1", id="one second"),
        pytest.param(7, "7", id="seven seconds"),
        pytest.param(3600, "3600", id="an hour"),
        pytest.param(3601, "3600", id="a second more"),
        pytest.param(999_999, "3600", id="eleven days"),
        pytest.param(-5, "1", id="in the past"),
    ],
)
def test_retry_after_is_whole_seconds_within_an_hour(outcome: Outcome, seconds: int | None, told: str) -> None:
    assert respond(Result(outcome, retry_after_seconds=seconds), REQUEST_ID).headers["retry-after"] == told


@given(st.integers())
def test_whatever_time_is_known_retry_after_stays_within_its_bounds(seconds: int) -> None:
    told = respond(Result(Outcome.RATE_LIMITED, retry_after_seconds=seconds), REQUEST_ID).headers["retry-after"]
    assert told.isdecimal()
    assert 1 <= int(told) <= 3600


def test_the_fields_at_fault_are_named_behind_the_sentence() -> None:
    bare = json.loads(respond(Result(Outcome.INVALID_REQUEST), REQUEST_ID).body)["error"]["message"]
    named = json.loads(respond(Result(Outcome.INVALID_REQUEST, fields=("text", "context.code")), REQUEST_ID).body)["error"]["message"]
    assert named == f"{bare} Fields: text, context.code."


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_reply_holds_nothing_of_a_result_but_what_the_contract_names(outcome: Outcome) -> None:
    full = Result(outcome, why="mitto_code_5", message_id="7d4f", segments=3, is_duplicate=True, retry_after_seconds=5)
    assert respond(full, REQUEST_ID).body == respond(Result(outcome), REQUEST_ID).body


def test_the_allow_header_stands_on_a_wrong_method_only() -> None:
    stage = Stage()
    assert stage.call(b"", method="POST", path="/health").headers["allow"] == "GET, HEAD"
    assert stage.call(b"", method="GET", path="/").headers["allow"] == "POST"
    assert "allow" not in stage.call(b"", headers={}).headers
    assert "allow" not in stage.call(b"", path="/nowhere").headers


def test_a_401_names_the_scheme() -> None:
    assert respond(Result(Outcome.UNAUTHORIZED), REQUEST_ID).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/", "/hooks/native", "/hooks/okta", "/hooks/clerk"])
def test_the_connection_ends_where_the_body_was_not_read(path: str) -> None:
    stage = Stage()
    unread = [stage.call(b"", method="GET", path=path), stage.call(b"", path=f"{path}/x"), stage.call(b"0" * 70_000, path=path)]
    assert [response.headers.get("connection") for response in unread] == ["close"] * 3
    assert [line["event"] for line in stage.lines] == ["method_not_allowed", "not_found", "body_too_large"]
    assert "connection" not in stage.call(b"{}", headers={}, path=path).headers


def test_one_reply_cannot_change_the_headers_of_the_next() -> None:
    respond(Result(Outcome.INVALID_JSON), REQUEST_ID).headers["x-leak"] = "1"
    assert "x-leak" not in respond(Result(Outcome.INVALID_JSON), REQUEST_ID).headers


def test_health_is_told_in_one_constant_reply() -> None:
    assert (HEALTHY.status, HEALTHY.body) == (200, b'{"status":"ok"}')
    assert HEALTHY.headers["cache-control"] == "no-store"
