"""Limits and budgets: exact, fair, shared, and never counted for what was refused."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from mitto_phone_hook.config.limit_rules import DEFAULTS, money
from mitto_phone_hook.config.limit_rules import windows as read_limits
from mitto_phone_hook.config.settings import SettingsError, load
from mitto_phone_hook.domain.outcome import Refused
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.enforcement import Policy
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.protocols import Window
from mitto_phone_hook.storage.redis_client import RedisClient
from mitto_phone_hook.storage.redis_counters import RedisCounterStore
from mitto_phone_hook.telemetry.log_lines import Emit
from support.messages import parse
from support.processes import fake_mitto, function, redis_server
from support.stage import ENVIRONMENT, SECRET, Stage
from support.stores import crowd, fail


async def test_a_message_that_is_counted_anew_stands_in_line_no_longer_than_it_may(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with contextlib.aclosing(
            RedisClient(f"redis://127.0.0.1:{server.port}", fail, timeout_seconds=30, queue_seconds=30)
        ) as client:
            limits = load(ENVIRONMENT | {"LIMITS": "total=off"}).quotas
            counters = RedisCounterStore(client, is_closed_on_failure=False)
            rules = Policy(DestinationPolicy(frozenset(), ()), limits, counters, lambda _: None, is_observing=False)
            latest = asyncio.get_running_loop().time() + 0.3
            reservation = rules.reserve(parse(_body(0), b"", None), b"secret", [], latest)
            await reservation.count(1)
            server.popen.send_signal(signal.SIGSTOP)
            asked = await crowd(client)
            async with asyncio.timeout(10):
                with pytest.raises(Refused):
                    await reservation.count(2)
            server.popen.send_signal(signal.SIGCONT)
            await asyncio.gather(*asked)


@pytest.mark.parametrize(
    ("text", "name", "windows"),
    [
        ("", "recipient", (Window(5, 600), Window(10, 3600), Window(20, 86400))),
        ("recipient=3/10minute", "recipient", (Window(3, 600),)),
        ("recipient=3/10minute", "prefix", (Window(20, 3600),)),
        (" recipient = 3/10 minutes , 7/day ; ip=off", "recipient", (Window(3, 600), Window(7, 86400))),
        ("ip=off", "ip", ()),
        ("recipient=5/10minute,10/600second", "recipient", (Window(5, 600),)),
        ("total=1/second", "total", (Window(1, 1),)),
    ],
)
def test_limits_are_read_over_the_defaults(text: str, name: str, windows: tuple[Window, ...]) -> None:
    assert read_limits(text)[name] == windows


def test_off_switches_all_limits_off() -> None:
    assert read_limits("off") == {}
    assert read_limits(DEFAULTS) == read_limits("")


@pytest.mark.parametrize(
    "text", ["x=1/hour", "recipient=", "recipient=0/hour", "recipient=5/0hour", "recipient=5/year", "recipient=-1/hour", "5/hour"]
)
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        read_limits(text)


def test_the_rule_that_is_wrong_is_named_by_its_place() -> None:
    for text in ("total=5/hour; recipent=5/hour", "total=5/hour; ip=5/fortnight", "ip=5/hour; ip=9/day"):
        with pytest.raises(ValueError, match=r"\(rule 2 does not\)$"):
            read_limits(text)


@pytest.mark.parametrize(("text", "micro"), [("1", 1_000_000), ("0.075", 75_000), ("12.5", 12_500_000)])
def test_money_is_read_in_millionths(text: str, micro: int) -> None:
    assert money(text) == micro


def _body(code: int, recipient: str = "+12025550110", **context: Any) -> bytes:
    payload = {"recipient": recipient, "text": f"Your code is {code}", "context": {"code": str(code)} | context}
    return json.dumps(payload).encode()


async def test_a_recipient_gets_five_in_ten_minutes_and_then_429_with_retry_after() -> None:
    stage = Stage()
    replies = [await stage.acall(_body(code)) for code in range(7)]
    assert [reply.status for reply in replies] == [200] * 5 + [429] * 2
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 600
    assert stage.lines[-1]["why"] == "limit_recipient"
    assert len(stage.requests) == 5


@pytest.mark.parametrize(
    ("settings", "calls", "passed", "why"),
    [
        ({"ALLOWED_REGIONS": "*"}, [("+1202555011" + str(n % 10), {}) for n in range(30)], 20, "limit_prefix"),
        (
            {"LIMITS": "ip=10/hour"},
            [(f"+1{area}5550110", {"ip": "203.0.113.7"}) for area in range(202, 217) if area not in (204, 211)],
            10,
            "limit_ip",
        ),
        (
            {"LIMITS": "ip=10/hour"},
            [(f"+1{area}5550110", {"ip": f"2001:db8::{area}"}) for area in range(202, 217) if area not in (204, 211)],
            10,
            "limit_ip",
        ),
        (
            {"ALLOWED_REGIONS": "*", "LIMITS": "region=3/hour"},
            [(f"+1{area}5550110", {}) for area in (202, 203, 205, 206)],
            3,
            "limit_region",
        ),
        ({"LIMITS": "total=3/hour"}, [(f"+1{area}5550110", {}) for area in (202, 203, 205, 206)], 3, "budget_exhausted"),
    ],
    ids=["prefix", "ip", "ipv6 by site", "region that is not home", "total"],
)
async def test_each_limit_stops_its_kind_of_flood(
    settings: dict[str, str], calls: list[tuple[str, dict[str, str]]], passed: int, why: str
) -> None:
    stage = Stage(**{"LIMITS": "recipient=off"} | settings)
    replies = [await stage.acall(_body(number, recipient, **context)) for number, (recipient, context) in enumerate(calls)]
    assert [reply.status for reply in replies].count(200) == passed == len(stage.requests)
    assert {line["why"] for line in stage.lines if line["event"] == "rate_limited"} == {why}


@pytest.mark.parametrize(("regions", "passed"), [("US", 5), ("CH,US", 5), ("*", 3), ("", 3)])
async def test_the_limit_of_a_region_holds_unless_the_operator_named_the_region(regions: str, passed: int) -> None:
    stage = Stage(ALLOWED_REGIONS=regions, LIMITS="region=3/hour; recipient=off; prefix=off; ip=off; total=off")
    replies = [await stage.acall(_body(number, f"+1{area}5550110")) for number, area in enumerate((202, 203, 205, 206, 207))]
    assert [reply.status for reply in replies] == [200] * passed + [429] * (5 - passed)


async def test_refused_invalid_and_repeated_messages_count_nowhere() -> None:
    stage = Stage()
    for _ in range(20):
        assert (await stage.acall(_body(1).replace(b"Your", b"\\u202e"))).status == 422
    for _ in range(20):
        assert (await stage.acall(_body(2))).status == 200
    assert len(stage.requests) == 1
    assert [(await stage.acall(_body(code))).status for code in range(3, 8)] == [200] * 4 + [429]


@pytest.mark.parametrize(("status", "replies"), [(503, 503), (400, 502)])
async def test_what_certainly_did_not_leave_is_not_counted(status: int, replies: int) -> None:
    stage = Stage(lambda _: httpx.Response(status), MAX_ATTEMPTS="1")
    assert {(await stage.acall(_body(code))).status for code in range(20)} == {replies}


async def test_observing_lets_everything_through_and_says_what_it_would_refuse() -> None:
    stage = Stage(POLICY_MODE="observe")
    assert (await stage.acall(_body(1, "+41791234567"))).status == 200
    assert stage.lines[-1]["would_refuse"] == ["blocked_country"]
    for code in range(7):
        assert (await stage.acall(_body(code))).status == 200
    assert stage.lines[-1]["would_refuse"] == ["limit_recipient"]
    assert "would_refuse" not in stage.lines[2] or stage.lines[2]["would_refuse"] is None


async def test_what_is_only_observed_wakes_nobody() -> None:
    stage = Stage(POLICY_MODE="observe", LIMITS="total=2/hour")
    for code in range(3):
        assert (await stage.acall(_body(code))).status == 200
    alerts = [line for line in stage.lines if str(line["event"]).startswith("budget")]
    assert [(line["severity"], line["event"], line["policy"]) for line in alerts] == [
        ("WARNING", "budget_at_80_percent", "observe"),
        ("WARNING", "budget_exhausted", "observe"),
    ]


async def test_exempt_numbers_skip_limits_but_not_destination_rules() -> None:
    stage = Stage(EXEMPT_NUMBERS="+12025550110,+41791234567")
    assert {(await stage.acall(_body(code))).status for code in range(20)} == {200}
    assert (await stage.acall(_body(1, "+41791234567"))).status == 422


async def test_money_warns_at_80_percent_once_and_is_refused_when_it_is_spent(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("region,price\nUS,0.5\n*,1\n", encoding="utf-8")
    settings = {"LIMITS": "off", "PRICES_FILE": str(tmp_path / "prices.csv"), "BUDGET_PER_DAY": "100", "BUDGET_PER_HOUR_US": "5"}
    stage = Stage(**settings)
    replies = [await stage.acall(_body(code)) for code in range(13)]
    assert [reply.status for reply in replies] == [200] * 10 + [429] * 3
    alerts = [line for line in stage.lines if str(line["event"]).startswith("budget")]
    assert [(line["severity"], line["event"], line["limit"]) for line in alerts] == [
        ("WARNING", "budget_at_80_percent", "BUDGET_PER_HOUR_US"),
        ("ERROR", "budget_exhausted", "BUDGET_PER_HOUR_US"),
    ]
    assert [line["why"] for line in stage.lines if line["event"] == "rate_limited"] == ["budget_exhausted"] * 3


async def test_money_is_spent_by_the_segment(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("region,price\n*,1\n", encoding="utf-8")
    stage = Stage(LIMITS="off", PRICES_FILE=str(tmp_path / "prices.csv"), BUDGET_PER_DAY="5")
    two_segments = [_body(code).replace(b"Your", b"Welcome! " * 20 + b"Your") for code in range(4)]
    replies = [await stage.acall(body) for body in two_segments]
    assert [reply.status for reply in replies] == [200] * 2 + [429] * 2


def policy(emit: Emit, clock: Callable[[], float] = lambda: 0.0, **settings: str) -> Policy:
    """Give a policy whose windows never pass."""
    limits = load(ENVIRONMENT | settings).quotas
    return Policy(DestinationPolicy(frozenset(), ()), limits, MemoryCounterStore(lambda: 0.0), emit, is_observing=False, clock=clock)


async def test_an_alert_comes_at_once_on_a_machine_that_has_just_started_and_then_once_a_window() -> None:
    now, lines, told = [0.0], list[Any](), list[int]()
    rules = policy(lines.append, lambda: now[0], LIMITS="recipient=off; total=1/hour")
    await rules.reserve(parse(_body(0), b"", None), b"secret", []).count(1)
    for seconds in (0, 1, 3599, 3600, 3601):
        now[0] = seconds
        with pytest.raises(Refused):
            await rules.reserve(parse(_body(1), b"", None), b"secret", []).count(1)
        told.append(len(lines))
    assert told == [1, 1, 1, 2, 2]
    assert {line["event"] for line in lines} == {"budget_exhausted"}


async def test_a_message_gives_its_own_count_back_and_nobody_elses() -> None:
    rules = policy(lambda _: None, LIMITS="recipient=2/hour")
    first, second, third = (rules.reserve(parse(_body(code), b"", None), b"secret", []) for code in range(3))
    await first.count(1)
    await second.count(1)
    for _ in range(2):
        await first.settle(possibly_sent=False)
    await third.count(1)
    with pytest.raises(Refused):
        await first.count(1)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"BUDGET_PER_DAY": "5"}, "PRICES_FILE"),
        ({"BUDGET_PER_DAY_CH": "5"}, "PRICES_FILE"),
        ({"BUDGET_PER_DAY": "5 euro"}, "BUDGET_PER_DAY"),
        ({"BUDGET_PER_DAY_XX": "5"}, "BUDGET_PER_DAY_XX"),
        ({"PRICES_FILE": "/nowhere"}, "PRICES_FILE cannot be read"),
        ({"LIMITS": "nobody=1/hour"}, "LIMITS"),
        ({"POLICY_MODE": "watch"}, "POLICY_MODE"),
    ],
)
def test_a_wrong_policy_setting_stops_the_start(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load({"MITTO_API_KEY": "key", "HOOK_SECRETS": SECRET} | settings)


@pytest.mark.parametrize("rows", ["\ufeffregion,price\nUS,0.5\n*,1\n", "001,0.5\nus,0.5\n\n*,1", "Region,Price\r\nUS,0.5\r\n*,1\r\n"])
def test_a_price_list_may_come_from_a_spreadsheet(rows: str) -> None:
    settings = load({"MITTO_API_KEY": "key", "HOOK_SECRETS": SECRET, "PRICES_FILE": "prices.csv"}, lambda _: rows)
    assert {"US": 500_000, "": 1_000_000}.items() <= settings.quotas.prices.items()


@pytest.mark.parametrize("rows", ["US,0.5", "XX,1\n*,1", "US,cheap\n*,1", "US\n*,1", "*,1\nregion,price"])
def test_a_price_list_that_is_none_stops_the_start(rows: str) -> None:
    with pytest.raises(SettingsError, match="PRICES_FILE"):
        load({"MITTO_API_KEY": "key", "HOOK_SECRETS": SECRET, "PRICES_FILE": "prices.csv"}, lambda _: rows)


def test_two_processes_that_share_redis_never_let_one_more_through(tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto, redis_server(tmp_path) as server:
        settings = {
            "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}",
            "STORE_URL": f"redis://127.0.0.1:{server.port}",
            "ALLOWED_REGIONS": "US",
            "LIMITS": "recipient=10/10minute",
        }
        with function(tmp_path / "first.txt", **settings) as first, function(tmp_path / "second.txt", **settings) as second:
            calls = [((first, second)[code % 2], json.loads(_body(code))) for code in range(64)]
            with ThreadPoolExecutor(64) as pool:
                statuses = list(pool.map(lambda call: call[0].post(call[1])[0], calls))
        assert statuses.count(200) == 10
        assert statuses.count(429) == 54
        assert len(mitto.inbox()) == 10
