"""Templates: the built-in ones cost one segment, an operator's own are checked, and a user gets the one of his language."""

import json
import re
import string
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mitto_phone_hook.config.settings import SettingsError, load
from mitto_phone_hook.domain.message import Purpose
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.hidden_characters import clean_text
from mitto_phone_hook.sms.segments import Encoding, encode
from mitto_phone_hook.sms.template_file import SAMPLE, read
from mitto_phone_hook.sms.templates import NAMES, built_in, fill
from support.messages import decide, parse
from support.processes import ROOT
from support.stage import ENVIRONMENT, Stage

LAW = hypothesis_settings(max_examples=100, deadline=None)

NOW = 1_800_000_000
CODE = "049217"
LANGUAGES = ["pt-PT", "zh-Hant", *re.findall("..", "endefritesptnlplcstrarhehithviidjakozh")]
IN_GSM7 = {"en", "de", "fr", "it", "nl", "id"}
"""Languages whose letters the GSM 7 bit alphabet has, with words that do without those that it lacks."""
RIGHT_TO_LEFT = {"ar", "he"}

BUILT_IN = [(name, language.lower()) for name in dict.fromkeys(NAMES.values()) for language in LANGUAGES]
each_built_in = pytest.mark.parametrize(("name", "language"), BUILT_IN)


def sms_of(fields: Mapping[str, object], file: str = "", **environment: str) -> Sms:
    settings = load(ENVIRONMENT | ({"TEMPLATES_FILE": "own.toml"} if file else {}) | environment, {"own.toml": file}.__getitem__)
    body = json.dumps({"recipient": "+12025550110", **fields}).encode()
    return decide(parse(body, b"application/json", None), settings, signed_at=None, now=NOW)


def text_of(fields: Mapping[str, object], file: str = "", **environment: str) -> str:
    return sms_of(fields, file, **environment).encoded.text


def problems_of(file: str, **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        sms_of({"code": CODE}, file, **environment)
    return caught.value.problems


def test_every_purpose_has_a_template_in_every_language() -> None:
    assert set(NAMES) == set(Purpose)
    assert {(name, language) for _, name, language in built_in()} == set(BUILT_IN)


def test_the_built_in_file_passes_every_check_of_an_own_one() -> None:
    path = ROOT / "src" / "mitto_phone_hook" / "sms" / "templates.toml"
    assert read(path.read_text(encoding="utf-8"), {}, is_smart=False) == built_in()


@each_built_in
@pytest.mark.parametrize("app", ["", SAMPLE["app"]])
def test_a_built_in_text_is_one_segment(name: str, language: str, app: str) -> None:
    template = built_in()["", name, language]
    encoded = encode(fill(template, SAMPLE | {"app": app, "domain": ""}), is_smart=False)
    assert encoded.segments == 1
    assert name == "notice" or language not in IN_GSM7 or encoded.encoding is Encoding.GSM7
    assert clean_text(encoded.text) == encoded.text
    assert encoded.text.strip() == encoded.text
    assert "  " not in encoded.text


@each_built_in
def test_a_built_in_text_with_a_long_code_and_name_is_two_segments_at_most(name: str, language: str) -> None:
    values = {"code": "1234567890", "app": "A" * 30, "minutes": "1440", "domain": ""}
    assert encode(fill(built_in()["", name, language], values), is_smart=False).segments <= (1 if language in IN_GSM7 else 2)


@each_built_in
def test_a_built_in_text_has_its_code_early_and_no_link(name: str, language: str) -> None:
    template = built_in()["", name, language]
    assert ("{code}" in template) == (name != "notice")
    assert template.find("{code}") <= 30
    assert not any(part in template for part in ("http", "www", "://", "@"))


@each_built_in
def test_a_text_begins_in_its_own_direction(name: str, language: str) -> None:
    is_right_to_left = "\u0590" <= built_in()["", name, language].lstrip("{}abcdefghijklmnopqrstuvwxyz:[【 ")[0] <= "\u06ff"
    assert is_right_to_left == (language in RIGHT_TO_LEFT)


@LAW
@given(
    st.sampled_from(sorted(built_in().values())),
    st.text(string.printable[:94], min_size=1, max_size=64),
    st.sampled_from(["", "Acme", "A.B.C."]),
    st.integers(1, 2880),
)
def test_no_placeholder_leaks_and_the_code_is_unchanged(template: str, code: str, app: str, minutes: int) -> None:
    text = fill(template, {"code": code, "app": app, "minutes": str(minutes), "domain": "example.com"})
    assert ("{code}" not in template) or code in text
    rest = text.replace(code, "", 1)
    assert not any(f"{{{name}}}" in rest for name in ("code", "app", "minutes", "domain"))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param({"action": "login"}, "049217 is your login code. Do not share it with anyone.", id="a login"),
        pytest.param({"action": "sign_up"}, "049217 is your sign-up code. Do not share it with anyone.", id="a sign-up"),
        pytest.param({"action": "change_password"}, "049217 is your account recovery code. Do not share it with anyone.", id="a recovery"),
        pytest.param({"action": "mfa"}, "049217 is your security code. Do not share it with anyone.", id="a second factor"),
        pytest.param({"action": "notice"}, "049217 is your verification code. Do not share it with anyone.", id="a notice with a code"),
        pytest.param({"locale": "de_CH"}, "049217 ist Ihr Bestätigungscode. Geben Sie ihn nicht weiter.", id="German"),
        pytest.param({"language": "zh-HK"}, "驗證碼\uff1a049217\uff0c請勿提供給他人。", id="Chinese in Hong Kong"),
        pytest.param({"locale": "ko"}, "인증번호는 049217입니다. 타인에게 알려주지 마세요.", id="Korean"),
        pytest.param({"locale": "ar"}, "رمز التحقق: 049217. لا تشاركه مع أحد.", id="Arabic"),
        pytest.param(
            {"locale": "fi"}, "049217 is your verification code. Do not share it with anyone.", id="a language without a template"
        ),
    ],
)
def test_a_code_alone_is_sent_in_words_for_its_purpose_and_language(fields: dict[str, object], text: str) -> None:
    assert text_of({"code": CODE} | fields) == text


def test_a_notice_without_words_is_sent_as_one() -> None:
    assert text_of({"action": "blocked_account"}) == "Security alert. Please check the recent activity on your account."
    assert text_of({"action": "blocked_account", "locale": "it"}, APP_NAME="Acme").startswith("Acme: Avviso di sicurezza.")


def test_the_default_language_is_the_operators() -> None:
    assert text_of({"code": CODE, "locale": "fi"}, DEFAULT_LOCALE="nl-BE").startswith("049217 is je verificatiecode.")
    assert text_of({"code": CODE, "locale": "it"}, DEFAULT_LOCALE="nl").startswith("049217 è il tuo codice")
    assert text_of({"code": CODE}, DEFAULT_LOCALE="fi").startswith("049217 is your")


def test_a_callers_text_is_replaced_only_where_the_operator_says_so_and_the_code_is_known() -> None:
    own: dict[str, object] = {"text": f"Code {CODE}", "locale": "de"}
    assert text_of(own | {"code": CODE}) == f"Code {CODE}"
    assert text_of(own | {"code": CODE}, TEMPLATES="always") == "049217 ist Ihr Bestätigungscode. Geben Sie ihn nicht weiter."
    assert text_of(own, TEMPLATES="always") == f"Code {CODE}"
    assert text_of(own | {"code": CODE, "action": "blocked_account"}, TEMPLATES="always") == f"Code {CODE}"


OWN = """
[verification]
de = "{code} ist dein Code für {app}, {minutes} Minuten lang."
pt_BR = "{code}: código de {domain}"

[client.abc123.verification]
en = "{code} is your code for the shop."

[org."acme.com".login]
en = { text = "{code} is your code. Please do not share it with anybody at all. We never ask for it, neither by phone nor by e-mail nor in \
any other way; if somebody does, hang up.", segments = 2 }
"""


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param({"locale": "de-AT"}, "049217 ist dein Code für Acme, 5 Minuten lang.", id="own text"),
        pytest.param({"locale": "de", "expires_at": NOW + 90}, "049217 ist dein Code für Acme, 1 Minuten lang.", id="what is left"),
        pytest.param({"locale": "pt-BR"}, "049217: código de login.example.com\n\n@login.example.com #049217", id="domain"),
        pytest.param({"client_id": "abc123"}, "049217 is your code for the shop.", id="the client's text"),
        pytest.param({"client_id": "other"}, "049217 is your Acme verification code. Do not share it with anyone.", id="another client"),
        pytest.param(
            {"client_id": "abc123", "locale": "de"}, "049217 ist dein Code für Acme, 5 Minuten lang.", id="language before client"
        ),
        pytest.param({"organization": "acme.com", "action": "login"}, "049217 is your code. Please do not", id="the organization's text"),
    ],
)
def test_own_templates_come_before_the_built_in_ones(fields: dict[str, object], text: str) -> None:
    assert text_of({"code": CODE} | fields, OWN, APP_NAME="Acme", OTP_DOMAIN="login.example.com").startswith(text)


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("[login]\nen = '{code} {name}'", "line 2, login.en: must have no braces but those of {app}, {code}, {domain}, {minutes}"),
        ("[login]\nen = '{code} {'", "line 2, login.en: must have no braces"),
        ("\n[login]\nen = 'Hello'", "line 3, login.en: must have {code}"),
        ("[notice]\nen = '{code}'", "line 2, notice.en: must not have {code}"),
        ("[login]\nen = '{code} {domain}'", "line 2, login.en: has {domain}, which needs OTP_DOMAIN"),
        ("[login]\n'de ch' = '{code}'", "line 2, login.de ch: must have a language tag"),
        ("[login]\nen = ''", "line 2, login.en: must be a text"),
        ("[login]\nen = 5", "line 2, login.en: must be a text"),
        ("[login]\nen = { text = '{code}', segment = 2 }", "line 2, login.en: must be a text"),
        ("[login]\nen = { text = '{code}', segments = 0 }", "line 2, login.en: must have segments from 1 to 20"),
        ("[login]\nen = '{code} \u200b'", "line 2, login.en: must have no characters that nobody sees"),
        ("[login]\nen = '{code} \u202e654321'", "line 2, login.en: must have no characters that nobody sees"),
        ("[login]\nen = 'e\u0301 {code}'", "line 2, login.en: must have no characters that nobody sees"),
        ("[logon]\nen = '{code}'", "line 2, logon.en: is no template: there are login, sign_up, recovery, verification, mfa, notice"),
        ("login = '{code}'", "line 1, login: must be a table of texts by language"),
        ("[client.abc.login]\n[client.def]\nlogin = '{code}'", "line 1, client.abc.login: must be a table of texts"),
        ("[login]\npt-BR = '{code}'\npt_BR = '{code}'", "line 3, login.pt_BR: has this template twice"),
        ("[login]\nen = '{code} " + "x" * 154 + "'", "line 2, login.en: needs 2 segments (GSM-7, 160 in one)"),
        ("[login]\nen = '{code} ж" + "x" * 64 + "'", "line 2, login.en: needs 2 segments (UCS-2, 70 in one)"),
        ("[login]\nen = {code}", "must be TOML: "),
        ("login = " + "[" * 9000, "must be TOML "),
        ("[client.''.login]\nen = '{code}'", "line 2, client..login.en: must have the id of a client or an organization"),
        ("[org.' a'.login]\nen = '{code}'", "line 2, org. a.login.en: must have the id of a client or an organization"),
    ],
)
def test_a_wrong_template_is_named_by_line_and_key(file: str, fault: str) -> None:
    assert problems_of(file)[0].startswith(f"TEMPLATES_FILE {fault}")


def test_every_fault_is_named_at_once_in_the_order_of_the_file() -> None:
    file = "[login]\nen = 'a'\nde = '{x}'\n\n[client.'a b'.mfa]\nfr = '{code}{domain}'\n\n[nothing]\nen = '{code}'\n"
    problems = problems_of(file, APP_NAME="é")
    assert [one.split(":")[0] for one in problems] == [
        "APP_NAME must be at most 30 letters, digits, inner spaces and signs of .,&'+!-",
        "TEMPLATES_FILE line 2, login.en",
        "TEMPLATES_FILE line 3, login.de",
        "TEMPLATES_FILE line 6, client.a b.mfa.fr",
        "TEMPLATES_FILE line 9, nothing.en",
    ]


def test_what_a_text_costs_is_judged_as_it_will_be_sent() -> None:
    file = "[login]\nen = '{code} \u2019" + "x" * 70 + "'"
    assert sms_of({"code": CODE}, file).encoded.segments == 1
    assert "needs 2 segments" in problems_of(file, SMART_ENCODING="off")[0]


def test_a_text_that_could_never_be_sent_is_refused_whatever_it_may_cost() -> None:
    file = "[login]\nen = { text = '{code} " + "x" * 200 + "', segments = 3 }"
    assert sms_of({"code": CODE}, file, MAX_SEGMENTS="2").encoded.segments == 1  # another template
    assert problems_of(file, MAX_SEGMENTS="1") == [
        "TEMPLATES_FILE line 2, login.en: needs 2 segments, and MAX_SEGMENTS allows 1: no message with this text would be sent"
    ]


def test_a_file_that_cannot_be_read_is_named() -> None:
    def missing(_: str) -> str:
        raise FileNotFoundError

    with pytest.raises(SettingsError, match="TEMPLATES_FILE cannot be read"):
        load(ENVIRONMENT | {"TEMPLATES_FILE": "own.toml"}, missing)


def test_the_lines_for_handsets_are_added_by_caller_and_only_to_a_code() -> None:
    environment = {"OTP_DOMAIN": "example.com; client:abc=id.example.org", "ANDROID_APP_HASH": "org:acme=FA+9qCX9VSu"}
    own: dict[str, object] = {"text": f"Code {CODE}", "code": CODE}
    assert text_of(own, **environment) == f"Code {CODE}\n\n@example.com #{CODE}"
    assert text_of(own | {"client_id": "abc"}, **environment) == f"Code {CODE}\n\n@id.example.org #{CODE}"
    assert text_of(own | {"organization": "acme"}, **environment) == f"Code {CODE}\n\nFA+9qCX9VSu\n@example.com #{CODE}"
    assert text_of({"text": "Hello"}, **environment) == "Hello"


def test_the_lines_are_left_out_where_the_text_would_become_too_long() -> None:
    text = f"Code {CODE} " + "x" * 140
    one = {"OTP_DOMAIN": "example.com", "MAX_SEGMENTS": "1"}
    assert text_of({"text": text, "code": CODE}, **one) == text
    assert text_of({"text": text, "code": CODE}, **one | {"MAX_SEGMENTS": "2"}).endswith(f"\n\n@example.com #{CODE}")


@pytest.mark.parametrize(("recipient", "region"), [("+919876543210", "IN"), ("+12025550110", "US")])
def test_smart_encoding_can_be_off_where_a_registry_compares_every_character(recipient: str, region: str) -> None:
    fields = {"text": f"It\u2019s {CODE}", "recipient": recipient}
    assert ("\u2019" in text_of(fields, SMART_ENCODING="on; IN=off")) == (region == "IN")
    assert ("\u2019" in text_of(fields, SMART_ENCODING="off; in=on")) == (region == "US")
    assert "\u2019" not in text_of(fields, SMART_ENCODING="US=on")


async def test_a_repeated_code_is_sent_once_though_the_minutes_that_are_left_differ() -> None:
    times = [NOW, NOW + 61]
    stage = Stage(None, lambda: times[0], RESEND_AFTER_SECONDS="300", DEFAULT_LOCALE="de")
    body = json.dumps({"recipient": "+12025550110", "code": CODE, "expires_at": NOW + 300}).encode()
    for _ in range(2):
        assert (await stage.acall(body)).status == 200
        times.pop(0)
        times.append(NOW + 61)
    assert len(stage.requests) == 1
