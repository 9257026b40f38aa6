"""Whose an address is; the standard library, whose tables differ by version, is a second opinion."""

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitto_phone_hook.domain.end_user_address import EMBEDDINGS, NOT_PUBLIC_IPV4, NOT_PUBLIC_IPV6, end_user_address

LAW = settings(max_examples=500, deadline=None)

DOCUMENTATION = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"]
"""RFC 5737, RFC 3849, RFC 9637. Not globally reachable, and counted: see the table."""

PRIVATE = ["10.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "100::/64", "2001::/23", "fc00::/7", "fe80::/10"]

EMBEDDING = [row.network for row in EMBEDDINGS]


def is_in(address: IPv4Address | IPv6Address, networks: Iterable[str]) -> bool:
    return any(address in ipaddress.ip_network(network) for network in networks)


@LAW
@given(st.ip_addresses(v=4) | st.sampled_from(NOT_PUBLIC_IPV4).flatmap(lambda network: st.ip_addresses(network=network)))
def test_an_ipv4_address_is_an_end_users_unless_its_network_is_listed(address: IPv4Address) -> None:
    assert end_user_address(address) == (None if is_in(address, NOT_PUBLIC_IPV4) else address)


@LAW
@given(st.ip_addresses(v=6) | st.sampled_from(["2000::/3", "2001::/16"]).flatmap(lambda network: st.ip_addresses(network=network)))
def test_an_ipv6_address_is_an_end_users_unless_its_network_is_listed_or_it_carries_another(address: IPv6Address) -> None:
    if not is_in(address, EMBEDDING):
        assert end_user_address(address) == (None if is_in(address, NOT_PUBLIC_IPV6) else address)


@LAW
@given(st.ip_addresses() | st.sampled_from(PRIVATE).flatmap(lambda network: st.ip_addresses(network=network)))
def test_what_the_standard_library_does_not_call_global_is_listed_but_for_documentation(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global and not is_in(address, [*DOCUMENTATION, *EMBEDDING]):
        assert end_user_address(address) is None


@pytest.mark.parametrize("network", [*NOT_PUBLIC_IPV4, *NOT_PUBLIC_IPV6])
def test_the_first_and_the_last_address_of_a_network_are_no_end_users(network: str) -> None:
    own = ipaddress.ip_network(network)
    assert end_user_address(own[0]) is None
    assert end_user_address(own[-1]) is None


@pytest.mark.parametrize(
    "address",
    [
        *("9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0"),
        *("172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
        *("1.0.0.0", "203.0.113.7", "198.51.100.7", "192.0.2.7", "2000::", "2001:200::", "2001:db8::7", "2003::1", "3fff:ffff::1"),
    ],
)
def test_beside_the_networks_everybody_is_counted(address: str) -> None:
    assert end_user_address(ip_address(address)) == ip_address(address)


@pytest.mark.parametrize(
    "written",
    [
        "::203.0.113.7",
        "::ffff:203.0.113.7",
        "::ffff:0:203.0.113.7",
        "64:ff9b::203.0.113.7",
        "64:ff9b:1::203.0.113.7",
        "64:ff9b:1:7::203.0.113.7",
        "2001:0:4136:e378:8000:63bf:34ff:8ef8",
        "2001::34ff:8ef8",
        "2002:cb00:7107::1",
        "2002:cb00:7107:ffff::7",
    ],
)
def test_the_forms_of_one_ipv4_address_are_that_address(written: str) -> None:
    assert end_user_address(IPv6Address(written)) == IPv4Address("203.0.113.7")


@LAW
@given(st.ip_addresses(v=4), st.integers(0, (1 << 80) - 1))
def test_an_embedded_address_is_judged_as_if_it_came_alone(inner: IPv4Address, rest: int) -> None:
    six_to_four = IPv6Address((0x2002 << 112) | (int(inner) << 80) | rest)
    teredo = IPv6Address((0x20010000 << 96) | (rest >> 16 << 32) | (int(inner) ^ 0xFFFFFFFF))
    assert six_to_four.sixtofour == inner
    assert teredo.teredo is not None
    assert teredo.teredo[1] == inner
    assert end_user_address(six_to_four) == end_user_address(teredo) == end_user_address(inner)


def test_the_networks_do_not_overlap() -> None:
    assert list(ipaddress.collapse_addresses(map(IPv4Network, NOT_PUBLIC_IPV4))) == sorted(map(IPv4Network, NOT_PUBLIC_IPV4))
    assert list(ipaddress.collapse_addresses(map(IPv6Network, NOT_PUBLIC_IPV6))) == sorted(map(IPv6Network, NOT_PUBLIC_IPV6))
