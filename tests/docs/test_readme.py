"""The README's picture is the way of a call through the code, and its figures are those of the benchmarks' last report."""

import re

import mitto_phone_hook.hook
from mitto_phone_hook.callers import all_callers
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms._native_response import RESPONSES
from support import flow_picture
from support.documents import README, ROOT

PAGE = README.read_text(encoding="utf-8")
REPORT = (ROOT / "benchmarks" / "results" / "results.md").read_text(encoding="utf-8")
STEPS = flow_picture.steps()


def promise(name: str) -> str:
    [measured] = re.findall(rf"^\| {name}[^|]* \| ([^|]+) \|", PAGE, re.MULTILINE)
    return str(measured)


def figure(row: str, column: int) -> float:
    """Give the median of a figure in the report; ``row`` is a regular expression."""
    [cells] = [line.split("|") for line in REPORT.splitlines() if re.match(rf"\| {row} ", line) and len(line.split("|")) > column]
    return float(cells[column].split()[0])


def test_the_picture_is_what_its_source_says() -> None:
    assert flow_picture.PICTURE.read_text(encoding="utf-8") == flow_picture.draw(), "run: make docs"
    assert "](docs/pictures/flow.svg)" in PAGE


def test_the_picture_has_ten_lines_and_the_steps_of_the_hook() -> None:
    told = (mitto_phone_hook.hook.__doc__ or "").partition("One hook call: ")[2].splitlines()[0].rstrip(".").split(", ")
    assert len(STEPS) == 10
    assert [step.name for step in STEPS[1:-1]] == told


def test_what_the_picture_says_of_failures_is_what_callers_get() -> None:
    for step in STEPS[1:-1]:
        status, code = step.failure.split()
        assert RESPONSES[Outcome(code)].status == int(status)


def test_the_figures_are_those_of_the_last_report() -> None:
    assert f"{figure('256 at once, upstream 2000 ms, fresh pool: slowest / upstream', 3):.2f} times" in promise("A response in time")
    growth = figure("[^|]*, windows of 10 s[^|]*leak", 3)
    assert f"grows by {100 * (growth - 1):.0f} %" in promise("Nothing leaks")
    [rate] = re.findall(r"^\| this function, everything on +\| +(\d{3,}) \(", REPORT, re.MULTILINE)
    [cost] = re.findall(r"^\| this function, everything on +\| (0\.\d{3}) \([^|]*\| +[\d.]+ \|", REPORT, re.MULTILINE)
    assert f"{float(cost):.2f} ms of CPU" in promise("It costs little")
    assert f"{int(rate):,} messages a second" in promise("It costs little")


def test_the_ways_of_calling_are_counted() -> None:
    [head] = re.findall(r"^\| Platform +\| `simulate` .*$", (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8"), re.MULTILINE)
    checks = head.count("|") - 3
    assert promise("It fits each platform").startswith(f"{len(all_callers())} ways of calling, {checks} checks each")


def test_each_promise_names_a_command_of_the_makefile() -> None:
    table = PAGE.partition("| Promise |")[2].partition("\n\n")[0]
    targets = re.findall(r"\| `make (\w+)` \|$", table, re.MULTILINE)
    known = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(targets) == len(table.splitlines()) - 2 > 5
    assert set(targets) <= set(known)
