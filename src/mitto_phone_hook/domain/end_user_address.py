"""Which IP addresses can be an end user's, and the IPv4 address inside the IPv6 addresses that carry one."""

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Literal, NamedTuple

UNREADABLE: Final = "unreadable"
"""In place of an address that was given and cannot be read: unlike none, which was not given."""

EndUserIp = IPv4Address | IPv6Address | Literal["unreadable"]

NOT_PUBLIC_IPV4 = (
    "0.0.0.0/8",  # this network, RFC 791
    "10.0.0.0/8",  # private use, RFC 1918
    "100.64.0.0/10",  # between a carrier's customers and its NAT, RFC 6598
    "127.0.0.0/8",  # loopback, RFC 1122
    "169.254.0.0/16",  # link-local, RFC 3927
    "172.16.0.0/12",  # private use, RFC 1918
    "192.0.0.0/24",  # IETF protocols, DS-Lite among them, RFC 6890
    "192.168.0.0/16",  # private use, RFC 1918
    "198.18.0.0/15",  # benchmarks, RFC 2544
    "224.0.0.0/3",  # multicast, RFC 5771; reserved, RFC 1112; broadcast, RFC 919
)
"""IPv4 networks in which no end user is seen on the internet. Source: IANA's IPv4 Special-Purpose Address Registry.

Of that registry's networks that are not globally reachable only the three for documentation are left out (192.0.2.0/24,
198.51.100.0/24, 203.0.113.0/24): nobody has one of their addresses, so counting them harms nobody, and tests and examples,
an operator's own among them, have no other address that means an end user's.
"""

NOT_PUBLIC_IPV6 = (
    "::/3",  # unspecified, loopback, IPv4-mapped, NAT64, discard: those that carry an IPv4 address are judged by that
    "2001::/23",  # IETF protocols, RFC 2928: benchmarks, ORCHIDs, …
    "4000::/2",  # not assigned to anybody
    "8000::/1",  # not assigned; unique local fc00::/7, link-local fe80::/10, site-local fec0::/10, multicast ff00::/8
)
"""The same for IPv6. Sources: IANA's IPv6 Special-Purpose Address Registry; its IPv6 Address Space registry, in which only
2000::/3 is global unicast. 2001:db8::/32 and 3fff::/20, for documentation, are left out as above.
"""


class Embedding(NamedTuple):
    """Where a network's addresses carry an IPv4 address."""

    network: str
    shift: int = 0
    """Bits to the right of it."""
    mask: int = 0
    """What its bits are inverted with."""


EMBEDDINGS = (
    Embedding("::/96"),  # IPv4-compatible, RFC 4291
    Embedding("::ffff:0:0/96"),  # IPv4-mapped, RFC 4291
    Embedding("::ffff:0:0:0/96"),  # IPv4-translated, RFC 2765
    Embedding("64:ff9b::/96"),  # NAT64, RFC 6052
    Embedding("64:ff9b:1::/48"),  # NAT64 within a network, RFC 8215
    Embedding("2001::/32", mask=0xFFFFFFFF),  # Teredo: the client's own, RFC 4380
    Embedding("2002::/16", shift=80),  # 6to4, RFC 3056
)
"""IPv6 addresses that whoever has one IPv4 address can have at will, millions of them."""


def end_user_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address | None:
    """Give the address by which an end user counts: the IPv4 address where one is embedded. ``None`` where no end user has it."""
    number = int(address)
    if isinstance(address, IPv6Address):
        for first, last, shift, mask in _EMBEDDINGS:
            if first <= number <= last:
                address = IPv4Address(number >> shift & 0xFFFFFFFF ^ mask)
                number = int(address)
                break
        else:
            return None if _is_within(number, *_IPV6) else address
    return None if _is_within(number, *_IPV4) else address


def _is_within(number: int, firsts: list[int], lasts: list[int]) -> bool:
    place = bisect_right(firsts, number)
    return place > 0 and number <= lasts[place - 1]


def _bounds(networks: Iterable[IPv4Network | IPv6Network]) -> tuple[list[int], list[int]]:
    """Give the first and the last address of each network."""
    ordered = sorted((int(network.network_address), int(network.broadcast_address)) for network in networks)
    return [first for first, _ in ordered], [last for _, last in ordered]


_IPV4 = _bounds(map(IPv4Network, NOT_PUBLIC_IPV4))
_IPV6 = _bounds(map(IPv6Network, NOT_PUBLIC_IPV6))
_EMBEDDINGS = [
    (int(network.network_address), int(network.broadcast_address), row.shift, row.mask)
    for row, network in ((row, IPv6Network(row.network)) for row in EMBEDDINGS)
]
