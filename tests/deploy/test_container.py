"""What the image would run, without an engine: the Dockerfile's own commands, replayed in a folder of this machine."""

import contextlib
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.deployments import MESSAGE, run, serving, stamps
from support.processes import API_KEY, BEARER, ROOT, FakeMittoProcess, Process, fake_mitto, free_port, function

# The first test of a module installs packages, and not always from a cache.
pytestmark = [pytest.mark.deployment, pytest.mark.timeout(240)]
CONTAINER = ROOT / "deploy" / "container"
DOCKERFILE = CONTAINER / "Dockerfile"
IGNORED = (CONTAINER / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")


class Instruction(NamedTuple):
    """One line of the Dockerfile."""

    name: str
    text: str


def _stages() -> list[list[Instruction]]:
    lines = re.sub(r"\\\n", " ", DOCKERFILE.read_text(encoding="utf-8")).splitlines()
    stages: list[list[Instruction]] = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        name, _, text = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, text))
    return stages


BUILD, FINAL = _stages()


def _texts(stage: list[Instruction], name: str) -> list[str]:
    return [one.text for one in stage if one.name == name]


def _json(text: str) -> list[str]:
    words: list[str] = json.loads(text[text.index("[") :])
    return words


USER = int(_texts(FINAL, "USER")[0].partition(":")[0])
# Every Debian has these programs; an environment with only Python, make and git has not, and then runs as it is.
IS_ROOT = os.getuid() == 0 and all(map(shutil.which, ("setpriv", "unshare", "mount")))
"""Only root can run the function as the image's user."""
ROOTS = tuple(text.split()[-1] for text in _texts(FINAL, "COPY"))
"""Folders that the image gets from the build; every other path of the Dockerfile exists in the base image."""


def _in(rootfs: Path, text: str) -> str:
    """Move the image's own folders into ``rootfs``; the engine would do it by changing the root."""
    return re.sub(rf"(?<![\w/.])({'|'.join(map(re.escape, (*ROOTS, *_texts(BUILD, 'WORKDIR'))))})(?=[/\s]|$)", rf"{rootfs}\1", text)


def _runs_for_everybody(python: str) -> bool:
    test = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    with contextlib.suppress(OSError):
        return subprocess.run(test, user=USER, group=USER, extra_groups=[], check=False, capture_output=True, cwd="/").returncode == 0
    return False


def _public_python() -> str | None:
    """Find a Python that the image's user may run here: root's own may lie where nobody else can look."""
    names = [f"python3.{minor}" for minor in (13, 14, 12, 11)] + ["python3"]
    found = [os.path.realpath(sys.executable), *(shutil.which(name, path="/usr/local/bin:/usr/bin") for name in names)]
    return next((python for python in found if python and _runs_for_everybody(python)), None)


@pytest.fixture(scope="module")
def rootfs() -> Iterator[Path]:
    """Replay the build: the image's folders, made by the Dockerfile's commands, read-only and owned by root, or by whoever runs this."""
    python = _public_python() if IS_ROOT else sys.executable
    assert python, f"user {USER} may run no Python >= 3.11 here: install one outside of root's home"
    # Not pytest's own folder, which is closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        rootfs = Path(folder)
        rootfs.chmod(0o755)
        _replay_build(rootfs, python)
        run("chmod", "-R", "a-w", *(f"{rootfs}{root}" for root in ROOTS))
        yield rootfs
        run("chmod", "-R", "u+w", rootfs)


def _replay_build(rootfs: Path, python: str) -> None:
    shims = rootfs / "shims"
    shims.mkdir()
    for name, command in {"python": python, "pip": f"{sys.executable} -m pip"}.items():
        (shims / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        (shims / name).chmod(0o755)
    environment = {"PATH": f"{shims}:/usr/bin:/bin", "HOME": str(rootfs), "BUNDLE_OPTIONS": ""}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    folder = rootfs
    for name, text in BUILD:
        if name == "WORKDIR":
            folder = Path(_in(rootfs, text))
            folder.mkdir(parents=True)
        elif name == "COPY":
            *sources, target = text.split()
            for source in sources:
                _copy(source, folder / target)
        elif name == "RUN":
            run("/bin/sh", "-c", _in(rootfs, text), cwd=folder, env=environment)
        else:
            assert name in ("FROM", "ARG")
    # The last stage has nothing of the first but these.
    assert [text.split() for text in _texts(FINAL, "COPY")] == [["--from=build", root, root] for root in ROOTS]
    assert _texts(FINAL, "RUN") == ["pip uninstall --yes --root-user-action ignore pip"]
    shutil.rmtree(folder)


def _copy(source: str, target: Path) -> None:
    found = sorted(ROOT.glob(source.rstrip("/")))
    assert found, f"nothing to copy: {source}"
    for path in found:
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


@pytest.fixture(scope="module")
def mitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path_factory.mktemp("mitto") / "mitto.txt") as process:
        yield process


def _environment(rootfs: Path) -> dict[str, str]:
    """Give the environment of the image: its ``ENV``, on top of the base image's ``PATH``."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    for text in _texts(FINAL, "ENV"):
        for assignment in shlex.split(text):
            name, _, value = assignment.partition("=")
            environment[name] = _in(rootfs, value.replace("$PATH", environment["PATH"]))
    return environment


@functools.cache
def _can_mount() -> bool:
    probe = ["unshare", "--mount", "mount", "--make-rprivate", "/"]
    return IS_ROOT and subprocess.run(probe, check=False).returncode == 0


def _confined(rootfs: Path, command: list[str]) -> list[str]:
    """Say the command as ``docker run --read-only --cap-drop ALL`` would: everything read-only but /dev/shm, no rights left.

    Only root has rights to give up, and a container has none to make another one: what cannot be is left out.
    """
    as_nobody = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
    read_only = 'mount --make-rprivate / && mount -o remount,bind,ro / && exec "$@"'
    program = shutil.which(command[0], path=_environment(rootfs)["PATH"])
    assert program
    words = [*as_nobody, program, *command[1:]] if IS_ROOT else [program, *command[1:]]
    return ["unshare", "--mount", "/bin/sh", "-c", read_only, "sh", *words] if _can_mount() else words


@contextlib.contextmanager
def _container(rootfs: Path, mitto: FakeMittoProcess, output: Path) -> Iterator[tuple[Process, dict[str, str]]]:
    settings = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER, "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}"}
    environment = _environment(rootfs) | settings | {"PORT": str(free_port())}
    command = _confined(rootfs, _json(_texts(FINAL, "CMD")[0]))
    with serving(command, Path(_in(rootfs, _texts(FINAL, "WORKDIR")[0])), environment, output) as process:
        yield process, environment


REQUESTS: dict[str, tuple[str, str, dict[str, Any] | None, str]] = {
    "message": ("POST", "/", MESSAGE, BEARER),
    "repeated message": ("POST", "/", MESSAGE, BEARER),
    "wrong secret": ("POST", "/", MESSAGE, "x" * 30),
    "no field": ("POST", "/hooks/auth0", {"text": "Your code is 1"}, BEARER),
    "unknown path": ("GET", "/nowhere", None, BEARER),
    "wrong method": ("GET", "/", None, BEARER),
    "health": ("GET", "/health", None, BEARER),
}


def _answers(process: Process) -> dict[str, tuple[int, dict[str, Any]]]:
    answers = {}
    for name, (method, path, payload, bearer) in REQUESTS.items():
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        status, body = process.request(method, path, json.dumps(payload).encode() if payload else b"", headers)
        answers[name] = (status, _without_ids(json.loads(body)))
    return answers


def _without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_ids(value) if isinstance(value, dict) else value
        for key, value in answer.items()
        if key not in ("request_id", "message_id")
    }


def test_the_container_answers_like_the_plain_function_and_writes_nothing(rootfs: Path, mitto: FakeMittoProcess, tmp_path: Path) -> None:
    with function(tmp_path / "plain.txt", MITTO_BASE_URL=f"http://127.0.0.1:{mitto.port}") as plain:
        expected = _answers(plain)
    assert {name: status for name, (status, _) in expected.items()}["message"] == 200
    before = stamps(rootfs)
    with _container(rootfs, mitto, tmp_path / "container.txt") as (process, environment):
        assert _answers(process) == expected
        assert _users(process.popen.pid) == {str(USER if IS_ROOT else os.getuid())}
        healthy = _confined(rootfs, _json(_texts(FINAL, "HEALTHCHECK")[0]))
        assert subprocess.run(healthy, env=environment, check=False).returncode == 0
    assert subprocess.run(healthy, env=environment, check=False, capture_output=True).returncode == 1
    assert stamps(rootfs) == before
    assert {line.get("logger") for line in process.log()} == {None}


def _users(pid: int) -> set[str]:
    """Give the users of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    status = "".join(Path(f"/proc/{one}/status").read_text(encoding="utf-8") for one in (pid, *children))
    return {user for line in re.findall("^Uid:(.*)", status, re.MULTILINE) for user in line.split()}


def test_every_file_is_readable_and_none_writable_for_the_user(rootfs: Path) -> None:
    for root in ROOTS:
        for path in Path(f"{rootfs}{root}").rglob("*"):
            mode = path.stat().st_mode
            assert mode & 0o004, path
            assert not path.lstat().st_mode & 0o022 or path.is_symlink(), path


def test_the_image_has_valid_bytecode_and_no_installer(rootfs: Path) -> None:
    sources = [path for root in ROOTS for path in Path(f"{rootfs}{root}").rglob("*.py")]
    assert sources
    # Bytes 4 to 8 of bytecode: 1 = by content, unchecked.
    kinds = {path: {cached.read_bytes()[4:8] for cached in path.parent.glob(f"__pycache__/{path.stem}.cpython-*.pyc")} for path in sources}
    assert {path: kind for path, kind in kinds.items() if kind != {b"\1\0\0\0"}} == {}
    names = {path.name for root in ROOTS for path in Path(f"{rootfs}{root}").rglob("*")}
    assert not names & {"pip", "setuptools", "wheel", "gcc", "sandbox", "test_deploy.py", ".env"}


def test_the_context_holds_what_is_copied_and_nothing_private() -> None:
    assert IGNORED[1] == "*"
    allowed = [line[1:] for line in IGNORED if line.startswith("!")]
    for text in _texts(BUILD, "COPY"):
        for source in text.split()[:-1]:
            assert source.rstrip("/") in allowed
    for private in (".env", ".git/config", "tests/support/processes.py", "README.md", "deploy/gcp/settings.env"):
        assert not any(fnmatch(private, pattern) or private.startswith(f"{pattern}/") for pattern in allowed)


def test_the_image_is_started_directly_and_as_a_number() -> None:
    assert _json(_texts(FINAL, "CMD")[0]) == ["python", "-m", "mitto_phone_hook.cli", "run", "--host", "0.0.0.0"]  # noqa: S104 - in a container
    assert re.fullmatch("[1-9][0-9]+:[1-9][0-9]+", _texts(FINAL, "USER")[0])
    readme = (CONTAINER / "README.md").read_text(encoding="utf-8")
    assert readme.count("--read-only --cap-drop ALL --security-opt no-new-privileges") == readme.count("docker run") == 2
