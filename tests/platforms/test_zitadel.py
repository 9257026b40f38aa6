"""ZITADEL reads the status only, and calls again after everything but 2xx."""

import hmac
import json

import pytest

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms import load_platform
from support.callers import Reading, call, reading, response_to, sample, sent
from support.stage import SECRET, Stage

SUCCESSES = {Outcome.ACCEPTED, Outcome.IGNORED, Outcome.OUTCOME_UNKNOWN}
NOW = 1_767_225_600


def signed(body: bytes, *, time: int = NOW, form: str = "t={time},v1={good}") -> dict[bytes, bytes]:
    good = hmac.digest(SECRET.encode(), b"%d.%s" % (time, body), "sha256").hex()
    return {b"zitadel-signature": form.format(time=time, good=good, bad="0" * 64).encode()}


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_was_not_sent_is_a_failure(outcome: Outcome) -> None:
    response = response_to("zitadel", outcome)
    assert reading("zitadel", response) is (Reading.SUCCESS if outcome in SUCCESSES else Reading.REPEATED)
    assert "request-1" in json.dumps(json.loads(response.body))


def test_the_text_of_the_template_is_sent_with_its_last_line() -> None:
    _, stage = call("zitadel", sample("zitadel", "otp_sms"))
    [(number, text)] = sent(stage)
    assert number == "12025550110"
    assert text.startswith("049217 is your one-time password")
    assert text.endswith("\n@login.example.ch #049217")


def test_nothing_of_the_user_profile_is_logged() -> None:
    _, stage = call("zitadel", sample("zitadel", "otp_sms"))
    assert not [word for word in ("Müller", "zoe@example.org", "049217") if word in str(stage.lines)]


@pytest.mark.parametrize("form", ["t={time},v1={good}", "t={time},v1={bad},v1={good}", "t={time},v1={good},v1={bad}"])
def test_one_of_several_signatures_is_enough(form: str) -> None:
    body = sample("zitadel", "otp_sms")
    stage = Stage(None, lambda: NOW)
    assert call("zitadel", body, stage, signed(body, form=form))[0].status == 200


@pytest.mark.parametrize(
    "form",
    ["", "v1={good}", "t={time}", "t={time},v1={bad}", "t={time},v2={good}", "t={time},v1={good}, v1={good}", "t= {time},v1={good}"],
)
def test_another_form_is_refused_even_with_a_plain_secret_beside_it(form: str) -> None:
    body = sample("zitadel", "otp_sms")
    headers = signed(body, form=form) | {b"authorization": f"Bearer {SECRET}".encode()}
    with pytest.raises(Refused, match=Outcome.UNAUTHORIZED):
        load_platform("zitadel").authenticate(headers, body, HookSecrets((SECRET.encode(),)), NOW)


def test_a_repeated_attempt_is_signed_anew_and_still_one_sms() -> None:
    body, clock = sample("zitadel", "otp_sms"), [float(NOW)]
    stage = Stage(None, lambda: clock[0])
    for seconds in (0, 1, 17):
        clock[0] = NOW + seconds
        assert call("zitadel", body, stage, signed(body, time=NOW + seconds))[0].status == 200
    assert len(stage.requests) == 1


def test_it_responds_within_the_five_seconds_of_zitadel() -> None:
    assert load_platform("zitadel").timeout_seconds <= 4
