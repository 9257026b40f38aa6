"""Supabase reads errors only inside a 200, calls again at once for any Retry-After, and hands over a code without a text."""

import json

import pytest

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms import load_platform
from support.callers import Reading, call, reading, response_to, sample, sent
from support.stage import Stage

COUNTS_AS_SENT = {Outcome.ACCEPTED, Outcome.IGNORED, Outcome.OUTCOME_UNKNOWN, Outcome.IN_PROGRESS}


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_told_so_that_supabase_can_read_it(outcome: Outcome) -> None:
    response = response_to("supabase", outcome)
    assert reading("supabase", response) is (Reading.SUCCESS if outcome in COUNTS_AS_SENT else Reading.FAILURE)
    assert response.status == (401 if outcome is Outcome.UNAUTHORIZED else 200)
    assert "retry-after" not in response.headers
    assert b"Mitto" not in response.body


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.INVALID_RECIPIENT, 422), (Outcome.RATE_LIMITED, 429), (Outcome.UPSTREAM_UNAVAILABLE, 503), (Outcome.INTERNAL_ERROR, 500)],
)
def test_the_app_gets_the_status_in_the_error_object(outcome: Outcome, code: int) -> None:
    error = json.loads(response_to("supabase", outcome).body)["error"]
    assert error["http_code"] == code
    assert error["message"].endswith(".")


@pytest.mark.parametrize("name", ["current", "mfa", "before_sms_phone", "phone_change"])
def test_the_code_goes_to_the_number_of_the_message(name: str) -> None:
    response, stage = call("supabase", sample("supabase", name), Stage(APP_NAME="Acme"))
    assert (response.status, json.loads(response.body)) == (200, {})
    assert sent(stage) == [("12025550110", "Acme: 049217 ist Ihr Bestätigungscode. Geben Sie ihn nicht weiter.")]


@pytest.mark.parametrize("key", ["locale", "language", "lang"])
def test_the_code_comes_in_the_language_of_the_user(key: str) -> None:
    user = {"phone": "12025550110", "user_metadata": {key: "fr_CA"}}
    _, stage = call("supabase", json.dumps({"user": user, "sms": {"otp": "049217"}}).encode(), Stage(APP_NAME="Acme"))
    assert sent(stage) == [("12025550110", "Acme : 049217 est votre code de vérification. Ne le communiquez à personne.")]


def test_digits_are_international_whatever_the_settings_say() -> None:
    body = json.dumps({"user": {"phone": "41791234567"}, "sms": {"otp": "049217"}}).encode()
    _, stage = call("supabase", body, Stage(ALLOWED_REGIONS="CH", DEFAULT_REGION="US", BARE_DIGITS="national"))
    assert sent(stage) == [("41791234567", "049217 is your verification code. Do not share it with anyone.")]


def test_it_responds_within_the_five_seconds_of_supabase() -> None:
    assert load_platform("supabase").timeout_seconds <= 4


@pytest.mark.parametrize("change", [{"sms": {}}, {"sms": []}, {"user": None, "sms": {"otp": "1"}}, {"sms": {"otp": {"a": 1}}}])
def test_a_payload_without_number_or_code_sends_nothing(change: dict[str, object]) -> None:
    response, stage = call("supabase", json.dumps(json.loads(sample("supabase", "before_sms_phone")) | change).encode())
    assert reading("supabase", response) is Reading.FAILURE
    assert stage.requests == []
