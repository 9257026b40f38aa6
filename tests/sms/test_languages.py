"""A language tag leads to the languages that serve its reader, and the search always ends."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mitto_phone_hook.sms.languages import fallbacks
from mitto_phone_hook.sms.templates import NAMES, find

LAW = hypothesis_settings(max_examples=200, deadline=None)

LOCALES = st.text(max_size=40) | st.lists(st.text("aZ09", min_size=1, max_size=8), max_size=60).map("-".join)


@pytest.mark.parametrize(
    ("tag", "languages"),
    [
        pytest.param("de", ["de"], id="a language"),
        pytest.param("de-CH", ["de-ch", "de"], id="a region"),
        pytest.param("de_CH", ["de-ch", "de"], id="an underscore, as Java writes"),
        pytest.param("sr-Latn-RS", ["sr-latn-rs", "sr-latn", "sr"], id="a script and a region"),
        pytest.param("iw-IL", ["he-il", "he"], id="the old code of Hebrew"),
        pytest.param("in", ["id"], id="the old code of Indonesian"),
        pytest.param("zh-TW", ["zh-tw", "zh-hant", "zh"], id="Taiwan reads Traditional characters"),
        pytest.param("zh-HK", ["zh-hk", "zh-hant", "zh"], id="Hong Kong reads Traditional characters"),
        pytest.param("zh-Hant", ["zh-hant", "zh-hant", "zh"], id="Traditional characters"),
        pytest.param("zh-Hant-CN", ["zh-hant-cn", "zh-hant", "zh-hant", "zh"], id="Traditional characters in China"),
        pytest.param("zh-Hans-HK", ["zh-hans-hk", "zh-hans", "zh"], id="Simplified characters in Hong Kong"),
        pytest.param("zh-CN", ["zh-cn", "zh"], id="China reads Simplified characters"),
        pytest.param("pt-BR", ["pt-br", "pt"], id="Brazil"),
        pytest.param("pt-AO", ["pt-ao", "pt-pt", "pt"], id="Angola reads Portuguese as Portugal writes it"),
        pytest.param("", [""], id="no tag"),
    ],
)
def test_a_tag_falls_back_to_what_its_reader_reads(tag: str, languages: list[str]) -> None:
    assert [*fallbacks(tag)] == languages


@LAW
@given(LOCALES, LOCALES, st.sampled_from(sorted({*NAMES.values()})))
def test_every_tag_leads_to_a_template(locale: str, default: str, name: str) -> None:
    assert find({}, ("client:a", "org:b", ""), name, locale, default)


@pytest.mark.parametrize(
    ("locale", "word"),
    [
        ("nb", "login"),
        ("no-NO", "login"),
        ("tlh", "login"),
        ("iw", "הכניסה"),
        ("in", "masuk"),
        ("pt", "acesso"),
        ("pt-PT", "partilhe"),
        ("pt-BR", "compartilhe"),
        ("zh-MO", "登入"),
        ("zh-SG", "登录"),
        ("fr-CA", "connexion"),
        ("de-AT", "Anmeldecode"),
    ],
)
def test_the_built_in_templates_are_found_by_their_readers(locale: str, word: str) -> None:
    assert word in find({}, ("",), "login", locale, "en")
