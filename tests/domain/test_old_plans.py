"""The table of old numbering plans: each row can still be met, and none takes a number away from the plan of today."""

import re

import phonenumbers
import pytest

from mitto_phone_hook.domain.numbering_plan import NumberKind, find_plan
from mitto_phone_hook.domain.old_plans import OLD_MOBILES


@pytest.mark.parametrize("code", OLD_MOBILES)
def test_a_country_of_the_table_exists_and_has_mobiles_of_another_form_today(code: int) -> None:
    region = phonenumbers.region_code_for_country_code(code)
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example
    national = phonenumbers.national_significant_number(example)
    assert find_plan(code, national)[1] is NumberKind.MOBILE
    assert not re.fullmatch(OLD_MOBILES[code], national)


@pytest.mark.parametrize(
    ("code", "national"),
    [
        (55, "1187654321"),
        (84, "1621234567"),
        (224, "62123456"),
        (225, "07123456"),
        (229, "97123456"),
        (230, "7123456"),
        (237, "77123456"),
        (245, "5123456"),
        (686, "61234"),
        (689, "712345"),
    ],
)
def test_an_old_number_is_none_today(code: int, national: str) -> None:
    assert re.fullmatch(OLD_MOBILES[code], national)
    assert find_plan(code, national)[1] is NumberKind.UNKNOWN
