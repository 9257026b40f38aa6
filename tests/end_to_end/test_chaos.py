"""A small run amid the chaos, and the checker itself: it must see what it is there to see."""

import asyncio
import random
from collections.abc import Sequence
from itertools import islice

import pytest

from chaos import (
    GAPS_SECONDS,
    MAX_CODES,
    MAX_POSTS,
    NO_ANSWER,
    STORES,
    Call,
    Findings,
    Log,
    Options,
    Outage,
    plan_posts,
    play,
    report,
)
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS
from support.numbers import fictional_numbers

OUTAGE = Outage(10.0, 13.0)
ONE, OTHER = 4711, 4712


@pytest.fixture(scope="module", params=STORES)
def findings(request: pytest.FixtureRequest) -> Findings:
    return asyncio.run(play(Options(codes=100, seconds=18.0, seed=4, store=request.param), Log()))


def test_every_call_is_made_while_everything_fails(findings: Findings) -> None:
    assert len(findings.by_code) == 100
    assert len(findings.outages) == 2
    assert findings.touched_by_outage
    assert {NO_ANSWER, 200, 504} <= {call.status for call in findings.calls}


def test_no_code_gets_two_sms_while_the_store_is_up(findings: Findings) -> None:
    assert not findings.doubled_while_up, report(findings, Log())


def test_each_function_says_once_that_the_store_is_down(findings: Findings) -> None:
    assert 1 <= findings.reports <= len({call.pid for call in findings.calls})


def test_no_function_sends_a_code_twice_whatever_the_store_does(findings: Findings) -> None:
    assert not findings.doubled_by_one_function, report(findings, Log())


def test_every_accepted_reply_has_its_sms_and_every_sms_a_reply_that_admits_it(findings: Findings) -> None:
    assert not findings.promised_and_missing, report(findings, Log())
    assert not findings.sent_and_denied, report(findings, Log())
    assert not findings.bugs, report(findings, Log())


def call(started: float, ended: float, *, status: int = 200, pid: int = ONE) -> Call:
    return Call(0, pid, started, ended, status, "said")


def found(sms: int, *calls: Call) -> set[str]:
    findings = Findings({0: sms} if sms else {}, calls, [OUTAGE])
    return {name for name, codes in findings.musts.items() if codes}


@pytest.mark.parametrize(
    ("sms", "calls", "wrong"),
    [
        pytest.param(1, [call(1, 2), call(3, 4)], set(), id="one SMS"),
        pytest.param(2, [call(1, 2), call(3, 4, pid=OTHER)], {"store up, an SMS too many"}, id="two before the outage"),
        pytest.param(2, [call(13.1, 14), call(15, 16, pid=OTHER)], {"store up, an SMS too many"}, id="two after it"),
        pytest.param(2, [call(1, 2), call(15, 16, pid=OTHER)], set(), id="before and after: the store has forgotten the first"),
        pytest.param(2, [call(9, 10.1), call(9.5, 9.6, pid=OTHER)], set(), id="the outage begins during a call"),
        pytest.param(2, [call(12.9, 14), call(15, 16, pid=OTHER)], set(), id="a call begins before it ends"),
        pytest.param(
            2, [call(1, 2), call(15, 16)], {"store up or down, an SMS too many by one function"}, id="one function forgets its own"
        ),
        pytest.param(2, [call(20, 21), call(51, 52, pid=OTHER)], set(), id="the user asks again"),
        pytest.param(2, [call(20, 21), call(48, 49, pid=OTHER)], {"store up, an SMS too many"}, id="the user asks again too soon"),
        pytest.param(0, [call(1, 2)], {"accepted, but no SMS"}, id="promised"),
        pytest.param(0, [call(1, 2, status=504)], set(), id="unknown, and did not leave"),
        pytest.param(1, [call(1, 2, status=503)], {"SMS, but every reply said that none left"}, id="denied"),
        pytest.param(1, [call(1, 2, status=0), call(3, 4, status=503)], set(), id="denied, but one call had no answer"),
        pytest.param(0, [call(1, 2, status=500)], {"reply 500, a bug"}, id="a bug"),
    ],
)
def test_the_checker_sees_what_must_not_be(sms: int, calls: Sequence[Call], wrong: set[str]) -> None:
    assert found(sms, *calls) == wrong


def test_for_one_id_a_second_sms_is_always_too_many() -> None:
    calls = [Call(1, ONE, 20, 21, 200, "said"), Call(1, OTHER, 100, 101, 200, "said")]
    assert Findings({1: 2}, calls, [OUTAGE]).doubled_while_up == {1}


def test_two_sms_while_the_machine_stalled_are_recognised() -> None:
    findings = Findings({0: 2}, [call(1, 2), call(3, 4, pid=OTHER)], [OUTAGE], stalls=[Outage(2.1, 2.9)])
    assert not findings.doubled_while_up
    assert findings.doubled_while_stalled == {0}
    assert "     1  store up, but the machine stalled" in report(findings, Log())


def test_the_report_tells_the_calls_of_a_code_that_left_twice() -> None:
    findings = Findings({0: 2}, [call(1, 2), call(3, 4.5, pid=OTHER)], [OUTAGE])
    text = report(findings, Log())
    assert "     1  store up, an SMS too many: must be 0" in text
    assert text.endswith(
        "  code 0, 2 SMS\n      0.000 to   1.000  function 4711  200 said\n      2.000 to   3.500  function 4712  200 said"
    )


def test_the_same_seed_gives_the_same_plan_of_one_to_five_calls_a_code() -> None:
    plans = [plan_posts(random.Random(7), 300, 40.0) for _ in range(2)]  # noqa: S311 - a plan, not a secret
    assert plans[0] == plans[1]
    posts = [[post.at for post in plans[0] if post.code == code] for code in range(300)]
    assert {len(times) for times in posts} == set(range(1, MAX_POSTS + 1))
    assert all(0 <= at <= 40.0 for times in posts for at in times)
    assert max(times[-1] - times[0] for times in posts) > max(gap for gap in GAPS_SECONDS if gap < 40.0)


def test_there_are_numbers_enough_and_none_brings_a_fault() -> None:
    numbers = list(islice(fictional_numbers(), MAX_CODES))
    assert len(set(numbers)) == MAX_CODES
    assert not {number.removeprefix("+") for number in numbers} & MAGIC_NUMBERS.keys()
