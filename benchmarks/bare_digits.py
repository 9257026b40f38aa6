"""Whom numbers without ``+`` reach: ``python -m benchmarks.bare_digits [--regions] [--per-region N]``.

Mobile numbers of every region are written as bare digits, once as a caller writes them who strips the ``+`` and once as somebody
at home dials them, and read in each way with several home regions. A number that is read as another one would go to a stranger.
Nothing is sent. Exit status 1 where anybody but ``national`` has strangers.
"""

# ruff: noqa: T201 - a command prints

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from random import Random
from typing import NamedTuple

import phonenumbers
from phonenumbers import SUPPORTED_REGIONS, PhoneMetadata

from mitto_phone_hook.domain.numbering_plan import HANDSETS, find_plan
from mitto_phone_hook.domain.phone_number import BareDigits, read_number

HOMES = (None, "US", "DE", "MX", "AT", "GB")
FATES = RIGHT, REFUSED, STRANGER = "right", "refused", "a stranger's"
_TAILS = 2


class Mobile(NamedTuple):
    """A mobile number."""

    region: str
    code: int
    national: str


def mobiles(region: str, most: int) -> list[Mobile]:
    """Give mobile numbers of a region: libphonenumber's example and others drawn evenly from all its ranges, always the same ones."""
    plan = PhoneMetadata.metadata_for_region(region)
    if plan is None or plan.country_code is None or plan.mobile is None or not plan.mobile.national_number_pattern:
        return []
    code = plan.country_code
    random = Random(region)  # noqa: S311 - test data
    nationals = {
        f"{head:03}{random.randrange(10 ** (length - 3)):0{length - 3}}"
        for length, head, _ in product(plan.mobile.possible_length, range(1000), range(_TAILS))
    }
    others = sorted(national for national in nationals if _is_own(code, national, region))
    chosen = [plan.mobile.example_number or "", *random.sample(others, min(most - 1, len(others)))]
    return [Mobile(region, code, national) for national in chosen if _is_own(code, national, region)]


def _is_own(code: int, national: str, region: str) -> bool:
    found, kind = find_plan(code, national)
    return found == region and kind in HANDSETS


def fate(digits: str, meant: Mobile, home: str | None, mode: BareDigits) -> str:
    """Tell what becomes of digits."""
    try:
        number = read_number(digits, home, mode)
    except ValueError:
        return REFUSED
    if number.e164 == f"+{meant.code}{meant.national}":
        return RIGHT
    return STRANGER if number.kind in HANDSETS else REFUSED


def dialled(number: Mobile) -> set[str]:
    """Give a number as it is dialled at home: with what is dialled before it, where there is something, and without."""
    return {number.national, (phonenumbers.ndd_prefix_for_region(number.region, strip_non_digits=True) or "") + number.national}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bare_digits", description=__doc__)
    parser.add_argument("--regions", action="store_true", help="a row for each region, too")
    parser.add_argument("--per-region", type=int, default=25, help="how many numbers of a region (default 25)")
    options = parser.parse_args(arguments)
    everybody = [number for region in sorted(SUPPORTED_REGIONS) for number in mobiles(region, options.per_region)]
    ways = [(mode, home) for mode in BareDigits for home in HOMES if home or mode is not BareDigits.NATIONAL]
    stripped = {way: [fate(f"{number.code}{number.national}", number, way[1], way[0]) for number in everybody] for way in ways}
    dialled_at_home = {
        mode: [fate(digits, number, number.region, mode) for number in everybody for digits in dialled(number)] for mode in BareDigits
    }
    print(f"{len(everybody)} mobiles of {len({number.region for number in everybody})} regions, without their +\n")
    _print_head("BARE_DIGITS", "home", *FATES)
    for (mode, home), fates in stripped.items():
        _print_row(mode, home or "none", *map(fates.count, FATES))
    print("\nThe same as they are dialled at home, with and without a trunk prefix, each region its own home\n")
    _print_head("BARE_DIGITS", *FATES)
    for mode, fates in dialled_at_home.items():
        _print_row(mode, *map(fates.count, FATES))
    if options.regions:
        print(f"\nPer region: {', '.join(FATES)}\n")
        _print_head("region", *(f"{mode} {home or 'none'}" for mode, home in ways))
        for region in sorted({number.region for number in everybody}):
            places = [place for place, number in enumerate(everybody) if number.region == region]
            each = ([fates[place] for place in places] for fates in stripped.values())
            _print_row(region, *(" ".join(str(fates.count(one)) for one in FATES) for fates in each))
    must_be_right = [
        *(fates for (mode, _), fates in stripped.items() if mode is not BareDigits.NATIONAL),
        dialled_at_home[BareDigits.CAREFUL],
    ]
    return 1 if any(STRANGER in fates for fates in must_be_right) else 0


def _print_head(*cells: str) -> None:
    _print_row(*cells)
    _print_row(*("---" for _ in cells))


def _print_row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    sys.exit(main())
