"""Settings: every problem at once, each naming its variable and its rule, and never a value."""

import base64
import re
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mitto_phone_hook.config.settings import Settings, SettingsError, load, variables
from mitto_phone_hook.config.unknown_variables import unknown
from mitto_phone_hook.domain.phone_number import BareDigits
from mitto_phone_hook.platforms import NAMES as PLATFORMS

LAW = hypothesis_settings(max_examples=150, deadline=None)

BEARER = "bearer-secret-of-the-tests-only"
KEY = bytes(range(32))
WHSEC = "whsec_" + base64.b64encode(KEY).decode()
REQUIRED = {"MITTO_API_KEY": "key-of-the-tests", "HOOK_SECRETS": BEARER}

RULES = {
    "MITTO_API_KEY": "visible ASCII",
    "HOOK_SECRETS": "at least 24",
    "HOOK_SECRETS_AUTH0": "at least 24",
    "MITTO_SENDER_ID": "3 to 11",
    "MITTO_BASE_URL": "https://",
    "MITTO_TEST": "on or off",
    "DEADLINE_SECONDS": "0.5 to 25",
    "CONNECT_TIMEOUT_SECONDS": "0.05 to 30",
    "MAX_ATTEMPTS": "1 to 10",
    "MAX_BODY_BYTES": "1024 to 1048576",
    "MAX_SEGMENTS": "1 to 20",
    "SMART_ENCODING": "on or off",
    "TEMPLATES": "code_only or always",
    "APP_NAME": "at most 30",
    "DEFAULT_LOCALE": "language tag",
    "OTP_DOMAIN": "host name",
    "ANDROID_APP_HASH": "11 letters",
    "CODE_LIFETIME_SECONDS": "30 to 86400",
    "ALLOWED_REGIONS": "ISO 3166",
    "BLOCKED_NUMBERS": "E.164",
    "ALLOWED_NUMBERS": "E.164",
    "DEFAULT_REGION": "ISO 3166",
    "BARE_DIGITS": "careful, international or national",
    "REPORT_SECRETS": "24 or more",
    "PUBLIC_URL": "https://",
    "CONVERSIONS": "on or off",
    "TEST_NUMBERS": "each with its code",
    "LOG_LEVEL": "DEBUG, INFO, WARNING or ERROR",
}
"""What the problem with each variable says, in part: enough to mend it."""


def files(contents: dict[str, str]) -> Callable[[str], str]:
    def read(path: str) -> str:
        if path not in contents:
            raise FileNotFoundError(path)
        return contents[path]

    return read


def problems(environment: dict[str, str], read_file: Callable[[str], str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environment, read_file or files({}))
    return caught.value.problems


def with_setting(name: str, text: str) -> Settings:
    return load(REQUIRED | {name: text})


def is_refused(name: str, text: str) -> bool:
    try:
        with_setting(name, text)
    except SettingsError as error:
        assert [problem.split()[0] for problem in error.problems] == [name]  # noqa: PT017 - the refusal of another setting is no refusal
        return True
    return False


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load(REQUIRED)
    assert settings.mitto_api_key.current(0) == "key-of-the-tests"
    assert settings.hook_secrets[""].current(0).bearer == (BEARER.encode(),)
    assert settings.hook_secrets[""].current(0).signing_keys == ()
    assert set(settings.hook_secrets) == {""}
    assert settings.mitto_sender_id == "Mitto SMS"
    assert settings.mitto_base_url == "https://rest.mittoapi.com"
    assert settings.mitto_test is False
    assert (settings.deadline_seconds, settings.connect_timeout_seconds) == (8, 1)
    assert (settings.max_attempts, settings.max_body_bytes, settings.max_segments) == (3, 65536, 4)
    assert settings.smart_encoding == {"": True}
    assert settings.code_lifetime_seconds == 300
    assert (settings.allowed_regions, settings.blocked_numbers, settings.default_region) == (frozenset(), (), None)
    assert settings.log_level == "INFO"


def test_an_empty_variable_counts_as_unset() -> None:
    settings = load(dict.fromkeys((setting.name for setting in variables()), "") | REQUIRED)
    assert (settings.deadline_seconds, settings.mitto_sender_id, set(settings.hook_secrets)) == (8, "Mitto SMS", {""})


def test_variables_of_others_are_none_of_our_business() -> None:
    assert load(REQUIRED | {"PATH": "/bin", "PORT": "8080", "DEBUG": "true", "MITTO_UNKNOWN": "x", "HOOK": "y"}).max_attempts == 3


@pytest.mark.parametrize("environment", [{}, {"MITTO_API_KEY": "", "HOOK_SECRETS": ""}])
def test_without_key_and_secrets_the_function_does_not_start(environment: dict[str, str]) -> None:
    assert problems(environment) == [
        "MITTO_API_KEY is required (or MITTO_API_KEY_FILE)",
        "HOOK_SECRETS is required (or HOOK_SECRETS_FILE)",
    ]


def test_all_problems_are_reported_at_once_each_in_one_line_with_its_rule() -> None:
    names = [*(setting.name for setting in variables()), "HOOK_SECRETS_AUTH0"]
    reported = problems(dict.fromkeys(names, "schlüssel\nbund") | {"HOOK_SECRETS_ORY": "x"})
    assert sorted(problem.split()[0] for problem in reported) == sorted([*names, "HOOK_SECRETS_ORY"])
    assert [problem for problem in reported if len(problem.splitlines()) != 1] == []
    assert {
        name for name, rule in RULES.items() if not any(problem.startswith(f"{name} ") and rule in problem for problem in reported)
    } == set()
    assert "schlüssel" not in "\n".join(reported)


def test_the_error_itself_lists_every_problem() -> None:
    with pytest.raises(SettingsError) as caught:
        load({})
    assert str(caught.value).splitlines() == caught.value.problems
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    "variable", ["HOOK_SECRETS_ORY", "HOOK_SECRETS_ORY_FILE", "HOOK_SECRETS_KEYCLOAK", "HOOK_SECRETS_AUTH1", "HOOK_SECRETS_FOO_BAR"]
)
def test_secrets_for_a_platform_without_a_route_stop_the_start(variable: str) -> None:
    routes = ", ".join(f"HOOK_SECRETS_{name.upper()}" for name in PLATFORMS)
    reported = problems(REQUIRED | {variable: BEARER + BEARER})
    assert reported == [f"{variable.removesuffix('_FILE')} names a platform that has no route here: take it out, there are {routes}"]
    assert unknown({variable: BEARER}) == {}


def test_a_connect_timeout_has_to_leave_time_before_the_deadline() -> None:
    contradiction = ["CONNECT_TIMEOUT_SECONDS must be less than DEADLINE_SECONDS"]
    assert problems(REQUIRED | {"DEADLINE_SECONDS": "2", "CONNECT_TIMEOUT_SECONDS": "2"}) == contradiction
    assert problems(REQUIRED | {"DEADLINE_SECONDS": "1"}) == contradiction
    assert load(REQUIRED | {"DEADLINE_SECONDS": "2", "CONNECT_TIMEOUT_SECONDS": "1.9"}).connect_timeout_seconds == 1.9


NAMES = [*RULES, "MITTO_API_KEY_FILE", "HOOK_SECRETS_FILE", "HOOK_SECRETS_AUTH0_FILE", "STORE_URL", "STORE_URL_FILE", "HOOK_SECRETS_ORY"]
JUNK = st.builds(lambda before, behind: f"{before}canary\u2603{behind}", st.text(max_size=30), st.text(max_size=30))
SHAPED = JUNK | st.sampled_from(
    [
        "https://user:canary\u2603@rest.mittoapi.com",
        "https://rest.mittoapi.com:canary\u2603",
        "https://[canary\u2603",
        "whsec_canary\u2603",
        "v1,whsec_canary\u2603",
        "+41canary\u2603",
        "CH,canary\u2603",
    ]
)


@LAW
@given(st.dictionaries(st.sampled_from(NAMES), SHAPED, min_size=1), SHAPED)
def test_no_value_ever_appears_in_a_problem(environment: dict[str, str], content: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environment, lambda _: content)
    reported = f"{caught.value} {caught.value!r} {caught.value.problems} {''.join(traceback.format_exception(caught.value))}"
    assert "canary" not in reported.lower()
    assert "\u2603" not in reported
    assert {problem.split()[0] for problem in caught.value.problems} <= set(NAMES)
    assert str(caught.value).splitlines() == caught.value.problems


@LAW
@given(SHAPED)
def test_neither_the_path_nor_the_error_of_a_file_appears_in_a_problem(path: str) -> None:
    reported = problems({"MITTO_API_KEY_FILE": path, "HOOK_SECRETS": BEARER})
    assert reported == ["MITTO_API_KEY cannot be read from the file that MITTO_API_KEY_FILE names"]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        pytest.param("https://rest.mittoapi.com", "https://rest.mittoapi.com", id="documented"),
        pytest.param("https://rest.mittoapi.net", "https://rest.mittoapi.net", id="the other documented one"),
        pytest.param("https://rest.mittoapi.com/", "https://rest.mittoapi.com", id="trailing slash"),
        pytest.param("https://rest.mittoapi.com//", "https://rest.mittoapi.com", id="two trailing slashes"),
        pytest.param("https://rest.mittoapi.com:8443", "https://rest.mittoapi.com:8443", id="port"),
        pytest.param("https://relay.example.com/mitto/v1/", "https://relay.example.com/mitto/v1", id="path"),
        pytest.param("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", id="punycode"),
        pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:8080", id="loopback"),
        pytest.param("http://localhost:8080/", "http://localhost:8080", id="localhost"),
        pytest.param("http://[::1]:8080", "http://[::1]:8080", id="loopback in IPv6"),
    ],
)
def test_a_base_url_is_https_and_a_public_name_or_loopback(text: str, url: str) -> None:
    assert with_setting("MITTO_BASE_URL", text).mitto_base_url == url


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("http://rest.mittoapi.com", id="http to the public"),
        pytest.param("ftp://rest.mittoapi.com", id="another scheme"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("rest.mittoapi.com", id="no scheme"),
        pytest.param("//rest.mittoapi.com", id="no scheme but slashes"),
        pytest.param("https:rest.mittoapi.com", id="no slashes"),
        pytest.param("https:///rest.mittoapi.com", id="three slashes"),
        pytest.param("https://", id="no host"),
        pytest.param("https://rest", id="one label"),
        pytest.param("https://user@rest.mittoapi.com", id="user"),
        pytest.param("https://user:password@rest.mittoapi.com", id="user and password"),
        pytest.param("https://@rest.mittoapi.com", id="empty user"),
        pytest.param("http://user@127.0.0.1", id="user on loopback"),
        pytest.param("https://rest.mittoapi.com@evil.example", id="a look-alike before the at sign"),
        pytest.param("https://rest.mittoapi.com\\@evil.example", id="backslash"),
        pytest.param("https://rest.mittoapi.com%2eevil.example", id="escaped full stop"),
        pytest.param("https://rest.mittoapi.com?key=x", id="query"),
        pytest.param("https://rest.mittoapi.com/?key=x", id="query behind a slash"),
        pytest.param("https://rest.mittoapi.com#x", id="fragment"),
        pytest.param("https://rest.mittoapi.com.", id="trailing full stop"),
        pytest.param("https://.mittoapi.com", id="leading full stop"),
        pytest.param("https://rest..mittoapi.com", id="two full stops"),
        pytest.param("https://-rest.mittoapi.com", id="leading hyphen"),
        pytest.param("https://rest_api.mittoapi.com", id="underscore"),
        pytest.param("https://bücher.example", id="not ASCII"),
        pytest.param("https://rest.mittoapi.com/a b", id="space"),
        pytest.param("https://rest.mittoapi.com\n", id="trailing newline"),
        pytest.param("https://rest.mittoapi.com\r\nX-Evil: 1", id="line break"),
        pytest.param(" https://rest.mittoapi.com", id="leading space"),
        pytest.param("https://rest.mittoapi.com:0", id="port 0"),
        pytest.param("https://rest.mittoapi.com:65536", id="port too high"),
        pytest.param("https://rest.mittoapi.com:-1", id="negative port"),
        pytest.param("https://rest.mittoapi.com:x", id="port in words"),
        pytest.param("https://8.8.8.8", id="public address"),
        pytest.param("https://10.0.0.1", id="private address"),
        pytest.param("https://169.254.169.254", id="metadata address"),
        pytest.param("https://[fd00:ec2::254]", id="metadata address in IPv6"),
        pytest.param("https://[2001:db8::1]", id="IPv6"),
        pytest.param("https://[::ffff:127.0.0.1]", id="mapped loopback"),
        pytest.param("https://[::1", id="unclosed bracket"),
        pytest.param("http://0.0.0.0", id="any address"),
        pytest.param("http://127.0.0.2", id="another loopback address"),
        pytest.param("http://127.1", id="short loopback"),
        pytest.param("https://2130706433", id="decimal address"),
        pytest.param("https://0x7f000001", id="hexadecimal address"),
        pytest.param("https://0x7f.0.0.1", id="hexadecimal octet"),
        pytest.param("https://0177.0.0.1", id="octal octet"),
        pytest.param("https://metadata.google.internal", id="metadata host"),
        pytest.param("https://metadata.goog", id="metadata host, short"),
        pytest.param("https://METADATA.GOOGLE.INTERNAL", id="metadata host in capitals"),
        pytest.param("https://metadata.google.internal.", id="metadata host with a full stop"),
        pytest.param("https://instance-data.ec2.internal", id="another metadata host"),
        pytest.param("https://printer.local", id="local network"),
        pytest.param("https://x.localhost", id="below localhost"),
        pytest.param("http://localhost.evil.example", id="a look-alike of localhost"),
    ],
)
def test_a_base_url_that_points_inwards_or_pretends_is_refused(text: str) -> None:
    assert is_refused("MITTO_BASE_URL", text)


@pytest.mark.parametrize("text", ["Mitto SMS", "ABC", "A1c", "1A2", "12345678901", "123", "12345678901234", "Travel0", "ABCDEFGHIJK"])
def test_a_sender_id_is_one_that_mitto_takes(text: str) -> None:
    assert with_setting("MITTO_SENDER_ID", text).mitto_sender_id == text


@pytest.mark.parametrize(
    "text",
    ["AB", "12", "ABCDEFGHIJKL", "123456789012345", " ABC", "ABC ", "12 34", "A-B-C", "+41791234567", "Zürich", "ABC\n", "١٢٣٤", "a\tb"],
)
def test_a_sender_id_that_mitto_rejects_stops_the_start(text: str) -> None:
    assert is_refused("MITTO_SENDER_ID", text)


@pytest.mark.parametrize("text", ["key with space", "key\nX-Evil: 1", "key\r", "schlüssel", "\x00", " key", "key\x7f", '"key"', "'key'"])
def test_an_api_key_that_no_header_can_carry_stops_the_start(text: str) -> None:
    assert is_refused("MITTO_API_KEY", text)


@pytest.mark.parametrize("separator", [" ", "\n", "\r\n", "\t", "|", " | ", "\n\n"])
def test_secrets_to_rotate_are_separated_by_white_space_or_a_bar(separator: str) -> None:
    secrets = (
        with_setting("HOOK_SECRETS", separator.join([BEARER, WHSEC, "another-bearer-secret-here", f"v1,{WHSEC}"]))
        .hook_secrets[""]
        .current(0)
    )
    assert secrets.bearer == (BEARER.encode(), b"another-bearer-secret-here")
    assert secrets.signing_keys == (KEY, KEY)


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_signing_key_of_24_to_64_bytes_is_taken(length: int) -> None:
    text = "v1,whsec_" + base64.b64encode(bytes(length)).decode()
    assert with_setting("HOOK_SECRETS", text).hook_secrets[""].current(0).signing_keys == (bytes(length),)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 23, id="bearer of 23 characters"),
        pytest.param(f"{BEARER} {'x' * 23}", id="one of two is short"),
        pytest.param("geheimnis-mit-umlaut-äöü-drin", id="bearer that is not ASCII"),
        pytest.param("bearer-secret\x00with-a-nul-inside", id="bearer with NUL"),
        pytest.param("whsec_" + base64.b64encode(bytes(23)).decode(), id="key of 23 bytes"),
        pytest.param("whsec_" + base64.b64encode(bytes(65)).decode(), id="key of 65 bytes"),
        pytest.param("whsec_", id="no key"),
        pytest.param("v1,whsec_", id="no key, version in front"),
        pytest.param("whsec_" + "!" * 44, id="no base64"),
        pytest.param("whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(), id="URL-safe base64"),
        pytest.param("whsec_" + "ä" * 44, id="key that is not ASCII"),
        pytest.param(WHSEC[:-2], id="cut key"),
        pytest.param(" \n", id="blank"),
        pytest.param("|", id="a bar"),
        pytest.param(f'"{BEARER}"', id="bearer in quotation marks"),
        pytest.param(f"'{BEARER} {WHSEC}'", id="two in quotation marks"),
        pytest.param(f"'{BEARER}' '{WHSEC}'", id="each in quotation marks"),
        pytest.param(f"{BEARER},another-bearer-secret-here", id="comma between bearers"),
        pytest.param(f"{WHSEC},{BEARER}", id="comma behind a key"),
        pytest.param(f"v1,{WHSEC},v1,{WHSEC}", id="comma between keys"),
    ],
)
def test_a_weak_or_broken_secret_stops_the_start(text: str) -> None:
    assert is_refused("HOOK_SECRETS", text)
    assert is_refused("HOOK_SECRETS_AUTH0", text)


def test_a_comma_may_be_a_part_of_a_secret() -> None:
    assert with_setting("HOOK_SECRETS", "bearer,secret,with,commas").hook_secrets[""].current(0).bearer == (b"bearer,secret,with,commas",)


def test_a_platforms_own_secrets_are_kept_apart() -> None:
    settings = with_setting("HOOK_SECRETS_AUTH0", WHSEC)
    assert settings.hook_secrets["auth0"].current(0).signing_keys == (KEY,)
    assert settings.hook_secrets["auth0"].current(0).bearer == ()
    assert settings.hook_secrets[""].current(0).bearer == (BEARER.encode(),)


@pytest.mark.parametrize(
    ("text", "is_on"),
    [
        ("true", True),
        ("TRUE", True),
        ("1", True),
        ("on", True),
        ("yes", True),
        ("false", False),
        ("False", False),
        ("0", False),
        ("off", False),
        ("no", False),
    ],
)
def test_switches_are_written_in_the_usual_words(*, text: str, is_on: bool) -> None:
    assert with_setting("MITTO_TEST", text).mitto_test is is_on


@pytest.mark.parametrize("text", ["maybe", "2", " true", "true\n", "tru", "нет", "1.0"])
def test_a_switch_in_any_other_word_is_refused_rather_than_guessed(text: str) -> None:
    assert is_refused("MITTO_TEST", text)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("MAX_ATTEMPTS", 1, 10),
        ("MAX_BODY_BYTES", 1024, 1_048_576),
        ("MAX_SEGMENTS", 1, 20),
        ("CODE_LIFETIME_SECONDS", 30, 86_400),
    ],
)
def test_whole_numbers_have_two_bounds(name: str, low: int, high: int) -> None:
    assert [getattr(with_setting(name, str(value)), name.lower()) for value in (low, high)] == [low, high]
    assert all(
        is_refused(name, text) for text in (str(low - 1), str(high + 1), "-1", f"{low}.0", f" {low}", f"{low}\n", "x", "1e3", "9" * 5000)
    )


@pytest.mark.parametrize("text", ["0.4", "25.1", "nan", "inf", "-1", "1e1", "8s", "٨", "8\n", "8,5", "0x8", "1_0", "9" * 5000])
def test_seconds_are_plain_decimals_within_bounds(text: str) -> None:
    assert is_refused("DEADLINE_SECONDS", text)
    assert with_setting("DEADLINE_SECONDS", "2.5").deadline_seconds == 2.5


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("CH,DE,GB", {"CH", "DE", "GB"}),
        (" ch , de;gb\nus ", {"CH", "DE", "GB", "US"}),
        ("*", {"*"}),
        ("*,001", {"*", "001"}),
        ("JE,KZ,XK", {"JE", "KZ", "XK"}),
    ],
)
def test_regions_are_read_in_any_usual_spelling(text: str, regions: set[str]) -> None:
    assert with_setting("ALLOWED_REGIONS", text).allowed_regions == regions


@pytest.mark.parametrize("text", ["CHE", "Switzerland", "41", "+41", "UK", "CH,XX", "CH|DE", "**", "AA"])
def test_a_region_that_does_not_exist_stops_the_start(text: str) -> None:
    assert is_refused("ALLOWED_REGIONS", text)


@pytest.mark.parametrize("text", ["XX", "*", "001", "CH,DE", "ch ", "41"])
def test_the_default_region_is_one_country(text: str) -> None:
    assert is_refused("DEFAULT_REGION", text)
    assert with_setting("DEFAULT_REGION", "ch").default_region == "CH"


def test_blocked_numbers_are_e164_or_their_first_digits() -> None:
    assert with_setting("BLOCKED_NUMBERS", "+4179, +18765550123;+1").blocked_numbers == ("+4179", "+18765550123", "+1")
    assert all(is_refused("BLOCKED_NUMBERS", text) for text in ("+", "4179", "0041", "+0", "+41 79", "+4179*", "+" + "1" * 16, "+٤١"))


def test_allowed_numbers_are_e164_or_their_first_digits() -> None:
    assert with_setting("ALLOWED_NUMBERS", "+99981, +2250112345678").allowed_numbers == ("+99981", "+2250112345678")
    assert all(is_refused("ALLOWED_NUMBERS", text) for text in ("99981", "+", "*", "+0"))


def test_digits_without_a_plus_are_read_in_one_of_three_ways() -> None:
    assert load(REQUIRED).bare_digits is BareDigits.CAREFUL
    assert with_setting("BARE_DIGITS", "International").bare_digits is BareDigits.INTERNATIONAL
    assert load(REQUIRED | {"BARE_DIGITS": "national", "DEFAULT_REGION": "US"}).bare_digits is BareDigits.NATIONAL
    assert all(is_refused("BARE_DIGITS", text) for text in ("e164", "true", "DE", "careful,national"))


def test_national_digits_need_a_home() -> None:
    assert problems(REQUIRED | {"BARE_DIGITS": "national"}) == ["BARE_DIGITS national needs DEFAULT_REGION"]


def test_an_exempt_number_may_be_as_short_as_the_shortest_plan() -> None:
    assert load(REQUIRED | {"EXEMPT_NUMBERS": "+6834002"}).quotas.exempt_numbers == {"+6834002"}
    assert is_refused("EXEMPT_NUMBERS", "+683400")


@pytest.mark.parametrize("text", ["debug", "Info", "WARNING", "ERROR"])
def test_log_levels_are_read_in_any_case(text: str) -> None:
    assert with_setting("LOG_LEVEL", text).log_level == text.upper()


@pytest.mark.parametrize("text", ["CRITICAL", "TRACE", "20", "INFO\n"])
def test_a_log_level_that_hides_errors_or_does_not_exist_is_refused(text: str) -> None:
    assert is_refused("LOG_LEVEL", text)


def test_a_secret_comes_from_a_mounted_file_without_its_trailing_newline() -> None:
    contents = {"/run/key": "key-in-a-file\n", "/run/secrets": f"{BEARER}\n{WHSEC}\n", "/run/auth0": WHSEC}
    environment = {"MITTO_API_KEY_FILE": "/run/key", "HOOK_SECRETS_FILE": "/run/secrets", "HOOK_SECRETS_AUTH0_FILE": "/run/auth0"}
    settings = load(environment, files(contents))
    assert settings.mitto_api_key.current(0) == "key-in-a-file"
    assert settings.hook_secrets[""].current(0).bearer == (BEARER.encode(),)
    assert settings.hook_secrets[""].current(0).signing_keys == (KEY,)
    assert settings.hook_secrets["auth0"].current(0).signing_keys == (KEY,)


def test_the_address_of_the_store_comes_from_a_file_too_since_it_may_hold_a_password() -> None:
    settings = load(REQUIRED | {"STORE_URL_FILE": "/run/store"}, files({"/run/store": "rediss://u:p@redis.example\n"}))
    assert settings.store_url == "rediss://u:p@redis.example"


def test_a_file_for_a_setting_that_takes_none_is_pointed_out() -> None:
    strays = {f"{name}_FILE": f"set {name} itself, it comes from no file" for name in ("ALLOWED_REGIONS", "LIMITS", "MAX_SEGMENTS")}
    assert unknown(REQUIRED | dict.fromkeys([*strays, "STORE_URL_FILE", "MITTO_API_KEY_FILE", "PRICES_FILE"], "/run/x")) == strays


@pytest.mark.parametrize("name", ["ALLOWED_REGIONS", "DEADLINE_SECONDS", "STORE_URL", "POLICY_MODE", "LIMITS", "MITTO_SENDER_ID"])
def test_quotation_marks_are_named_whatever_the_setting(name: str) -> None:
    assert problems(REQUIRED | {name: '"x"'}) == [f"{name} stands in quotation marks: leave them out"]


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("ALOWED_REGIONS", "ALLOWED_REGIONS"),
        ("MITO_SENDER_ID", "MITTO_SENDER_ID"),
        ("BUDGT_PER_DAY", "BUDGET_PER_DAY"),
        ("MAX_SEGMENT", "MAX_SEGMENTS"),
        ("HOOKSECRETS", "HOOK_SECRETS"),
        ("MITTO_COLOUR", None),
    ],
)
def test_a_misspelt_setting_is_found_wherever_the_fault_is(misspelt: str, meant: str | None) -> None:
    assert unknown(REQUIRED | {misspelt: "x"}) == {
        misspelt: f"was {meant} meant?" if meant else "docs/configuration.md has the names of all settings"
    }


def test_variables_of_other_software_are_no_misspelt_settings() -> None:
    theirs = [
        "PATH",
        "HOME",
        "LOGNAME",
        "MAX_THREADS",
        "DEFAULT_PROFILE",
        "CODE_HOME",
        "STORE_DIR",
        "K_SERVICE",
        "GOOGLE_CLOUD_PROJECT",
        "PORT",
    ]
    assert unknown(REQUIRED | dict.fromkeys(theirs, "x")) == {}


@pytest.mark.parametrize("name", ["MITTO_API_KEY", "HOOK_SECRETS", "HOOK_SECRETS_AUTH0"])
def test_a_variable_and_its_file_together_are_a_contradiction(name: str) -> None:
    environment = REQUIRED | {name: BEARER, f"{name}_FILE": "/run/x"}
    assert problems(environment, files({"/run/x": BEARER})) == [f"{name} and {name}_FILE are both set; keep one"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("", "MITTO_API_KEY must be visible ASCII", id="empty"),
        pytest.param("\n", "MITTO_API_KEY must be visible ASCII", id="blank"),
        pytest.param("two\nlines", "MITTO_API_KEY must be visible ASCII", id="two lines"),
        pytest.param(None, "MITTO_API_KEY cannot be read from the file", id="not there"),
    ],
)
def test_a_file_without_a_secret_stops_the_start(content: str | None, problem: str) -> None:
    contents = {} if content is None else {"/run/key": content}
    (reported,) = problems({"MITTO_API_KEY_FILE": "/run/key", "HOOK_SECRETS": BEARER}, files(contents))
    assert reported.startswith(problem)


def test_a_file_that_is_no_text_stops_the_start() -> None:
    def read(_: str) -> str:
        return b"\xff\xfe".decode()

    assert problems({"MITTO_API_KEY_FILE": "/run/key", "HOOK_SECRETS": BEARER}, read) == [
        "MITTO_API_KEY cannot be read from the file that MITTO_API_KEY_FILE names"
    ]


def test_a_real_file_is_read_and_a_directory_is_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("secrets")
    (directory / "key").write_text("key-on-disk\n", "utf-8")
    environment = {"MITTO_API_KEY_FILE": str(directory / "key"), "HOOK_SECRETS": BEARER}
    assert load(environment).mitto_api_key.current(0) == "key-on-disk"
    with pytest.raises(SettingsError, match="MITTO_API_KEY cannot be read"):
        load(environment | {"MITTO_API_KEY_FILE": str(directory)})


@pytest.mark.parametrize("name", ["mitto_base_url", "hook_secrets", "max_segments", "something_new"])
def test_settings_cannot_be_changed(name: str) -> None:
    settings = load(REQUIRED)
    with pytest.raises(ValidationError):
        setattr(settings, name, "x")


def test_the_printed_form_of_settings_holds_no_secret() -> None:
    settings = load(REQUIRED | {"HOOK_SECRETS": f"{BEARER} {WHSEC}", "HOOK_SECRETS_AUTH0": WHSEC, "BLOCKED_NUMBERS": "+12025550100"})
    printed = " ".join(
        f"{value} {value!r} {[value]}"
        for value in (
            settings,
            settings.mitto_api_key,
            settings.hook_secrets[""],
            settings.hook_secrets[""].current(0),
            settings.hook_secrets["auth0"],
        )
    )
    assert re.search("key-of-the-tests|bearer-secret|whsec_|AAEC|x01|12025550100", printed) is None


def test_the_destination_policy_is_made_of_the_operators_settings() -> None:
    policy = load(REQUIRED | {"ALLOWED_REGIONS": "CH", "BLOCKED_NUMBERS": "+4179"}).destination
    assert (policy.allowed_regions, policy.blocked_numbers) == (frozenset({"CH"}), ("+4179",))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MITTO_BASE_URL", "https://rest.mittoapi.com?"),
        ("MITTO_BASE_URL", "https://rest.mittoapi.com#"),
        ("MITTO_BASE_URL", "https://[v1.example.com]"),
        ("MITTO_BASE_URL", "https://x[::1]"),
        ("ALLOWED_REGIONS", "ß"),
        ("ALLOWED_REGIONS", ","),
        ("DEFAULT_REGION", "\u0131t"),
        ("HOOK_SECRETS", "WHSEC_" + "a" * 40),
        ("HOOK_SECRETS", "v1a,whsec_" + "a" * 40),
        ("HOOK_SECRETS", "whsec_ü" + "a" * 40),
    ],
)
def test_a_look_alike_of_a_right_value_is_refused(variable: str, value: str) -> None:
    reported = problems(REQUIRED | {variable: value})
    assert [problem.split()[0] for problem in reported] == [variable]
    assert len(value) < 3 or value not in reported[0]


def test_an_empty_variable_counts_as_unset_for_every_platform() -> None:
    assert load(REQUIRED | {"HOOK_SECRETS_ORY": ""}).hook_secrets is not None


def test_contradictions_are_reported_together_with_other_problems() -> None:
    reported = problems(REQUIRED | {"MITTO_API_KEY": "", "DEADLINE_SECONDS": "1", "CONNECT_TIMEOUT_SECONDS": "5", "BUDGET_PER_DAY": "1"})
    assert [problem.split()[0] for problem in reported] == ["MITTO_API_KEY", "CONNECT_TIMEOUT_SECONDS", "PRICES_FILE"]


def test_a_secret_file_with_an_impossible_name_is_one_sentence() -> None:
    assert problems(REQUIRED | {"MITTO_API_KEY": "", "MITTO_API_KEY_FILE": "a\0b"}) == [
        "MITTO_API_KEY cannot be read from the file that MITTO_API_KEY_FILE names"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "redis://host:0",
        "redis://host?db=1",
        "redis://host/name",
        "redis://host/123456789",
        "redis://",
        "redis://host\x7f",
        "redis://host#1",
        "http://host",
        "memory",
        "rediss:host",
    ],
)
def test_an_address_of_redis_that_would_fail_in_use_is_refused(text: str) -> None:
    assert is_refused("STORE_URL", text)


@pytest.mark.parametrize("text", ["redis://host", "rediss://user:password@host:6380/12", "redis://127.0.0.1:6379/", "memory://"])
def test_an_address_of_redis_may_have_a_port_a_login_and_a_database(text: str) -> None:
    assert with_setting("STORE_URL", text).store_url == text


@pytest.mark.parametrize("text", ["+41", "+4179", "41791234567", "+41791234567,+41"])
def test_only_a_whole_number_is_exempt(text: str) -> None:
    assert is_refused("EXEMPT_NUMBERS", text)
