"""How many messages may leave, and for how much money: what stops SMS pumping (AIT) before it costs.

All windows of a message are checked before any is counted, in one step; what is refused counts nowhere.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_network

from mitto_phone_hook.credentials.keyed_hash import keyed_hash
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.storage.protocols import Charge, Window

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

DEFAULTS = "recipient=5/10minute,10/hour; prefix=20/hour; ip=10/hour; region=100/hour; total=5000/hour,50000/day"
"""Per recipient, per number without its last four digits, per end user's address, per region that is not named in
ALLOWED_REGIONS, all in messages; in total in segments."""

NAMES = ("recipient", "prefix", "ip", "region", "total")

BUDGETS = {UNITS["hour"]: "BUDGET_PER_HOUR", UNITS["day"]: "BUDGET_PER_DAY"}
"""Settings of budgets by the seconds of their window."""

MICRO = 1_000_000
"""Money is counted in millionths of the operator's currency, so that it stays whole."""

WARN_AT = 0.8

_BUDGET_NAMES = tuple(BUDGETS.values())
_BUDGET_STEPS = 100
_WINDOW = re.compile(r"([0-9]{1,7})/([0-9]{0,4})(second|minute|hour|day)s?")
_PREFIX_DROPS = 4
_IPV6_SITE = 64
_PURPOSE = b"mitto-phone-hook limits 2"


@dataclass(frozen=True)
class Limits:
    """The operator's limits and budgets, and what they need to be counted."""

    windows: Mapping[str, tuple[Window, ...]]
    budgets: Mapping[str, tuple[Window, ...]]
    """Money in millionths; by region, ``""`` over all."""
    prices: Mapping[str, int]
    """Price of a segment in millionths; by region, ``""`` for all others."""
    home_regions: frozenset[str]
    exempt_numbers: frozenset[str]

    @cached_property
    def _windows(self) -> list[tuple[str, Window, str, int]]:
        """All windows but those of budgets, with the head of their keys and their steps."""
        return [
            (name, window, f"{name}:{window.seconds}:", _step_ms(name, window))
            for name, windows in self.windows.items()
            for window in windows
        ]

    def charges(self, message: PhoneMessage, segments: int, key: bytes) -> list[Charge]:
        """Give what this message adds to every window that applies to it; ``key`` keys the hashes."""
        number, region = message.recipient.get_secret_value(), message.region
        if number in self.exempt_numbers:
            return []
        subjects = {
            "recipient": keyed_hash(number, key, _PURPOSE),
            "prefix": keyed_hash(number[:-_PREFIX_DROPS], key, _PURPOSE),
            "ip": keyed_hash(_site(message.client_ip), key, _PURPOSE) if message.client_ip else None,
            "region": None if region in self.home_regions else region,
            "total": "",
        }
        charges = [
            Charge(name, f"{head}{subject}", window, segments if name == "total" else 1, step_ms)
            for name, window, head, step_ms in self._windows
            if (subject := subjects[name]) is not None
        ]
        price = self.prices.get(region, self.prices.get("", 0)) * segments
        for place in ("", region):
            for window in self.budgets.get(place, ()):
                name = f"{BUDGETS[window.seconds]}_{place}" if place else BUDGETS[window.seconds]
                charges.append(Charge(name, name, window, price, _step_ms(name, window)))
        return charges


def read_limits(text: str) -> dict[str, tuple[Window, ...]]:
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


def read_money(text: str) -> int:
    """Read an amount of money, in millionths."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text.strip()):
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


def _step_ms(name: str, window: Window) -> int:
    return window.seconds * 1000 // _BUDGET_STEPS if is_budget(name) else 0


def is_budget(name: str) -> bool:
    """Whether the rule caps money, directly or in segments."""
    return name == "total" or name.startswith(_BUDGET_NAMES)


def _site(ip: IPv4Address | IPv6Address) -> str:
    """Give the address that counts: an IPv6 customer has a whole /64."""
    return str(ip_network((ip, _IPV6_SITE), strict=False)) if isinstance(ip, IPv6Address) else str(ip)
