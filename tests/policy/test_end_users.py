"""Whom the limits hit: nobody who only shares a proxy, and an attacker whatever the address is written like."""

import json
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.domain.end_user_address import UNREADABLE, EndUserIp
from mitto_phone_hook.domain.numbering_plan import MAIN_REGION
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.enforcement import Policy
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from support.messages import parse
from support.numbers import fictional_numbers
from support.stage import ENVIRONMENT, Stage

FROM_THE_FIELD = {
    "L01": ["127.0.0.1"] * 6,
    "L02": ["10.0.0.7", "192.168.1.1", "172.18.0.1", "100.64.3.4", "169.254.1.1", "fd00::1", "fe80::1", "::1"],
}

FORMS_OF_ONE = [
    "203.0.113.7",
    "::ffff:203.0.113.7",
    "::203.0.113.7",
    "64:ff9b::cb00:7107",
    "64:ff9b:1::cb00:7107",
    *(f"2002:cb00:7107:{network}::1" for network in range(4)),
    *(f"2001:0:4136:e378:{port}:63bf:34ff:8ef8" for port in range(8000, 8004)),
]

UNREADABLES = ["198.51.100.010", "3325256714", 3325256714, '"203.0.113.7"', "for=203.0.113.7", "unknown", "203.0.113.300", ["203.0.113.7"]]

TERRITORIES = {
    "CA": "+12045550110",
    "PR": "+17872345678",
    "JM": "+18762101234",
    "BS": "+12423591234",
    "BB": "+12462501234",
    "TT": "+18682911234",
}
"""Some of the regions behind +1, each with libphonenumber's example of a mobile number."""


async def statuses(stage: Stage, ips: Sequence[object], number: str = "+417912301{:02}") -> list[int]:
    """Ask for a code for a number after the other, from these addresses."""
    bodies = [
        json.dumps({"recipient": number.format(place), "text": f"Your code is {482_000 + place}", "ip": ip}) for place, ip in enumerate(ips)
    ]
    return [(await stage.acall(body.encode())).status for body in bodies]


def stage(limits: str, regions: str = "*", **settings: str) -> Stage:
    return Stage(ALLOWED_REGIONS=regions, LIMITS=limits, **settings)


@pytest.mark.parametrize("case", FROM_THE_FIELD)
async def test_an_address_that_is_no_end_users_is_not_counted(case: str) -> None:
    ips = FROM_THE_FIELD[case]
    assert await statuses(stage("ip=3/hour"), ips) == [200] * len(ips)


@pytest.mark.parametrize(
    "ip",
    [
        "0.1.2.3",
        "127.8.8.8",
        "172.31.255.1",
        "192.0.0.8",
        "198.19.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "fec0::1",
        "ff02::1",
        "100::1",
    ],
)
async def test_nor_is_any_other_that_is_not_public_not_even_embedded(ip: str) -> None:
    forms = [ip, f"::ffff:{ip}", f"64:ff9b::{ip}"] if "." in ip else [ip]
    assert await statuses(stage("ip=1/hour"), forms * 3) == [200] * 3 * len(forms)


async def test_the_forms_of_one_ipv4_address_share_its_window() -> None:
    assert await statuses(stage("ip=3/hour"), FORMS_OF_ONE) == [200] * 3 + [429] * (len(FORMS_OF_ONE) - 3)


async def test_what_cannot_be_read_shares_a_window_that_nobody_else_has() -> None:
    one = stage("ip=3/hour")
    assert await statuses(one, UNREADABLES) == [200] * 3 + [429] * (len(UNREADABLES) - 3)
    assert {line["why"] for line in one.lines if line["event"] == "rate_limited"} == {"limit_ip"}
    assert await statuses(one, ["203.0.113.7", "", None, " "], number="+417912302{:02}") == [200] * 4


async def test_a_proxys_address_in_front_of_the_users_does_not_hide_it() -> None:
    assert await statuses(stage("ip=3/hour"), [f"10.0.0.{hop}, 203.0.113.7, 192.0.2.1" for hop in range(6)]) == [200] * 3 + [429] * 3


async def test_a_network_of_ipv6_gets_twice_what_one_address_gets() -> None:
    one = stage("ip=10/hour; prefix=off")
    assert await statuses(one, [f"2001:db8:7:{site:x}::1" for site in range(25)]) == [200] * 20 + [429] * 5
    assert await statuses(one, [f"2001:db8:{site:x}::1" for site in range(8, 33)], number="+417912302{:02}") == [200] * 25


async def test_a_site_of_ipv6_gets_what_one_address_gets() -> None:
    assert await statuses(stage("ip=3/hour"), [f"2001:db8:7:1:{host:x}::1" for host in range(6)]) == [200] * 3 + [429] * 3


async def test_with_the_defaults_fifty_get_a_code_behind_one_address_and_no_more() -> None:
    one = Stage()
    numbers = list(fictional_numbers())[::100][:60]
    replies = [(await statuses(one, ["203.0.113.7"], number))[0] for number in numbers]
    assert replies == [200] * 50 + [429] * 10


@pytest.mark.parametrize(("regions", "passed"), [("CH", 60), ("CH,*", 60), ("DE,*", 20), ("*", 20), ("", 20)])
async def test_the_limit_of_a_block_holds_unless_the_operator_named_the_region(regions: str, passed: int) -> None:
    assert (await statuses(stage("", regions), [None] * 60)).count(200) == passed


async def test_a_recipient_gets_twenty_a_day() -> None:
    now = [0.0]
    limits = load(ENVIRONMENT).quotas
    counters = MemoryCounterStore(lambda: now[0])
    policy = Policy(DestinationPolicy(frozenset(), ()), limits, counters, lambda _: None, is_observing=True, clock=lambda: now[0])
    refused: list[str] = []
    for _ in range(48):
        await policy.reserve(message(None), b"key", refused).count(1)
        now[0] += 1800
    assert refused == ["limit_recipient"] * 28


async def test_regions_with_one_calling_code_share_the_limit_of_a_region_that_is_not_named() -> None:
    numbers = list(TERRITORIES.values())
    assert [(await statuses(one, [None], number))[0] for one in [stage("region=3/hour")] for number in numbers] == [200] * 3 + [429] * 3
    [one] = [stage("region=3/hour", "CA,JM,*")]
    assert [(await statuses(one, [None], number))[0] for number in numbers] == [200] * 5 + [429]
    assert await statuses(one, [None], "+447400123456") == [200]


@pytest.mark.parametrize("region", TERRITORIES)
def test_all_behind_one_calling_code_have_one_main_region(region: str) -> None:
    assert (MAIN_REGION[region], MAIN_REGION["JE"], MAIN_REGION["KZ"], MAIN_REGION["CH"], MAIN_REGION["001"]) == (
        "US",
        "GB",
        "RU",
        "CH",
        "001",
    )


@pytest.mark.parametrize(
    ("settings", "passed"),
    [
        ({"LIMITS": "recipient=1/hour; prefix=1/hour; ip=1/hour"}, 9),
        ({"LIMITS": "recipient=1/hour; total=4/hour"}, 4),
        ({"LIMITS": "recipient=1/hour; region=4/hour", "ALLOWED_REGIONS": "*"}, 4),
        ({"LIMITS": "recipient=1/hour", "PRICES_FILE": "prices.csv", "BUDGET_PER_DAY": "4"}, 4),
        ({"LIMITS": "recipient=1/hour", "PRICES_FILE": "prices.csv", "BUDGET_PER_HOUR_US": "4"}, 4),
    ],
    ids=["recipient, prefix and ip", "total", "region", "money", "money of a region"],
)
async def test_exempt_numbers_are_exempt_from_what_is_counted_for_one_user(settings: dict[str, str], passed: int) -> None:
    loaded = load(ENVIRONMENT | settings | {"EXEMPT_NUMBERS": "+12025550110"}, lambda _: "region,price\n*,1\n")
    policy = Policy(DestinationPolicy(frozenset(), ()), loaded.quotas, MemoryCounterStore(), lambda _: None, is_observing=True)
    refused: list[str] = []
    for _ in range(9):
        await policy.reserve(message("203.0.113.7"), b"key", refused).count(1)
    assert len(refused) == 9 - passed


def message(ip: object, recipient: str = "+12025550110") -> Any:
    return parse(json.dumps({"recipient": recipient, "text": "Your code is 482910", "ip": ip}).encode())


def policy_with(lines: list[Any], now: list[float], limits: str = "") -> Policy:
    quotas = load(ENVIRONMENT | {"LIMITS": limits}).quotas
    return Policy(
        DestinationPolicy(frozenset(), ()), quotas, MemoryCounterStore(lambda: 0.0), lines.append, is_observing=True, clock=lambda: now[0]
    )


@pytest.mark.parametrize(
    ("ip", "event"),
    [
        ("10.0.0.7", "client_ip_not_public"),
        ("2002:a00:7::1", "client_ip_not_public"),
        ("10.0.0.7, 127.0.0.1", "client_ip_not_public"),
        ("198.51.100.010", "client_ip_unreadable"),
        (3325256714, "client_ip_unreadable"),
    ],
)
async def test_what_is_wrong_with_addresses_is_said_once_an_hour_with_what_to_mend(ip: object, event: str) -> None:
    now, lines, told = [0.0], list[Any](), list[int]()
    policy = policy_with(lines, now)
    for seconds in (0, 1, 3599, 3600, 3601):
        now[0] = seconds
        await policy.reserve(message(ip), b"key", []).count(1)
        told.append(len(lines))
    assert told == [1, 1, 1, 2, 2]
    assert {(line["severity"], line["event"], line["limit"]) for line in lines} == {("WARNING", event, "ip")}
    assert all("pass" in line["hint"] and str(ip) not in line["hint"] for line in lines)


@pytest.mark.parametrize(
    ("ip", "limits"),
    [("203.0.113.7", ""), ("2001:db8::7", ""), (None, ""), ("10.0.0.7", "ip=off"), ("unknown", "ip=off"), ("10.0.0.7", "off")],
)
async def test_nothing_is_said_of_addresses_that_count_or_where_none_does(ip: object, limits: str) -> None:
    lines: list[Any] = []
    await policy_with(lines, [0.0], limits).reserve(message(ip), b"key", []).count(1)
    assert lines == []


@pytest.mark.parametrize(
    ("ip", "windows"),
    [(None, 0), (UNREADABLE, 1), *((ip_address(ip), n) for ip, n in (("10.0.0.7", 0), ("203.0.113.7", 1), ("2001:db8::7", 2)))],
)
def test_no_key_of_a_window_tells_the_address(ip: EndUserIp | None, windows: int) -> None:
    charges = load(ENVIRONMENT).quotas.charges(message(None)._replace(client_ip=ip), 1, b"key")
    assert sum(charge.name == "ip" for charge in charges) == windows
    assert not any(str(ip) in charge.key for charge in charges)
