"""How many messages may leave, and for how much money: what stops SMS pumping (AIT) before it costs.

All windows of a message are checked before any is counted, in one step; what is refused counts nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_network

from mitto_phone_hook.credentials.keyed_hash import keyed_hash
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.storage.protocols import Charge, Window

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

NAMES = ("recipient", "prefix", "ip", "region", "total")

BUDGETS = {UNITS["hour"]: "BUDGET_PER_HOUR", UNITS["day"]: "BUDGET_PER_DAY"}
"""Settings of budgets by the seconds of their window."""

MICRO = 1_000_000
"""Money is counted in millionths of the operator's currency, so that it stays whole."""

WARN_AT = 0.8

_BUDGET_NAMES = tuple(BUDGETS.values())
_BUDGET_STEPS = 100
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


def _step_ms(name: str, window: Window) -> int:
    return window.seconds * 1000 // _BUDGET_STEPS if is_budget(name) else 0


def is_budget(name: str) -> bool:
    """Whether the rule caps money, directly or in segments."""
    return name == "total" or name.startswith(_BUDGET_NAMES)


def _site(ip: IPv4Address | IPv6Address) -> str:
    """Give the address that counts: an IPv6 customer has a whole /64."""
    return str(ip_network((ip, _IPV6_SITE), strict=False)) if isinstance(ip, IPv6Address) else str(ip)
