"""The snippets of the page about conversions run under Node, and tell the function which code was used."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from mitto_phone_hook.delivery.conversion_rates import LOW_RATE, MIN_MESSAGES
from support.processes import BEARER, ROOT, Process, fake_mitto, function
from support.programs import bundled

PAGE = (ROOT / "docs" / "conversions.md").read_text(encoding="utf-8")
AUTH0, OWN = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
NUMBER = "+12025550110"


def run(folder: Path, name: str, script: str, url: str) -> str:
    (folder / name).write_text(script.replace("timeout(1000)", "timeout(20_000)"), encoding="utf-8")  # the machine may be busy
    environment = {"PATH": os.environ["PATH"], "HOOK_URL": url, "HOOK_SECRET": BEARER}
    done = subprocess.run([bundled("node"), name], cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def action(methods: list[str], url: str, user: dict[str, str]) -> str:
    event = {
        "authentication": {"methods": [{"name": name} for name in methods]},
        "user": user,
        "secrets": {"HOOK_URL": url, "HOOK_SECRET": BEARER},
    }
    return f"{AUTH0}\nexports.onExecutePostLogin({json.dumps(event)});"


def conversions(process: Process) -> list[str]:
    return [line["event"] for line in process.log() if line["event"].startswith("conver")]


@pytest.mark.parametrize(
    ("methods", "user", "calls"),
    [
        (["pwd", "sms"], {"phone_number": NUMBER}, 1),
        (["mfa"], {"phone_number": NUMBER}, 1),
        (["pwd"], {"phone_number": NUMBER}, 0),
        (["mfa"], {}, 0),
    ],
)
def test_the_action_reports_a_login_with_a_code(tmp_path: Path, methods: list[str], user: dict[str, str], calls: int) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "CONVERSIONS": "on"}
        with function(tmp_path / "function.txt", **settings) as process:
            assert run(tmp_path, "action.cjs", action(methods, f"http://127.0.0.1:{process.port}", user), "") == ""
            assert len(conversions(process)) == calls


def test_an_action_that_cannot_reach_the_function_lets_the_user_in(tmp_path: Path) -> None:
    printed = run(tmp_path, "action.cjs", action(["mfa"], "http://127.0.0.1:9", {"phone_number": NUMBER}), "")
    assert printed.startswith("conversion not reported: ")
    assert NUMBER not in printed


def test_the_snippet_for_own_code_reports_a_conversion(tmp_path: Path) -> None:
    with function(tmp_path / "function.txt", MITTO_BASE_URL="http://127.0.0.1:9", CONVERSIONS="on") as process:
        script = f"{OWN}\nreportConversion({json.dumps(NUMBER)});"
        assert run(tmp_path, "own.mjs", script, f"http://127.0.0.1:{process.port}") == ""
        assert conversions(process) == ["conversion_failed"]


def test_the_page_names_the_rate_that_is_low() -> None:
    assert f"less than {LOW_RATE:.0%} of {MIN_MESSAGES} or more".replace("%", " %") in PAGE
