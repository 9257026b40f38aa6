"""FusionAuth and Descope read the status only; neither calls again by itself."""

import json

import pytest

from mitto_phone_hook.domain.outcome import Outcome
from support.callers import Reading, call, reading, response_to, sample, sent
from support.stage import SECRET, Stage

SUCCESSES = {Outcome.ACCEPTED, Outcome.IGNORED, Outcome.OUTCOME_UNKNOWN}
each_platform = pytest.mark.parametrize("name", ["fusionauth", "descope"])


@each_platform
@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_was_not_sent_is_a_failure(name: str, outcome: Outcome) -> None:
    response = response_to(name, outcome)
    assert reading(name, response) is (Reading.SUCCESS if outcome in SUCCESSES else Reading.FAILURE)
    assert "request-1" in json.dumps(json.loads(response.body))


@each_platform
@pytest.mark.parametrize("secret", [b"", b"Bearer another-secret-of-the-tests", b"Basic eDp5"])
def test_a_wrong_secret_is_refused(name: str, secret: bytes) -> None:
    response, stage = call(name, b"{}", headers={b"authorization": secret})
    assert (response.status, json.loads(response.body)["error"]["code"], stage.requests) == (401, "unauthorized", [])


@pytest.mark.parametrize("stem", ["with_code", "before_code", "text_under_both_names"])
def test_fusionauths_text_is_sent_also_to_a_national_number(stem: str) -> None:
    _, stage = call("fusionauth", sample("fusionauth", stem), Stage(DEFAULT_REGION="US"), {b"x-api-key": SECRET.encode()})
    assert sent(stage) == [("12025550110", "Two Factor Code: 049217")]


def test_fusionauths_voice_message_sends_nothing() -> None:
    response, stage = call("fusionauth", sample("fusionauth", "voice"), Stage(DEFAULT_REGION="US"))
    assert (response.status, stage.lines[-1]["event"], stage.requests) == (422, "voice_unsupported", [])


def test_descopes_token_is_the_code() -> None:
    stage = Stage()
    for token in ("049217", "049218"):
        payload = {"recipient": "+12025550110", "body": "Look at your code", "sender": "Acme", "token": token}
        assert call("descope", json.dumps(payload).encode(), stage)[0].status == 200
    assert len(stage.requests) == 2
