"""The queries name fields that exist, answer the same questions for every tool, and those for jq find what they say in a real log."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.reports import State
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
    """Every event of the log has its row in docs/operations.md: tests/docs/test_operations.py."""
    named = re.findall(r'event ?[=!]?[=~]+ ?\(?"([\w|]+)"', PAGE) + re.findall(r'OR "(\w+)"', PAGE)
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `(\w+)` \| [A-Z]", operations.partition("## Every event")[2].partition("\n## ")[0], re.MULTILINE))
    assert {*Outcome, *BUDGETS} <= known
    assert len(named) > 20
    assert {name for names in named for name in names.split("|")} <= known


# The rules for Loki's ruler


def terraform_alerts() -> dict[str, tuple[str, str]]:
    """Give severity and query of the alerts of Cloud Run, with the values that Terraform puts into the text."""
    folder = ROOT / "deploy" / "gcp" / "terraform" / "monitoring"
    text = (folder / "alerts.tf").read_text(encoding="utf-8")
    defaults = dict(re.findall(r'variable "(\w+)" \{[^}]*?default += ([\d.]+)', (folder / "variables.tf").read_text(encoding="utf-8")))
    for name, events in re.findall(r"(refusals|follow_ups) += \[(.*?)\]", text, re.DOTALL):
        text = text.replace(f'${{join("|", local.{name})}}', "|".join(re.findall(r'"(\w+)"', events)))
    [calls] = re.findall(r'^  calls += "(.*)"$', text, re.MULTILINE)
    text = (
        re.sub(r"\$\{var\.(\w+)\}", lambda found: defaults.get(found[1], found[0]), text)
        .replace("${local.calls}", calls)
        .replace('join(" ", [', "[")
    )
    alerts = {
        event: (severity, f'sum(increase(${{local.events}}{{${{local.one}},event="{event}"}}[10m])) > {above}')
        for event, above, severity in re.findall(r'^    (\w+) += \{ above = (\d+), severity = "(\w+)"', text, re.MULTILINE)
    }
    for name, severity, block in re.findall(r'^      (\w+) = \{\n +severity = "(\w+)"(.*?)^      \}', text, re.MULTILINE | re.DOTALL):
        parts = re.findall(r'"((?:[^"\\]|\\.)*)"', block.partition(" query ")[2])
        alerts[name] = (severity, " ".join(parts).replace('\\"', '"'))
    return alerts


def in_loki(query: str) -> str:
    """Write a query of Cloud Monitoring as Loki reads the same lines."""

    def counted_lines(found: re.Match[str]) -> str:
        # A line of another program has no event, and its error would end the query.
        before = 'event!="" | ' if found[1].startswith("event!") else ""
        # The metric of Cloud Run leaves out the budgets of observe mode.
        after = ' | policy!="observe"' if "budget_exhausted" in found[1] else ""
        return f'count_over_time({{app="mitto-phone-hook"}} | json | {before}{found[1]}{after} [{found[2]}])'

    query = re.sub(r"increase\(\$\{local\.events\}\{\$\{local\.one\},(event[^}]*)\}\[(\w+)\]\)", counted_lines, query)
    return re.sub(
        r"histogram_quantile\(([\d.]+), sum by \(le\) \(rate\(\$\{local\.milliseconds\.duration\}\{\$\{local\.one\}\}\[(\w+)\]\)\)\)",
        r'quantile_over_time(\1, {app="mitto-phone-hook"} | json | attempts>0 | unwrap duration_ms [\2]) by ()',
        query,
    )


def rules() -> list[dict[str, Any]]:
    [text] = re.findall(r"^```yaml\n(groups:.*?)^```", section("Loki"), re.DOTALL | re.MULTILINE)
    [group] = yaml.safe_load(text)["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_the_rules_of_loki_alert_on_the_same_as_those_of_cloud_run() -> None:
    wanted = {name: (severity.lower(), in_loki(query)) for name, (severity, query) in terraform_alerts().items()}
    assert "${" not in "".join(query for _, query in wanted.values())
    assert {rule["alert"]: (rule["labels"]["severity"], rule["expr"]) for rule in rules()} == wanted
    assert all(rule["annotations"]["summary"] for rule in rules())


def test_the_page_of_deployment_has_the_same_alerts() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|$", page.partition("\n### Alerts\n")[2].partition("\n## ")[0], re.MULTILINE)
    words = {name: meaning for names, meaning in rows for name in re.findall(r"`(\w+)`", names)}
    assert words.keys() == {rule["alert"] for rule in rules()}
    for rule in rules():
        for number in re.findall(r"[<>] ([\d.]+)", rule["expr"]):
            share, many, seconds = f"{float(number):.0%}".replace("%", " %"), f"more than {number}", f"{float(number) / 1000} s"
            assert number == "0" or any(text in words[rule["alert"]] for text in (share, many, seconds)), (rule["alert"], number)


def test_the_alert_on_delivery_reports_names_reports() -> None:
    [query] = re.findall(r"^```text\n(sum by .*?)^```", section("Loki"), re.DOTALL | re.MULTILINE)
    named = {name for names in re.findall(r'event=~"([\w|]+)"', query) for name in names.split("|")}
    assert {State.UNDELIVERED, State.REJECTED} < named < set(State)
