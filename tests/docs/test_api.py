"""``docs/api.md``: every command and every snippet has been run against the function."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mypy import api as mypy

from mitto_phone_hook.routes import ROUTES
from support import api_page, openapi
from support.processes import BEARER, FakeMittoProcess, Process, fake_mitto, function_by, own_command

PAGE = api_page.PAGE.read_text(encoding="utf-8")
CURLS = re.findall(r"```sh\n(curl .*?)\n```", PAGE, re.DOTALL)
CLIENT, *CALLS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def mitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path_factory.mktemp("mitto") / "mitto.txt") as process:
        yield process


@pytest.fixture(scope="module")
def hook(mitto: FakeMittoProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    output = tmp_path_factory.mktemp("function") / "function.txt"
    settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "LIMITS": "recipient=1000/hour", "CONVERSIONS": "on"}
    with function_by(own_command, output, **settings) as process:
        yield process


def as_curl_does(command: str, hook: Process) -> httpx.Response:
    """Send what the command sends."""
    program, option, *words = shlex.split(command)
    assert (program, option) == ("curl", "-i")
    url = words.pop(0).replace("$HOOK_URL", f"http://127.0.0.1:{hook.port}")
    pairs = list(zip(words[::2], words[1::2], strict=True))
    headers = dict(value.replace("$HOOK_SECRET", BEARER).split(": ", 1) for name, value in pairs if name == "-H")
    body = dict(pairs).get("-d")
    return httpx.request("GET" if body is None else "POST", url, headers=headers, content=body, trust_env=False)


def python(code: str, hook: Process, folder: Path) -> Any:
    """Run the page's client and then this code, and give what it prints as JSON."""
    program = folder / "program.py"
    program.write_text(f"{CLIENT}\n\n{code}\n", encoding="utf-8")
    environment = {"HOOK_URL": f"http://127.0.0.1:{hook.port}", "HOOK_SECRET": BEARER}
    return json.loads(subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=True).stdout)


def test_the_routes_are_what_the_tables_say() -> None:
    assert api_page.page() == PAGE, "run: make docs"
    assert len(CURLS) == len(CALLS) == len(ROUTES) + 1


@pytest.mark.parametrize("command", CURLS, ids=lambda command: command.split('"')[1])
def test_each_curl_command_is_understood(command: str, hook: Process, mitto: FakeMittoProcess) -> None:
    response = as_curl_does(command, hook)
    assert response.is_success, response.text
    assert "FAILED" not in response.text
    assert "error" not in response.text
    if "/health" in command:
        assert response.json() == {"status": "ok"}
    elif "/conversions" in command:
        assert response.json()["status"] == "taken"
    else:
        assert {message["to"] for message in mitto.inbox()} >= {openapi.NUMBER.removeprefix("+")}


def test_each_snippet_is_understood(hook: Process, tmp_path: Path) -> None:
    said = python(
        "\n".join(["replies = []", *(f"{code}replies.append(reply)" for code in CALLS), "print(json.dumps(replies))"]), hook, tmp_path
    )
    assert [status for status, *_ in said] == [204 if "sms.created" in code else 202 if "/conversions" in code else 200 for code in CALLS]
    assert not any("FAILED" in body or "error" in body for _, body, _ in said)


@pytest.mark.parametrize(
    ("recipient", "fault", "outcome"),
    [
        ("+12025550111", None, "ACCEPTED"),
        ("+12025550112", "reset_after_request", "UNKNOWN"),
        ("+12025550113", "503", "RETRY_LATER"),
        ("+1202555", None, "REFUSED"),
    ],
)
def test_the_client_tells_the_outcomes_apart(  # noqa: PLR0913, PLR0917 - fixtures
    recipient: str, fault: str | None, outcome: str, hook: Process, mitto: FakeMittoProcess, tmp_path: Path
) -> None:
    mitto.script(default=fault)
    said = python(f'print(json.dumps(send("{recipient}", "Your code is 271828", "271828").name))', hook, tmp_path)
    mitto.script(default=None)
    assert said == outcome


def test_the_client_is_typed(tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text("\n".join([CLIENT, *CALLS]), encoding="utf-8")
    out, _, status = mypy.run(["--strict", "--no-incremental", "--config-file=", str(program)])
    assert status == 0, out
