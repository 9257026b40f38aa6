"""What is sent, if anything: the life of a code, the price of a text, and who is asked first."""

import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import Encoding
from support.messages import decide, parse

LAW = hypothesis_settings(max_examples=100, deadline=None)

NOW = 1_800_000_000
TEXT = "Your code is 123456"
CODE_LIFETIME = 300
DEADLINE = 8


def decided(
    fields: dict[str, object] | None = None, *, environment: dict[str, str] | None = None, signed_at: float | None = None, now: float = NOW
) -> Sms:
    settings = load({"MITTO_API_KEY": "key-of-the-tests", "HOOK_SECRETS": "bearer-secret-of-the-tests-only"} | (environment or {}))
    body = json.dumps({"recipient": "+12025550100", "text": TEXT} | (fields or {})).encode()
    return decide(parse(body, b"application/json", None), settings, signed_at=signed_at, now=now)


def refused(
    fields: dict[str, object] | None = None, *, environment: dict[str, str] | None = None, signed_at: float | None = None, now: float = NOW
) -> Result:
    with pytest.raises(Refused) as caught:
        decided(fields, environment=environment, signed_at=signed_at, now=now)
    return caught.value.result


def test_a_plain_message_is_sent_as_it_came() -> None:
    sms = decided()
    assert sms.recipient.get_secret_value() == "+12025550100"
    assert (sms.encoded.text, sms.encoded.encoding, sms.encoded.segments) == (TEXT, Encoding.GSM7, 1)
    assert (sms.sender_id, sms.validity_minutes) == ("Mitto SMS", 5)


def test_a_notice_without_a_code_does_not_die_like_one() -> None:
    notice: dict[str, object] = {"action": "blocked_account"}
    assert decided(notice, signed_at=NOW - 10 * CODE_LIFETIME).validity_minutes == 2880
    assert decided(notice | {"expires_at": NOW + 300}).validity_minutes == 5
    assert decided(notice | {"code": "123456"}).validity_minutes == 5


@pytest.mark.parametrize(
    ("lives_seconds", "minutes"),
    [
        pytest.param(86400, 1440, id="a day"),
        pytest.param(3600, 60, id="an hour"),
        pytest.param(300, 5, id="five minutes"),
        pytest.param(299, 4, id="a second less than five minutes"),
        pytest.param(61, 1, id="a second more than a minute"),
        pytest.param(60, 1, id="a minute"),
        pytest.param(59, 1, id="less than a minute, the least that Mitto takes"),
        pytest.param(DEADLINE + 1, 1, id="a second more than our deadline"),
    ],
)
def test_delivery_is_attempted_for_the_whole_minutes_that_the_code_lives(lives_seconds: int, minutes: int) -> None:
    assert decided({"expires_at": NOW + lives_seconds}).validity_minutes == minutes


@pytest.mark.parametrize(
    "lives_seconds",
    [
        pytest.param(DEADLINE, id="exactly our deadline"),
        pytest.param(1, id="a second"),
        pytest.param(0, id="now"),
        pytest.param(-1, id="a second ago"),
        pytest.param(-NOW, id="1970"),
    ],
)
def test_a_code_that_would_die_within_our_deadline_is_not_sent(lives_seconds: int) -> None:
    assert refused({"expires_at": NOW + lives_seconds}) == Result(Outcome.CODE_EXPIRED)


def test_a_shorter_deadline_leaves_more_of_a_codes_life() -> None:
    assert decided({"expires_at": NOW + 5}, environment={"DEADLINE_SECONDS": "4"}).validity_minutes == 1
    assert refused({"expires_at": NOW + 5}, environment={"DEADLINE_SECONDS": "5"}).outcome is Outcome.CODE_EXPIRED


@pytest.mark.parametrize(
    ("fields", "signed_at", "minutes"),
    [
        pytest.param({}, None, 5, id="nobody says anything"),
        pytest.param({}, NOW, 5, id="signed now"),
        pytest.param({}, NOW - 1, 4, id="signed a second ago"),
        pytest.param({}, NOW - 180, 2, id="signed three minutes ago"),
        pytest.param({}, NOW - CODE_LIFETIME + DEADLINE + 1, 1, id="signed just late enough"),
        pytest.param({}, NOW + 200, 5, id="signed by a clock that is ahead"),
        pytest.param({"sent_at": NOW - 180}, None, 2, id="sent three minutes ago"),
        pytest.param({"sent_at": NOW - 180}, NOW, 2, id="sent three minutes ago, signed now"),
        pytest.param({"sent_at": NOW - 60}, NOW - 240, 4, id="sent after it was signed: the message knows better"),
        pytest.param({"sent_at": NOW + 10_000}, None, 5, id="sent in the future"),
        pytest.param({"expires_at": NOW + 600}, NOW - 240, 10, id="the caller's expiry counts before signing"),
        pytest.param({"expires_at": NOW + 600, "sent_at": NOW - 299}, None, 10, id="the caller's expiry counts before sending"),
        pytest.param({"expires_at": NOW + 60, "sent_at": NOW}, NOW, 1, id="also where it is shorter"),
    ],
)
def test_a_codes_life_begins_when_the_caller_sent_or_signed_it(fields: dict[str, object], signed_at: float | None, minutes: int) -> None:
    assert decided(fields, signed_at=signed_at).validity_minutes == minutes


@pytest.mark.parametrize(
    ("fields", "signed_at"),
    [
        pytest.param({}, NOW - CODE_LIFETIME + DEADLINE, id="signed too long ago"),
        pytest.param({}, NOW - CODE_LIFETIME, id="signed a lifetime ago"),
        pytest.param({"sent_at": NOW - CODE_LIFETIME}, NOW, id="sent a lifetime ago, signed now"),
        pytest.param({"sent_at": 1}, None, id="sent in 1970"),
    ],
)
def test_a_code_older_than_its_lifetime_is_not_sent(fields: dict[str, object], signed_at: float | None) -> None:
    assert refused(fields, signed_at=signed_at) == Result(Outcome.CODE_EXPIRED)


def test_the_operator_sets_the_lifetime_of_codes() -> None:
    environment = {"CODE_LIFETIME_SECONDS": "3600"}
    assert decided(environment=environment).validity_minutes == 60
    assert decided(environment=environment, signed_at=NOW - 600).validity_minutes == 50


@pytest.mark.parametrize(
    ("text", "limit", "segments"),
    [
        pytest.param("a" * 160, 1, 1, id="160 septets, one allowed"),
        pytest.param("a" * 306, 2, 2, id="306 septets, two allowed"),
        pytest.param("ж" * 70, 1, 1, id="70 UCS-2 units, one allowed"),
        pytest.param("a" * 612, 4, 4, id="612 septets, four allowed"),
    ],
)
def test_a_text_of_as_many_segments_as_allowed_is_sent(text: str, limit: int, segments: int) -> None:
    assert decided({"text": text}, environment={"MAX_SEGMENTS": str(limit)}).encoded.segments == segments


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        pytest.param("a" * 161, 1, id="161 septets, one allowed"),
        pytest.param("a" * 307, 2, id="307 septets, two allowed"),
        pytest.param("ж" * 71, 1, id="71 UCS-2 units, one allowed"),
        pytest.param("a" * 613, 4, id="613 septets, four allowed"),
        pytest.param("a" * 60_000, 20, id="60000 septets"),
    ],
)
def test_a_text_of_more_segments_than_allowed_is_not_sent(text: str, limit: int) -> None:
    assert refused({"text": text}, environment={"MAX_SEGMENTS": str(limit)}).outcome is Outcome.TEXT_TOO_LONG


def test_smart_encoding_can_make_the_difference_and_can_be_switched_off() -> None:
    text = "It\u2019s " + "a" * 100
    one = {"MAX_SEGMENTS": "1"}
    assert decided({"text": text}, environment=one).encoded.text == "It's " + "a" * 100
    assert refused({"text": text}, environment=one | {"SMART_ENCODING": "off"}).outcome is Outcome.TEXT_TOO_LONG


def test_the_sender_is_the_operators_whatever_the_caller_would_like() -> None:
    assert decided({"from": "Evil", "sender": "Evil"}, environment={"MITTO_SENDER_ID": "Travel0"}).sender_id == "Travel0"


def test_a_call_is_refused_by_name_before_the_code_and_the_text_are_judged() -> None:
    assert refused({"message_type": "voice", "expires_at": 1, "text": "a" * 5000}).outcome is Outcome.VOICE_UNSUPPORTED


def test_the_printed_form_of_an_sms_holds_neither_number_nor_text() -> None:
    sms = decided({"code": "123456"})
    printed = f"{sms} {sms!r} {[sms]}"
    assert "123456" not in printed
    assert "Your code" not in printed
    assert "2025550100" not in printed
    assert "+1********00" in printed


@LAW
@given(st.integers(60, 400_000), st.floats(0, 0.999))
def test_delivery_is_never_attempted_for_longer_than_the_code_lives(lives_seconds: int, fraction: float) -> None:
    now = NOW - fraction
    sms = decided({"expires_at": NOW + lives_seconds}, now=now)
    assert 60 <= sms.validity_minutes * 60 <= NOW + lives_seconds - now


@LAW
@given(
    st.none() | st.floats(NOW - 300, NOW + 300),
    st.fixed_dictionaries({}, optional={"sent_at": st.integers(0, 99_999_999_999)}),
    st.integers(30, 86_400),
)
def test_no_clock_of_a_caller_makes_a_code_live_longer_than_the_operator_says(
    signed_at: float | None, fields: dict[str, object], lifetime: int
) -> None:
    try:
        sms = decided(fields, environment={"CODE_LIFETIME_SECONDS": str(lifetime)}, signed_at=signed_at)
    except Refused as refusal:
        outcome = refusal.result.outcome
    else:
        outcome = Outcome.ACCEPTED
        assert sms.validity_minutes <= max(lifetime // 60, 1)
    assert outcome in {Outcome.ACCEPTED, Outcome.CODE_EXPIRED}


def test_validity_is_never_longer_than_mittos_own() -> None:
    assert decided({"expires_at": 99_999_999_999}).validity_minutes == 2880
