"""Numbers as callers in the field write them; the ids are those of the field cases."""

import re

import pytest

from mitto_phone_hook.domain.numbering_plan import HANDSETS, NumberKind
from mitto_phone_hook.domain.phone_number import BareDigits, Number, read_number

CAREFUL, INTERNATIONAL, NATIONAL = BareDigits


@pytest.mark.parametrize(
    ("written", "region", "mode", "allowed", "e164"),
    [
        pytest.param("+541152345678", None, CAREFUL, (), "+5491152345678", id="N01"),
        pytest.param("+543515123456", None, CAREFUL, (), "+5493515123456", id="N02"),
        pytest.param("0351 15 512 3456", "AR", CAREFUL, (), "+5493515123456", id="N03"),
        pytest.param("+5213312345678", None, CAREFUL, (), "+523312345678", id="N04"),
        pytest.param("tel:+41-79-123-45-67", None, CAREFUL, (), "+41791234567", id="N07"),
        pytest.param("+41\u00a079\u202f123\u201145\u201167", None, CAREFUL, (), "+41791234567", id="N08"),
        pytest.param("\u202a+41 79 123 45 67\u202c", None, CAREFUL, (), "+41791234567", id="N09"),
        pytest.param(
            "\uff0b\uff14\uff11\uff17\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17", None, CAREFUL, (), "+41791234567", id="N10"
        ),
        pytest.param("15062345679", "DE", INTERNATIONAL, (), "+15062345679", id="N13"),
        pytest.param("15062345679", "DE", NATIONAL, (), "+4915062345679", id="N14"),
        pytest.param("015112345678", "DE", CAREFUL, (), "+4915112345678", id="N15"),
        pytest.param("4520123456", None, INTERNATIONAL, (), "+4520123456", id="N16"),
        pytest.param("6581234567", None, INTERNATIONAL, (), "+6581234567", id="N17"),
        pytest.param("+6834002", None, CAREFUL, (), "+6834002", id="N19"),
        pytest.param("+99981234567", None, CAREFUL, ("+99981",), "+99981234567", id="N20"),
    ],
)
def test_a_number_from_the_field_is_read(written: str, region: str | None, mode: BareDigits, allowed: tuple[str, ...], e164: str) -> None:
    number = read_number(written, region, mode, allowed)
    assert (number.e164, number.kind in HANDSETS) == (e164, True)


@pytest.mark.parametrize(
    ("written", "region", "why"),
    [
        pytest.param("+551187654321", None, "old_number_plan", id="N05"),
        pytest.param("+22507123456", None, "old_number_plan", id="N06"),
        pytest.param("+41 79 CALL ME", None, "not_a_number", id="N11"),
        pytest.param("15062345679", "DE", "ambiguous_number", id="N12"),
        pytest.param("4520123456", "US", "ambiguous_number", id="N18"),
    ],
)
def test_a_number_from_the_field_is_refused_and_the_word_says_why(written: str, region: str | None, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        read_number(written, region)


# Argentina and Mexico


@pytest.mark.parametrize(
    ("written", "region", "e164"),
    [
        pytest.param("+54 11 6907 1234", None, "+5491169071234", id="Buenos Aires"),
        pytest.param("+54 9 11 6907 1234", None, "+5491169071234", id="as it should be"),
        pytest.param("+54 11 15 6907 1234", None, "+5491169071234", id="with 15 instead"),
        pytest.param("0054 (0351) 512-3456", None, "+5493515123456", id="00 and trunk zero"),
        pytest.param("541169071234", None, "+5491169071234", id="without plus"),
        pytest.param("11 6907 1234", "AR", "+5491169071234", id="at home"),
        pytest.param("011 6907-1234", "AR", "+5491169071234", id="at home, trunk zero"),
        pytest.param("+52 1 55 1234 5678", None, "+525512345678", id="Mexico, the old 1"),
        pytest.param("5215512345678", None, "+525512345678", id="Mexico, the old 1 without plus"),
        pytest.param("+52 55 1234 5678", None, "+525512345678", id="Mexico of today"),
    ],
)
def test_a_mobile_token_is_put_in_or_left_out_as_the_plan_has_it_today(written: str, region: str | None, e164: str) -> None:
    assert read_number(written, region).e164 == e164


@pytest.mark.parametrize(("written", "kind"), [("+548001234567", NumberKind.TOLL_FREE), ("+546001234567", NumberKind.PREMIUM_RATE)])
def test_what_is_no_mobile_in_argentina_stays_what_it_is(written: str, kind: NumberKind) -> None:
    assert read_number(written, None) == Number(written, "AR", kind)


def test_a_mexican_at_home_is_not_given_an_old_1() -> None:
    assert read_number("1 551 234 5678", "MX").region == "US"


# Numbers of plans that have changed


@pytest.mark.parametrize(
    ("written", "region"),
    [
        pytest.param("+55 21 9876 5432", None, id="Brazil"),
        pytest.param("551187654321", None, id="Brazil, without plus"),
        pytest.param("(11) 8765-4321", "BR", id="Brazil, at home"),
        pytest.param("011 8765-4321", "BR", id="Brazil, trunk zero"),
        pytest.param("+225 07 12 34 56", None, id="Ivory Coast"),
        pytest.param("07 12 34 56", "CI", id="Ivory Coast, at home"),
        pytest.param("+229 97 12 34 56", None, id="Benin"),
        pytest.param("22997123456", None, id="Benin, without plus"),
        pytest.param("+84 162 123 4567", None, id="Vietnam"),
        pytest.param("+84 0162 123 4567", None, id="Vietnam, zero after the code"),
        pytest.param("0162 123 4567", "VN", id="Vietnam, at home with eleven digits"),
        pytest.param("+237 77 12 34 56", None, id="Cameroon"),
        pytest.param("+230 712 3456", None, id="Mauritius"),
        pytest.param("+224 62 12 34 56", None, id="Guinea"),
        pytest.param("+245 512 3456", None, id="Guinea-Bissau"),
        pytest.param("+686 61234", None, id="Kiribati"),
        pytest.param("+689 71 23 45", None, id="French Polynesia"),
    ],
)
def test_a_mobile_number_of_an_old_plan_is_called_that(written: str, region: str | None) -> None:
    with pytest.raises(ValueError, match=r"^old_number_plan$"):
        read_number(written, region)


@pytest.mark.parametrize(
    "e164",
    [
        "+5521998765432",
        "+551151234567",  # fixed line
        "+2250712345678",
        "+2290197123456",
        "+84362123456",
        "+237677123456",
        "+23057123456",
        "+224621123456",
        "+245955123456",
        "+68663001234",
        "+68987712345",
    ],
)
def test_a_number_of_the_same_country_today_is_read(e164: str) -> None:
    assert read_number(e164, None).e164 == e164


@pytest.mark.parametrize("written", ["+55118765432", "+2250712345", "+8416212345678", "+229123"])
def test_what_no_plan_ever_had_is_no_number(written: str) -> None:
    with pytest.raises(ValueError, match=r"^no_such_number$"):
        read_number(written, None)


# Numbers that were pasted

SPACES = "\u00a0\u2000\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"


@pytest.mark.parametrize("sign", SPACES + HYPHENS, ids=ascii)
def test_typographic_spaces_and_hyphens_are_separators(sign: str) -> None:
    assert read_number(f"+41{sign}79{sign}123{sign}45{sign}67", None).e164 == "+41791234567"


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("\u2066+41791234567\u2069", id="LRI and PDI"),
        pytest.param("\u2068+41791234567\u2069", id="FSI and PDI"),
        pytest.param("\u200e+41791234567", id="LRM"),
        pytest.param("\u202a+41791234567", id="only LRE came along"),
        pytest.param("+41791234567\u202c ", id="only PDF came along"),
        pytest.param(" \u202a\u200e+41791234567\u200e\u202c\u00a0", id="several"),
        pytest.param("TEL:+41791234567", id="scheme in capitals"),
        pytest.param("\u202atel:+41791234567\u202c", id="marks around a scheme"),
        pytest.param("tel:\u202a+41791234567\u202c", id="marks after a scheme"),
        pytest.param("tel: 0041 79 123 45 67", id="scheme, space, 00"),
        pytest.param(
            "\uff0b\uff14\uff11\u3000\uff17\uff19\uff0d\uff11\uff12\uff13\uff0d\uff14\uff15\uff16\uff17", id="full width, hyphens"
        ),
        pytest.param("+\uff14\uff11(\uff17\uff19)\uff11\uff12\uff13\u30fc\uff14\uff15\uff16\uff17", id="full width, vowel mark as hyphen"),
    ],
)
def test_what_address_books_and_keyboards_put_around_a_number_is_left_out(written: str) -> None:
    assert read_number(written, None).e164 == "+41791234567"


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("+41\u202a79\u202c1234567", id="marks within"),
        pytest.param("\u202b+41791234567\u202c", id="RLE"),
        pytest.param("\u202e+41791234567\u202c", id="RLO"),
        pytest.param("\u202c+41791234567\u202a", id="marks the wrong way round"),
        pytest.param("\uff0b41791234567", id="full-width plus and ASCII digits"),
        pytest.param("+4179123456\uff17", id="one full-width digit"),
        pytest.param("+41791234567\u00ad", id="soft hyphen"),
        pytest.param("sms:+41791234567", id="another scheme"),
        pytest.param("tel:tel:+41791234567", id="two schemes"),
        pytest.param("tel:+41791234567;ext=5", id="extension"),
        pytest.param("tel:+41791234567,,5", id="pauses"),
        pytest.param("\u202a" * 5000 + "+41791234567", id="thousands of marks"),
    ],
)
def test_everything_else_is_refused_as_before(written: str) -> None:
    with pytest.raises(ValueError, match=r"^not_a_number$"):
        read_number(written, None)


# Numbers that the operator lets through


@pytest.mark.parametrize(
    ("written", "allowed", "region"),
    [
        pytest.param("+99981234567", "+99981", "ZZ", id="a calling code that nobody has"),
        pytest.param("+41212345678", "+4121", "CH", id="a fixed line"),
        pytest.param("+33700000000", "+337", "FR", id="a series that nobody has"),
        pytest.param("+447700000000", "+4477", "GB", id="of several regions the main one"),
        pytest.param("0033 7 00 00 00 00", "+33700000000", "FR", id="the very number"),
        pytest.param("33700000000", "+337", "FR", id="without plus"),
    ],
)
def test_allowed_numbers_count_as_mobile_whatever_the_plan_says(written: str, allowed: str, region: str) -> None:
    assert read_number(written, None, allowed_numbers=("+1999", allowed))[1:] == (region, NumberKind.MOBILE)


def test_an_allowed_number_may_be_written_nationally() -> None:
    assert read_number("07 00 00 00 00", "FR", allowed_numbers=("+337",)) == Number("+33700000000", "FR", NumberKind.MOBILE)


@pytest.mark.parametrize("written", ["+9998", "+9998123456789012", "+99991234567", "99981234567"])
def test_an_allowed_prefix_lets_nothing_else_through(written: str) -> None:
    allowed = ("+99981",) if written != "99981234567" else ("+9999",)
    with pytest.raises(ValueError, match=r"^no_such_number$"):
        read_number(written, None, allowed_numbers=allowed)


# Digits without a plus


@pytest.mark.parametrize(
    ("written", "region", "e164"),
    [
        pytest.param("4915123456789", "DE", "+4915123456789", id="own country code"),
        pytest.param("4520123456", "DK", "+4520123456", id="own country code, ten digits"),
        pytest.param("20123456", "DK", "+4520123456", id="national, abroad nothing"),
        pytest.param("2025550100", "US", "+12025550100", id="national, abroad a landline"),
        pytest.param("1 506 234 5679", "US", "+15062345679", id="national and international are one"),
        pytest.param("41791234567", "DE", "+41791234567", id="eleven digits, at home nothing"),
        pytest.param("01506 2345679", "DE", "+4915062345679", id="a zero in front"),
        pytest.param("011 44 7400 123456", "US", "+447400123456", id="the international prefix of the home region"),
    ],
)
def test_careful_reads_what_can_be_one_handset_only(written: str, region: str, e164: str) -> None:
    assert read_number(written, region).e164 == e164


@pytest.mark.parametrize(
    ("written", "region"),
    [
        pytest.param("13123456789", "CN", id="China or the United States"),
        pytest.param("6585056235", "IN", id="India or Singapore"),
        pytest.param("5352999370", "TR", id="Turkey or Cuba"),
        pytest.param("6581234567", "US", id="Singapore, or a slip at home"),
        pytest.param("4740345678", "GB", id="Norway, or a slip at home"),
    ],
)
def test_careful_refuses_what_can_be_a_handset_at_home_and_abroad(written: str, region: str) -> None:
    with pytest.raises(ValueError, match=r"^ambiguous_number$"):
        read_number(written, region)
    assert read_number(written, region, INTERNATIONAL).e164 == f"+{written}"


@pytest.mark.parametrize("written", ["2025550100", "4520123456", "015112345678", "0791234567"])
def test_careful_without_a_home_takes_no_few_digits_and_none_with_a_zero(written: str) -> None:
    with pytest.raises(ValueError, match=r"^no_country_code$"):
        read_number(written, None)


@pytest.mark.parametrize("e164", ["+6834002", "+29053001", "+4520123456", "+41791234567", "+4366412345678"])
@pytest.mark.parametrize("region", [None, "US", "AT"])
def test_international_reads_every_length_and_asks_no_home(e164: str, region: str | None) -> None:
    assert read_number(e164[1:], region, INTERNATIONAL).e164 == e164


def test_international_reads_nothing_at_home_but_what_has_a_zero_in_front() -> None:
    assert read_number("0791234567", "CH", INTERNATIONAL).e164 == "+41791234567"
    with pytest.raises(ValueError, match=r"^no_such_number$"):
        read_number("791234567", "CH", INTERNATIONAL)
    with pytest.raises(ValueError, match=r"^no_country_code$"):
        read_number("0791234567", None, INTERNATIONAL)


@pytest.mark.parametrize("mode", BareDigits)
@pytest.mark.parametrize("written", ["+15062345679", "0015062345679", "tel:+1-506-234-5679"])
def test_a_plus_needs_no_setting(mode: BareDigits, written: str) -> None:
    assert read_number(written, "DE", mode).e164 == "+15062345679"


def test_no_word_of_a_refusal_holds_a_digit() -> None:
    for written, region in (("15062345679", "DE"), ("+22507123456", None), ("0791234567", None)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the word is looked at below
            read_number(written, region)
        assert not re.search("[0-9]", str(caught.value))
