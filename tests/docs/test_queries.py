"""The queries name fields that exist, answer the same questions for every tool, and those for jq find what they say in a real log."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.telemetry.log_lines import FIELDS
from support.processes import ROOT, fake_mitto, function
from support.programs import path_with_jq

PAGE = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
COMMANDS = dict(re.findall(r"^# (.+)\n(jq .+)$", PAGE, re.MULTILINE))
SOMEBODY = "+12025550110"
MASKED = "+1********10"
CODES = iter(range(100_000, 999_999))

Log = list[dict[str, Any]]


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def table(title: str) -> dict[str, str]:
    """Give the queries of a section by their questions."""
    return dict(re.findall(r"^\| ([^|`]+) \| (.+) \|$", section(title), re.MULTILINE)[1:])


def call(recipient: str = SOMEBODY, code: int | None = None, **fields: object) -> dict[str, object]:
    code = code or next(CODES)
    return {"recipient": recipient, "text": f"Your code is {code}", "code": str(code), **fields}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give what a function prints that accepts, refuses, repeats and fails, and then what one prints in observe mode."""
    folder = tmp_path_factory.mktemp("log")
    with fake_mitto(folder / "mitto.txt") as mitto:
        settings = {
            "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}",
            "ALLOWED_REGIONS": "US,CH",
            "LIMITS": "recipient=3/hour; total=4/hour",
        }
        with function(folder / "enforcing.txt", **settings) as enforcing:
            first = call(code=314159)
            enforcing.post(first)
            enforcing.post(first)
            enforcing.post(call("+12025550111", text="\u0416" * 71))
            enforcing.post(call(), bearer="somebody-else-s-bearer-secret")
            enforcing.post(call("+442079460000"))
            mitto.script("401")
            enforcing.post(call())
            enforcing.post(call("+12025550112"))
            enforcing.post(call("+12025550113"))
            enforcing.log()
        with function(folder / "observing.txt", **settings | {"POLICY_MODE": "observe"}) as observing:
            observing.post(call("+61491570006"))
            observing.log()
    lines = [*enforcing.lines(), "a line of another program", *observing.lines(), ""]
    return "\n".join(lines)


def records(log: str) -> Log:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def counts(values: list[str]) -> Counter[str]:
    return Counter(values)


def counted(printed: str) -> Counter[str]:
    """Read what ``uniq -c`` prints."""
    return Counter({value: int(number) for number, _, value in (line.strip().partition(" ") for line in printed.splitlines())})


def objects(printed: str) -> Log:
    return [json.loads(line) for line in printed.splitlines()]


def sent(lines: Log) -> Log:
    return [line for line in lines if line["event"] == Outcome.ACCEPTED and not line.get("duplicate")]


def by_country(lines: Log) -> Counter[str]:
    segments: Counter[str] = Counter()
    for line in sent(lines):
        segments[line["region"]] += line["segments"]
    return segments


def read_segments(printed: str) -> Counter[str]:
    return Counter({region: int(number) for region, number in (line.split() for line in printed.splitlines())})


def percentile(lines: Log) -> float:
    times: list[float] = sorted(line["duration_ms"] for line in lines if "duration_ms" in line)
    return times[len(times) * 95 // 100]


BUDGETS = ("budget_exhausted", "budget_at_80_percent")

EXPECTED: dict[str, tuple[Callable[[str], Any], Callable[[Log], Any]]] = {
    "all errors": (objects, lambda lines: [line for line in lines if line["severity"] in {"ERROR", "CRITICAL"}]),
    "how often each event came": (counted, lambda lines: counts([line["event"] for line in lines])),
    "one event": (objects, lambda lines: [line for line in lines if line["event"] == "upstream_auth"]),
    "one call": (objects, lambda lines: lines[-1:]),
    "one number": (objects, lambda lines: [line for line in lines if line.get("recipient") == MASKED]),
    "why messages were refused": (
        counted,
        lambda lines: counts([f"{line['event']} {line['why']}" for line in lines if line["severity"] == "WARNING" and "why" in line]),
    ),
    "budget alerts": (objects, lambda lines: [line for line in lines if line["event"] in BUDGETS and line.get("policy") != "observe"]),
    "accepted messages by country": (counted, lambda lines: counts([line["region"] for line in sent(lines)])),
    "segments by country": (read_segments, by_country),
    "what observe mode would refuse": (objects, lambda lines: [line["would_refuse"] for line in lines if "would_refuse" in line]),
    "slow calls": (objects, lambda lines: [line for line in lines if line.get("duration_ms", 0) > 2500]),
    "the time of 95 % of the calls": (float, percentile),
}
"""How to read what a command prints, and what it has to print of these lines."""


def test_all_tools_answer_the_same_questions() -> None:
    assert list(COMMANDS) == list(table("Cloud Logging")) == list(table("Loki")) == list(EXPECTED)


@pytest.mark.parametrize("question", EXPECTED)
def test_a_command_for_jq_finds_what_it_says(question: str, log: str, tmp_path: Path) -> None:
    read, expect = EXPECTED[question]
    lines = records(log)
    command = COMMANDS[question].replace("mhgjkihl", lines[-1]["request_id"])
    (tmp_path / "log.txt").write_text(log, encoding="utf-8")
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env={"PATH": path_with_jq(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    found = read(done.stdout)
    assert found == expect(lines)
    assert found or question == "slow calls"


def test_every_field_that_a_query_names_exists() -> None:
    named = {
        *re.findall(r"jsonPayload\.(\w+)", section("Cloud Logging")),
        *re.findall(r"(?:\\\| |unwrap |by \()(\w+)(?=!?=|>| \[|,|\))", section("Loki").replace("json [", "[")),
        *re.findall(r"(?<![\w\])])\.([a-z_]+)\b", "\n".join(COMMANDS.values()).replace("log.txt", "")),
    }
    assert len(named) > 10
    assert named <= set(FIELDS)


def test_every_event_that_a_query_names_exists() -> None:
    events = set(re.findall(r'event=+\(?"(\w+)"|event == "(\w+)"', PAGE))
    assert {name for pair in events for name in pair if name} <= {*Outcome, *BUDGETS}
