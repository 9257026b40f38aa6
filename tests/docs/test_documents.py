"""The documentation says what the code does, and every command in it has been run."""

import argparse
import base64
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mitto_phone_hook.config.rules import hook_secrets
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms._native_response import RESPONSES
from mitto_phone_hook.platforms.auth0 import PLATFORM
from support import documents, processes
from support.processes import API_KEY, BEARER, fake_mitto, function

CONFIGURATION, NATIVE, REPLIES = (
    (documents.ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in ("configuration", "native", "replies")
)
SECRET_COMMAND = ".venv/bin/mitto-phone-hook secret"
FORM_COMMAND = (
    'curl https://the-function/hooks/native -u "any:$SECRET" '
    "--data-urlencode 'to=+12025550110' --data-urlencode 'text=Your code is 314159'"
)
JSON_COMMAND = re.findall(
    r"^curl https://the-function.*?\n(?=```)",
    (documents.ROOT / "docs" / "platforms.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)[0]
CHECK_COMMAND = ".venv/bin/mitto-phone-hook check --env .env"
SANDBOX_COMMAND = ".venv/bin/mitto-phone-hook sandbox --help"
FUNCTION_COMMAND = ".venv/bin/mitto-phone-hook run --env .env"
RUN_BY_THE_GATE = {"make test", "make check"}


def _here(command: str) -> list[str]:
    """Give a command of the README with the programs of this environment, wherever it is."""
    program, *arguments = command.split()
    return [str(Path(sys.executable).parent / Path(program).name), *arguments]


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


def _as_curl_does(command: str) -> httpx.Response:
    """Send the request that a curl command sends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("-d")
    parser.add_argument("-u")
    parser.add_argument("--data-urlencode", action="append")
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "curl"
    options = parser.parse_args(words)
    headers = dict(header.split(": ", 1) for header in options.H)
    auth = tuple(options.u.split(":", 1)) if options.u else None
    form = dict(pair.split("=", 1) for pair in options.data_urlencode) if options.data_urlencode else None
    return httpx.post(options.url, content=options.d, data=form, headers=headers, auth=auth, timeout=20, trust_env=False)


def test_the_example_of_an_environment_lists_every_setting_as_it_is() -> None:
    assert documents.ENV_EXAMPLE.read_text(encoding="utf-8") == documents.env_example(), "run: make docs"


def test_the_configuration_lists_every_setting_as_it_is() -> None:
    assert documents.configuration() == CONFIGURATION, "run: make docs"


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.ACCEPTED])
def test_the_replies_tell_every_code_with_its_status(outcome: Outcome) -> None:
    [row] = [
        line for line in REPLIES.splitlines() if line.startswith("|") and f"`{outcome}`" in line and re.search(r"\| [245][0-9]{2}", line)
    ]
    assert str(RESPONSES[outcome].status) in row


def test_clean_takes_away_what_a_set_up_that_failed_leaves(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(documents.ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" != -m ] || { echo "no venv here"; exit 1; }\n', encoding="utf-8")
    python.chmod(0o755)
    before = set(tmp_path.iterdir())
    make = ["/usr/bin/env", "make", "--silent", "--directory", str(tmp_path)]
    failed = subprocess.run([*make, "ready", f"PYTHON={python}"], capture_output=True, text=True, timeout=20, check=False)
    assert failed.returncode
    assert "no venv here" in failed.stderr
    subprocess.run([*make, "clean"], timeout=20, check=True)
    assert set(tmp_path.iterdir()) == before


def test_the_gate_runs_the_commands_for_developers() -> None:
    gate = (documents.ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert set(gate) >= RUN_BY_THE_GATE


def test_the_demo_shows_reply_and_handset_and_ends_well() -> None:
    with _make("demo") as demo:
        printed, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, errors
    assert printed.count('"status": "accepted"') == 2
    assert printed.count('"duplicate": true') == 1
    assert printed.count("Mitto SMS") == 1
    assert "Here is your one time password: 999111" in printed
    assert "401" in printed
    assert "Everything works" in printed


def test_the_demo_ends_well_where_the_terminal_knows_only_ascii() -> None:
    with _make("demo", PYTHONIOENCODING="ascii") as demo:
        printed, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, errors
    assert "Here is your one time password: 999111" in printed


def test_a_run_takes_calls_of_ones_own_until_it_is_interrupted() -> None:
    with _make("run") as run:
        assert run.stdout is not None
        lines: list[str] = []
        while not any("as they come" in line for line in lines):
            lines.append(run.stdout.readline())
            assert lines[-1], "".join(lines)
        curl = re.search(r"    (curl .*?)\n\n", "".join(lines), re.DOTALL)
        assert curl
        assert _as_curl_does(curl[1]).json()["status"] == "accepted"
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


def test_the_secret_that_the_pages_make_is_a_good_one() -> None:
    made = subprocess.run([*_here(SECRET_COMMAND)], capture_output=True, text=True, timeout=20, check=True)
    assert hook_secrets(made.stdout.strip()).signing_keys


def test_the_check_of_the_readme_finds_a_good_set_up_good(tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        own = {
            "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}",
            "ALLOWED_REGIONS": "US",
            "MITTO_API_KEY": API_KEY,
            "HOOK_SECRETS": BEARER,
        }
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in own.items()), encoding="ascii")
        done = subprocess.run(
            [*_here(CHECK_COMMAND)], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 0, done.stdout
    assert not mitto.output.read_text(encoding="utf-8").count("Mitto SMS")


def test_the_sandbox_of_the_readme_explains_itself() -> None:
    done = subprocess.run([*_here(SANDBOX_COMMAND)], capture_output=True, text=True, timeout=20, check=True)
    assert "12025550160" in done.stdout


def test_the_function_starts_as_the_readme_says(tmp_path: Path) -> None:
    own = tmp_path / ".env"
    own.write_text("MITTO_BASE_URL=http://127.0.0.1:9\n", encoding="ascii")

    def command(port: int) -> list[str]:
        return [*_here(FUNCTION_COMMAND.removesuffix(".env") + str(own)), "--port", str(port)]

    with processes.function_by(command, tmp_path / "function.txt") as process:
        assert process.post({}, bearer=BEARER)[0] == 422


@pytest.mark.parametrize("command", [FORM_COMMAND, JSON_COMMAND], ids=["form", "json"])
def test_a_call_to_the_native_route_is_accepted_as_the_pages_say(command: str, tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "US"}
        with function(tmp_path / "function.txt", **settings) as process:
            here = command.replace("https://the-function", f"http://127.0.0.1:{process.port}").replace("$SECRET", BEARER)
            assert _as_curl_does(here).json()["status"] == "accepted"
        assert [message["text"] for message in mitto.inbox()] == ["Your code is 314159"]


def test_the_signature_of_the_native_page_is_accepted() -> None:
    [snippet] = re.findall(r"```python\n(.*?)```", NATIVE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - our own page
    key = bytes(range(32))
    headers = names["signed"](f"whsec_{base64.b64encode(key).decode()}", b"{}")
    raw = {name.encode(): value.encode() for name, value in headers.items()}
    assert PLATFORM.authenticate(raw, b"{}", HookSecrets(signing_keys=(key,)), time.time()) is not None


def test_the_page_on_the_design_lists_every_room() -> None:
    page = (documents.ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("| Room |")[2]
    listed = {name for cell in re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)}
    house = documents.ROOT / "src" / "mitto_phone_hook"
    modules = {path.name for path in house.glob("*.py")} - {"__init__.py"}
    assert listed == modules | {f"{path.parent.name}/" for path in house.glob("*/__init__.py")}
