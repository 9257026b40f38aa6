"""From what a caller writes to an E.164 number, and what the numbering plans say about it."""

import re
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from mitto_phone_hook.domain.numbering_plan import HANDSETS, NumberKind, calling_code, find_plan
from mitto_phone_hook.domain.old_plans import is_of_old_plan
from mitto_phone_hook.domain.written_number import digits_of

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""ITU-T E.164: at most 15 digits. The shortest numbers in use, Niue's, have seven."""

_NATIONAL = re.compile(r"[0-9]{4,15}")
# Ten digits are too easily a national number (US) whose head is another country's calling code (20, Egypt).
_MIN_DIGITS_WITHOUT_PLUS = 11

NOT_ASSIGNED = "no_such_number"
NO_COUNTRY_CODE = "no_country_code"
AMBIGUOUS = "ambiguous_number"
OLD_PLAN = "old_number_plan"
"""Why digits are not a number: no numbering plan has them, they are national and no region is given, they can be two handsets,
one in the region and one abroad, or a plan had them once."""

UNKNOWN_REGION = "ZZ"
"""The region of a number whose calling code nobody has, as CLDR and libphonenumber name it."""

# What stands between calling code and area code of Argentine mobiles, and is left out by people who write them as they dial.
# libphonenumber's FAQ: put it there for an SMS; where that makes a mobile number, it is the right one.
_ARGENTINA, _ARGENTINE_MOBILE_TOKEN = 54, "9"
# Mexico gave its mobile token up in August 2019 (libphonenumber's metadata). No number of today begins with it.
_MEXICO, _MEXICAN_WITH_OLD_TOKEN = 52, re.compile(r"\+521([0-9]{10})")


class BareDigits(StrEnum):
    """How digits without ``+`` and ``00`` are read."""

    CAREFUL = "careful"
    """As the handset that they are at home, or abroad; not at all where they can be both."""
    INTERNATIONAL = "international"
    """As E.164 numbers whose ``+`` was stripped."""
    NATIONAL = "national"
    """As the handset that they are at home, even where they can be one abroad."""


class Number(NamedTuple):
    """A valid number: its E.164 form, its region (``001`` for international networks) and its kind."""

    e164: str
    region: str
    kind: NumberKind


def read_number(
    written: str,
    region: str | None,
    bare_digits: BareDigits = BareDigits.CAREFUL,
    allowed_numbers: tuple[str, ...] = (),
) -> Number:
    """Read a phone number as people and platforms write it.

    With ``+`` or ``00`` it is international. Without, ``region`` is its home where it is national, ``None`` refuses national ones,
    and ``bare_digits`` says which of the two it is. One that begins with a zero is always national: no calling code does.
    ``allowed_numbers`` are E.164 numbers or prefixes, with ``+``, that count as mobile whatever the plan says.
    Raises ``ValueError`` with one of the five words.
    """
    digits = written if E164.fullmatch(written) else digits_of(written)
    if digits.startswith("+"):
        if number := _international(digits, allowed_numbers):
            return number
        raise ValueError(OLD_PLAN if _is_old(digits, None) else NOT_ASSIGNED)
    may_be_international = not digits.startswith("0")
    if may_be_international and bare_digits is not BareDigits.INTERNATIONAL:
        may_be_international = len(digits) >= _MIN_DIGITS_WITHOUT_PLUS
    if number := _bare(digits, region, bare_digits, allowed_numbers):
        return number
    if (region and _is_old(digits, region)) or (may_be_international and _is_old("+" + digits, None)):
        raise ValueError(OLD_PLAN)
    raise ValueError(NOT_ASSIGNED if region or may_be_international else NO_COUNTRY_CODE)


def _bare(digits: str, region: str | None, bare_digits: BareDigits, allowed_numbers: tuple[str, ...]) -> Number | None:
    """Read digits without ``+``. Raises ``ValueError`` where they are ambiguous."""
    national = _national(digits, region, allowed_numbers) if region else None
    if digits.startswith("0"):
        return national
    international = _international("+" + digits, allowed_numbers)
    if bare_digits is BareDigits.INTERNATIONAL:
        return international
    # Few digits that are no number of the region may be one with a slip, or one that libphonenumber does not know yet.
    is_long_enough = len(digits) >= _MIN_DIGITS_WITHOUT_PLUS or (international is not None and international.region == region)
    can_be_national = region is not None and (_is_handset(national) or not is_long_enough)
    if bare_digits is BareDigits.CAREFUL and can_be_national and _is_handset(international) and international != national:
        raise ValueError(AMBIGUOUS)
    readings = list(filter(None, (national, international if is_long_enough else None)))
    return next(filter(_is_handset, readings), readings[0] if readings else None)


def _is_handset(number: Number | None) -> bool:
    return number is not None and number.kind in HANDSETS


def _international(digits: str, allowed_numbers: tuple[str, ...]) -> Number | None:
    """Read ``+`` and digits."""
    if not E164.fullmatch(digits):
        return None
    if allowed_numbers and digits.startswith(allowed_numbers):
        return _mobile(digits)
    try:
        number = _valid(*(_plain(digits[1:]) or _parsed(digits, None)))
    except phonenumbers.NumberParseException:
        return None
    if number is None and (mexican := _MEXICAN_WITH_OLD_TOKEN.fullmatch(digits)):
        return _valid(_MEXICO, mexican[1])
    return number


def _national(digits: str, region: str, allowed_numbers: tuple[str, ...]) -> Number | None:
    """Read digits as they are dialled in a region."""
    if not _NATIONAL.fullmatch(digits):
        return None
    try:
        code, national = _parsed(digits, region)
    except phonenumbers.NumberParseException:
        return None
    e164 = f"+{code}{national}"
    if allowed_numbers and e164.startswith(allowed_numbers) and E164.fullmatch(e164):
        return _mobile(e164)
    return _valid(code, national)


def _valid(code: int, national: str) -> Number | None:
    """Give a national significant number as its plan has it; ``None`` where no plan has it."""
    found, kind = find_plan(code, national)
    if code == _ARGENTINA and kind in (NumberKind.FIXED_LINE, NumberKind.UNKNOWN):
        mobile, mobile_kind = find_plan(code, _ARGENTINE_MOBILE_TOKEN + national)
        if mobile_kind in HANDSETS:
            found, kind, national = mobile, mobile_kind, _ARGENTINE_MOBILE_TOKEN + national
    return None if found is None or kind is NumberKind.UNKNOWN else Number(f"+{code}{national}", found, kind)


def _mobile(e164: str) -> Number:
    """Give a number that the operator has let through; its region is the plan's, else the main one of its calling code."""
    code = calling_code(e164[1:])
    if not code:
        return Number(e164, UNKNOWN_REGION, NumberKind.MOBILE)
    region, _ = find_plan(int(code), e164[1 + len(code) :])
    return Number(e164, region or COUNTRY_CODE_TO_REGION_CODE[int(code)][0], NumberKind.MOBILE)


def _is_old(digits: str, region: str | None) -> bool:
    try:
        return is_of_old_plan(*_parsed(digits, region))
    except phonenumbers.NumberParseException:
        return False


def _plain(digits: str) -> tuple[int, str] | None:
    """Take an international number as it stands; ``None`` where its head may be a trunk prefix, which libphonenumber has to judge.

    Its parser reads all that people write, and takes several times as long as all the rest.
    """
    code = calling_code(digits)
    national = digits[len(code) :]
    if not code or ((prefix := _trunk_prefix(int(code)).match(national)) and prefix.end()):
        return None
    return int(code), national


def _parsed(digits: str, region: str | None) -> tuple[int, str]:
    """Let libphonenumber read calling code and national significant number. Raises its ``NumberParseException``."""
    parsed = phonenumbers.parse(digits, region)
    return parsed.country_code or 0, phonenumbers.national_significant_number(parsed)


@cache
def _trunk_prefix(code: int) -> re.Pattern[str]:
    """Give what may have to be cut off national numbers of a calling code. Zeros are kept by some countries and cut by others."""
    plan = PhoneMetadata.metadata_for_region_or_calling_code(code, COUNTRY_CODE_TO_REGION_CODE[code][0])
    prefixes = plan.national_prefix_for_parsing if plan else None
    return re.compile(f"0|(?:{prefixes})" if prefixes else "0")
