"""The documentation says what the code does, and every command in it has been run."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import documents
import processes
from mitto_phone_hook.outcome import Outcome
from mitto_phone_hook.reply import REPLIES
from mitto_phone_hook.setting_rules import hook_secrets
from processes import BEARER, fake_mitto, function

README = documents.README.read_text(encoding="utf-8")
COMMANDS = set(
    re.findall(
        r"^ *((?:make|python3?|functions-framework|curl) .*)$", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)), re.MULTILINE
    )
)
RUN_BY_THE_GATE = {"make test", "make check"}


@contextlib.contextmanager
def _make(target: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        ["/usr/bin/env", "make", target],
        cwd=documents.ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        running.communicate()


def test_the_example_of_an_environment_lists_every_setting_as_it_is() -> None:
    assert documents.ENV_EXAMPLE.read_text(encoding="utf-8") == documents.env_example(), "run: python tests/documents.py"


def test_the_readme_lists_every_setting_as_it_is() -> None:
    assert documents.readme() == README, "run: python tests/documents.py"


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.ACCEPTED])
def test_the_readme_tells_every_code_with_its_status(outcome: Outcome) -> None:
    [row] = [
        line for line in README.splitlines() if line.startswith("|") and f"`{outcome}`" in line and re.search(r"\| [45][0-9]{2}", line)
    ]
    assert str(REPLIES[outcome].status) in row


def test_every_command_of_the_readme_has_a_test() -> None:
    tested = {"make demo", "make run", SECRET_COMMAND, FUNCTION_COMMAND} | RUN_BY_THE_GATE
    assert tested == COMMANDS


def test_the_gate_runs_the_commands_for_developers() -> None:
    gate = (documents.ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert set(gate) >= RUN_BY_THE_GATE


def test_the_demo_shows_reply_and_handset_and_ends_well() -> None:
    with _make("demo") as demo:
        printed, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, errors
    assert '"status": "accepted"' in printed
    assert "Here is your one time password: 999111" in printed
    assert "401" in printed
    assert "All as it should be" in printed


def test_a_run_takes_calls_of_ones_own_until_it_is_interrupted() -> None:
    with _make("run") as run:
        assert run.stdout is not None
        lines: list[str] = []
        while not any("as they come" in line for line in lines):
            lines.append(run.stdout.readline())
            assert lines[-1], "".join(lines)
        curl = re.search(r"    (curl .*?)\n\n", "".join(lines), re.DOTALL)
        assert curl
        answer = subprocess.run(["/bin/sh", "-c", curl[1]], capture_output=True, text=True, timeout=20, check=True)
        assert '"status":"accepted"' in answer.stdout
        os.killpg(run.pid, signal.SIGINT)
        printed, errors = run.communicate(timeout=20)
    assert "Both are stopped." in printed, errors
    assert "Your code is 314159" in printed
    assert "Traceback" not in errors


def test_a_taken_port_gives_one_clear_sentence(tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as other, _make("run", PORT=str(other.port)) as run:
        _, errors = run.communicate(timeout=20)
    assert run.returncode != 0
    assert f"Port {other.port} is taken" in errors
    assert "Traceback" not in errors


SECRET_COMMAND = """python3 -c "import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""""


def test_the_secret_that_the_readme_makes_is_a_good_one() -> None:
    made = subprocess.run(["/bin/sh", "-c", SECRET_COMMAND], capture_output=True, text=True, timeout=20, check=True)
    assert hook_secrets(made.stdout.strip()).signing_keys


FUNCTION_COMMAND = "functions-framework --source src/main.py --target send_phone_message"


def test_the_function_starts_as_the_readme_says(tmp_path: Path) -> None:
    words = processes.command(1)
    assert " ".join([Path(words[0]).name, *words[1:5]]) == FUNCTION_COMMAND
    with function(tmp_path / "function.txt", MITTO_BASE_URL="http://127.0.0.1:9") as process:
        assert process.post({}, bearer=BEARER)[0] == 422
