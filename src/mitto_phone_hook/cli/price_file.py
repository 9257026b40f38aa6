"""Prices on the command line: the file of ``PRICES_FILE``, amounts of money as text, and the cost of messages."""

import argparse
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from mitto_phone_hook.config import limit_rules
from mitto_phone_hook.policy.limits import MICRO

_CENT = Decimal("0.01")


def add_prices_argument(parser: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the option for a price file."""
    parser.add_argument("--prices", type=_prices, metavar="FILE", help="price file (default: PRICES_FILE, where it can be read)")


def prices_of(given: Mapping[str, int] | None, environment: Mapping[str, str]) -> Mapping[str, int]:
    """Give the prices of a segment in millionths by region, ``""`` for all others; empty where there is no file."""
    if given is not None:
        return given
    try:
        # The environment may be that of the function, whose files are elsewhere.
        return _prices(path) if (path := environment.get("PRICES_FILE")) else {}
    except argparse.ArgumentTypeError:
        return {}


def price_of(region: str, prices: Mapping[str, int]) -> int:
    """Give the price of a segment in millionths."""
    return prices.get(region, prices.get("", 0))


def amount(micro: int) -> str:
    """Write an amount of money in millionths with two decimals."""
    return f"{(Decimal(micro) / MICRO).quantize(_CENT, ROUND_HALF_UP):,}"


def price(micro: int) -> str:
    """Write a price in millionths with all its decimals, as a price file has it."""
    whole, part = divmod(micro, MICRO)
    return f"{whole}.{part:06}".rstrip("0").rstrip(".")


def _prices(path: str) -> dict[str, int]:
    try:
        return limit_rules.prices(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise argparse.ArgumentTypeError("cannot be read") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
