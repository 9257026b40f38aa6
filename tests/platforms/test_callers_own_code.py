"""Callers' own code, as their registries publish it, over a real socket against the function as it is deployed."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import standardwebhooks
import svix

from support.callers import sample
from support.processes import BEARER, ROOT, FakeMittoProcess, Process, fake_mitto, function
from support.programs import bundled

pytestmark = pytest.mark.timeout(240)  # the first test installs the packages

NODE = ROOT / "tests" / "platforms" / "node"
INSTALLED = ROOT / "build" / "callers"
KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
NUMBER = "12025550110"


class Stage(NamedTuple):
    hook: Process
    mitto: FakeMittoProcess

    def sent(self) -> list[tuple[str, str]]:
        return [(message["to"], message["text"]) for message in self.mitto.inbox()]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("callers")
    with fake_mitto(folder / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "US", "LIMITS": "off"}
        with function(folder / "function.txt", HOOK_SECRETS=f"{BEARER} {KEY}", DEADLINE_SECONDS="2", **settings) as hook:
            yield Stage(hook, mitto)


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.mitto.clear()
    running.mitto.script(default=None)
    return running


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Install the packages of the lock, once for each lock."""
    lock, done = NODE / "package-lock.json", INSTALLED / "done.json"
    if not done.exists() or done.read_bytes() != lock.read_bytes():
        shutil.rmtree(INSTALLED, ignore_errors=True)
        shutil.copytree(NODE, INSTALLED)
        npm = Path(bundled("node")).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [bundled("node"), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=INSTALLED, check=True, capture_output=True, timeout=200)
        shutil.copyfile(lock, done)
    return INSTALLED


def run_node(folder: Path, stage: Stage, caller: str, path: str, **environment: str) -> dict[str, Any]:
    """Let the caller make one call; give what its own code made of the response."""
    shutil.copyfile(NODE / "call.mjs", folder / "call.mjs")
    url = {"HOOK_URL": f"http://127.0.0.1:{stage.hook.port}{path}"}
    done = subprocess.run(
        [bundled("node"), "call.mjs", caller],
        cwd=folder,
        env=os.environ | url | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def body_for(name: str) -> bytes:
    """Give a body for the route with a code that no other test sends."""
    code = str(secrets.randbelow(900_000) + 100_000)
    if name == "native":
        return json.dumps({"recipient": f"+{NUMBER}", "text": f"Your code is {code}", "code": code}).encode()
    if name == "supabase":
        return json.dumps({"user": {"phone": NUMBER}, "sms": {"otp": code}}).encode()
    event = json.loads(sample("clerk", "sms_created"))
    event["timestamp"] = int(time.time() * 1000)
    event["data"] |= {"to_phone_number": f"+{NUMBER}", "message": f"Your code is {code}", "data": {"otp_code": code}}
    return json.dumps(event).encode()


def post(stage: Stage, name: str, body: bytes, headers: dict[str, str]) -> int:
    return stage.hook.request("POST", f"/hooks/{name}", body, {"Content-Type": "application/json", **headers})[0]


@pytest.mark.parametrize("name", ["native", "supabase", "clerk"])
def test_a_signature_of_standardwebhooks_is_accepted_and_a_forged_one_refused(stage: Stage, name: str) -> None:
    for key, is_right in ((OTHER_KEY, False), (KEY, True)):
        body, now, message_id = body_for(name), datetime.now(UTC), f"msg_{secrets.token_hex(12)}"
        signature = standardwebhooks.Webhook(key).sign(message_id, now, body.decode())
        signed = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
        assert post(stage, name, body + b" ", signed) == 401
        assert (post(stage, name, body, signed) < 300) == is_right
        assert len(stage.sent()) == is_right


def test_both_signatures_of_a_rotation_are_read_as_supabase_joins_them(stage: Stage) -> None:
    """``", "`` is between them, on which the library's own ``verify`` fails."""
    body, now, message_id = body_for("supabase"), datetime.now(UTC), f"msg_{secrets.token_hex(12)}"
    for keys in ((OTHER_KEY, KEY), (KEY, OTHER_KEY)):
        signatures = ", ".join(standardwebhooks.Webhook(key).sign(message_id, now, body.decode()) for key in keys)
        signed = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signatures}
        assert post(stage, "supabase", body, signed) == 200
    assert len(stage.sent()) == 1


def test_a_signature_of_svix_is_accepted_on_clerks_route_and_its_repeat_sends_nothing(stage: Stage) -> None:
    body, message_id = body_for("clerk"), f"msg_{secrets.token_hex(12)}"
    for key, status in ((OTHER_KEY, 401), (KEY, 204), (KEY, 204)):
        now = datetime.now(UTC)
        signature = svix.Webhook(key).sign(message_id, now, body.decode())
        signed = {"svix-id": message_id, "svix-timestamp": str(int(now.timestamp())), "svix-signature": signature}
        assert post(stage, "clerk", body, signed) == status
        assert post(stage, "clerk", body.replace(b"Your", b"your"), signed) == 401
    assert len(stage.sent()) == 1


@pytest.mark.parametrize(("caller", "name"), [("svix", "clerk"), ("standardwebhooks", "supabase"), ("standardwebhooks", "native")])
def test_the_same_signatures_made_under_node(stage: Stage, node_modules: Path, caller: str, name: str) -> None:
    for key, is_right in ((OTHER_KEY, False), (KEY, True)):
        seen = run_node(node_modules, stage, caller, f"/hooks/{name}", SECRET=key, BODY=body_for(name).decode())
        assert (seen["status"] < 300, seen["status"] == 401) == (is_right, not is_right)
    assert len(stage.sent()) == 1


def test_logtos_connector_sends_a_code_and_reads_what_an_end_user_may_read(stage: Stage, node_modules: Path) -> None:
    def send(to: str = NUMBER, secret: str = BEARER) -> dict[str, Any]:
        return run_node(node_modules, stage, "logto", "/hooks/logto", SECRET=secret, TO=to, CODE="730914")

    assert send() == {"is_sent": True, "status": 200}
    assert stage.sent() == [(NUMBER, "730914 ist Ihr Anmeldecode. Geben Sie ihn nicht weiter.")]
    for refused in (send("41791234567"), send("12"), send(secret="another-secret-of-the-tests")):
        assert not refused["is_sent"]
        assert refused["shown"].endswith(".")
        assert not set('{}"') & set(refused["shown"])
        assert "mitto" not in refused["shown"].lower()
    stage.mitto.script(default="503")
    assert send("12025550111") == {"is_sent": False, "shown": "The text message could not be sent. Try again later."}
    stage.mitto.script(default="reset_after_request")
    assert send("12025550112") == send("12025550112") == {"is_sent": True, "status": 200}
    assert "outcome_unknown" in [line["event"] for line in stage.hook.log()]
    assert [to for to, _ in stage.sent()] == [NUMBER, "12025550112"]


def test_better_auths_phone_plugin_sends_its_code_and_hears_of_a_refusal(stage: Stage, node_modules: Path) -> None:
    seen = run_node(node_modules, stage, "better-auth", "/hooks/native", SECRET=BEARER, TO=f"+{NUMBER}")
    [(to, text)] = stage.sent()
    assert (seen["is_sent"], to, text[6:]) == (True, NUMBER, " is your verification code.")
    assert text[:6].isdigit()
    seen = run_node(node_modules, stage, "better-auth", "/hooks/native", SECRET=BEARER, TO="+41791234567")
    assert (seen, len(stage.sent())) == ({"is_sent": False, "shown": "blocked_country"}, 1)
    seen = run_node(node_modules, stage, "better-auth", "/hooks/native", SECRET="another-secret-of-the-tests", TO=f"+{NUMBER}")
    assert seen == {"is_sent": False, "shown": "unauthorized"}
