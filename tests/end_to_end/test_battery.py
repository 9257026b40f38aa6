"""Hostile inputs, faults of Mitto and bad settings against the real function process, over HTTP."""

import itertools
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mitto_phone_hook.telemetry.log_lines import FIELDS
from support.battery import HOOK_SECRETS, KEYS, OLD_BEARER, Answer, body_of, exchange, raw_request
from support.processes import (
    API_KEY,
    BEARER,
    FakeMittoProcess,
    Process,
    command,
    fake_mitto,
    free_port,
    function,
    function_environment,
)
from support.upstream import make_certificate, serving_tls

BATTERY = json.loads((Path(__file__).parents[1] / "data" / "battery.json").read_text(encoding="utf-8"))
SETTINGS = BATTERY["defaults"]["environment"] | {"HOOK_SECRETS": HOOK_SECRETS}
OTPS = (f"{number:010d}" for number in itertools.count(2839471234, 7919))


class Stage(NamedTuple):
    function: Process
    mitto: FakeMittoProcess
    used: set[str]
    """Every code, number and text that was sent; none may be found in what the function prints."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("battery")
    with (
        fake_mitto(folder / "mitto.txt") as mitto,
        function(folder / "function.txt", MITTO_BASE_URL=f"http://127.0.0.1:{mitto.port}", **SETTINGS) as process,
    ):
        yield Stage(process, mitto, set())


def _play(process: Process, request: dict[str, Any], used: set[str]) -> tuple[Answer, str, float]:
    otp = next(OTPS)
    body = body_of(request, BATTERY["defaults"]["body"], otp)
    used |= {otp, *_numbers(body), *_texts(body)}
    started = time.monotonic()
    answer = exchange(process.port, raw_request(request, body), half_close=request.get("half_close", False))
    return answer, otp, time.monotonic() - started


def _numbers(body: bytes) -> set[str]:
    return {re.sub("[^0-9]", "", number) for number in re.findall(r'"recipient": "([+0-9 ().-]{8,30})"', body.decode("utf-8", "replace"))}


def _texts(body: bytes) -> set[str]:
    return {"Your code is"} if b"Your code is" in body else set()


def _assert_safe(answer: Answer, otp: str, *, is_ours: bool = True) -> None:
    assert otp.encode() not in answer.body
    assert b"41791234567" not in answer.body
    if answer.status == 0 or not is_ours:
        return  # nothing came, or the HTTP server below the function answered
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("case", BATTERY["inputs"], ids=lambda case: f"{case['id']}-{case['name']}")
def test_a_hostile_input_is_answered_by_the_table_and_sends_nothing(case: dict[str, Any], stage: Stage) -> None:
    expect = case["expect"]
    stage.mitto.clear()
    seen = len(stage.function.lines())
    answer, otp, seconds = _play(stage.function, case["request"], stage.used)

    is_cut = answer.status == 0 and expect.get("connection_may_close_early")
    assert is_cut or answer.status in expect["status"], answer
    if "code" in expect and not is_cut and answer.status != 200:
        assert answer.code in expect["code"]
    for name, value in expect.get("headers", {}).items():
        assert answer.headers[name.lower()] == value
    assert seconds < expect.get("max_wall_s", 3)
    _assert_safe(answer, otp, is_ours=case["layer"] == "app")

    inbox = stage.mitto.inbox()
    assert len(inbox) in expect["sms"]
    if inbox:
        assert inbox[0]["to"] == "41791234567"
        assert inbox[0]["segments"] == expect.get("segments", 1)
        assert inbox[0]["text"].endswith(expect.get("upstream_text_ends_with", "").replace("{OTP}", otp))
    if case["layer"] == "app":
        [line] = [one for one in stage.function.log()[seen:] if one["event"] != "requests_refused"]
        assert set(line) <= set(FIELDS)
        assert line["severity"] == ("INFO" if answer.status == 200 else "WARNING")
        if answer.status == 0:
            assert line["event"] in expect["code"]
        else:
            assert line["event"] == (answer.code or {200: "accepted", 405: "method_not_allowed"}[answer.status])


@contextmanager
def _blackhole() -> Iterator[str]:
    """Listen without accepting, with a full backlog: Linux drops further SYNs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def _self_signed(folder: Path) -> Iterator[str]:
    """Serve TLS with a certificate that nobody trusts; whoever goes on regardless finds a server that accepts."""
    make_certificate(folder / "server.pem")
    context = serving_tls(folder / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                    with context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(65536)
                        tls.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"responseCode":0}')
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@contextmanager
def _faulty(stage: Stage, fault: dict[str, Any], folder: Path) -> Iterator[Process]:
    """Bring the fault about and give the function that meets it."""
    kind = fault["kind"]
    if kind == "base_url":
        with function(folder / "function.txt", MITTO_BASE_URL=fault["url"], **SETTINGS) as process:
            yield process
    elif kind == "blackhole_backlog":
        with _blackhole() as url, function(folder / "function.txt", MITTO_BASE_URL=url, **SETTINGS) as process:
            yield process
    elif kind == "base_url_https_self_signed":
        with _self_signed(folder) as url, function(folder / "function.txt", MITTO_BASE_URL=url, **SETTINGS) as process:
            yield process
    else:
        kind = {"id_injection_small": "id_injection"}.get(kind, kind)
        if kind == "sequence":
            stage.mitto.script(*fault["of"])
        else:
            stage.mitto.script(default=kind)
        yield stage.function
        stage.mitto.script(default=None)


@pytest.mark.parametrize("case", BATTERY["upstream_faults"], ids=lambda case: f"{case['id']}-{case['name']}")
def test_a_fault_of_mitto_gets_the_right_outcome(case: dict[str, Any], stage: Stage, tmp_path: Path) -> None:
    expect = case["expect"]
    stage.mitto.clear()
    with _faulty(stage, case["fault"], tmp_path) as process:
        seen = len(process.lines())
        answer, otp, seconds = _play(process, {}, stage.used)
        [line] = [one for one in process.log()[seen:] if one["event"] != "requests_refused"]

    assert answer.status in expect["status"], answer
    _assert_safe(answer, otp)
    assert ("retry-after" in answer.headers) == (expect["retry_after"] == "required")
    assert seconds < expect.get("max_wall_s", 4.6)
    assert len(stage.mitto.inbox()) in expect["sms"]
    assert (line["severity"], line["event"]) == (expect["severity"], expect["event"])
    assert expect["attempts"][0] <= line["attempts"] <= expect["attempts"][1]
    assert "request_id" in line
    assert ("why" in line) != (line["event"] == "accepted")
    assert set(line) <= set(FIELDS)
    if not case["fault"]["kind"].startswith(("base_url", "blackhole", "close_before", "hang_before")):
        assert stage.mitto.requests() == line["attempts"]


@pytest.mark.parametrize("case", BATTERY["startup"], ids=lambda case: f"{case['id']}-{case['name']}")
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(case: dict[str, Any]) -> None:
    environment = function_environment(**case["environment"])
    ended = subprocess.run(command(free_port()), env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    printed = ended.stdout + ended.stderr
    assert "Traceback" not in printed
    [(name, value)] = case["environment"].items()
    assert len([line for line in printed.splitlines() if name in line]) == 1
    for part in filter(None, value.splitlines()):
        assert part not in printed


def test_nothing_that_was_sent_is_found_in_what_the_function_prints(stage: Stage) -> None:
    """Comes last: by now everything above has been sent."""
    printed = "\n".join(stage.function.lines())
    secrets = {BEARER, OLD_BEARER, API_KEY, *HOOK_SECRETS.split(), *(key.decode() for key in KEYS.values())}
    found = [word for word in stage.used | secrets if word in printed]
    assert not found
    assert "Traceback" not in printed
    assert len(stage.used) > len(BATTERY["inputs"])
    assert all(isinstance(line, dict) for line in stage.function.log())
