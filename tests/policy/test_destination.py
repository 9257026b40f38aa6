"""Where messages may go: the operator's countries and block list, judged by the number's own region and kind.

The numbers are libphonenumber's own examples, or reserved for fiction.
"""

import json

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.domain.numbering_plan import NumberKind
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms._contract import Defaults
from mitto_phone_hook.platforms.native import PLATFORM
from mitto_phone_hook.policy.destination import DestinationPolicy
from support.messages import decide, parse

NOW = 1_800_000_000.0

US, JAMAICA = "+12025550100", "+18762101234"
BRITAIN, JERSEY = "+447400123456", "+447797712345"
RUSSIA, KAZAKHSTAN = "+79123456789", "+77710009998"
SWITZERLAND = "+41791234567"
SATELLITE = "+881612345678"


def verdict(recipient: str, *, regions: str = "", blocked: str = "", channel: str = "sms") -> Outcome:
    environment = {
        "MITTO_API_KEY": "key-of-the-tests",
        "HOOK_SECRETS": "bearer-secret-of-the-tests-only",
        "ALLOWED_REGIONS": regions,
        "BLOCKED_NUMBERS": blocked,
    }
    body = json.dumps({"recipient": recipient, "text": "Your code is 123456", "message_type": channel}).encode()
    message, policy = parse(body, b"application/json", None), load(environment)
    try:
        decide(message, policy, signed_at=None, now=NOW)
    except Refused as refusal:
        return refusal.result.outcome
    return policy.destination.verdict(message) or Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("recipient", "regions", "outcome"),
    [
        pytest.param(BRITAIN, "GB", Outcome.ACCEPTED, id="Britain where Britain is allowed"),
        pytest.param(JERSEY, "GB", Outcome.BLOCKED_COUNTRY, id="Jersey is not Britain"),
        pytest.param(BRITAIN, "JE", Outcome.BLOCKED_COUNTRY, id="Britain is not Jersey"),
        pytest.param(JERSEY, "GB,JE", Outcome.ACCEPTED, id="Jersey by name"),
        pytest.param(RUSSIA, "RU", Outcome.ACCEPTED, id="Russia where Russia is allowed"),
        pytest.param(KAZAKHSTAN, "RU", Outcome.BLOCKED_COUNTRY, id="Kazakhstan is not Russia"),
        pytest.param(KAZAKHSTAN, "KZ", Outcome.ACCEPTED, id="Kazakhstan by name"),
        pytest.param(RUSSIA, "KZ", Outcome.BLOCKED_COUNTRY, id="Russia is not Kazakhstan"),
        pytest.param(US, "US", Outcome.ACCEPTED, id="United States where they are allowed"),
        pytest.param(JAMAICA, "US", Outcome.BLOCKED_COUNTRY, id="Jamaica is not the United States"),
        pytest.param(JAMAICA, "us jm", Outcome.ACCEPTED, id="Jamaica by name, in small letters"),
        pytest.param(JAMAICA, "", Outcome.ACCEPTED, id="empty means every country"),
        pytest.param(JAMAICA, "*", Outcome.ACCEPTED, id="star means every country"),
        pytest.param(SATELLITE, "", Outcome.BLOCKED_COUNTRY, id="satellite is no country"),
        pytest.param(SATELLITE, "*", Outcome.BLOCKED_COUNTRY, id="satellite is no country under a star either"),
        pytest.param(SATELLITE, "CH,DE", Outcome.BLOCKED_COUNTRY, id="satellite under a list"),
        pytest.param(SATELLITE, "001", Outcome.ACCEPTED, id="satellite by name"),
        pytest.param(SATELLITE, "*,001", Outcome.ACCEPTED, id="satellite by name beside a star"),
        pytest.param(US, "001", Outcome.BLOCKED_COUNTRY, id="naming the international networks allows no country"),
    ],
)
def test_a_country_is_allowed_by_region_and_not_by_calling_code(recipient: str, regions: str, outcome: Outcome) -> None:
    assert verdict(recipient, regions=regions) is outcome


@pytest.mark.parametrize("regions", ["", "*", "GB,CH,US,001"])
@pytest.mark.parametrize(
    "recipient",
    [
        pytest.param("+449012345678", id="premium rate, Britain"),
        pytest.param("+41900123456", id="premium rate, Switzerland"),
        pytest.param("+19002345678", id="premium rate, United States"),
        pytest.param("+447012345678", id="personal number, Britain"),
        pytest.param("+41878123456", id="personal number, Switzerland"),
        pytest.param("+15002345678", id="personal number, United States"),
        pytest.param("+445612345678", id="VoIP"),
        pytest.param("+442079460000", id="fixed line, Britain"),
        pytest.param("+41212345678", id="fixed line, Switzerland"),
        pytest.param("+447640123456", id="pager"),
        pytest.param("+41840123456", id="shared cost"),
        pytest.param("+41581234567", id="company number"),
        pytest.param("+41860123456789", id="voicemail"),
        pytest.param("+18002345678", id="freephone"),
    ],
)
def test_a_number_that_is_no_handset_is_refused_wherever_it_is_allowed(recipient: str, regions: str) -> None:
    assert verdict(recipient, regions=regions) is Outcome.BLOCKED_NUMBER_TYPE


@pytest.mark.parametrize(
    "recipient",
    [
        pytest.param("+979123456789", id="premium rate"),
        pytest.param("+80812345678", id="shared cost"),
        pytest.param("+878101234567890", id="personal"),
        pytest.param("+883510012345", id="VoIP"),
        pytest.param("+88812345678901", id="company number"),
    ],
)
def test_an_international_network_by_name_still_has_to_be_a_handset(recipient: str) -> None:
    assert verdict(recipient) is Outcome.BLOCKED_COUNTRY
    assert verdict(recipient, regions="001") is Outcome.BLOCKED_NUMBER_TYPE


@pytest.mark.parametrize(
    ("blocked", "outcome"),
    [
        pytest.param("+41791234567", Outcome.BLOCKED_RECIPIENT, id="the number itself"),
        pytest.param("+4179", Outcome.BLOCKED_RECIPIENT, id="a prefix"),
        pytest.param("+41", Outcome.BLOCKED_RECIPIENT, id="a country code"),
        pytest.param("+1876,+4179", Outcome.BLOCKED_RECIPIENT, id="the second of a list"),
        pytest.param("+4178", Outcome.ACCEPTED, id="another prefix"),
        pytest.param("+417912345678", Outcome.ACCEPTED, id="a longer number"),
        pytest.param("+1791234567", Outcome.ACCEPTED, id="digits in the middle do not count"),
    ],
)
def test_a_blocked_number_is_one_that_begins_with_an_entry_of_the_list(blocked: str, outcome: Outcome) -> None:
    assert verdict(SWITZERLAND, blocked=blocked) is outcome


def test_a_number_of_no_known_calling_code_is_one_that_the_operator_has_named() -> None:
    allowed = DestinationPolicy(frozenset({"CH"}), ())
    body = b'{"recipient": "+99981234567", "text": "Your code is 123456"}'
    message = PLATFORM.read(body, {}, Defaults(allowed_numbers=("+99981",)))
    assert allowed.verdict(message) is None
    assert DestinationPolicy(frozenset({"CH"}), ("+9998",)).verdict(message) is Outcome.BLOCKED_RECIPIENT


def test_an_allowed_number_is_still_refused_where_its_region_is() -> None:
    body = b'{"recipient": "+33700000000", "text": "Your code is 123456"}'
    message = PLATFORM.read(body, {}, Defaults(allowed_numbers=("+337",)))
    assert DestinationPolicy(frozenset({"CH"}), ()).verdict(message) is Outcome.BLOCKED_COUNTRY
    assert DestinationPolicy(frozenset({"FR"}), ()).verdict(message) is None


@pytest.mark.parametrize("written", ["0041 79 123 45 67", "+41 (0)79 123 45 67", "41791234567", "+41-79-123-45-67"])
def test_another_spelling_does_not_escape_the_block_list(written: str) -> None:
    assert verdict(written, blocked="+4179123") is Outcome.BLOCKED_RECIPIENT


@pytest.mark.parametrize(
    ("channel", "blocked", "regions", "outcome"),
    [
        pytest.param("voice", "+4490", "CH", Outcome.VOICE_UNSUPPORTED, id="voice first"),
        pytest.param("sms", "+4490", "CH", Outcome.BLOCKED_RECIPIENT, id="then the block list"),
        pytest.param("sms", "", "CH", Outcome.BLOCKED_COUNTRY, id="then the country"),
        pytest.param("sms", "", "GB", Outcome.BLOCKED_NUMBER_TYPE, id="then the kind of number"),
    ],
)
def test_of_several_reasons_the_first_is_told(channel: str, blocked: str, regions: str, outcome: Outcome) -> None:
    assert verdict("+449012345678", channel=channel, blocked=blocked, regions=regions) is outcome


@pytest.mark.parametrize("channel", ["voice", "VOICE", "call"])
def test_a_call_is_never_sent_as_an_sms(channel: str) -> None:
    assert verdict(SWITZERLAND, channel=channel) is Outcome.VOICE_UNSUPPORTED


EXAMPLES = {
    region: phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (example := phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE))
    and phonenumbers.region_code_for_number(example) == region
    and phonenumbers.number_type(example) in {NumberKind.MOBILE, NumberKind.FIXED_LINE_OR_MOBILE}
}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*EXAMPLES]), st.sets(st.sampled_from([*EXAMPLES]), min_size=1, max_size=20))
def test_a_mobile_number_may_leave_exactly_where_its_region_is_listed(region: str, allowed: set[str]) -> None:
    expected = Outcome.ACCEPTED if region in allowed else Outcome.BLOCKED_COUNTRY
    assert verdict(EXAMPLES[region], regions=",".join(allowed)) is expected


def test_there_is_an_example_of_nearly_every_country_so_that_the_law_above_means_something() -> None:
    assert len(EXAMPLES) > 200
