"""The steps of docs/rotation.md: a secret is changed under steady calls, and no message is lost.

The callers never stop, and none repeats a call: whatever is not accepted at once counts as lost.
"""

import contextlib
import http.server
import itertools
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mitto_phone_hook.sandbox.behaviours import body_of
from mitto_phone_hook.sandbox.rules import judge
from support.processes import BEARER, ROOT, FakeMittoProcess, Process, command, fake_mitto, free_port, function, function_environment

OLD, NEW = BEARER, "bearer-secret-of-the-tests-0002"
OLD_KEY, NEW_KEY = "mitto-key-of-yesterday-0001", "mitto-key-of-tomorrow-0002"
PAUSE_SECONDS = 0.005
SOME = 12
"""Calls after each step, so that every state of a drill has carried some."""

LIMIT_SECONDS = 20


@pytest.fixture
def mitto(tmp_path: Path) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path / "mitto.txt") as process:
        yield process


@dataclass
class Callers:
    """Identity platforms that call all the time, with the secret and the address that are set in them right now."""

    process: Process
    number: int
    secret: str = OLD
    answers: list[tuple[int, str]] = field(default_factory=list)
    _codes: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def calling(self) -> Iterator["Callers"]:
        threads = [threading.Thread(target=self._call) for _ in range(self.number)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(LIMIT_SECONDS)

    def _call(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                process, secret, code = self.process, self.secret, f"{next(self._codes):06d}"
            try:
                status, reply = process.post(message(code), secret)
            except OSError:
                status, reply = 0, {}
            self.answers.append((status, json.dumps(reply)))
            time.sleep(PAUSE_SECONDS)

    def change(self, *, process: Process | None = None, secret: str | None = None) -> None:
        """Change what is set in them; then wait until no call with the former is under way."""
        with self._lock:
            self.process, self.secret = process or self.process, secret or self.secret
        self.carry_some()

    def carry_some(self) -> None:
        """Wait for so many answers that each caller has begun a call after this moment."""
        enough = len(self.answers) + SOME + self.number
        until(lambda: len(self.answers) >= enough)

    def assert_nothing_was_lost(self, sent: list[str]) -> None:
        assert [answer for answer in self.answers if answer[0] != 200] == []
        assert len(sent) == len(set(sent)) == len(self.answers)


def message(code: str) -> dict[str, Any]:
    return {"recipient": "+12025550110", "text": f"Code {code}", "context": {"code": code}}


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def lets_in(process: Process, secret: str) -> bool:
    """Knock without sending anything: ask for a call."""
    payload = {"recipient": "+12025550110", "text": "knock", "context": {"message_type": "voice"}}
    return process.post(payload, secret)[0] == 422


def mount(file: Path, *secrets: str) -> None:
    """Change a mounted file atomically, as Kubernetes and Cloud Run do."""
    new = file.with_suffix(".new")
    new.write_text("\n".join(secrets) + "\n", encoding="ascii")
    new.replace(file)


def settings(mitto_port: int, **own: str) -> dict[str, str]:
    return {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto_port}", "ALLOWED_REGIONS": "US", "LIMITS": "off", **own}


def hook_settings(mitto: FakeMittoProcess, file: Path) -> dict[str, str]:
    return settings(mitto.port, HOOK_SECRETS="", HOOK_SECRETS_FILE=str(file))


_IMPATIENT = """
from mitto_phone_hook.credentials import rotation
rotation.REREAD_SECONDS = 0.2
"""
_OVER_THE_NETWORK = """
import pathlib, time
read_text = pathlib.Path.read_text
pathlib.Path.read_text = lambda self, **options: (self.name == 'hook-secrets' and time.sleep(0.1), read_text(self, **options))[1]
"""
_FUNCTION = (ROOT / "src" / "main.py").read_text(encoding="utf-8")


@contextlib.contextmanager
def impatient_function(folder: Path, own: Mapping[str, str], *, is_mount_slow: bool = False) -> Iterator[Process]:
    """Run the same function, but its five minutes between two looks at a mounted file take 0.2 s.

    With ``is_mount_slow`` reading the file takes 0.1 s, as on Cloud Run, where it is a call to Secret Manager.
    """
    entry = folder / "impatient.py"
    entry.write_text(_IMPATIENT + _OVER_THE_NETWORK * is_mount_slow + _FUNCTION, encoding="ascii")
    port = free_port()
    words = [str(entry) if word == "src/main.py" else word for word in command(port)]
    output = folder / "impatient.txt"
    with output.open("wb") as file:
        popen = subprocess.Popen(words, env=function_environment(**own), stdout=file, stderr=subprocess.STDOUT)
    process = Process(port, popen, output)
    try:
        until(lambda: _is_up(process))
        yield process
    finally:
        popen.terminate()
        popen.wait(LIMIT_SECONDS)


def _is_up(process: Process) -> bool:
    try:
        return process.request("GET", "/health")[0] == 200
    except OSError:
        return False


# The hook secret


def test_a_mounted_hook_secret_changes_without_a_restart(mitto: FakeMittoProcess, tmp_path: Path) -> None:
    file = tmp_path / "hook-secrets"
    mount(file, OLD)
    with impatient_function(tmp_path, hook_settings(mitto, file)) as process, Callers(process, 2).calling() as callers:
        callers.carry_some()
        assert not lets_in(process, NEW)
        mount(file, OLD, NEW)
        until(lambda: lets_in(process, NEW))
        callers.change(secret=NEW)
        mount(file, NEW)
        until(lambda: not lets_in(process, OLD))
        callers.carry_some()
    callers.assert_nothing_was_lost([message["text"] for message in mitto.inbox()])


def test_the_first_call_after_a_quiet_time_knows_the_new_secret(mitto: FakeMittoProcess, tmp_path: Path) -> None:
    file = tmp_path / "hook-secrets"
    mount(file, OLD)
    with impatient_function(tmp_path, hook_settings(mitto, file), is_mount_slow=True) as process:
        assert lets_in(process, OLD)
        mount(file, OLD, NEW)
        time.sleep(0.3)
        assert lets_in(process, NEW)


def test_a_failed_rotation_locks_nobody_out_and_is_reported(mitto: FakeMittoProcess, tmp_path: Path) -> None:
    file = tmp_path / "hook-secrets"
    mount(file, OLD)
    with impatient_function(tmp_path, hook_settings(mitto, file)) as process:
        assert lets_in(process, OLD)
        mount(file, "short")
        assert not lets_in(process, NEW)
        until(lambda: any(line["event"] == "secret_unreadable" for line in process.log()))
        [line] = [line for line in process.untimed_log() if line["event"] == "secret_unreadable"]
        assert line == {"severity": "ERROR", "event": "secret_unreadable", "setting": "HOOK_SECRETS"}
        assert lets_in(process, OLD)


def test_a_hook_secret_changes_with_two_deployments(mitto: FakeMittoProcess, tmp_path: Path) -> None:
    """Where a deployment replaces a revision, the next one is up before the one before it is stopped."""
    file = tmp_path / "hook-secrets"
    own = hook_settings(mitto, file)
    with contextlib.ExitStack() as third_home, contextlib.ExitStack() as second_home, contextlib.ExitStack() as first_home:
        mount(file, OLD)
        first = first_home.enter_context(function(tmp_path / "1.txt", **own))
        with Callers(first, 2).calling() as callers:
            callers.carry_some()
            mount(file, OLD, NEW)
            callers.change(process=second_home.enter_context(function(tmp_path / "2.txt", **own)))
            first_home.close()
            callers.change(secret=NEW)
            mount(file, NEW)
            third = third_home.enter_context(function(tmp_path / "3.txt", **own))
            callers.change(process=third)
            second_home.close()
            assert not lets_in(third, OLD)
            callers.carry_some()
    callers.assert_nothing_was_lost([message["text"] for message in mitto.inbox()])


def test_a_repeat_is_still_known_when_the_old_secret_has_gone(mitto: FakeMittoProcess, tmp_path: Path) -> None:
    file = tmp_path / "hook-secrets"
    mount(file, OLD)
    with impatient_function(tmp_path, hook_settings(mitto, file)) as process:
        assert process.post(message("000001"), OLD)[1]["duplicate"] is False
        mount(file, OLD, NEW)
        until(lambda: lets_in(process, NEW))
        assert process.post(message("000001"), NEW)[1]["duplicate"] is True
        mount(file, NEW)
        until(lambda: not lets_in(process, OLD))
        assert process.post(message("000001"), NEW)[1]["duplicate"] is True


# Mitto's API key


@dataclass
class TwoKeyMitto:
    """A Mitto where an account may have several API keys, by the rules of the sandbox. It takes 20 ms for an answer."""

    port: int = 0
    keys: set[str] = field(default_factory=lambda: {OLD_KEY, NEW_KEY})
    texts: list[str] = field(default_factory=list)
    refused: int = 0
    used: set[str] = field(default_factory=set)

    def answer(self, key: str, body: bytes) -> tuple[int, bytes]:
        self.used.add(key)
        time.sleep(0.02)
        verdict = judge(body, is_authentic=key in self.keys, message_id=str(uuid.uuid4()), received_at=datetime.now(UTC))
        if verdict.message:
            self.texts.append(verdict.message.text)
        self.refused += verdict.status == 401
        return verdict.status, body_of(verdict)

    @contextlib.contextmanager
    def listening(self) -> Iterator["TwoKeyMitto"]:
        mitto = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = mitto.answer(self.headers["X-Mitto-API-Key"], body)
                self.send_response_only(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            block_on_close = False  # an idle connection would be waited for

        with Server(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join(LIMIT_SECONDS)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(1, id="one call at a time"),
        pytest.param(8, id="eight at once"),
    ],
)
def test_mittos_key_changes_in_the_file_first_and_then_the_old_one_is_revoked(number: int, tmp_path: Path) -> None:
    file = tmp_path / "api-key"
    mount(file, OLD_KEY)
    with TwoKeyMitto().listening() as mitto:
        own = settings(mitto.port, MITTO_API_KEY="", MITTO_API_KEY_FILE=str(file))
        with function(tmp_path / "function.txt", **own) as process, Callers(process, number).calling() as callers:
            callers.carry_some()
            mount(file, NEW_KEY)
            callers.carry_some()
            assert mitto.used == {OLD_KEY}, "it is not five minutes later: only a refusal makes the function look"
            mitto.keys.discard(OLD_KEY)
            callers.carry_some()
        assert 1 <= mitto.refused <= number
        callers.assert_nothing_was_lost(mitto.texts)
