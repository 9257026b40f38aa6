"""The verdict on a simulated day (``benchmarks/day.py``): a good day passes, and each thing that can go wrong is found."""

import json
import sys
from collections.abc import Callable

import pytest

from mitto_phone_hook.callers import Reading
from support.processes import ROOT

sys.path.append(str(ROOT))
from benchmarks.day import DAY, SLOW, Day, Sample, day_plan, findings
from benchmarks.day_load import HABITS, Ask, Call, Plan, Point, Seen

SECONDS, SLOW_FROM, SLOW_TO = 60, 20, 30
LATE = range(2 * SLOW_TO, 2 * SECONDS)
"""Codes after the slowdown; two are asked for in each second."""


def call(code: int, took: float, status: int = 200) -> Call:
    return Call(code, code / 2, code / 2 + took, status, Reading.SUCCESS if status == 200 else Reading.FAILURE)


def good_day() -> Day:
    """Let two users a second get their code; Mitto takes 4 s in the slowdown, else 50 ms."""
    plan = Plan((Point(0, "00:00", 1), Point(SECONDS, "24:00", 1)), 2, (SLOW_FROM, SLOW_TO))
    codes = range(2 * SECONDS)
    seen = Seen(
        asks=[Ask(code / 2, [code], has_code=True) for code in codes],
        calls=[call(code, 4 if SLOW_FROM <= code / 2 < SLOW_TO else 0.05) for code in codes],
    )
    seen.sms.update({code: [code / 2 + 0.01] for code in codes})
    return Day(plan, seen, [Sample(second, 1, 100, 100, second / 10) for second in range(SECONDS + 8)])


def broken(day: Day) -> list[str]:
    return [finding.name for finding in findings(day) if not finding.is_good]


def lose_an_sms(day: Day) -> None:
    del day.seen.sms[5]


def send_twice(day: Day) -> None:
    day.seen.sms[5].append(20)


def break_the_word_of_a_resend(day: Day) -> None:
    day.seen.asks[5].resends.append(40)


def answer_500(day: Day) -> None:
    day.seen.calls.append(call(5, 0.1, 500))


def let_codes_wait_for_the_end_of_the_slowdown(day: Day) -> None:
    for code in range(2 * SLOW_FROM, 2 * SLOW_FROM + 3):
        day.seen.sms[code] = [SLOW_TO + 1.0]


def stay_slow(day: Day) -> None:
    day.seen.calls += [call(code, 2) for code in LATE]


def keep_memory(day: Day) -> None:
    day.samples[-1] = day.samples[-1]._replace(memory_mib=130)


def keep_connections(day: Day) -> None:
    day.samples[-1] = day.samples[-1]._replace(descriptors=165)


def give_up(day: Day) -> None:
    """Let a user go without a code, who was told so each time."""
    ask = day.seen.asks[5]
    ask.has_code = False
    del day.seen.sms[5]


BROKEN: dict[Callable[[Day], None], list[str]] = {
    give_up: ["users who never got an SMS"],
    lose_an_sms: ["users who never got an SMS", "users told that a code is on its way, and none was"],
    break_the_word_of_a_resend: ["resends told that they are on their way, and none was"],
    send_twice: ["SMS of the same code within 30 s"],
    answer_500: ["responses 500 (a bug)"],
    let_codes_wait_for_the_end_of_the_slowdown: ["codes sent in the slowdown, of those asked for"],
    stay_slow: ["p99 as before after the slowdown"],
    keep_memory: ["memory at the end (PSS), before the slowdown"],
    keep_connections: ["descriptors at the end, before the slowdown"],
}


def test_a_good_day_keeps_all_bounds() -> None:
    assert broken(good_day()) == []


@pytest.mark.parametrize("breaking", BROKEN, ids=lambda breaking: breaking.__name__)
def test_a_broken_bound_is_found(breaking: Callable[[Day], None]) -> None:
    day = good_day()
    breaking(day)
    assert broken(day) == BROKEN[breaking]


def test_a_resend_after_the_time_is_no_double() -> None:
    day = good_day()
    day.seen.asks[5].resends.append(40)
    day.seen.sms[5].append(40.01)
    assert broken(day) == []


def test_the_slowdown_is_in_the_peak_and_takes_a_minute() -> None:
    plan = day_plan(100, DAY[-1].second)
    assert SLOW[1] - SLOW[0] == 60
    assert {plan.rate(second) for second in plan.slow} == {100}


def test_all_kinds_of_callers_are_all_callers() -> None:
    assert sum(habit.share for habit in HABITS.values()) == pytest.approx(1)


def test_the_page_about_scale_says_what_came_of_the_last_run() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    kept = json.loads((ROOT / "benchmarks" / "results" / "day.json").read_text(encoding="utf-8"))
    found, series = kept["figures"], kept["series"]
    assert [finding["name"] for finding in kept["findings"] if not finding["is_good"]] == []
    assert len(series["asked"]) == len(series["sent"]) == DAY[-1].second
    values = {finding["name"]: finding["value"] for finding in kept["findings"]}
    quoted = [
        f"{found['peak_per_second']:,.0f} codes a second",
        f"{found['users']:,} users",
        f"{found['calls']:,} calls",
        f"{found['sms']:,} SMS",
        f"{found['most_in_flight']:,} calls are in flight",
        f"{values['codes sent in the slowdown, of those asked for']} of its codes",
        f"{values['p99 as before after the slowdown']} after it",
    ]
    assert [words for words in quoted if words not in page] == []
