"""The Auth0 Actions: their own tests under Node, and the whole way from Action to handset."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.battery import HOOK_SECRETS
from support.processes import BEARER, ROOT, FakeMittoProcess, Process, fake_mitto, function
from support.programs import bundled, path_with_jq

TESTS = ROOT / "deploy" / "auth0" / "test"
SIGNING_SECRET = next(secret for secret in HOOK_SECRETS.split() if secret.startswith("whsec_"))
ACTIONS = ["custom-phone-provider", "send-phone-message"]


def _node(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [bundled("node"), *arguments], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.timeout(150)
def test_the_actions_pass_their_own_tests(tmp_path: Path) -> None:
    done = _node("--test", "--test-reporter=tap", *map(str, sorted(TESTS.glob("*.test.mjs"))), PATH=path_with_jq(tmp_path))
    failed = re.findall(r"^ *not ok .*(?:\n(?! *(?:not )?ok ).*){0,20}", done.stdout, re.MULTILINE)
    assert done.returncode == 0, "\n".join(failed) or done.stderr[-2000:]
    counts = dict(line[2:].split() for line in done.stdout.splitlines() if line.startswith(("# tests", "# pass")))
    assert counts["tests"] == counts["pass"]
    assert int(counts["pass"]) > 40


class Stage(NamedTuple):
    hook: Process
    mitto: FakeMittoProcess


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("actions")
    with fake_mitto(folder / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "HOOK_SECRETS": HOOK_SECRETS, "ALLOWED_REGIONS": "US"}
        with function(folder / "function.txt", DEADLINE_SECONDS="2", LIMITS="off", **settings) as hook:
            yield Stage(hook, mitto)


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.mitto.clear()
    running.mitto.script(default=None)
    return running


def _run(stage: Stage, action: str, code: str, secret: str = SIGNING_SECRET) -> dict[str, Any]:
    done = _node(str(TESTS / "end-to-end.mjs"), action, HOOK_URL=f"http://127.0.0.1:{stage.hook.port}/", HOOK_SECRET=secret, CODE=code)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("secret", [SIGNING_SECRET, BEARER], ids=["signed", "bearer"])
@pytest.mark.parametrize("action", ACTIONS)
def test_an_event_of_auth0_becomes_one_sms_however_often_it_runs(action: str, secret: str, stage: Stage) -> None:
    code = f"7{len(secret):02d}{len(action):03d}"
    assert _run(stage, action, code, secret)["verdict"] == "accepted"
    assert _run(stage, action, code, secret)["verdict"] == "accepted"
    [message] = stage.mitto.inbox()
    assert (message["to"], message["text"]) == ("18085555555", f"Your code is {code}")


@pytest.mark.parametrize(
    ("fault", "verdict", "code"),
    [
        ("503", "retry", "upstream_unavailable"),
        ("401", "drop", "upstream_auth"),
        ("hang", "drop", "outcome_unknown"),
        ("code_8", "drop", "invalid_recipient"),
    ],
)
def test_only_what_was_certainly_not_sent_is_tried_again_by_auth0(fault: str, verdict: str, code: str, stage: Stage) -> None:
    stage.mitto.script(default=fault)
    seen = _run(stage, "custom-phone-provider", f"8{len(fault)}{len(code):03d}")
    assert (seen["verdict"], seen["code"]) == (verdict, code)


def test_a_wrong_secret_is_in_the_tenant_log_without_the_secret(stage: Stage) -> None:
    seen = _run(stage, "send-phone-message", "900001", secret="a-wrong-secret-of-the-tests-1")
    assert (seen["verdict"], seen["code"]) == ("throw", "unauthorized")
    assert not stage.mitto.inbox()
