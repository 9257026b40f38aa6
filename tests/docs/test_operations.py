"""The operations page explains every event and value that the log can have, and its commands work."""

import re
import subprocess
from pathlib import Path

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
from support.programs import path_with_jq

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


def test_every_field_that_the_page_names_exists() -> None:
    named = {
        *re.findall(r"jsonPayload\.([a-z_]+)", PAGE),
        *re.findall(r"\.([a-z_]+) == ", PAGE),
        *re.findall(r"select\(\.([a-z_]+)\)", PAGE),
    }
    assert named
    assert named <= set(FIELDS)


def test_every_link_within_the_page_has_a_target() -> None:
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\(#([^)]+)\)", PAGE)) <= anchors


def test_the_sections_that_the_command_names_exist() -> None:
    command = "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "src" / "mitto_phone_hook" / "cli").glob("*.py")))
    pointed = set(re.findall(r"docs/operations\.md, (\w+(?: \w+)?)[,)\"]", command)) - {"has the"}
    assert {"Egress address", "upstream_auth"} <= pointed
    for name in pointed:
        assert f"## {name}\n" in PAGE or f"| `{name}` |" in PAGE


def test_the_commands_for_jq_read_a_log(tmp_path: Path) -> None:
    path = path_with_jq(tmp_path)
    log = (
        '{"severity":"INFO","event":"accepted","region":"CH","upstream_ms":12.5}\n'
        '{"severity":"INFO","event":"accepted","region":"CH","duplicate":true}\n'
        "a line of a server that is no JSON\n"
        '{"severity":"ERROR","event":"upstream_auth","region":"DE","upstream_ms":9.5}\n'
    )
    (tmp_path / "log.txt").write_text(log, encoding="ascii")
    commands = re.findall(r"^jq .*$", PAGE, re.MULTILINE)
    printed = [
        subprocess.run(
            ["/bin/sh", "-c", command], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, timeout=20, check=True
        ).stdout
        for command in commands
    ]
    assert [" ".join(text.split()) for text in printed] == [
        '{"severity":"ERROR","event":"upstream_auth","region":"DE","upstream_ms":9.5}',
        "2 accepted 1 upstream_auth",
        "1 CH",
        "9.5 12.5",
    ]
