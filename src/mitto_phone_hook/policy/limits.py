"""How many messages may leave, and for how much money: what stops SMS pumping (AIT) before it costs.

All windows of a message are checked before any is counted, in one step; what is refused counts nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address

from mitto_phone_hook.credentials.keyed_hash import hash_of_recipient, keyed_hash
from mitto_phone_hook.domain.end_user_address import EndUserIp, end_user_address
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.numbering_plan import MAIN_REGION
from mitto_phone_hook.storage.protocols import Charge, Window, keep_together

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

NAMES = ("recipient", "prefix", "ip", "region", "total")

BUDGETS = {UNITS["hour"]: "BUDGET_PER_HOUR", UNITS["day"]: "BUDGET_PER_DAY"}
"""Settings of budgets by the seconds of their window."""

MICRO = 1_000_000
"""Money is counted in millionths of the operator's currency, so that it stays whole."""

WARN_AT = 0.8

NETWORK_FACTOR = 2
"""How many times the limit of one address a whole IPv6 /48 gets.

A /48 is an organisation's network, 256 households (RIPE-690), or at most 65,536 handsets with a /64 each (RFC 6459): with
50 an hour for an address, one in 650 handsets may ask in the same hour. In ``make attack`` once the limit loses messages of
handsets, and five times it gives an attacker with one such network 2.5 % of what he asks for.
"""

_BUDGET_NAMES = tuple(BUDGETS.values())
_BUDGET_STEPS = 100
_PREFIX_DROPS = 4
_ALL = "all"
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
    """Regions that the operator named: in them neither ``region`` nor ``prefix`` counts."""
    exempt_numbers: frozenset[str]
    """Numbers for which neither ``recipient``, ``prefix`` nor ``ip`` counts; regions and money count for all."""

    @cached_property
    def _windows(self) -> list[tuple[str, str, Window, str, int]]:
        """All windows but those of budgets: whose they are, rule, window, the end of its keys, its steps."""
        rows = [(name, name, window) for name, windows in self.windows.items() for window in windows]
        rows += [("network", "ip", window._replace(limit=NETWORK_FACTOR * window.limit)) for window in self.windows.get("ip", ())]
        return [(subject, name, window, f":{name}:{window.seconds}", _step_ms(name, window)) for subject, name, window in rows]

    def charges(self, message: PhoneMessage, segments: int, key: bytes) -> list[Charge]:
        """Give what this message adds to every window that applies to it; ``key`` keys the hashes."""
        number, region = message.recipient.get_secret_value(), message.region
        is_home, is_exempt = region in self.home_regions, number in self.exempt_numbers
        subjects = {"total": _ALL}
        if not is_home:
            subjects["region"] = MAIN_REGION.get(region, region)
        if not is_exempt:
            subjects["recipient"] = hash_of_recipient(number, key)
            subjects |= {subject: keyed_hash(place, key, _PURPOSE) for subject, place in _places(message.client_ip)}
        if not is_home and not is_exempt:
            subjects["prefix"] = keyed_hash(number[:-_PREFIX_DROPS], key, _PURPOSE)
        keys = {subject: keep_together(value, value) for subject, value in subjects.items()}
        charges = [
            Charge(name, keys[subject] + end, window, segments if name == "total" else 1, step_ms)
            for subject, name, window, end, step_ms in self._windows
            if subject in keys
        ]
        price = self.prices.get(region, self.prices.get("", 0)) * segments
        for place in ("", region):
            for window in self.budgets.get(place, ()):
                name = f"{BUDGETS[window.seconds]}_{place}" if place else BUDGETS[window.seconds]
                charges.append(Charge(name, keep_together(place or _ALL, f":{name}"), window, price, _step_ms(name, window)))
        return charges


def _step_ms(name: str, window: Window) -> int:
    return window.seconds * 1000 // _BUDGET_STEPS if is_budget(name) else 0


def is_budget(name: str) -> bool:
    """Whether the rule caps money, directly or in segments."""
    return name == "total" or name.startswith(_BUDGET_NAMES)


def _places(ip: EndUserIp | None) -> tuple[tuple[str, str], ...]:
    """Give what counts for an address: an IPv6 customer has a whole /64, and often the /48 around it."""
    address = end_user_address(ip) if isinstance(ip, IPv4Address | IPv6Address) else ip
    if isinstance(address, IPv6Address):
        return ("ip", f"{int(address) >> 64:x}/64"), ("network", f"{int(address) >> 80:x}/48")
    return (("ip", str(address)),) if address else ()
