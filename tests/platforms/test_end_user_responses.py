"""authentik and Logto show the body of a failure to people: one plain sentence, no JSON, no vendor."""

import json

import pytest

from mitto_phone_hook.domain.outcome import Outcome
from support.callers import Reading, call, reading, response_to, sample, sent
from support.stage import AUTHORIZED, SECRET, Stage

SUCCESSES = {Outcome.ACCEPTED, Outcome.IGNORED, Outcome.OUTCOME_UNKNOWN, Outcome.IN_PROGRESS}
each_platform = pytest.mark.parametrize("name", ["authentik", "logto"])


@each_platform
@pytest.mark.parametrize("outcome", Outcome)
def test_a_failure_is_one_short_plain_sentence(name: str, outcome: Outcome) -> None:
    response = response_to(name, outcome)
    if outcome in SUCCESSES:
        assert (response.status, response.body) == (200, b"{}")
        return
    text = response.body.decode()
    assert (reading(name, response), response.status >= 400) == (Reading.FAILURE, True)
    assert response.headers["content-type"].startswith("text/plain")
    assert len(text) < 80
    assert text.endswith(".")
    assert not [word for word in ("Mitto", "{", "SMS", str(outcome), "request-1") if word in text]


@each_platform
def test_what_the_user_can_mend_has_its_own_sentence(name: str) -> None:
    told = {outcome: response_to(name, outcome).body for outcome in Outcome}
    assert b"phone number" in told[Outcome.INVALID_RECIPIENT]
    assert told[Outcome.RATE_LIMITED] != told[Outcome.UPSTREAM_UNAVAILABLE] != told[Outcome.INVALID_RECIPIENT]


@each_platform
def test_a_number_that_is_none_is_told_in_words(name: str) -> None:
    body = {"authentik": {"To": "nobody", "Body": "049217"}, "logto": {"to": "123", "payload": {"code": "049217"}}}[name]
    response, stage = call(name, json.dumps(body).encode())
    assert (response.status, response.body, stage.requests) == (422, b"This phone number cannot receive a text message.", [])


@each_platform
@pytest.mark.parametrize("secret", [b"", b"Bearer another-secret-of-the-tests", b"Basic eDp5"])
def test_a_wrong_secret_is_refused(name: str, secret: bytes) -> None:
    response, stage = call(name, b"{}", headers={b"authorization": secret})
    assert (response.status, stage.requests) == (401, [])
    assert response.headers["content-type"].startswith("text/plain")


@each_platform
def test_a_bearer_and_a_bare_value_are_accepted(name: str) -> None:
    body = min(path for path in ("current", "sign_in") if (name == "authentik") == (path == "current"))
    for headers in (AUTHORIZED, {b"authorization": SECRET.encode()}):
        assert call(name, sample(name, body), headers=headers)[0].status == 200


def test_logto_sends_digits_only_a_code_and_the_language() -> None:
    _, stage = call("logto", sample("logto", "sign_in"), Stage(APP_NAME="Acme"))
    assert sent(stage) == [("12025550110", "Acme: 049217 ist Ihr Anmeldecode. Geben Sie ihn nicht weiter.")]


@pytest.mark.parametrize(
    ("stem", "text"),
    [
        ("current", "Use this code to authenticate in authentik: 049217"),
        ("old_without_message", "049217 is your verification code. Do not share it with anyone."),
    ],
)
def test_authentik_sends_its_text_or_the_bare_code(stem: str, text: str) -> None:
    _, stage = call("authentik", sample("authentik", stem))
    assert sent(stage) == [("12025550110", text)]
