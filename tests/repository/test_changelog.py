"""The changelog has the form of Keep a Changelog, and speaks of the version that is built."""

import re
import tomllib

from support.processes import ROOT

LINES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_what_is_not_released_stands_above_the_version_that_is_built() -> None:
    versions = [line for line in LINES if line.startswith("## ")]
    assert versions[0] == "## [Unreleased]"
    assert re.fullmatch(rf"## \[{re.escape(VERSION)}\] - \d{{4}}-\d\d-\d\d", versions[1])


def test_the_kinds_of_changes_have_the_names_and_the_order_of_the_standard() -> None:
    order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for version in "\n".join(LINES).split("\n## ")[1:]:
        kinds = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert kinds == [kind for kind in order if kind in kinds]


def test_an_entry_is_short() -> None:
    entries = re.findall(r"^- .+(?:\n  .+)*", "\n".join(LINES), re.MULTILINE)
    assert entries
    assert [entry for entry in entries if len(entry) > 330] == []
