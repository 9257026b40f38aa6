"""Numbers that nobody has, for tests that need many."""

from collections.abc import Iterator

from mitto_phone_hook.domain.numbering_plan import HANDSETS
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.sandbox.magic import RANGE


def fictional_numbers() -> Iterator[str]:
    """Give E.164 numbers that nobody has and libphonenumber takes for valid: 555-0100 to 555-0199 in every US area code.

    Without those of the sandbox that bring a fault.
    """
    for area in range(200, 1000):
        block = f"1{area}55501"
        if block == RANGE or not _is_us_with_sms(f"+{block}00"):
            continue
        yield from (f"+{block}{last:02d}" for last in range(100))


def _is_us_with_sms(number: str) -> bool:
    try:
        found = read_number(number, None)
    except ValueError:
        return False
    return found.region == "US" and found.kind in HANDSETS
