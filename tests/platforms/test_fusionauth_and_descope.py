"""FusionAuth and Descope read the status only; neither calls again by itself."""

import base64
import hmac
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


def signature(body: bytes, secret: str = SECRET) -> bytes:
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256"))


DESCOPE_BODY = json.dumps({"recipient": "+12025550110", "body": "049217 ist Ihr Code für Acmé", "sender": "Acme", "token": "049217"})
COMPACT = json.dumps(json.loads(DESCOPE_BODY), ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("body", [DESCOPE_BODY.encode(), COMPACT], ids=["with spaces", "compact"])
@pytest.mark.parametrize("signed", [None, COMPACT], ids=["raw body", "JSON string"])
def test_descopes_signature_is_accepted_over_both_forms_of_the_body(body: bytes, signed: bytes | None) -> None:
    response, stage = call("descope", body, headers={b"x-descope-webhook-s256": signature(signed or body)})
    assert (response.status, len(stage.requests)) == (200, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {b"x-descope-webhook-s256": signature(COMPACT, "another-secret-of-the-tests")},
        {b"x-descope-webhook-s256": signature(COMPACT + b" ")},
        {b"x-descope-webhook-s256": signature(COMPACT).rstrip(b"=")},
        {b"x-descope-webhook-s256": b""},
        {b"x-descope-webhook-s256": signature(COMPACT), b"authorization": b"Bearer another-secret-of-the-tests"},
        {b"x-descope-webhook-s256": signature(COMPACT), b"x-api-key": b"another-secret-of-the-tests"},
    ],
)
def test_a_forged_signature_of_descope_is_refused(headers: dict[bytes, bytes]) -> None:
    response, stage = call("descope", COMPACT, headers=headers)
    assert (response.status, stage.requests) == (401, [])


def test_a_signature_of_descope_that_is_made_otherwise_locks_out_no_right_secret() -> None:
    headers = {b"authorization": f"Bearer {SECRET}".encode(), b"x-descope-webhook-s256": b"made-over-something-else"}
    assert call("descope", COMPACT, headers=headers)[0].status == 200


def test_descopes_signature_rotates_with_two_secrets() -> None:
    new = "the-next-secret-of-the-tests"
    for secrets in (f"{SECRET} {new}", f"{new} {SECRET}"):
        for one in (SECRET, new):
            stage = Stage(HOOK_SECRETS=secrets)
            assert call("descope", COMPACT, stage, {b"x-descope-webhook-s256": signature(COMPACT, one)})[0].status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 5_000, b'{"a":1,"a":2}'])
def test_a_signed_body_that_is_no_json_is_refused_for_that(body: bytes) -> None:
    response, stage = call("descope", body, headers={b"x-descope-webhook-s256": signature(body)})
    assert (response.status in {400, 422}, stage.requests) == (True, [])
