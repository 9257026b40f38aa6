"""From bytes to a phone message: every shape of Auth0, every oddity of its callers, and nothing told about what was refused."""

import json
import re
import sys
import traceback
import unicodedata
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, ValidationError

from mitto_phone_hook.domain.end_user_address import UNREADABLE
from mitto_phone_hook.domain.message import Channel, PhoneMessage, Purpose, Recipient
from mitto_phone_hook.domain.numbering_plan import NumberKind
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.platforms._native_payload import FlatCall, HookCall
from mitto_phone_hook.platforms.auth0 import MfaEvent, ProviderEvent
from support.messages import parse

LAW = settings(max_examples=200, deadline=None)

DATA = Path(__file__).parents[1] / "data" / "auth0"
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
RECIPIENT = "+12025550100"


def flat(**fields: object) -> bytes:
    return json.dumps({"recipient": RECIPIENT, "text": "Your code is 123456"} | fields).encode()


def hook(**context: object) -> bytes:
    return flat(context=context)


def read(body: bytes, content_type: bytes = JSON, default_region: str | None = None) -> dict[str, Any]:
    """Give every field that is filled, secrets revealed."""
    message = parse(body, content_type, default_region)
    bare = {name: value.get_secret_value() if hasattr(value, "get_secret_value") else value for name, value in message._asdict().items()}
    return {name: value for name, value in bare.items() if value is not None}


def refusal(body: bytes, content_type: bytes = JSON) -> Result:
    with pytest.raises(Refused) as caught:
        parse(body, content_type, None)
    return caught.value.result


def wrong_fields(*fields: str) -> Result:
    return Result(Outcome.INVALID_REQUEST, "wrong_fields", fields)


def hidden(position: int, field: str = "text") -> Result:
    return Result(Outcome.INVALID_REQUEST, "hidden_character", (field,), position=position)


HAWAII = {"recipient": "+18085555555", "region": "US", "number_kind": NumberKind.FIXED_LINE_OR_MOBILE}
ALL_APPLICATIONS = {"client_id": "gmOWNgklfRm4tyl5YYnl3JDSJy19h1bR"}
OTP_TEXT = "This is the text you should send, with otp: 123456"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(
            "hook-wire-request",
            HAWAII
            | {
                "source": "auth0_hook",
                "channel": Channel.SMS,
                "text": "Here is your one time password!",
                "code": "1234556ADSFA547865",
                "purpose": Purpose.ENROLLMENT,
                "locale": "en",
                "client_id": "1235",
                "client_ip": ip_address("127.0.0.1"),
            },
            id="A: Hook, as it came over the wire",
        ),
        pytest.param(
            "hook-runner-default",
            HAWAII
            | {
                "source": "auth0_hook",
                "channel": Channel.SMS,
                "text": "Here is your one time password: 999111",
                "code": "123456",
                "purpose": Purpose.ENROLLMENT,
                "locale": "en",
                "client_id": "1235",
                "client_ip": ip_address("127.0.0.1"),
            },
            id="A: Hook, as the test runner sends it",
        ),
        pytest.param(
            "hook-flat-context",
            {
                "source": "auth0_hook",
                "recipient": "+41791234567",
                "region": "CH",
                "number_kind": NumberKind.MOBILE,
                "channel": Channel.SMS,
                "text": "123456 is your verification code",
                "code": "123456",
                "purpose": Purpose.AUTHENTICATION,
                "locale": "en",
                "client_id": "abcDEF123",
                "client_ip": ip_address("203.0.113.7"),
            },
            id="A: Hook with the client flat in its context",
        ),
        pytest.param(
            "relay-mfa-sample-flat",
            HAWAII
            | {
                "source": "flat",
                "channel": Channel.SMS,
                "text": "Here is your one time password: 482913",
                "code": "482913",
                "purpose": Purpose.MFA,
                "locale": "en-US",
            },
            id="B: sample Action for MFA",
        ),
        pytest.param(
            "relay-docs-upe-passwordless-example",
            HAWAII
            | {
                "source": "flat",
                "channel": Channel.SMS,
                "text": OTP_TEXT,
                "purpose": Purpose.OTHER,
                "client_ip": ip_address("13.33.86.47"),
                "sender_id": "18085552222",
            },
            id="C: sample Action for passwordless",
        ),
        pytest.param(
            "relay-docs-generic-example",
            HAWAII
            | {
                "source": "flat",
                "channel": Channel.SMS,
                "text": OTP_TEXT,
                "purpose": Purpose.OTHER,
            },
            id="C: generic sample Action",
        ),
        pytest.param(
            "action-send-phone-message-event",
            HAWAII
            | ALL_APPLICATIONS
            | {
                "source": "auth0_event_mfa",
                "channel": Channel.SMS,
                "text": "Here is your one time password!",
                "code": "1234556ADSFA547865",
                "purpose": Purpose.ENROLLMENT,
                "locale": "en",
                "tenant": "my-tenant",
                "client_ip": ip_address("13.33.86.47"),
            },
            id="E: event of send-phone-message",
        ),
        pytest.param(
            "action-send-phone-message-minimal-voice",
            {
                "source": "auth0_event_mfa",
                "recipient": "+61412345678",
                "region": "AU",
                "number_kind": NumberKind.MOBILE,
                "channel": Channel.VOICE,
                "text": "Hello, your code is 4.8.2.9.1.3",
                "code": "482913",
                "purpose": Purpose.MFA,
                "tenant": "my-tenant",
                "client_ip": ip_address("203.0.113.7"),
            },
            id="E: the least event of send-phone-message, for a call",
        ),
        pytest.param(
            "action-custom-phone-provider-event",
            HAWAII
            | ALL_APPLICATIONS
            | {
                "source": "auth0_event_provider",
                "channel": Channel.SMS,
                "text": OTP_TEXT,
                "code": "123456",
                "purpose": Purpose.AUTHENTICATION,
                "locale": "en-US",
                "organization": "my-org",
                "tenant": "my-tenant",
                "client_ip": ip_address("13.33.86.47"),
            },
            id="E: event of custom-phone-provider",
        ),
        pytest.param(
            "action-custom-phone-provider-voice",
            HAWAII
            | ALL_APPLICATIONS
            | {
                "source": "auth0_event_provider",
                "channel": Channel.VOICE,
                "text": OTP_TEXT,
                "code": "123456",
                "purpose": Purpose.ENROLLMENT,
                "locale": "de-CH",
                "organization": "my-org",
                "tenant": "my-tenant",
                "client_ip": ip_address("13.33.86.47"),
            },
            id="E: event of custom-phone-provider, for a call",
        ),
    ],
)
def test_every_shape_of_auth0_is_read_field_by_field(name: str, expected: dict[str, object]) -> None:
    assert read((DATA / f"{name}.json").read_bytes()) == expected


def test_the_passwordless_gateway_is_read_and_the_number_of_its_documentation_refused() -> None:
    documented = json.loads((DATA / "passwordless-sms-gateway.json").read_bytes())
    assert refusal(json.dumps(documented).encode()) == Result(Outcome.INVALID_RECIPIENT, "no_such_number", ("recipient",))
    assert read(json.dumps(documented | {"recipient": RECIPIENT}).encode()) == {
        "source": "flat",
        "recipient": RECIPIENT,
        "region": "US",
        "number_kind": NumberKind.FIXED_LINE_OR_MOBILE,
        "channel": Channel.SMS,
        "text": "Your verification code is: 12345",
        "purpose": Purpose.OTHER,
        "sender_id": "1234567",
    }


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"application/json; charset=utf-8", b"text/plain", b"text/plain;charset=UTF-8", b"", b"nonsense", b"\xff"],
)
def test_json_is_read_whatever_the_content_type_says(content_type: bytes) -> None:
    assert read(flat(), content_type)["recipient"] == RECIPIENT


@pytest.mark.parametrize(
    "content_type",
    [FORM, FORM + b"; charset=utf-8", FORM.upper(), b"  " + FORM + b" ;x=y"],
)
def test_a_form_is_read_like_the_flat_shape(content_type: bytes) -> None:
    fields = {"to": "+41 79 123 45 67", "body": "Ihr Code: 123456 \u2013 gültig", "code": "123456", "from": "Mitto", "language": "de_CH"}
    assert read(urlencode(fields).encode(), content_type) == {
        "source": "flat",
        "recipient": "+41791234567",
        "region": "CH",
        "number_kind": NumberKind.MOBILE,
        "channel": Channel.SMS,
        "text": "Ihr Code: 123456 \u2013 gültig",
        "code": "123456",
        "purpose": Purpose.OTHER,
        "locale": "de-CH",
    }


def test_a_plus_that_a_form_left_unescaped_is_no_hindrance() -> None:
    assert read(b"recipient=+12025550100&text=hello+there", FORM)["recipient"] == RECIPIENT


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        pytest.param(b"", Outcome.INVALID_REQUEST, id="empty"),
        pytest.param(b"recipient=%2B12025550100", Outcome.INVALID_REQUEST, id="no text"),
        pytest.param(b"recipient=%2B12025550100&text=%ff", Outcome.INVALID_JSON, id="escaped byte that is no UTF-8"),
        pytest.param(b"recipient=%2B12025550100&text=\xff", Outcome.INVALID_JSON, id="byte that is no UTF-8"),
        pytest.param(b"recipient=%2B12025550100&text=%ED%A0%80", Outcome.INVALID_JSON, id="lone surrogate"),
        pytest.param(b"recipient=%2B12025550100&text=a%00b", Outcome.INVALID_REQUEST, id="NUL"),
        pytest.param(b"&".join([b"a=b"] * 51), Outcome.INVALID_JSON, id="51 fields"),
        pytest.param(flat(), Outcome.INVALID_JSON, id="JSON announced as a form"),
        pytest.param(b"context=x&recipient=%2B12025550100&text=x", Outcome.INVALID_REQUEST, id="an object's name for a string"),
    ],
)
def test_a_form_that_is_none_or_lacks_something_is_refused(body: bytes, outcome: Outcome) -> None:
    assert refusal(body, FORM).outcome is outcome


@pytest.mark.parametrize(
    ("written", "purpose"),
    [
        pytest.param("authentication", Purpose.AUTHENTICATION, id="authentication"),
        pytest.param("second-factor-authentication", Purpose.MFA, id="second-factor-authentication"),
        pytest.param("second-factor-authenticator", Purpose.MFA, id="second-factor-authenticator"),
        pytest.param("otp_verify", Purpose.AUTHENTICATION, id="otp_verify"),
        pytest.param("enrollment", Purpose.ENROLLMENT, id="enrollment"),
        pytest.param("otp_enroll", Purpose.ENROLLMENT, id="otp_enroll"),
        pytest.param("change_password", Purpose.PASSWORD_RESET, id="change_password"),
        pytest.param("blocked_account", Purpose.NOTICE, id="blocked_account"),
        pytest.param("password_breach", Purpose.NOTICE, id="password_breach"),
        pytest.param("SignIn", Purpose.AUTHENTICATION, id="SignIn"),
        pytest.param("sign_up", Purpose.SIGN_UP, id="sign_up"),
        pytest.param("verification", Purpose.VERIFICATION, id="verification"),
        pytest.param("something-new", Purpose.OTHER, id="an unknown word"),
    ],
)
def test_the_purpose_is_one_vocabulary_and_the_callers_word_is_kept(written: str, purpose: Purpose) -> None:
    message = read(hook(action=written))
    assert message["purpose"] == purpose


@pytest.mark.parametrize(
    ("written", "locale"),
    [
        pytest.param("en", "en", id="language"),
        pytest.param("en-US", "en-US", id="language and region"),
        pytest.param("en_US", "en-US", id="underscore"),
        pytest.param("EN_us", "en-US", id="case"),
        pytest.param("zh-Hant-tw", "zh-Hant-TW", id="script"),
        pytest.param("es-419", "es-419", id="region in digits"),
        pytest.param("N/A", None, id="Classic Login's N/A"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="null"),
        pytest.param("*", None, id="star"),
        pytest.param("en-US,en;q=0.9", None, id="a whole Accept-Language"),
        pytest.param("٣٤", None, id="digits of another script"),
    ],
)
def test_a_language_becomes_a_tag_and_nonsense_none(written: str | None, locale: str | None) -> None:
    assert read(hook(language=written)).get("locale") == locale


@pytest.mark.parametrize(
    ("written", "channel"),
    [
        pytest.param("sms", Channel.SMS, id="sms"),
        pytest.param("text", Channel.SMS, id="text"),
        pytest.param("SMS", Channel.SMS, id="capitals"),
        pytest.param("", Channel.SMS, id="empty"),
        pytest.param(None, Channel.SMS, id="null"),
        pytest.param("voice", Channel.VOICE, id="voice"),
        pytest.param("Voice", Channel.VOICE, id="capital voice"),
        pytest.param("call", Channel.VOICE, id="call"),
    ],
)
def test_the_channel_is_what_the_caller_asked_for(written: str | None, channel: Channel) -> None:
    assert read(flat(message_type=written))["channel"] is channel


@pytest.mark.parametrize("word", ["Voice", "voice ", "tts", "voice,sms", "voice_call", "phone-call"])
@pytest.mark.parametrize("key", ["message_type", "type", "delivery_method"])
def test_a_call_that_asks_for_voice_by_any_name_is_one(key: str, word: str) -> None:
    assert read(flat(**{key: word}))["channel"] is Channel.VOICE


@pytest.mark.parametrize("key", ["type", "delivery_method"])
@pytest.mark.parametrize("word", ["SignIn", "Generic", "text", "recall", 5, None, {"voice": True}])
def test_other_values_under_a_free_name_say_nothing(key: str, word: object) -> None:
    assert read(flat(**{key: word}))["channel"] is Channel.SMS


@pytest.mark.parametrize("template", ["login_code_valid", "verifiable_address_changed", "authenticator_key_added", "recovery_code_invalid"])
def test_a_type_of_template_is_no_channel(template: str) -> None:
    assert read(flat(message_type=template))["channel"] is Channel.SMS


@pytest.mark.parametrize("name", ["text", "body", "message", "content"])
def test_the_text_has_several_names(name: str) -> None:
    assert read(json.dumps({"to": RECIPIENT, name: "Your code is 482913"}).encode())["text"] == "Your code is 482913"


@pytest.mark.parametrize("word", ["whatsapp", "phone", "email", "0", "push_notification"])
def test_an_unknown_channel_is_refused_because_it_may_mean_a_call(word: str) -> None:
    assert refusal(flat(message_type=word)) == wrong_fields("message_type")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        pytest.param("123456", "123456", id="digits"),
        pytest.param("012345", "012345", id="leading zero"),
        pytest.param(123456, "123456", id="integer"),
        pytest.param(0, "0", id="zero"),
        pytest.param("1234556ADSFA547865", "1234556ADSFA547865", id="not only digits"),
        pytest.param("12-34 56", "12-34 56", id="hyphen and space inside"),
        pytest.param("x" * 64, "x" * 64, id="64 characters"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="null"),
    ],
)
def test_a_code_is_an_opaque_string_or_absent(written: object, code: str | None) -> None:
    assert read(flat(code=written)).get("code") == code


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(True, id="boolean"),
        pytest.param(False, id="false"),
        pytest.param(123456.0, id="fraction"),
        pytest.param(-1, id="negative"),
        pytest.param(["123456"], id="list"),
        pytest.param({"code": "123456"}, id="object"),
        pytest.param(" 123456", id="space before"),
        pytest.param("123456 ", id="space behind"),
        pytest.param("123\n456", id="newline"),
        pytest.param("123456\n", id="trailing newline"),
        pytest.param("12345\u0666", id="Arabic-Indic digit among ASCII"),
        pytest.param("\u0661\u0662\u0663\u06f4\u06f5\u06f6", id="digits of Arabic and of Persian"),
        pytest.param("\u0661\u200b\u0662", id="zero width space between digits"),
        pytest.param("\u00b9\u00b2\u00b3", id="superscripts"),
        pytest.param("\u2460\u2461\u2462", id="circled digits"),
        pytest.param("\u4e00\u4e8c\u4e09", id="Chinese numerals"),
        pytest.param("\u043a\u043e\u0434", id="Cyrillic letters"),
        pytest.param("\u0661" * 65, id="65 Arabic-Indic digits"),
        pytest.param("x" * 65, id="65 characters"),
        pytest.param(10**3999, id="4000 digits"),
        pytest.param(" ", id="a space"),
    ],
)
def test_a_code_that_no_caller_makes_is_refused(code: object) -> None:
    assert refusal(flat(code=code)) == wrong_fields("code")


ZEROS = [character for character in map(chr, range(sys.maxunicode + 1)) if unicodedata.decimal(character, None) == 0]


def test_digits_of_every_script_make_a_code() -> None:
    assert len(ZEROS) > 60
    for zero in ZEROS:
        code = "".join(chr(ord(zero) + digit) for digit in (7, 3, 0, 1, 7, 8))
        message = read(flat(text=f"Code {code}", code=code))
        assert (message["text"], message["code"]) == (f"Code {code}", code)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("رمز: ٧٣٠ ١٧٨", "٧٣٠١٧٨", id="in groups"),
        pytest.param("رمز: 730178", "٧٣٠١٧٨", id="the text in ASCII"),
        pytest.param("رمز: ۷۳۰۱۷۸", "٧٣٠١٧٨", id="the text in digits of another script"),
        pytest.param("رمز: ٧٣٠-١٧٨", "٧٣٠-١٧٨", id="with a hyphen"),
        pytest.param("कोड १२३\u200b४५६", "१२३४५६", id="a zero width space between its digits in the text"),
        pytest.param("कोड \u2066१२३४५६\u2069", "१२३४५६", id="isolated in the text"),
        pytest.param("x" * 9 + "१" * 64, "१" * 64, id="64 digits"),
    ],
)
def test_a_code_in_other_digits_is_kept_as_it_was_given(text: str, code: str) -> None:
    assert read(flat(text=text, code=code))["code"] == code


def test_a_code_in_other_digits_that_the_text_does_not_hold_is_refused() -> None:
    assert refusal(flat(text="Your code is 730178", code="١٢٣٤٥٦")) == wrong_fields("code")
    assert refusal(hook(code="\uff11\uff12\uff13\uff14\uff15\uff17")) == wrong_fields("context.code")


def test_a_recipient_may_be_an_integer() -> None:
    assert read(flat(recipient=12025550100))["recipient"] == RECIPIENT


def test_the_default_region_reads_national_numbers() -> None:
    body = flat(recipient="079 123 45 67")
    assert read(body, default_region="CH")["recipient"] == "+41791234567"
    assert refusal(body).outcome is Outcome.INVALID_RECIPIENT


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        pytest.param({"client": {"client_id": "nested"}}, "nested", id="nested"),
        pytest.param({"client_id": "flat"}, "flat", id="flat"),
        pytest.param({"client": {"client_id": "nested"}, "client_id": "flat"}, "nested", id="both"),
        pytest.param({"client": {"client_id": ""}, "client_id": "flat"}, "flat", id="nested, but empty"),
        pytest.param({"client": {}}, None, id="empty object"),
        pytest.param({"client": None}, None, id="null"),
        pytest.param({}, None, id="absent"),
    ],
)
def test_the_client_is_found_nested_and_flat(context: dict[str, object], expected: str | None) -> None:
    assert read(hook(**context)).get("client_id") == expected


@pytest.mark.parametrize(
    ("body", "address"),
    [
        pytest.param(hook(ip="203.0.113.7"), "203.0.113.7", id="context.ip"),
        pytest.param(hook(request={"ip": "203.0.113.8"}), "203.0.113.8", id="context.request.ip"),
        pytest.param(hook(ip="203.0.113.7", request={"ip": "203.0.113.8"}), "203.0.113.7", id="the first of both"),
        pytest.param(flat(req={"ip": "203.0.113.9"}), "203.0.113.9", id="req.ip"),
        pytest.param(flat(ip="203.0.113.9"), "203.0.113.9", id="ip"),
        pytest.param(hook(ip="::ffff:203.0.113.7"), "203.0.113.7", id="mapped into IPv6"),
        pytest.param(hook(ip="::FFFF:cb00:7107"), "203.0.113.7", id="mapped, in hexadecimal"),
        pytest.param(hook(ip="2001:db8::1"), "2001:db8::1", id="IPv6"),
        pytest.param(hook(ip=" 203.0.113.7 "), "203.0.113.7", id="spaces around"),
        pytest.param(hook(ip="10.0.0.1, 203.0.113.7"), "203.0.113.7", id="the first of a list that is public"),
        pytest.param(hook(ip="[fd00::1]:443,10.0.0.1:80, 203.0.113.7:5555"), "203.0.113.7", id="the first public one, with ports"),
        pytest.param(hook(ip="10.0.0.1, 192.168.1.1"), "10.0.0.1", id="a list without a public one"),
        pytest.param(hook(ip="10.0.0.7"), "10.0.0.7", id="private"),
        pytest.param(hook(ip="203.0.113.7, 10.0.0.1"), "203.0.113.7", id="the first of a list"),
        pytest.param(hook(ip="203.0.113.7:5555"), "203.0.113.7", id="with a port"),
        pytest.param(hook(ip="[2001:db8::1]:5555"), "2001:db8::1", id="IPv6 with a port"),
        pytest.param(hook(ip="[2001:db8::1]"), "2001:db8::1", id="IPv6 in brackets"),
        pytest.param(hook(ip=""), None, id="empty"),
        pytest.param(hook(ip=" "), None, id="blank"),
        pytest.param(hook(ip=None), None, id="null"),
    ],
)
def test_the_users_address_is_found_in_all_its_places(body: bytes, address: str | None) -> None:
    assert read(body).get("client_ip") == (ip_address(address) if address else None)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("203.0.113.256", id="too large"),
        pytest.param("198.51.100.010", id="leading zero"),
        pytest.param("3325256714", id="integer in a string"),
        pytest.param(3325256714, id="integer"),
        pytest.param(["203.0.113.7"], id="array"),
        pytest.param('"203.0.113.7"', id="quoted"),
        pytest.param("for=203.0.113.7", id="as in Forwarded"),
        pytest.param('for="[2001:db8::7]:4711";proto=https', id="as in Forwarded, with a port"),
        pytest.param("0xcb007107", id="hexadecimal"),
        pytest.param("203.0.113", id="three parts"),
        pytest.param("\u0662\u0660\u0663.0.113.7", id="other digits"),
        pytest.param("[2001:db8::1]x", id="something behind brackets"),
        pytest.param("203.0.113.7:", id="no port"),
        pytest.param("unknown", id="a word"),
        pytest.param("203.0.113.7\x00", id="control character"),
        pytest.param("x" * 5000, id="long"),
        pytest.param(",", id="empty list"),
        pytest.param("\u00a0", id="no-break space"),
        pytest.param("10.0.0.1, x", id="behind a private one"),
        pytest.param("x, 203.0.113.7", id="the first of a list"),
    ],
)
def test_an_address_that_nobody_can_read_is_not_as_good_as_none(written: object) -> None:
    assert read(hook(ip=written)).get("client_ip") == UNREADABLE


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(1_800_000_000, datetime(2027, 1, 15, 8, tzinfo=UTC), id="integer"),
        pytest.param("1800000000", datetime(2027, 1, 15, 8, tzinfo=UTC), id="string"),
        pytest.param(None, None, id="null"),
        pytest.param("", None, id="empty"),
    ],
)
def test_times_are_unix_seconds(written: object, expected: datetime | None) -> None:
    message = read(flat(expires_at=written, sent_at=written))
    assert (message.get("expires_at"), message.get("sent_at")) == (expected, expected)


@pytest.mark.parametrize("written", ["2027-01-15T08:00:00Z", -1, 1.5, True, "soon", 1_800_000_000_000, "١٨", [], {}, "1800000000\n"])
def test_a_time_in_any_other_form_is_refused_rather_than_guessed(written: object) -> None:
    assert refusal(flat(expires_at=written)) == wrong_fields("expires_at")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param(b"{}", ("recipient", "text"), id="nothing at all"),
        pytest.param(b'{"recipient":"+12025550100"}', ("text",), id="no text"),
        pytest.param(b'{"text":"hello"}', ("recipient",), id="no recipient"),
        pytest.param(b'{"context":{}}', ("recipient", "text"), id="empty context"),
        pytest.param(b'{"context":"x"}', ("context", "recipient", "text"), id="context is no object"),
        pytest.param(b'{"notification":{}}', ("notification.recipient", "notification.as_text"), id="empty notification"),
        pytest.param(b'{"message_options":{}}', ("message_options.recipient", "message_options.text"), id="empty message_options"),
        pytest.param(flat(context=[]), ("context",), id="context is a list"),
        pytest.param(flat(context=0), ("context",), id="context is zero"),
        pytest.param(hook(client="x"), ("context.client",), id="client is a string"),
        pytest.param(hook(request=[]), ("context.request",), id="request is a list"),
        pytest.param(hook(user="auth0|1"), ("context.user",), id="user is a string"),
        pytest.param(hook(message_type=1), ("context.message_type",), id="channel is a number"),
        pytest.param(flat(req="x"), ("req",), id="req is a string"),
        pytest.param(flat(recipient=True), ("recipient",), id="recipient is a boolean"),
        pytest.param(flat(recipient=-12025550100), ("recipient",), id="recipient is negative"),
        pytest.param(flat(recipient=1.5), ("recipient",), id="recipient is a fraction"),
        pytest.param(flat(recipient=["+12025550100"]), ("recipient",), id="recipient is a list"),
        pytest.param(flat(text=1), ("text",), id="text is a number"),
        pytest.param(flat(text=[]), ("text",), id="text is a list"),
        pytest.param(flat(text=""), ("text",), id="text is empty"),
        pytest.param(flat(text=" \n\t "), ("text",), id="text is blank"),
        pytest.param(flat(text=None), ("text",), id="text is null"),
        pytest.param(flat(tenant="a\nb"), ("tenant",), id="newline in a name"),
        pytest.param(flat(tenant="x" * 513), ("tenant",), id="name of 513 characters"),
        pytest.param(flat(tenant="a\x85b"), ("tenant",), id="control character of Latin-1 in a name"),
        pytest.param(flat(text=1, code=[], message_type=2), ("text", "message_type", "code"), id="several at once"),
    ],
)
def test_what_is_missing_or_of_the_wrong_type_is_named_all_at_once(body: bytes, fields: tuple[str, ...]) -> None:
    assert refusal(body) == wrong_fields(*fields)


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        pytest.param(hook(action={}), hook(action=None), id="action is an object"),
        pytest.param(hook(language=1), hook(language=None), id="language is a number"),
        pytest.param(hook(user={"user_id": 5}), hook(), id="user is a number"),
        pytest.param(hook(client={"client_id": 1, "name": []}), hook(), id="client's fields"),
        pytest.param(hook(**{"from": 41}), hook(), id="sender is a number"),
        pytest.param(flat(organization={"id": "x"}), flat(), id="organization is an object"),
        pytest.param(flat(user_id="a\nb"), flat(), id="newline in a name"),
        pytest.param(flat(client_name="x" * 513), flat(), id="name of 513 characters"),
    ],
)
def test_what_only_describes_a_message_is_left_out_when_it_cannot_be_read(body: bytes, plain: bytes) -> None:
    assert read(body) == read(plain)


def test_an_invalid_recipient_is_named_as_the_caller_wrote_it() -> None:
    assert refusal(b'{"recipient": "", "text": "Your code is 123456"}').fields == ("recipient",)
    assert refusal(b'{"to": "abc", "body": "Your code is 123456"}') == Result(Outcome.INVALID_RECIPIENT, "not_a_number", ("to",))


def test_unknown_fields_are_ignored_wherever_they_are() -> None:
    junk: dict[str, object] = {"unknown": {"deep": [1, None, {"x": "y"}]}, "$ref": "x", "__proto__": {}, "é": 1}
    assert read(flat(**junk)) == read(flat())
    assert read(hook(**junk, client=junk, user=junk)) == read(hook())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Your code is 123456", id="plain"),
        pytest.param("Your code:\n123456\n\n@login.example.com #123456", id="WebOTP"),
        pytest.param("line\r\nline\tcolumn", id="carriage return and tab"),
        pytest.param("  spaces around\n", id="white space around"),
        pytest.param("ihr code \u2013 „123456“ €", id="typography"),
        pytest.param("رمز شما ۱۲۳۴۵۶ است، می\u200cخواهیم", id="Persian with a non-joiner between its letters"),  # noqa: RUF001 - its letters
        pytest.param("\u200fرمز 123456\u200f", id="right-to-left marks in Persian"),
        pytest.param("הקוד: \u200e123456\u200e", id="left-to-right marks in Hebrew"),
        pytest.param("क\u094d\u200dष 123456", id="Devanagari with a joiner"),
        pytest.param("👨\u200d👩\u200d👧 123456", id="family joined to one emoji"),
        pytest.param("❤\ufe0f 123456", id="emoji with a variation selector"),
        pytest.param("验证码\uff1a123456", id="Chinese"),
        pytest.param("رمزك \u2066123456\u2069", id="Arabic with the code isolated"),
    ],
)
def test_the_text_is_kept_to_the_letter(text: str) -> None:
    assert read(flat(text=text))["text"] == text
    assert read(urlencode({"recipient": RECIPIENT, "text": text}).encode(), FORM)["text"] == text


@pytest.mark.parametrize(
    ("body", "result"),
    [
        pytest.param(flat(text="Code 12\u206334"), hidden(8), id="in the text"),
        pytest.param(json.dumps({"to": RECIPIENT, "body": "\x00"}).encode(), hidden(1, "body"), id="named as the caller names it"),
        pytest.param(flat(text="Code 730\u200b175"), hidden(9), id="a space of no width that splits a number"),
        pytest.param(flat(text="Code 12\u200b34 730175", code="730175"), hidden(8), id="a number that is not the code"),
    ],
)
def test_what_nobody_sees_is_refused_by_its_place(body: bytes, result: Result) -> None:
    assert refusal(body) == result


def test_a_code_that_was_split_by_what_means_nothing_is_whole_when_it_is_sent() -> None:
    for nothing in ("\u200b", "\u00ad", "\u2060", "\ufeff"):
        assert read(flat(text=f"Code 730{nothing}175", code="730175"))["text"] == "Code 730175"


@pytest.mark.parametrize("text", ["\u200b", "\ufeff \u00ad", "\u200c", "\u2068\u2069"])
def test_a_text_of_which_nothing_is_seen_is_blank(text: str) -> None:
    assert refusal(flat(text=text)) == wrong_fields("text")


@pytest.mark.parametrize(
    "text",
    [
        "Your code is %!(EXTRA string=123456)",
        "Your code is %!s(MISSING)",
        "Code %!d(string=123456)",
        "Code %!v(int=5)",
        "Code %!s(<nil>)",
        "Code %!s(PANIC=String method: x)",
        "Code %!z(BADINDEX)",
        "Code %!(NOVERB)",
        "Code %!(BADWIDTH)%!(BADPREC)5",
        "Save 20%!,(MISSING)",
    ],
)
def test_a_text_that_a_broken_template_made_is_refused(text: str) -> None:
    assert refusal(flat(text=text)) == wrong_fields("text")


@pytest.mark.parametrize(
    "text",
    ["100%! Code 123456", "Save 20%! (offer) 730173", "Save 20%!(offer)", "20%!(2 days)", "100 %!", "20%!\n(extra)", "50%!! (Extra)"],
)
def test_a_bracket_behind_a_percentage_is_no_broken_template(text: str) -> None:
    assert read(flat(text=text))["text"] == text


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" ", id="a space"),
        pytest.param(b"\x00", id="NUL"),
        pytest.param(b"hello", id="a word"),
        pytest.param(b"{", id="unclosed"),
        pytest.param(flat()[:-1], id="cut"),
        pytest.param(flat() + b"x", id="something behind it"),
        pytest.param(flat() + flat(), id="two objects"),
        pytest.param(b"\xef\xbb\xbf" + flat(), id="byte order mark"),
        pytest.param(b" \xef\xbb\xbf" + flat(), id="byte order mark behind a space"),
        pytest.param(flat().decode().encode("utf-16"), id="UTF-16"),
        pytest.param(flat().decode().encode("utf-32-be"), id="UTF-32"),
        pytest.param(b'{"recipient":"+12025550100","text":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"recipient":"+12025550100","text":"caf\xe9"}', id="Latin-1"),
        pytest.param(b'{"recipient":"+12025550100","text":"\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b'{"recipient":"+12025550100","text":"\xc0\xaf"}', id="overlong UTF-8"),
        pytest.param(b'{"recipient":"+12025550100","text":"x \\ud83d y"}', id="lone surrogate escape"),
        pytest.param(b'{"recipient":"+12025550100","text":"x","\\udc00":1}', id="lone surrogate in a key"),
        pytest.param(b'{"recipient":"+12025550100","text":"a\nb"}', id="raw newline in a string"),
        pytest.param(b"{'recipient':'+12025550100','text':'x'}", id="single quotes"),
        pytest.param(b'{"recipient":"+12025550100","text":"x",}', id="trailing comma"),
        pytest.param(b'{"recipient":"+12025550100","text":"x"/**/}', id="comment"),
        pytest.param(b'{"recipient":"+12025550100","text":"x","n":NaN}', id="NaN"),
        pytest.param(b'{"recipient":"+12025550100","text":"x","n":-Infinity}', id="Infinity"),
        pytest.param(b'{"recipient":"+12025550100","text":"x","n":01}', id="leading zero"),
        pytest.param(b'{"recipient":' + b"1" * 10_000 + b',"text":"x"}', id="recipient of 10000 digits"),
        pytest.param(b"[" * 60_000, id="60000 open lists"),
        pytest.param(b'{"a":' * 12_000 + b"1" + b"}" * 12_000, id="12000 nested objects"),
        pytest.param(b'{"recipient":"+12025550100","text":"x","n":' + b"[" * 9000 + b"]" * 9000 + b"}", id="deep in an unknown field"),
    ],
)
def test_what_is_not_json_is_refused_and_not_quoted(body: bytes) -> None:
    assert refusal(body) == Result(Outcome.INVALID_JSON, "not_json")


@pytest.mark.parametrize("body", [b"null", b"true", b"1", b'"recipient"', b"[]", b'[{"recipient":"+12025550100","text":"x"}]'])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    assert refusal(body) == Result(Outcome.INVALID_REQUEST, "not_an_object")


def test_of_duplicate_keys_one_counts_for_the_number_that_is_judged_and_the_number_that_is_sent() -> None:
    message = read(b'{"recipient":"+41791234567","text":"first","recipient":"+12025550100","text":"last"}')
    assert (message["recipient"], message["region"], message["text"]) == (RECIPIENT, "US", "last")


def test_a_shape_is_recognised_by_its_filled_marker_only() -> None:
    assert read(flat(context=None, notification=None, message_options=None))["source"] == "flat"
    both = json.dumps({"notification": {"recipient": RECIPIENT, "as_text": "x"}, "context": {}, "recipient": "+41791234567"}).encode()
    assert (read(both)["source"], read(both)["recipient"]) == ("auth0_event_provider", RECIPIENT)


def test_what_stands_beside_a_context_of_ones_own_counts_where_the_context_is_silent() -> None:
    beside = {"code": "654321", "message_type": "text", "expires_at": 1_900_000_000, "ip": "203.0.113.9", "tenant": "t-1"}
    assert {field: read(flat(context={"source": "wso2"}, **beside))[field] for field in ("code", "tenant", "client_ip")} == {
        "code": "654321",
        "tenant": "t-1",
        "client_ip": ip_address("203.0.113.9"),
    }
    assert read(flat(context={"expires_at": 1_800_000_000}, **beside))["expires_at"] == read(flat(expires_at=1_800_000_000))["expires_at"]
    assert read(flat(context={"source": "wso2"}, message_type="voice"))["channel"] == Channel.VOICE


def test_of_two_places_the_first_that_is_not_null_counts() -> None:
    message = read(flat(recipient=None, to="+41791234567", body="second"))
    assert (message["recipient"], message["text"]) == ("+41791234567", "Your code is 123456")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(flat(recipient="canary 555"), id="recipient"),
        pytest.param(flat(recipient=["canary"]), id="recipient of the wrong type"),
        pytest.param(flat(text="canary\x00"), id="text"),
        pytest.param(flat(code="canary\n"), id="code"),
        pytest.param(flat(message_type="canary"), id="channel"),
        pytest.param(flat(tenant="canary\x00"), id="tenant"),
        pytest.param(flat(expires_at="canary"), id="expiry"),
        pytest.param(flat(context="canary"), id="context"),
        pytest.param(hook(client="canary"), id="client"),
        pytest.param(hook(canary=1, client=[{"canary": 1}]), id="an unknown key"),
        pytest.param(b'{"canary": canary', id="not JSON"),
        pytest.param(b'"canary"', id="no object"),
    ],
)
def test_a_refusal_names_fields_and_never_repeats_what_was_in_them(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse(body, JSON, None)
    error = caught.value
    assert "canary" not in f"{error} {error!r} {error.args} {error.result}"
    assert "canary" not in "".join(traceback.format_exception(error))


PAYLOAD_MODELS = (ProviderEvent, MfaEvent, HookCall, FlatCall)
PLACES = {path for model in PAYLOAD_MODELS for path in model.OBJECTS} | {
    str(choice)
    for model in PAYLOAD_MODELS
    for field in model.model_fields.values()
    if isinstance(field.validation_alias, AliasChoices)
    for choice in field.validation_alias.choices
}
KEYS = sorted({key for place in PLACES for key in place.split(".")})
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-10, 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20).map(lambda text: f"~{text}~")
    | st.sampled_from([RECIPIENT, "+41 79 123 45 67", "sms", "voice", "en_US", "::ffff:203.0.113.7", "1800000000", "x", ""])
)
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=8) | st.lists(inner, max_size=2))
PAYLOADS = st.fixed_dictionaries(
    {"recipient": LEAVES, "text": LEAVES}, optional={"context": VALUES, "notification": VALUES, "code": LEAVES}
)
CONTENT_TYPES = st.sampled_from([JSON, FORM, b"text/plain", b""]) | st.binary(max_size=20)


def outcome_of(body: bytes, content_type: bytes, default_region: str | None) -> Result | PhoneMessage:
    try:
        return parse(body, content_type, default_region)
    except Refused as refused:
        return refused.result


@LAW
@given(
    st.binary(max_size=200) | st.text(max_size=100).map(str.encode) | PAYLOADS.map(lambda p: json.dumps(p).encode()),
    CONTENT_TYPES,
    st.sampled_from([None, "US", "CH"]),
)
def test_whatever_arrives_becomes_a_message_or_one_of_three_refusals(body: bytes, content_type: bytes, default_region: str | None) -> None:
    outcome = outcome_of(body, content_type, default_region)
    if isinstance(outcome, Result):
        assert outcome.outcome in {Outcome.INVALID_JSON, Outcome.INVALID_REQUEST, Outcome.INVALID_RECIPIENT}
        assert set(outcome.fields) <= PLACES
        assert outcome.why in {
            "not_json",
            "not_a_form",
            "not_an_object",
            "wrong_fields",
            "hidden_character",
            "not_a_number",
            "no_such_number",
            "no_country_code",
            "ambiguous_number",
            "old_number_plan",
        }


@LAW
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=5), st.text(min_size=1, max_size=60))
def test_whatever_arrives_as_a_form_becomes_a_message_or_a_refusal(junk: dict[str, str], text: str) -> None:
    outcome = outcome_of(urlencode(junk | {"recipient": RECIPIENT, "text": text}).encode(), FORM, None)
    assert isinstance(outcome, PhoneMessage) or set(outcome.fields) <= PLACES


CODES = st.from_regex(r"\A[0-9A-Z]{3}-[0-9]{6,10}\Z")
NUMBERS = st.sampled_from(["+12025550100", "+12025550123", "+61491570006", "+46701740605", "+41791234567"])


@settings(max_examples=60, deadline=None)
@given(CODES, NUMBERS, st.sampled_from(["recipient", "text", "code", "channel", "expires_at"]))
def test_no_printed_form_of_a_message_holds_number_text_or_code(code: str, number: str, wrong: str) -> None:
    text = f"Dear customer, {code} is your code"
    body = json.dumps({"recipient": number, "text": text, "code": code, "message_type": "sms"}).encode()
    message = parse(body, JSON, None)
    forms = [
        str(message),
        repr(message),
        f"{message}",
        format(message),
        f"{message.recipient} {message.recipient!r} {message.text} {message.text!r} {message.code} {message.code!r}",
        "%s %r" % (message.recipient, message.text),  # noqa: UP031 - one more way in which things get printed
        json.dumps(message, default=str),
        json.dumps(message._asdict(), default=repr),
        str([message]),
        str(message._asdict()),
    ]
    payload = json.loads(body)
    with pytest.raises(ValidationError) as caught:
        FlatCall.model_validate(payload | {wrong: [number, text, code]})
    forms += [str(caught.value), repr(caught.value), "".join(traceback.format_exception(caught.value))]
    for form in forms:
        assert code not in form
        assert code.split("-")[1] not in form
        assert "Dear customer" not in form
        assert number[1:] not in re.sub(r"[^0-9]", "", form)


@pytest.mark.parametrize(
    ("e164", "shown"),
    [
        pytest.param("+12025550100", "+1********00", id="calling code of one digit"),
        pytest.param("+41791234567", "+41*******67", id="two digits"),
        pytest.param("+351912345678", "+351*******78", id="three digits"),
    ],
)
def test_a_recipient_shows_its_calling_code_and_two_digits(e164: str, shown: str) -> None:
    assert str(Recipient(e164)) == shown
    assert Recipient(e164).msisdn == e164[1:]


def test_a_blank_field_does_not_hide_the_second_place() -> None:
    message = parse(b'{"recipient":"","to":"+12025550110","text":"","body":"Code 1"}', b"", None)
    assert (message.recipient.get_secret_value(), message.text.get_secret_value()) == ("+12025550110", "Code 1")


def test_the_scope_of_an_address_is_dropped() -> None:
    message = parse(b'{"recipient":"+12025550110","text":"Code 1","ip":"fe80::1%+12025550199"}', b"", None)
    assert str(message.client_ip) == "fe80::1"
