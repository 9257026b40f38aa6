"""The operations page explains every event and value that the log can have, and the pages that the code names exist."""

import re

import pytest

from mitto_phone_hook.delivery.reports import SEVERITIES as REPORT_SEVERITIES
from mitto_phone_hook.domain.message import Purpose
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.reports import State
from mitto_phone_hook.platforms import NAMES as PLATFORMS
from mitto_phone_hook.platforms._native_payload import FlatCall, HookCall
from mitto_phone_hook.platforms.auth0 import MfaEvent, ProviderEvent
from mitto_phone_hook.policy.limits import NAMES, is_budget
from mitto_phone_hook.telemetry.call_record import TEST_EVENT
from mitto_phone_hook.telemetry.log_lines import FIELDS, SEVERITIES
from support.processes import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SOURCE = "\n".join(
    file.read_text(encoding="utf-8")
    for file in sorted((ROOT / "src" / "mitto_phone_hook").rglob("*.py"))
    if not {"cli", "sandbox"} & set(file.parts)
)


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> dict[str, str]:
    """Give the rows of a section's table by their first cell."""
    return {row.split("|")[1].strip(): row for row in section(title).splitlines() if row.startswith("| `")}


def values_of(cells: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_…]+)`", cells))


EVENTS = {*Outcome, *State, *re.findall(r'"event": "([a-z_0-9]+)"', SOURCE), TEST_EVENT, "budget_exhausted", "budget_at_80_percent"}


def test_every_event_of_the_log_has_its_row() -> None:
    assert {name.strip("`") for name in rows("Every event")} == EVENTS
    assert len(EVENTS) == len(Outcome) + len(State) + 27


@pytest.mark.parametrize("event", [*Outcome, *State])
def test_the_severity_of_an_event_is_the_one_that_is_logged(event: Outcome | State) -> None:
    severity = SEVERITIES[event] if isinstance(event, Outcome) else REPORT_SEVERITIES[event]
    assert f"| {severity} |" in rows("Every event")[f"`{event}`"]


def test_every_why_of_the_code_is_explained() -> None:
    constant = {
        *re.findall(r'Refused\(\s*Outcome\.[A-Z_]+, "([a-z_]+)"', SOURCE),
        *re.findall(r'Result\(Outcome\.[A-Z_]+, "([a-z_]+)"', SOURCE),
    }
    explained = {value for cells in rows("The values of `why`") for value in values_of(cells)}
    assert len(constant) >= 15
    assert explained >= constant | {f"limit_{name}" for name in NAMES if not is_budget(name)}
    assert explained >= {"budget_exhausted", "mitto_code_other", "mitto_code_…", "http_…"}


def test_every_field_of_the_log_has_its_row() -> None:
    assert sorted(name for cells in rows("The fields of a line") for name in re.findall(r"`([^`]+)`", cells)) == sorted(FIELDS)


def test_the_values_of_source_and_purpose_are_explained() -> None:
    fields = rows("The fields of a line")
    payloads = {payload.SOURCE for payload in (ProviderEvent, MfaEvent, HookCall, FlatCall)}
    assert values_of(fields["`source`"]) == {"source"} | payloads | {*PLATFORMS} - {"native", "auth0"}
    assert values_of(fields["`purpose`"]) == {"purpose", *Purpose}


def test_the_pages_and_sections_that_the_code_names_exist() -> None:
    kinds = {".py", ".sh", ".tf", ".env"}
    files = [file for folder in ("src", "deploy") for file in sorted((ROOT / folder).rglob("*")) if file.suffix in kinds]
    # A slash before it: the page of somebody else's repository.
    named = [
        name
        for file in files
        for name in re.findall(r"(?<!/)(?<!`)docs/(\w+)\.md(?:, ([A-Z]\w+(?: \w+)*|upstream_\w+))?", file.read_text())
    ]
    assert {("deploy", "Egress address"), ("operations", "upstream_auth"), ("configuration", "")} <= set(named)
    for page, section_name in named:
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        assert not section_name or f"## {section_name}\n" in text or f"| `{section_name}` |" in text, (page, section_name)
