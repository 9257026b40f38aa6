"""The bundle, and the bundle as Cloud Run builds and runs it: only what an upload holds, in an environment of its own."""

import contextlib
import os
import re
import runpy
import shutil
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.requirements import Requirement

from support.deployments import MESSAGE, attempt, cloud_run_environment, new_environment, run, serving, stamps
from support.processes import API_KEY, BEARER, ROOT, FakeMittoProcess, Process, fake_mitto, free_port

BUNDLE = ROOT / "deploy" / "bundle.py"
LOCKS = {"": ROOT / "deploy" / "requirements.txt", **{extra: ROOT / "deploy" / f"requirements-{extra}.txt" for extra in ("redis", "okta")}}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# The first test of a module installs packages, and not always from a cache.
pytestmark = [pytest.mark.deployment, pytest.mark.timeout(240)]
_EXPORTED = 315532801
"""The time stamp that the buildpacks' export gives every file: one second into 1980."""


# The lock


def _pins(extra: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", LOCKS[extra].read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(
    "extra", ["", *sorted(PROJECT["optional-dependencies"].keys() & {"redis", "okta"})], ids=lambda extra: extra or "runtime"
)
def test_the_lock_satisfies_pyproject(extra: str) -> None:
    wanted = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    pins = _pins("") | _pins(extra)
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate({"sys_platform": "linux"}):
            assert requirement.name in pins, f"{requirement.name} is not locked; run python deploy/bundle.py --lock"
            assert requirement.specifier.contains(pins[requirement.name]), (
                f"{requirement} is not locked; run python deploy/bundle.py --lock"
            )


@pytest.mark.parametrize("lock", [lock for lock in LOCKS.values() if lock.exists()], ids=lambda lock: lock.name)
def test_a_lock_is_exact_and_names_no_place(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entries = re.split(r"\n(?! )", "\n".join(lines))
    assert entries
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry
    assert not re.search(r"://|index|find-links|/(home|root|tmp|opt|work)/", text)


_RULES = runpy.run_path(str(BUNDLE))


def _wheel(tags: str) -> dict[str, Any]:
    return {"url": f"https://index.invalid/some_package-1.0-{tags}.whl", "hashes": {"sha256": tags}}


@pytest.mark.parametrize(
    ("tags", "missing"),
    [
        ("py3-none-any", 0),
        ("py2.py3-none-any", 0),
        ("py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64", 4),
        ("cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64", 7),
        ("cp39-abi3-manylinux_2_28_x86_64", 4),
        ("cp313-abi3-manylinux_2_28_x86_64", 6),
        ("cp310-cp310-manylinux_2_17_x86_64", 8),
        ("cp313-cp313t-manylinux_2_17_x86_64", 8),
        ("cp313-cp313-musllinux_1_2_x86_64", 8),
        ("cp313-cp313-macosx_11_0_arm64", 8),
        ("cp313-cp313-win_amd64", 8),
        ("pp311-pypy311_pp73-manylinux_2_17_x86_64", 8),
    ],
)
def test_only_wheels_of_the_clouds_are_locked(tags: str, missing: int) -> None:
    assert len(_RULES["missing"]([_wheel(tags)])) == missing
    assert _RULES["hashes_of"]([_wheel(tags)]) == ([tags] if missing < 8 else [])


@pytest.mark.parametrize(
    ("marker", "kept"),
    [
        ("", ""),
        ("sys_platform == 'linux' and implementation_name == 'cpython'", ""),
        ("python_full_version >= '3.8' and implementation_name == 'cpython' and sys_platform == 'linux'", ""),
        ("python_full_version < '3.13' and sys_platform == 'linux'", " ; python_full_version < '3.13'"),
        ("python_full_version >= '3.14'", " ; python_full_version >= '3.14'"),
    ],
)
def test_a_condition_keeps_what_is_not_always_true(marker: str, kept: str) -> None:
    assert _RULES["marker_of"](marker) == kept


# The bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "staged"
    assert run(sys.executable, BUNDLE, "--out", out) == f"{out}\n"
    return out


def test_the_bundle_is_the_source_and_its_lock_and_nothing_else(bundle: Path) -> None:
    source = ROOT / "src"
    expected = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    expected = {path for path in expected if "sandbox" not in path.parts and "__pycache__" not in path.parts}
    staged = {path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file()}
    assert staged == expected | {Path("requirements.txt")}
    assert (bundle / "requirements.txt").read_bytes() == LOCKS[""].read_bytes()
    assert {path.suffix for path in staged} <= {".py", ".typed", ".txt", ".toml"}


@pytest.mark.parametrize("extra", ["redis", "okta"])
def test_an_extra_adds_its_lock(extra: str, tmp_path: Path) -> None:
    run(sys.executable, BUNDLE, "--out", tmp_path / "staged", f"--{extra}")
    assert (tmp_path / "staged" / "requirements.txt").read_bytes() == LOCKS[""].read_bytes() + LOCKS[extra].read_bytes()


def test_hidden_files_and_leftovers_stay_at_home(tmp_path: Path) -> None:
    for name in (
        ".env",
        ".env.local",
        "main.py",
        "hook/__init__.py",
        "hook/.secret",
        "hook/__pycache__/a.pyc",
        "hook/sandbox/b.py",
        "x.egg-info/c",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert {str(path.relative_to(tmp_path)) for path in _RULES["_bundled_files"](tmp_path)} == {"main.py", "hook/__init__.py"}


def test_a_new_bundle_replaces_an_old_one_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sys.executable, BUNDLE, "--out", out)
    (out / "old.py").touch()
    run(sys.executable, BUNDLE, "--out", out)
    assert not (out / "old.py").exists()
    (out / "requirements.txt").unlink()
    refused = attempt(sys.executable, BUNDLE, "--out", out)
    assert refused.returncode == 1
    assert refused.stderr == f"bundle: {out} is neither empty nor an earlier bundle; choose another folder, or delete it\n"
    assert (out / "main.py").exists()


@pytest.mark.parametrize("option", ["--prices", "--templates"])
def test_a_file_that_is_not_there_leaves_the_earlier_bundle_as_it_was(option: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sys.executable, BUNDLE, "--out", out)
    refused = attempt(sys.executable, BUNDLE, "--out", out, option, tmp_path / "typo.csv")
    assert refused.returncode == 1
    assert refused.stderr == f"bundle: {option} names a file that cannot be read: {tmp_path / 'typo.csv'}\n"
    assert (out / "main.py").exists()


# The bundle on Cloud Run


class Built(NamedTuple):
    """What the buildpack leaves: the app's folder and the layer with what it needs."""

    app: Path
    layer: Path


@pytest.fixture(scope="module")
def built(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build as Google's buildpacks ``python.functions-framework`` and ``python.pip`` do, command by command."""
    folder = tmp_path_factory.mktemp("cloud-run")
    app, layer = folder / "workspace", folder / "layer"
    shutil.copytree(bundle, app)
    python = new_environment(layer)
    run(python, "-m", "compileall", "-f", "-q", ".", cwd=app, env={"SOURCE_DATE_EPOCH": str(_EXPORTED)})
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--quiet"]
    options = ["--upgrade", "--upgrade-strategy", "only-if-needed", "--no-warn-script-location", "--no-warn-conflicts", "--force-reinstall"]
    # Stricter than the buildpack, which builds from source where there is no wheel.
    options += ["--no-compile", "--only-binary", ":all:", "--require-hashes"]
    run(*pip, "install", "--requirement", "requirements.txt", *options, cwd=app)
    run(python, "-m", "compileall", "--invalidation-mode", "unchecked-hash", "-qq", layer)
    assert "No broken requirements" in run(*pip[:-1], "check")
    for path in [*app.rglob("*"), *layer.rglob("*")]:
        if path.is_file() and not path.is_symlink():
            os.utime(path, (_EXPORTED, _EXPORTED))
    return Built(app, layer)


@pytest.fixture(scope="module")
def mitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path_factory.mktemp("mitto") / "mitto.txt") as process:
        yield process


@contextlib.contextmanager
def on_cloud_run(built: Built, mitto: FakeMittoProcess, folder: Path) -> Iterator[Process]:
    secrets = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER}
    for name, value in secrets.items():
        (folder / name).write_text(value, encoding="utf-8")
    settings = {f"{name}_FILE": str(folder / name) for name in secrets}
    settings |= {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "XDG_RUNTIME_DIR": str(folder)}
    environment = cloud_run_environment(free_port(), **settings)
    with serving([built.layer / "bin" / "functions-framework"], built.app, environment, folder / "function.txt") as process:
        yield process


def test_the_bundle_serves_on_cloud_run_and_writes_nothing(built: Built, mitto: FakeMittoProcess, tmp_path: Path) -> None:
    mitto.clear()
    before = stamps(built.app, built.layer)
    with on_cloud_run(built, mitto, tmp_path) as process:
        status, answer = process.post(MESSAGE)
        assert (status, answer.get("status")) == (200, "accepted"), answer
        assert [message["to"] for message in mitto.inbox()] == ["41791234567"]
        trace = {"Authorization": f"Bearer {BEARER}", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        assert process.request("POST", "/", b"{}", headers=trace)[0] == 422
        events = [(line["event"], line.get("logging.googleapis.com/trace")) for line in process.log()]
    assert events[-2:] == [
        ("accepted", None),
        ("invalid_request", "projects/project-of-the-tests/traces/0af7651916cd43dd8448eb211c80319c"),
    ]
    # Bytecode that is not valid is written anew, here as on every cold start.
    assert stamps(built.app, built.layer) == before


def test_nothing_is_compiled_at_start(built: Built) -> None:
    environment = cloud_run_environment(0, MITTO_API_KEY=API_KEY, HOOK_SECRETS=BEARER)
    verbose = attempt(built.layer / "bin" / "python", "-v", "-c", "import main", cwd=built.app, env=environment)
    assert verbose.returncode == 0, verbose.stderr
    loaded = [Path(path) for path in re.findall(r"^# code object from '?([^'\n]+)", verbose.stderr, re.MULTILINE)]
    ours = [path for path in loaded if path.is_relative_to(built.app.parent)]
    assert {path.name.partition(".")[0] for path in ours} >= {"main", "function", "hook", "_client", "phonenumberutil"}
    assert [path for path in ours if path.suffix != ".pyc"] == []


def test_a_stop_in_mid_flight_loses_no_reply(built: Built, mitto: FakeMittoProcess, tmp_path: Path) -> None:
    mitto.clear()
    answers: list[tuple[int, dict[str, Any]]] = []
    with on_cloud_run(built, mitto, tmp_path) as process:
        mitto.script(*["slow:1"] * 3)
        callers = [
            threading.Thread(
                target=lambda number=number: answers.append(process.post(MESSAGE | {"recipient": f"+4179123456{number}"})), daemon=True
            )
            for number in range(3)
        ]
        for caller in callers:
            caller.start()
        end = time.monotonic() + 5
        while mitto.requests() < len(callers) and time.monotonic() < end:
            time.sleep(0.01)
        process.popen.send_signal(signal.SIGTERM)
        for caller in callers:
            caller.join(10)
        assert process.popen.wait(10) == 0
    assert [(status, answer["status"]) for status, answer in answers] == [(200, "accepted")] * 3
    assert len({message["to"] for message in mitto.inbox()}) == 3


def test_a_wrong_setting_stops_the_start_and_names_the_variable(built: Built) -> None:
    environment = cloud_run_environment(free_port(), MITTO_API_KEY_FILE="/nonexistent", HOOK_SECRETS=BEARER)
    stopped = attempt(built.layer / "bin" / "functions-framework", cwd=built.app, env=environment, timeout=20)
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines() == [
        "mitto-phone-hook does not start:",
        "  MITTO_API_KEY cannot be read from the file that MITTO_API_KEY_FILE names",
    ]
