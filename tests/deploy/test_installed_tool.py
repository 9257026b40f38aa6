"""The built wheel in an empty environment, outside the repository: what ``pipx install`` and ``uvx`` give."""

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitto_phone_hook.cli.command import COMMANDS
from support.deployments import attempt, new_environment, run, serving
from support.processes import API_KEY, ROOT, FakeMittoProcess, fake_mitto, free_port

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build, install, and give the command. The first test waits for it."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", folder, ROOT)
    [wheel] = folder.glob("*.whl")
    python = new_environment(folder / "environment")
    run(sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--quiet", "install", wheel)
    return python.with_name("mitto-phone-hook")


@pytest.fixture
def mitto(tmp_path: Path) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path / "mitto.txt") as process:
        yield process


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Give what a new shell has, and nothing of the repository."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONIOENCODING": "utf-8"} | settings


def test_it_has_all_commands_and_each_explains_itself(program: Path, tmp_path: Path) -> None:
    shown = run(program, "--help", cwd=tmp_path, env=environment(tmp_path))
    for command in COMMANDS:
        assert re.search(rf"^    {command}\s", shown, re.MULTILINE)
        assert "usage: mitto-phone-hook" in run(program, command, "--help", cwd=tmp_path, env=environment(tmp_path))


def test_the_demo_works_without_the_repository(program: Path, tmp_path: Path) -> None:
    shown = run(program, "demo", cwd=tmp_path, env=environment(tmp_path))
    assert "Here is your one time password: 999111" in shown
    assert "Everything works" in shown


def test_from_nothing_to_a_message_that_the_platform_signed(program: Path, mitto: FakeMittoProcess, tmp_path: Path) -> None:
    shell = environment(tmp_path, MITTO_API_KEY=API_KEY)
    shown = run(program, "init", "--yes", "--platform", "supabase", "--regions", "US", "--sender-id", "Acme", cwd=tmp_path, env=shell)
    commands = dict(re.findall(r"^     \S*mitto-phone-hook (check|run|simulate) (.*)$", shown, re.MULTILINE))
    fake = shell | {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}"}
    checked = attempt(program, "check", *commands["check"].split(), cwd=tmp_path, env=fake)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "accepted by Mitto" in checked.stdout
    port = free_port()
    served = fake | {"PORT": str(port)}
    with serving([program, "run", *commands["run"].split()], tmp_path, served, tmp_path / "function.txt") as function:
        call = [*commands["simulate"].replace("NUMBER-OF-YOURS", "+12025550110").split(), "--url", f"http://127.0.0.1:{function.port}"]
        assert "accepted (200" in run(program, "simulate", *call, cwd=tmp_path, env=environment(tmp_path))
    [message] = mitto.inbox()
    assert message["sender"] == "Acme"


def test_the_texts_come_with_it(program: Path, tmp_path: Path) -> None:
    assert "123456" in run(program, "text", "--locale", "de", cwd=tmp_path, env=environment(tmp_path))


def test_bash_completes_its_commands_when_somebody_presses_tab(program: Path, tmp_path: Path) -> None:
    """A real, interactive bash on a terminal, with the line that the help gives for ~/.bashrc."""
    (tmp_path / "rc").write_text("bind 'set bell-style none' 2>/dev/null\n", encoding="utf-8")
    with (tmp_path / "rc").open("a", encoding="utf-8") as rc:
        rc.write('PS1="ready> "; eval "$(mitto-phone-hook completion bash)"\n')
    ours, theirs = pty.openpty()
    shell = environment(tmp_path, TERM="dumb") | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    bash = [shutil.which("bash") or "bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"]
    popen = subprocess.Popen(bash, cwd=tmp_path, env=shell, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = ""
    try:
        typed = [
            ("ready> ", "mitto-phone-hook simul\t"),
            ("simulate ", "okta --ca\t"),
            ("--case ", "repe\t"),
            ("repeat ", "\x15exit\n"),  # Ctrl-U, which forgets the line. A signal can come while bash completes, and wait for a key.
        ]
        seen = 0
        while piece := os.read(ours, 4096).decode():
            shown += piece
            if typed and typed[0][0] in shown[seen:]:
                seen = len(shown)
                os.write(ours, typed.pop(0)[1].encode())
    except OSError:
        # Linux says so when the other side is gone.
        pass
    finally:
        os.close(ours)
        popen.wait(20)
    assert "mitto-phone-hook simulate okta --case repeat " in shown
