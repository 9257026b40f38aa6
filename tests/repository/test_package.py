"""Wheel and sdist as a release builds them, and the wheel in an empty environment, far away from the repository."""

import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest

from support.deployments import MESSAGE, attempt, new_environment, run, serving
from support.processes import API_KEY, BEARER, ROOT, fake_mitto, free_port

# The first test builds, in an environment of its own, and installs packages; not always from a cache.
pytestmark = [pytest.mark.deployment, pytest.mark.timeout(240)]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"mitto_phone_hook-{PROJECT['version']}"


class Built(NamedTuple):
    """What a release publishes on the package index."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the sdist, and the wheel from it: so the sdist holds all that it needs."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT)
    return Built(out / f"{NAME}-py3-none-any.whl", out / f"{NAME}.tar.gz")


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of programs of an environment with the wheel in it."""
    python = new_environment(tmp_path_factory.mktemp("empty") / "environment")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--disable-pip-version-check", "--quiet", built.wheel)
    return python.parent


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"{NAME}.dist-info/METADATA"))


def test_the_wheel_holds_the_whole_package_and_nothing_else(built: Built) -> None:
    source = ROOT / "src"
    expected = {str(path.relative_to(source)) for path in (source / "mitto_phone_hook").rglob("*") if path.is_file()}
    expected = {name for name in expected if "__pycache__" not in name}
    with zipfile.ZipFile(built.wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"{NAME}.dist-info/")}
    assert names == expected
    assert {"mitto_phone_hook/py.typed", "mitto_phone_hook/sms/templates.toml"} <= names


def test_the_sdist_holds_what_a_packager_needs_and_nothing_private(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tests/conftest.py", "docs/openapi.json", "src/main.py"} <= names
    hidden = {name for name in names if any(part.startswith(".") for part in Path(name).parts)}
    assert {name for name in hidden if "/" not in name} <= {".env.example", ".gitignore"}
    assert not any(part in {".venv", ".ci", ".github", "node_modules", "__pycache__"} for name in names for part in Path(name).parts)


def test_the_metadata_are_those_of_a_release(built: Built) -> None:
    told = metadata(built.wheel)
    assert told["Version"] == PROJECT["version"]
    assert told["License-Expression"] == "MIT"
    assert sorted(told.get_all("Provides-Extra", [])) == sorted(PROJECT["optional-dependencies"])
    assert "dev" not in PROJECT["optional-dependencies"]
    # The repository has no public address; nothing is better than an invented one.
    assert told.get_all("Project-URL") is None


def test_the_readme_is_shown_on_the_package_index(built: Built) -> None:
    told = metadata(built.wheel)
    assert told["Description-Content-Type"] == "text/markdown"
    payload = told.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode() == (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Give a folder from which nothing of the repository can be seen."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def test_the_commands_work(installed: Path, elsewhere: Path) -> None:
    program = installed / "mitto-phone-hook"
    assert "COMMAND" in run(program, "--help", cwd=elsewhere, env={})
    assert "whsec_" in run(program, "secret", cwd=elsewhere, env={})
    assert "GSM-7" in run(program, "text", "Your code is 314159.", cwd=elsewhere, env={})
    checked = attempt(program, "check", cwd=elsewhere, env={})
    assert checked.returncode == 1
    assert "HOOK_SECRETS" in checked.stdout
    assert "Traceback" not in checked.stdout + checked.stderr


def test_it_runs(installed: Path, elsewhere: Path, tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        environment = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER, "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}"}
        port = free_port()
        with serving(
            [installed / "mitto-phone-hook", "run", "--port", str(port)], elsewhere, environment | {"PORT": str(port)}, tmp_path / "run.txt"
        ) as process:
            assert process.post(MESSAGE)[1]["status"] == "accepted"
        assert len(mitto.inbox()) == 1
