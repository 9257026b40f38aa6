"""How limits, budgets and prices are read from their texts."""

import re
from collections.abc import Iterable
from decimal import Decimal

from phonenumbers import SUPPORTED_REGIONS

from mitto_phone_hook.config.rules import DECIMAL
from mitto_phone_hook.policy.destination import ANY_REGION, INTERNATIONAL_NETWORKS
from mitto_phone_hook.policy.limits import MICRO, NAMES, UNITS
from mitto_phone_hook.storage.protocols import Window

DEFAULTS = "recipient=5/10minute,10/hour; prefix=20/hour; ip=10/hour; region=100/hour; total=5000/hour,50000/day"
"""Per recipient, per number without its last four digits, per end user's address, per region that is not named in
ALLOWED_REGIONS, all in messages; in total in segments."""

_WINDOW = re.compile(r"([0-9]{1,7})/([0-9]{0,4})(second|minute|hour|day)s?")


def windows(text: str) -> dict[str, tuple[Window, ...]]:
    """Read ``LIMITS``: ``name=amount/[n]unit,…; …`` over the defaults, ``off`` for one or for all."""
    if text.strip().lower() == "off":
        return {}
    own: dict[str, tuple[Window, ...]] = {}
    for place, rule in enumerate(text.split(";"), 1):
        if not rule.strip():
            continue
        try:
            name, windows = _rule(rule)
        except ValueError as error:
            raise ValueError(f"{error} (rule {place} does not)") from None
        if name in own:
            raise ValueError(f"must name each rule once, with all its limits: recipient=5/10minute,10/hour (rule {place} does not)")
        own[name] = windows
    return dict(map(_rule, DEFAULTS.split(";"))) | own


def _rule(text: str) -> tuple[str, tuple[Window, ...]]:
    name, _, windows = (word.strip() for word in text.partition("="))
    if name not in NAMES:
        raise ValueError(f"must name {', '.join(NAMES)}, as in recipient=5/10minute,10/hour; total=off")
    return name, () if windows.lower() == "off" else _one_a_length(map(_window, windows.split(",")))


def money(text: str) -> int:
    """Read an amount of money, in millionths."""
    if not DECIMAL.fullmatch(text.strip()):
        raise ValueError("must be an amount such as 250 or 0.075")
    return int(Decimal(text.strip()) * MICRO)


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text.strip().replace(" ", ""))
    if not found or not (limit := int(found[1])) or not (length := int(found[2] or 1)):
        raise ValueError(
            "must be rules such as recipient=5/10minute,10/hour; total=5000/day with amounts from 1 to 9999999 and the units "
            "second, minute, hour, day"
        )
    return Window(limit, length * UNITS[found[3]])


def _one_a_length(windows: Iterable[Window]) -> tuple[Window, ...]:
    """Of windows of the same length only the smallest limit can matter, and both would count in the same place."""
    least: dict[int, Window] = {}
    for window in windows:
        least[window.seconds] = min(window, least.get(window.seconds, window))
    return tuple(least.values())


def prices(text: str) -> dict[str, int]:
    """Read prices of a segment, in millionths: lines ``region,price``, with ``*`` for all other regions (key ``""``)."""
    read: dict[str, int] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        region, _, price = (part.strip() for part in line.partition(","))
        if not line.strip() or (number == 1 and region.lower() == "region"):
            continue
        is_known = region.isascii() and region.upper() in SUPPORTED_REGIONS | {INTERNATIONAL_NETWORKS}
        if region != ANY_REGION and not is_known:
            raise ValueError(
                f"must have lines such as CH,0.05 (region, comma, price) and one *,0.10; line {number} has no ISO 3166 region and no *"
            )
        read["" if region == ANY_REGION else region.upper()] = money(price)
    if "" not in read:
        raise ValueError("needs a line for all other regions: *,price")
    return read
