"""Settings of texts: values by caller and by region, each wrong one named by its position."""

from collections.abc import Callable, Mapping

import pytest

from mitto_phone_hook.config import text_rules


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("on", {"": True}, id="everywhere"),
        pytest.param("off", {"": False}, id="nowhere"),
        pytest.param("on; IN=off", {"": True, "IN": False}, id="not in India"),
        pytest.param("in=off;BD=no", {"": True, "IN": False, "BD": False}, id="only the exceptions"),
        pytest.param("false; US=1;", {"": False, "US": True}, id="only in America"),
    ],
)
def test_smart_encoding_has_exceptions_by_region(text: str, values: Mapping[str, bool]) -> None:
    assert text_rules.smart_encoding(text) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("login.example.com", {"": "login.example.com"}, id="for all"),
        pytest.param(
            "example.com; client:a=b==id.example.org;org:acme.com=acme.example.com",
            {"": "example.com", "client:a=b=": "id.example.org", "org:acme.com": "acme.example.com"},
            id="by caller, whose name may have an equals sign",
        ),
        pytest.param("client:abc=example.com", {"client:abc": "example.com"}, id="for one client only"),
        pytest.param("xn--bcher-kva.example", {"": "xn--bcher-kva.example"}, id="an international name in its ASCII form"),
    ],
)
def test_a_domain_can_differ_by_caller(text: str, values: Mapping[str, str]) -> None:
    assert text_rules.domains(text) == values


def test_a_hash_has_eleven_characters_of_base64() -> None:
    assert text_rules.app_hashes("FA+9qCX9VSu; client:a=abc/EFGHIJK") == {"": "FA+9qCX9VSu", "client:a": "abc/EFGHIJK"}


@pytest.mark.parametrize(
    ("read", "text", "rule"),
    [
        (text_rules.smart_encoding, "on; IN", "must be on or off, with regions where it differs: on; IN=off (entry 2 is not)"),
        (text_rules.smart_encoding, "on; XX=off", "must name regions by ISO 3166, as in on; IN=off (entry 2 does not)"),
        (text_rules.smart_encoding, "on; UK=off", "must name regions by ISO 3166, as in on; IN=off (entry 2 does not)"),
        (text_rules.smart_encoding, "on; off", "must name each region once, as in on; IN=off (entry 2 does not)"),
        (text_rules.smart_encoding, "IN=off; on; in=on", "must name each region once, as in on; IN=off (entry 3 does not)"),
        (text_rules.domains, "https://example.com", "must be a host name"),
        (text_rules.domains, "Example.com", "must be a host name"),
        (text_rules.domains, "localhost", "must be a host name"),
        (text_rules.domains, "a.example; b.example", "(entry 2 is not)"),
        (text_rules.domains, "user:abc=example.com", "(entry 1 is not)"),
        (text_rules.domains, "example.com; client:=example.com", "(entry 2 is not)"),
        (text_rules.app_hashes, "FA+9qCX9VS", "must be 11 letters"),
        (text_rules.app_hashes, "<#>9qCX9VSu", "must be 11 letters"),
        (text_rules.locale, "deutsch!", "must be a language tag"),
        (text_rules.locale, "d", "must be a language tag"),
    ],
)
def test_a_wrong_value_is_named_by_its_position(read: Callable[[str], object], text: str, rule: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        read(text)
    assert rule in str(caught.value)
