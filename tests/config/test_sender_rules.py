"""``SENDER_IDS`` and ``STRICT_SENDERS``: how they are read, and what is refused at the start."""

import pytest

from mitto_phone_hook.config.sender_rules import sender_ids
from mitto_phone_hook.config.settings import Settings, SettingsError, load
from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.sms.sender_countries import COUNTRIES
from mitto_phone_hook.sms.sender_ids import Scope

REQUIRED = {"MITTO_API_KEY": "key-of-the-tests", "HOOK_SECRETS": "bearer-secret-of-the-tests-only"}


def loaded(**settings: str) -> Settings:
    return load(REQUIRED | settings)


def problem(**settings: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(**settings)
    [sentence] = caught.value.problems
    return sentence


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", {}),
        (" ; ;", {}),
        ("US=18005550100", {Scope(region="US"): "18005550100"}),
        ("us=Acme; 001=Sat", {Scope(region="US"): "Acme", Scope(region="001"): "Sat"}),
        ("client:abc123=Acme", {Scope(client_id="abc123"): "Acme"}),
        ("client:aBc|1:2=Acme", {Scope(client_id="aBc|1:2"): "Acme"}),
        ("org:org_1=Acme Bank;", {Scope(organization="org_1"): "Acme Bank"}),
        ("Supabase=Acme", {Scope(platform="supabase"): "Acme"}),
        ("CH + client:a + supabase + org:b = Acme", {Scope("a", "b", "supabase", "CH"): "Acme"}),
        ("US=123;\nCA=Acme", {Scope(region="US"): "123", Scope(region="CA"): "Acme"}),
    ],
)
def test_a_rule_is_a_region_a_client_an_organization_a_platform_or_several(text: str, read: dict[Scope, str]) -> None:
    assert sender_ids(text, NAMES) == read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("US", "3 to 11"),
        ("US=", "3 to 11"),
        ("=Acme", "must be rules such as"),
        ("US=Ac", "3 to 11"),
        ("US=Acme Bank AG1", "3 to 11"),
        ("US=+18005550100", "3 to 11"),
        ("US=123456789012345", "3 to 14 digits"),
        ("US=Acmé", "3 to 11"),
        ("USA=Acme", "ISO 3166"),
        ("UK=Acme", "GB, not UK"),
        ("*=Acme", "ISO 3166"),
        ("ory=Acme", "supabase"),
        ("client:=Acme", "must be rules such as"),
        ("client:a+=Acme", "must be rules such as"),
        ("client: a=Acme", "must be rules such as"),
        ("US+org: a=Acme", "must be rules such as"),
        ("client:a+client:b=Acme", "one client"),
        ("US+CA=Acme", "one region"),
        ("US=Acme; us=Other", "each combination once"),
        ("org:a+US=Acme; US+org:a=Other", "each combination once"),
    ],
)
def test_a_wrong_rule_is_named_by_its_position_and_never_repeated(text: str, words: str) -> None:
    reported = problem(SENDER_IDS=f"DE=Example; {text}")
    assert reported.startswith("SENDER_IDS must ")
    assert words in reported
    assert "(rule " in reported
    assert "(rule 1 " not in reported
    assert "Other" not in reported
    assert "Acm\u00e9" not in reported


def test_the_default_stays_the_sender_id_of_all_that_no_rule_fits() -> None:
    settings = loaded(MITTO_SENDER_ID="Example", SENDER_IDS="US=18005550100")
    assert settings.senders.choose(Scope(region="CH")) == "Example"
    assert settings.senders.choose(Scope(region="US")) == "18005550100"


@pytest.mark.parametrize(
    ("allowed", "rules", "missing"),
    [
        ("CH,DE", "", []),
        ("CH,US", "", ["US"]),
        ("CA,US,SG,CH", "US=18005550100", ["CA", "SG"]),
        ("CA,US,SG,CH", "US=18005550100; CA=18005550100; SG=Acme", []),
        ("", "", sorted(COUNTRIES)),
        ("*", "US=18005550100", sorted(COUNTRIES.keys() - {"US"})),
        ("CH,*", "", sorted(COUNTRIES)),
        ("001", "", []),
    ],
)
def test_strict_senders_refuse_the_start_for_an_allowed_region_without_a_usable_one(allowed: str, rules: str, missing: list[str]) -> None:
    settings = {"ALLOWED_REGIONS": allowed, "SENDER_IDS": rules}
    assert loaded(**settings).regions_without_sender == missing
    if missing:
        assert f"names none for {', '.join(missing)}:" in problem(STRICT_SENDERS="on", **settings)
    else:
        assert loaded(STRICT_SENDERS="on", **settings).strict_senders


def test_strict_senders_do_not_judge_a_setting_that_is_wrong_itself() -> None:
    assert problem(STRICT_SENDERS="on", ALLOWED_REGIONS="USA").startswith("ALLOWED_REGIONS ")
    assert problem(STRICT_SENDERS="on", ALLOWED_REGIONS="US", SENDER_IDS="US").startswith("SENDER_IDS ")
    assert problem(STRICT_SENDERS="maybe", ALLOWED_REGIONS="US").startswith("STRICT_SENDERS must be true or false")
