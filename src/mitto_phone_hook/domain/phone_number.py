"""From what a caller writes to an E.164 number, and what the numbering plans say about it."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from mitto_phone_hook.domain.numbering_plan import HANDSETS, NumberKind, calling_code, find_plan

# libphonenumber reads letters, direction marks and foreign digits; none of that may reach it.
_WRITTEN = re.compile(r"[+0-9 ().\-/]{1,40}")
_SEPARATORS = str.maketrans("", "", " ().-/")
_NATIONAL = re.compile(r"[0-9]{4,15}")
# Ten digits are too easily a national number (US) whose head is another country's calling code (20, Egypt).
_MIN_DIGITS_WITHOUT_PLUS = 11

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""A complete number with its country code (ITU-T E.164); the shortest in use, Niue's, has seven digits."""

NOT_A_NUMBER = "not_a_number"
NOT_ASSIGNED = "no_such_number"
NO_COUNTRY_CODE = "no_country_code"
"""Why something is not a number: its characters, no numbering plan has it, or it is national and no region is given."""


class Number(NamedTuple):
    """A valid number: its E.164 form, its region (``001`` for international networks) and its kind."""

    e164: str
    region: str
    kind: NumberKind


def read_number(written: str, region: str | None) -> Number:
    """Read a phone number as people and platforms write it.

    With ``+`` or ``00`` it is international. Without, there may be several readings: with the calling code of
    ``region`` in front, as a national number of that region, or, from eleven digits on, international; the
    first that is a handset is taken. Raises ``ValueError`` with one of the three words, where no reading is valid.
    """
    if not _WRITTEN.fullmatch(written):
        raise ValueError(NOT_A_NUMBER)
    digits = written.translate(_SEPARATORS)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if digits.startswith("+"):
        if number := _valid(digits, None):
            return number
        raise ValueError(NOT_ASSIGNED)
    numbers = [number for number in _readings(digits, region) if number]
    if not numbers:
        raise ValueError(NO_COUNTRY_CODE if len(digits) < _MIN_DIGITS_WITHOUT_PLUS and region is None else NOT_ASSIGNED)
    return next((number for number in numbers if number.kind in HANDSETS), numbers[0])


def _readings(digits: str, region: str | None) -> Iterator[Number | None]:
    if region and _NATIONAL.fullmatch(digits):
        if digits.startswith(str(phonenumbers.country_code_for_region(region))):
            own = _valid("+" + digits, None)
            yield own if own and own.region == region else None
        yield _valid(digits, region)
    if len(digits) >= _MIN_DIGITS_WITHOUT_PLUS:
        yield _valid("+" + digits, None)


def _valid(digits: str, region: str | None) -> Number | None:
    if region is None and not E164.fullmatch(digits):
        return None
    try:
        code, national = (_plain(digits[1:]) if region is None else None) or _parsed(digits, region)
    except phonenumbers.NumberParseException:
        return None
    found, kind = find_plan(code, national)
    return None if found is None or kind is NumberKind.UNKNOWN else Number(f"+{code}{national}", found, kind)


def _plain(digits: str) -> tuple[int, str] | None:
    """Take an international number as it stands; ``None`` where its head may be a trunk prefix, which libphonenumber has to judge.

    Its parser reads all that people write, and takes several times as long as all the rest.
    """
    code = calling_code(digits)
    national = digits[len(code) :]
    return None if not code or _trunk_prefix(int(code)).match(national) else (int(code), national)


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
