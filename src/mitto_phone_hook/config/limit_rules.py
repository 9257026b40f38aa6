"""How limits, budgets and prices are read from their texts."""

import re
from collections.abc import Container
from decimal import Decimal

from mitto_phone_hook.config.rules import DECIMAL, KNOWN_REGIONS
from mitto_phone_hook.policy.destination import ANY_REGION
from mitto_phone_hook.policy.limits import MICRO, NAMES, UNITS
from mitto_phone_hook.storage.protocols import Window

DEFAULTS = "recipient=5/10minute,10/hour,20/day; prefix=20/hour; ip=50/hour; region=100/hour; total=5000/hour,50000/day"
"""In messages: per recipient, per address of the end user; in regions that ALLOWED_REGIONS does not name also per number
without its last four digits and per region. In segments: in total. ``make attack`` compares them with others."""

_WINDOW = re.compile(r"([0-9]{1,7})/([0-9]{0,4})(second|minute|hour|day)s?")


def windows(text: str) -> dict[str, tuple[Window, ...]]:
    """Read ``LIMITS``: ``name=amount/[n]unit,…; …``. A name replaces its default; ``off`` for one or for all."""
    if text.strip().lower() == "off":
        return {}
    own: dict[str, tuple[Window, ...]] = {}
    for position, rule in enumerate(text.split(";"), 1):
        if rule.strip():
            try:
                name, windows = _rule(rule, own)
            except ValueError as error:
                raise ValueError(f"{error} (rule {position} does not)") from None
            own[name] = windows
    return dict(_rule(rule, {}) for rule in DEFAULTS.split(";")) | own


def _rule(text: str, earlier: Container[str]) -> tuple[str, tuple[Window, ...]]:
    name, _, windows = (part.strip() for part in text.partition("="))
    if name not in NAMES:
        raise ValueError(f"must name {', '.join(NAMES)}, as in recipient=5/10minute,10/hour; total=off")
    if name in earlier:
        raise ValueError("must name each rule once, with all its limits: recipient=5/10minute,10/hour")
    smallest: dict[int, Window] = {}
    for window in map(_window, windows.split(",") if windows.lower() != "off" else ()):
        # Two windows of one length would be counted in one place, and only the smaller limit can matter.
        smallest[window.seconds] = min(window, smallest.get(window.seconds, window))
    return name, tuple(smallest.values())


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text.strip().replace(" ", ""))
    if not found or not (limit := int(found[1])) or not (length := int(found[2] or 1)):
        raise ValueError(
            "must be rules such as recipient=5/10minute,10/hour; total=5000/day with amounts from 1 to 9999999 and the units "
            "second, minute, hour, day"
        )
    return Window(limit, length * UNITS[found[3]])


def money(text: str) -> int:
    """Read an amount of money, in millionths."""
    if not DECIMAL.fullmatch(text.strip()):
        raise ValueError("must be an amount such as 250 or 0.075")
    return int(Decimal(text.strip()) * MICRO)


def prices(text: str) -> dict[str, int]:
    """Read prices of a segment, in millionths: lines ``region,price``, with ``*`` for all other regions (key ``""``)."""
    read: dict[str, int] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        region, _, price = (part.strip() for part in line.partition(","))
        if not line.strip() or (number == 1 and region.lower() == "region"):
            continue
        if not region.isascii() or region.upper() not in KNOWN_REGIONS:
            raise ValueError(
                f"must have lines such as CH,0.05 (region, comma, price) and one *,0.10; line {number} has no ISO 3166 region and no *"
            )
        read["" if region == ANY_REGION else region.upper()] = money(price)
    if "" not in read:
        raise ValueError("needs a line for all other regions: *,price")
    return read
