"""The table of territories is complete and names regions that numbers can have."""

from itertools import chain

import phonenumbers
import pytest

from mitto_phone_hook.domain.territories import TERRITORIES

OF_NOBODY_ELSE = {
    "+1": {"AG", "BB", "BS", "CA", "DM", "DO", "GD", "JM", "KN", "LC", "TT", "VC"},  # states
    "+1, Britain's and governed by themselves": {"AI", "BM", "KY", "MS", "TC", "VG"},
    "+7": {"KZ"},
    "+39": {"VA"},
    "+212": {"EH"},
    "+290": {"TA"},
}
"""Regions that share their calling code with another country and that nobody expects behind its name."""


def test_every_region_behind_the_calling_code_of_another_is_a_territory_or_left_out_on_purpose() -> None:
    left_out = set().union(*OF_NOBODY_ELSE.values())
    listed = set(chain.from_iterable(TERRITORIES.values()))
    sharing = set(chain.from_iterable(regions[1:] for regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.values()))
    assert sharing <= listed | left_out
    assert not listed & left_out


def test_a_territory_is_of_one_country_and_has_numbers_of_its_own() -> None:
    listed = list(chain.from_iterable(TERRITORIES.values()))
    assert len(listed) == len(set(listed))
    assert {*listed, *TERRITORIES} <= phonenumbers.SUPPORTED_REGIONS
    assert not set(listed) & set(TERRITORIES)


@pytest.mark.parametrize(
    ("country", "territory"), [("US", "PR"), ("GB", "JE"), ("FR", "RE"), ("NL", "CW"), ("DK", "FO"), ("FI", "AX"), ("NO", "SJ")]
)
def test_what_people_count_in_is_in_the_table(country: str, territory: str) -> None:
    assert territory in TERRITORIES[country]
