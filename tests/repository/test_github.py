"""GitHub's files: valid by their published schemas, without a finding of zizmor, and they forget nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.processes import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
SCHEMAS = {
    "workflows/check.yml": "vendor.github-workflows",
    "workflows/release.yml": "vendor.github-workflows",
    "dependabot.yml": "vendor.dependabot",
    "ISSUE_TEMPLATE/bug.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/platform.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
}
NOT_OURS = {"node_modules", "build", "dist"}


def run(program: str, *arguments: str | Path) -> str:
    done = subprocess.run([Path(sys.executable).parent / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def content(name: str) -> Any:
    # As GitHub reads it, and as YAML 1.2 has it: "on" is no truth.
    return yaml.load((GITHUB / name).read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - strings only


def folders_with(pattern: str) -> set[str]:
    ours = [folder for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    found = [path.relative_to(ROOT).parent for path in (*ROOT.glob(pattern), *(one for folder in ours for one in folder.rglob(pattern)))]
    hidden = re.compile(r"(^|/)\.[^/]")
    return {
        f"/{folder}".removesuffix("/.") or "/" for folder in found if NOT_OURS.isdisjoint(folder.parts) and not hidden.search(str(folder))
    }


def test_each_file_has_its_schema() -> None:
    assert {str(path.relative_to(GITHUB)) for path in GITHUB.rglob("*.yml")} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_is_valid_by_its_schema(name: str) -> None:
    run("check-jsonschema", "--builtin-schema", SCHEMAS[name], GITHUB / name)


def test_nothing_in_them_is_unsafe() -> None:
    found = run("zizmor", "--offline", "--no-config", "--persona", "pedantic", "--format", "json-v1", GITHUB)
    assert json.loads(found) == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_named_by_its_commit_and_says_its_version(workflow: Path) -> None:
    used = re.findall(r"uses: (.+)", workflow.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+){1,2}|\./\.github/workflows/check\.yml # .+", action), action


def test_an_action_has_one_version() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: ([\w/-]+@.+)", path.read_text(encoding="utf-8"))}
    assert len(used) == len({line.partition("@")[0] for line in used})


def test_the_check_is_the_gate_on_every_python_and_processor() -> None:
    job = content("workflows/check.yml")["jobs"]["check"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert job["strategy"]["matrix"] == {"python": classifiers, "runner": ["ubuntu-24.04", "ubuntu-24.04-arm"]}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_nobody_may_do_more_than_the_job_needs(workflow: Path) -> None:
    told = content(f"workflows/{workflow.name}")
    assert told["permissions"] == {}
    needed = {
        "check": {"contents": "read"},
        "build": {"contents": "read"},
        "pypi": {"id-token": "write"},
        "image": {"contents": "read", "packages": "write"},
    }
    for name, job in told["jobs"].items():
        assert job["permissions"] == needed[name]


def test_only_a_checked_build_is_published() -> None:
    jobs = content("workflows/release.yml")["jobs"]
    assert jobs["check"]["uses"] == "./.github/workflows/check.yml"
    assert jobs["pypi"]["needs"] == jobs["image"]["needs"] == ["check", "build"]
    published = jobs["pypi"]["steps"][-1]["with"]
    assert published == {"attestations": "true"}
    image = jobs["image"]["steps"][-1]["with"]
    assert (image["provenance"], image["sbom"]) == ("mode=max", "true")
    assert (ROOT / image["file"]).exists()


def test_dependabot_looks_into_every_folder() -> None:
    updates = {
        one["package-ecosystem"]: set(one.get("directories", [one.get("directory")])) for one in content("dependabot.yml")["updates"]
    }
    assert updates["github-actions"] == {"/"}
    assert updates["npm"] == folders_with("package.json")
    assert updates["docker"] == folders_with("Dockerfile") | folders_with("Dockerfile.lambda")
    assert updates["pip"] == folders_with("pyproject.toml") | folders_with("requirements*.txt")
