"""Which sender ID a message gets: the most specific rule, and what the countries take."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from phonenumbers import SUPPORTED_REGIONS

from mitto_phone_hook.config.sender_rules import sender_ids
from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.sms.sender_countries import COUNTRIES, SOURCES, Takes
from mitto_phone_hook.sms.sender_ids import Scope, SenderIds

LAW = hypothesis_settings(max_examples=200, deadline=None)

RULES = """
    CH=Region; supabase=Platform; org:acme=Org; client:abc=Client;
    supabase+CH=PlatfRegion; org:acme+CH=OrgRegion; org:acme+supabase=OrgPlatform;
    client:abc+CH=ClRegion; client:abc+supabase=ClPlatform; client:abc+org:acme=ClOrg;
    org:acme+supabase+CH=NoClient; client:abc+supabase+CH=NoOrg; client:abc+org:acme+CH=NoPlatform; client:abc+org:acme+supabase=NoRegion;
    client:abc+org:acme+supabase+CH=All
"""
MESSAGES = [
    # client, organization, platform, region, and the sender ID where all fifteen combinations have a rule
    (None, None, "logto", "DE", "Default"),
    (None, None, "logto", "CH", "Region"),
    (None, None, "supabase", "DE", "Platform"),
    (None, "acme", "logto", "DE", "Org"),
    ("abc", None, "logto", "DE", "Client"),
    (None, None, "supabase", "CH", "PlatfRegion"),
    (None, "acme", "logto", "CH", "OrgRegion"),
    (None, "acme", "supabase", "DE", "OrgPlatform"),
    ("abc", None, "logto", "CH", "ClRegion"),
    ("abc", None, "supabase", "DE", "ClPlatform"),
    ("abc", "acme", "logto", "DE", "ClOrg"),
    (None, "acme", "supabase", "CH", "NoClient"),
    ("abc", None, "supabase", "CH", "NoOrg"),
    ("abc", "acme", "logto", "CH", "NoPlatform"),
    ("abc", "acme", "supabase", "DE", "NoRegion"),
    ("abc", "acme", "supabase", "CH", "All"),
    ("ABC", "acme ", "supabase", "CH", "PlatfRegion"),
    ("", "", "", "", "Default"),
]
TIES = [
    # Rules with equally many parts: a client counts before an organization, that before a platform, that before a region.
    ("CH=Region; supabase=Platform", "Platform"),
    ("supabase=Platform; org:acme=Org", "Org"),
    ("org:acme=Org; client:abc=Client", "Client"),
    ("CH=Region; client:abc=Client", "Client"),
    ("CH=Region; org:acme=Org; supabase=Platform", "Org"),
    ("supabase+CH=One; org:acme+CH=Two", "Two"),
    ("org:acme+CH=One; org:acme+supabase=Two", "Two"),
    ("org:acme+supabase=One; client:abc+CH=Two", "Two"),
    ("client:abc+CH=One; client:abc+supabase=Two", "Two"),
    ("client:abc+supabase=One; client:abc+org:acme=Two", "Two"),
    ("client:abc=One; supabase+CH=Two", "Two"),
    ("client:abc+org:acme=One; org:acme+supabase+CH=Two", "Two"),
    ("client:xyz=One; CH=Two", "Two"),
    ("client:abc+DE=One; org:other=Two", "Default"),
]


def senders(text: str, default: str = "Default") -> SenderIds:
    return SenderIds(default, sender_ids(text, NAMES))


@pytest.mark.parametrize(("client", "organization", "platform", "region", "expected"), MESSAGES)
def test_the_rule_with_the_most_parts_counts(
    client: str | None, organization: str | None, platform: str, region: str, expected: str
) -> None:
    assert senders(RULES).choose(Scope(client, organization, platform, region)) == expected


@pytest.mark.parametrize(("rules", "expected"), TIES)
def test_of_equally_many_parts_the_client_counts_first_and_the_region_last(rules: str, expected: str) -> None:
    message = Scope("abc", "acme", "supabase", "CH")
    assert senders(rules).choose(message) == expected
    assert senders("; ".join(reversed(rules.split("; ")))).choose(message) == expected


def test_thirty_combinations_are_tested() -> None:
    assert len(MESSAGES) + len(TIES) >= 30


@pytest.mark.parametrize(
    ("rules", "message", "asked", "expected"),
    [
        pytest.param("", Scope(region="DE"), "Default", "Default", id="the default"),
        pytest.param("", Scope(region="DE"), "Evil", "Default", id="no rule has it"),
        pytest.param("DE=German", Scope(region="DE"), "Default", "Default", id="the default in spite of a rule"),
        pytest.param("DE=German; org:acme=Acme", Scope(None, "acme", None, "DE"), "German", "German", id="a less specific rule"),
        pytest.param("client:abc=Acme", Scope("xyz", region="DE"), "Acme", "Default", id="another client's"),
        pytest.param("CH=Swiss", Scope(region="DE"), "Swiss", "Default", id="another country's"),
        pytest.param("US=18005550100", Scope(region="US"), "Default", "18005550100", id="the country takes only numbers"),
        pytest.param("US=18005550100; client:abc=18005550101", Scope("abc", region="US"), "18005550100", "18005550100", id="a number"),
        pytest.param("US=Acme", Scope(region="US"), "Acme", "Acme", id="the operator says that the country takes it"),
        pytest.param("", Scope(region="DE"), None, "Default", id="none"),
        pytest.param("", Scope(region="DE"), "", "Default", id="empty"),
    ],
)
def test_what_the_caller_asks_for_is_used_only_if_the_operator_and_the_country_allow_it(
    rules: str, message: Scope, asked: str | None, expected: str
) -> None:
    assert senders(rules).choose(message, asked) == expected


@pytest.mark.parametrize(
    ("rules", "default", "region", "is_usable"),
    [
        pytest.param("", "Acme", "DE", True, id="a country without rules"),
        pytest.param("", "Acme", "US", False, id="the default has letters, numbers only"),
        pytest.param("", "18005550100", "US", True, id="the default is a number"),
        pytest.param("US=18005550100", "Acme", "US", True, id="a number for this country"),
        pytest.param("CA=18005550100", "Acme", "US", False, id="a number for another country"),
        pytest.param("client:abc=18005550100", "Acme", "US", False, id="a number for one client"),
        pytest.param("US=18005550100; client:abc=Acme", "Acme", "US", False, id="one client has letters"),
        pytest.param("US=18005550100; client:abc=Acme; client:abc+US=18005550101", "Acme", "US", True, id="that client has a number"),
        pytest.param("US=18005550100; client:abc+DE=Acme", "Acme", "US", True, id="one client has letters elsewhere"),
        pytest.param("US=18005550100; org:acme=Acme; org:acme+supabase=Other", "Acme", "US", False, id="an organization has letters"),
        pytest.param("", "Acme", "SG", False, id="nobody says that it is registered"),
        pytest.param("", "18005550100", "SG", False, id="a number is not registered either"),
        pytest.param("SG=Acme", "Acme", "SG", True, id="the operator says that it is registered"),
        pytest.param("SG=Acme; client:abc=Other", "Acme", "SG", False, id="one client's is not registered"),
        pytest.param("SG=Acme; client:abc=Acme", "Other", "SG", True, id="one client has the registered one"),
    ],
)
def test_a_country_has_a_sender_id_if_all_its_messages_get_one_that_it_takes(
    rules: str, default: str, region: str, *, is_usable: bool
) -> None:
    assert senders(rules, default).is_usable_in(region) is is_usable


PARTS = st.sampled_from(["one", "two", "three", None])
SCOPES = st.builds(Scope, PARTS, PARTS, PARTS, st.sampled_from(["US", "CA", "SG", "DE", None]))
NAMED = st.sampled_from(["Acme", "Other", "18005550100"])


@LAW
@given(st.dictionaries(SCOPES, NAMED, max_size=8), NAMED, st.sampled_from(["US", "SG", "DE"]), SCOPES)
def test_what_is_said_of_a_country_holds_for_every_message_to_it(
    rules: dict[Scope, str], default: str, region: str, message: Scope
) -> None:
    own = SenderIds(default, rules)
    sender_id = own.choose(message._replace(region=region))
    named = {sender for scope, sender in rules.items() if scope.region == region}
    country = COUNTRIES.get(region)
    takes_it = country is None or sender_id in named or (country.takes is Takes.NUMERIC and sender_id.isdecimal())
    assert takes_it or not own.is_usable_in(region)


@LAW
@given(st.dictionaries(SCOPES, NAMED, max_size=8), SCOPES, st.none() | st.text(max_size=12) | NAMED)
def test_no_caller_gets_a_sender_id_that_the_operator_did_not_set(rules: dict[Scope, str], message: Scope, asked: str | None) -> None:
    assert SenderIds("Default", rules).choose(message, asked) in {"Default", *rules.values()}


def test_the_table_of_countries_is_in_order_and_every_row_has_sources() -> None:
    assert list(COUNTRIES) == sorted(COUNTRIES)
    assert set(COUNTRIES) <= SUPPORTED_REGIONS
    assert [region for region, country in COUNTRIES.items() if not country.sources] == []
    assert {source for country in COUNTRIES.values() for source in country.sources} == set(SOURCES)
    assert all(url.startswith("https://") for url in SOURCES.values())
    assert {country.takes for country in COUNTRIES.values()} == set(Takes)


def test_north_america_takes_no_letters() -> None:
    assert {region for region in ("US", "CA", "PR") if COUNTRIES[region].takes is Takes.NUMERIC} == {"US", "CA", "PR"}
