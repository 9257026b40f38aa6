"""Metrics, alerts, dashboard and the page's filters, over lines that the real function wrote: what each names is there."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from mitto_phone_hook.telemetry.log_lines import LEVELS, as_line
from support.processes import API_KEY, BEARER, ROOT, fake_mitto, function_by, own_command
from support.stage import Stage, body
from support.upstream import closed_port

MONITORING = ROOT / "deploy" / "gcp" / "terraform" / "monitoring"
ALERTS, DASHBOARD, METRICS = ((MONITORING / f"{name}.tf").read_text(encoding="utf-8") for name in ("alerts", "dashboard", "metrics"))
QUERIES = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
TRACE = "0af7651916cd43dd8448eb211c80319c"
Line = Mapping[str, Any]
_TERM = re.compile(r'(?:jsonPayload\.)?(\w+)(:\*|>=|=|<|>)(?:"([^"]*)"|\(([^)]*)\)|([\w.]*))')


def message(number: str, **changes: Any) -> dict[str, Any]:
    return {"recipient": number, "text": "Your code is 314159", "context": {"code": "314159"}} | changes


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    """Let the function write each line that somebody is to be told of."""
    folder = tmp_path_factory.mktemp("lines")
    with fake_mitto(folder / "mitto.txt") as mitto:
        base = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "US,CH", "DEADLINE_SECONDS": "1"}
        base |= {"CONNECT_TIMEOUT_SECONDS": "0.5", "BLOCKED_NUMBERS": "+12025550199", "GOOGLE_CLOUD_PROJECT": "shop"}
        with function_by(own_command, folder / "all.txt", **base) as process:
            for number in ("+12025550110", "+12025550141", "+12025550153", "+12025550160", "+12025550103", "+12025550199"):
                process.post(message(number))
            process.post(message("+41791234567"), bearer="another-secret-of-the-tests-0001")
            process.post({"recipient": "+12025550110", "context": {}})
            for number in ("+12025550", "+491701234567", "+41443643532"):
                process.post(message(number))
            headers = {
                "Authorization": f"Bearer {BEARER}",
                "Content-Type": "application/json",
                "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
            }
            process.request("POST", "/", b"{", headers)
            process.request("POST", "/", json.dumps(message("+12025550111")).encode(), headers)
            written = process.log()
        for name, more in {
            "budget": {},
            "observe": {"POLICY_MODE": "observe"},
            "store": {"STORE_URL": f"redis://127.0.0.1:{closed_port()}"},
        }.items():
            settings = base | more | ({} if name == "store" else {"LIMITS": "total=1/hour"})
            with function_by(own_command, folder / f"{name}.txt", **settings, WORKERS="1") as process:
                for number in ("+12025550110", "+12025550111"):
                    process.post(message(number))
                written += process.log()
    bug = Stage(lambda _: {"": None}[API_KEY])
    bug.call(body())
    return [*written, *(json.loads(as_line(line)) for line in bug.lines)]


def matches(filter_text: str, line: Line) -> bool:
    """Judge a line by a filter of Cloud Logging: terms that must all be true, and ``NOT (…)``."""
    text = re.sub(r'resource\.\S+="[^"]*"', "", filter_text)
    for negated in re.findall(r"NOT \(([^()]*)\)", text):
        if matches(negated, line):
            return False
        text = text.replace(f"NOT ({negated})", "")
    for negated in re.findall(r"NOT (\S+)", text):
        if matches(negated, line):
            return False
        text = text.replace(f"NOT {negated}", "")
    terms = _TERM.findall(text)
    assert terms or not text.strip(), filter_text
    return all(_is_true(line.get(field), field, sign, quoted or several or bare) for field, sign, quoted, several, bare in terms)


def _is_true(value: Any, field: str, sign: str, wanted: str) -> bool:
    if value is None or sign == ":*":
        return value is not None
    if " OR " in wanted:
        return any(_is_true(value, field, sign, one.strip('" ')) for one in wanted.split(" OR "))
    if field == "severity":
        left, right = float(LEVELS[value]), float(LEVELS[wanted])
    elif sign == "=":
        return str(value) == wanted
    else:
        left, right = float(value), float(wanted)
    return {">=": left >= right, ">": left > right, "<": left < right, "=": left == right}[sign]


def filter_of(metric: str) -> str:
    block = METRICS.partition(f'"google_logging_metric" "{metric}"')[2].partition("\nresource")[0]
    [text] = re.findall(r'^  filter +=? *"(.*)"$', block, re.MULTILINE)
    filtered: str = text.replace("${local.log_filter} ", "").replace('\\"', '"')
    return filtered


def test_the_function_writes_each_event_that_an_alert_counts(lines: list[Line]) -> None:
    counted = set(re.findall(r"^    (\w+) += \{ above", ALERTS, re.MULTILINE))
    [refusals] = re.findall(r"refusals = \[(.*?)\]", ALERTS, re.DOTALL)
    named = counted | set(re.findall(r'"(\w+)"', refusals)) | set(re.findall(r'event=\\"(\w+)\\"', DASHBOARD))
    assert len(named) > 12
    assert named <= {str(line["event"]) for line in lines if matches(filter_of("events"), line)}


def test_the_metric_of_events_has_all_lines_but_those_that_must_wake_nobody(lines: list[Line]) -> None:
    left_out = [line for line in lines if not matches(filter_of("events"), line)]
    assert {(line["event"], line["policy"]) for line in left_out} == {("budget_exhausted", "observe")}


def test_the_labels_of_the_metric_are_in_the_lines(lines: list[Line]) -> None:
    labels = dict(re.findall(r'^    (\w+) += "EXTRACT\(jsonPayload\.(\w+)\)"', METRICS, re.MULTILINE))
    assert set(labels) == {"event", "region"}
    accepted = [line for line in lines if line["event"] == "accepted"]
    assert accepted
    assert all(labels["region"] in line and labels["event"] in line for line in accepted)


def test_the_metrics_of_time_have_a_number_in_each_line_that_they_take(lines: list[Line]) -> None:
    taken = [line for line in lines if matches(filter_of("milliseconds"), line)]
    assert {"accepted", "upstream_auth", "outcome_unknown"} <= {line["event"] for line in taken}
    for field in re.findall(r'field = "(\w+)"', METRICS):
        assert all(isinstance(line[field], float) for line in taken)


def test_the_list_of_the_dashboard_shows_what_somebody_must_look_into(lines: list[Line]) -> None:
    [text] = re.findall(r'filter += "\$\{local.log_filter\} (.*)"', DASHBOARD)
    shown = {line["event"] for line in lines if matches(text, line)}
    assert {"upstream_auth", "internal_error", "store_unavailable", "budget_exhausted"} <= shown
    assert "accepted" not in shown


def test_what_the_alerts_tell_to_look_at_is_in_the_line(lines: list[Line]) -> None:
    fields = re.findall(r"^    (\w+) += \{ above.*field \\\"(\w+)\\\"", ALERTS, re.MULTILINE)
    assert dict(fields) == {"upstream_rejected": "why", "internal_error": "stack_trace"}
    for event, field in fields:
        assert all(field in line for line in lines if line["event"] == event)


def test_each_filter_of_the_page_of_queries_finds_a_line(lines: list[Line]) -> None:
    table = QUERIES.partition("## Cloud Logging")[2].partition("\n## ")[0]
    filters = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", table, re.MULTILINE)
    values = {"mhgjkihl": str(lines[-1]["request_id"]), ">2500": ">1"}
    assert len(filters) >= 7
    for one in filters:
        text = one
        for example, real in values.items():
            text = text.replace(example, real)
        assert any(matches(text.replace('"CH"', '"US"'), line) for line in lines), one


def test_a_line_joins_the_trace_of_its_caller_under_both_names(lines: list[Line]) -> None:
    [line] = [line for line in lines if line.get("trace_id") and line["event"] == "accepted"]
    assert line["trace_id"] == TRACE
    assert line["logging.googleapis.com/trace"] == f"projects/shop/traces/{TRACE}"
    assert line["logging.googleapis.com/trace_sampled"] is True
    assert (line["span_id"], line["http.response.status_code"], line["http.route"]) == ("b7ad6b7169203331", 200, "/")
    assert "error.type" not in line
