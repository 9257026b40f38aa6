"""Region and kind of a number, from libphonenumber's tables of all numbering plans.

libphonenumber tries a dozen patterns one by one, and compiles them again and again when messages go to very many countries.
Here a region has four patterns, compiled once. The rules are libphonenumber's; the tests compare the two on numbers of every plan.
"""

import re
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberType


class NumberKind(IntEnum):
    """What a number is used for, in libphonenumber's terms."""

    FIXED_LINE = PhoneNumberType.FIXED_LINE
    MOBILE = PhoneNumberType.MOBILE
    FIXED_LINE_OR_MOBILE = PhoneNumberType.FIXED_LINE_OR_MOBILE
    TOLL_FREE = PhoneNumberType.TOLL_FREE
    PREMIUM_RATE = PhoneNumberType.PREMIUM_RATE
    SHARED_COST = PhoneNumberType.SHARED_COST
    VOIP = PhoneNumberType.VOIP
    PERSONAL_NUMBER = PhoneNumberType.PERSONAL_NUMBER
    PAGER = PhoneNumberType.PAGER
    UAN = PhoneNumberType.UAN
    VOICEMAIL = PhoneNumberType.VOICEMAIL
    UNKNOWN = PhoneNumberType.UNKNOWN


HANDSETS = frozenset({NumberKind.MOBILE, NumberKind.FIXED_LINE_OR_MOBILE})
"""The kinds that receive SMS. The numbering plan of North America does not separate mobile numbers from others."""

_SMS_ON_FIXED_LINES = frozenset({"NU"})
"""Regions whose fixed lines count as handsets, too. Source: case N19 of ``tests/data/field_cases.json``: Niue's
+683 4xxx receives SMS, although libphonenumber and ITU's plan of 2018 call it fixed."""

MAIN_REGION = {region: regions[0] for regions in COUNTRY_CODE_TO_REGION_CODE.values() for region in regions}
"""The region that libphonenumber names first of those with the same calling code: US for all behind +1."""

_CALLING_CODES = frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))
_ANY = re.compile("")

_SPECIAL = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail")
"""The kinds that are checked before fixed line and mobile, by their names in the metadata."""


class _Plan(NamedTuple):
    """One region's patterns; each matches the whole national number."""

    all: re.Pattern[str]
    special: re.Pattern[str]
    """One group per kind."""
    fixed_line: re.Pattern[str]
    mobile: re.Pattern[str]

    def kind(self, national: str) -> NumberKind:
        if not self.all.fullmatch(national):
            return NumberKind.UNKNOWN
        if found := self.special.fullmatch(national):
            return NumberKind[str(found.lastgroup)]
        if self.mobile.fullmatch(national):
            return NumberKind.FIXED_LINE_OR_MOBILE if self.fixed_line.fullmatch(national) else NumberKind.MOBILE
        return NumberKind.FIXED_LINE if self.fixed_line.fullmatch(national) else NumberKind.UNKNOWN


def calling_code(digits: str) -> str:
    """Give the calling code of an international number without ``+``; empty when there is none."""
    return next((head for head in (digits[:1], digits[:2], digits[:3]) if head in _CALLING_CODES), "")


def find_plan(code: int, national: str) -> tuple[str | None, NumberKind]:
    """Give region (``001`` for international networks) and kind of a national significant number.

    ``UNKNOWN`` means that no plan has assigned the number. libphonenumber calls such a number invalid, too.
    """
    regions = COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    for region in regions:
        leading_digits = _leading_digits(code, region) if len(regions) > 1 else _ANY
        if leading_digits and not leading_digits.match(national):
            continue
        kind = _plan(code, region).kind(national)
        if leading_digits or kind is not NumberKind.UNKNOWN:
            return region, kind
    return None, NumberKind.UNKNOWN


@cache
def _leading_digits(code: int, region: str) -> re.Pattern[str] | None:
    """Give the pattern that separates a region from others with its calling code; ``None`` when it has none."""
    data = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    return re.compile(data.leading_digits) if data and data.leading_digits else None


@cache
def _plan(code: int, region: str) -> _Plan:
    data = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    fixed_line = _pattern(data, "fixed_line")
    mobile = _pattern(data, "mobile")
    if data is not None and data.same_mobile_and_fixed_line_pattern:
        mobile = fixed_line
    elif region in _SMS_ON_FIXED_LINES:
        mobile = f"{mobile}|{fixed_line}"
    return _Plan(
        re.compile(_pattern(data, "general_desc")),
        re.compile("|".join(f"(?P<{kind.upper()}>{_pattern(data, kind)})" for kind in _SPECIAL)),
        re.compile(fixed_line),
        re.compile(mobile),
    )


def _pattern(data: PhoneMetadata | None, kind: str) -> str:
    """Give the pattern of one kind of number; without any such numbers, a pattern that matches nothing."""
    numbers = getattr(data, kind, None)
    if numbers is None or not numbers.national_number_pattern:
        return "(?!)"
    lengths = "|".join(f"[0-9]{{{length}}}" for length in numbers.possible_length if length > 0)
    return (f"(?=(?:{lengths})\\Z)" if lengths else "") + f"(?:{numbers.national_number_pattern})"
