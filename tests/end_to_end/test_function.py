"""The function as deployed: what only a real process under functions-framework can show."""

import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mitto_phone_hook.sms.sender_countries import COUNTRIES
from support.processes import (
    API_KEY,
    BEARER,
    ROOT,
    FakeMittoProcess,
    Process,
    command,
    fake_mitto,
    free_port,
    function,
    function_by,
    function_environment,
    own_command,
)

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def mitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path_factory.mktemp("function") / "mitto.txt") as process:
        yield process


@pytest.fixture(params=[command, own_command], ids=["functions-framework", "run"])
def hook(request: pytest.FixtureRequest, mitto: FakeMittoProcess, tmp_path: Path) -> Iterator[Process]:
    mitto.clear()
    mitto.script(default=None)
    settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "US", "DEADLINE_SECONDS": "2", "LIMITS": "off"}
    with function_by(request.param, tmp_path / "function.txt", **settings) as process:
        yield process


def payload(code: str, recipient: str = "+12025550110") -> dict[str, Any]:
    return {"recipient": recipient, "text": f"Your code is {code}", "context": {"code": code}}


def _resident_bytes(process: Process) -> int:
    """Sum the memory of the server and its workers."""
    pids = [process.popen.pid, *_children(process.popen.pid)]
    return sum(int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096 for pid in pids)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def test_the_first_request_after_the_server_forked_is_answered(hook: Process, mitto: FakeMittoProcess) -> None:
    status, reply = hook.post(payload("100001"))
    assert (status, reply["status"]) == (200, "accepted")
    assert [message["to"] for message in mitto.inbox()] == ["12025550110"]


def test_the_start_warns_when_every_country_gets_messages(tmp_path: Path) -> None:
    with function(tmp_path / "function.txt", MITTO_BASE_URL="http://127.0.0.1:9") as process:
        assert process.untimed_log()[1:] == [
            {"severity": "WARNING", "event": "all_regions_allowed", "setting": "ALLOWED_REGIONS"},
            {"severity": "WARNING", "event": "sender_id_not_allowed", "setting": "SENDER_IDS", "regions": ",".join(COUNTRIES)},
        ]


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["gone", "broken"])
def test_certificates_that_cannot_be_read_stop_the_start(content: str | None, tmp_path: Path) -> None:
    if content:
        (tmp_path / "ca.pem").write_text(content, encoding="ascii")
    environment = function_environment(SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    stopped = subprocess.run(command(free_port()), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert stopped.returncode == 1
    assert "SSL_CERT_FILE" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_a_start_that_fails_for_a_misspelt_setting_names_the_one_that_was_meant() -> None:
    environment = function_environment(HOOK_SECRETS="", HOOK_SECRET="x")
    stopped = subprocess.run(command(free_port()), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines()[:3] == [
        "mitto-phone-hook does not start:",
        "  HOOK_SECRETS is required (or HOOK_SECRETS_FILE): mitto-phone-hook init writes a file with it",
        "  HOOK_SECRET is no setting: was HOOK_SECRETS meant?",
    ]


def test_the_start_says_how_it_is_set_and_what_looks_like_a_mistake(tmp_path: Path) -> None:
    settings = {"MITTO_BASE_URL": "http://127.0.0.1:9", "ALLOWED_REGIONS": "US", "MITTO_TEST": "true"}
    old = {"DUPLICATE_WINDOW_SECONDS": "60"}
    with function(tmp_path / "function.txt", HOOK_SECRET="x", ALLOWED_REGION="CH", **settings, **old) as process:
        assert process.untimed_log() == [
            {"severity": "INFO", "event": "started", "regions": "US", "policy": "enforce", "store": "memory"},
            {"severity": "WARNING", "event": "sender_id_not_allowed", "setting": "SENDER_IDS", "regions": "US"},
            {"severity": "WARNING", "event": "test_mode", "setting": "MITTO_TEST"},
            {"severity": "WARNING", "event": "renamed_setting", "setting": "DUPLICATE_WINDOW_SECONDS", "use": "RESEND_AFTER_SECONDS"},
            {"severity": "WARNING", "event": "unknown_setting", "setting": "ALLOWED_REGION"},
            {"severity": "WARNING", "event": "unknown_setting", "setting": "HOOK_SECRET"},
        ]


def test_health_calls_nobody_and_is_not_logged(hook: Process, mitto: FakeMittoProcess) -> None:
    assert hook.request("GET", "/health") == (200, b'{"status":"ok"}')
    assert hook.request("HEAD", "/health") == (200, b"")
    assert [line["event"] for line in hook.log()] == ["started", "sender_id_not_allowed"]
    assert mitto.requests() == 0


@pytest.mark.parametrize(("when_it_fails", "status", "left"), [("open", 200, 1), ("closed", 503, 0)])
def test_without_redis_limits_do_what_the_operator_wants(
    when_it_fails: str, status: int, left: int, mitto: FakeMittoProcess, tmp_path: Path
) -> None:
    mitto.clear()
    places = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "STORE_URL": f"redis://127.0.0.1:{free_port()}"}
    with function(tmp_path / "function.txt", LIMITS_FAIL=when_it_fails, ALLOWED_REGIONS="US", **places) as process:
        assert process.post(payload("100005"))[0] == status
        assert process.log()[-1].get("why") == (None if left else "limits_unknown")
    assert len(mitto.inbox()) == left


def test_what_a_library_says_of_a_request_stays_out_of_the_log(hook: Process) -> None:
    with socket.create_connection(("127.0.0.1", hook.port), timeout=10) as connection:
        connection.sendall(b"secret secret secret\r\n\r\n")
        connection.recv(65536)
    assert "requests_refused" in [line["event"] for line in hook.log()]
    assert "secret" not in "".join(hook.lines())


def test_a_blank_behind_the_secret_is_no_part_of_it(hook: Process) -> None:
    status, _ = hook.request("POST", "/", json.dumps(payload("100004")).encode(), {"Authorization": f"Bearer {BEARER} \t"})
    assert status == 200


def test_a_hundred_messages_wait_on_mitto_at_once(hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.script(default="slow:0.8")
    started = time.monotonic()
    with ThreadPoolExecutor(100) as pool:
        statuses = [status for status, _ in pool.map(hook.post, [payload(f"2{number:05d}") for number in range(100)])]
    assert statuses == [200] * 100
    assert time.monotonic() - started < 20, "they did not wait together"
    assert len(mitto.inbox()) == 100


def test_the_trace_of_the_caller_is_in_the_log(hook: Process) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"Authorization": f"Bearer {BEARER}", "traceparent": f"00-{trace}-{span}-01"}
    hook.request("POST", "/", json.dumps(payload("100002")).encode(), headers)
    assert hook.log()[-1]["logging.googleapis.com/trace"] == trace
    assert hook.log()[-1]["logging.googleapis.com/spanId"] == span


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_the_trace_of_a_stranger_is_not_in_the_log(hook: Process, path: str) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "x-cloud-trace-context": f"{trace}/1"}
    hook.request("POST", path, json.dumps(payload("100004")).encode(), headers)
    assert hook.log()[-1]["event"] in {"unauthorized", "not_found"}
    assert trace not in hook.lines()[-1]


def test_a_body_of_100_mb_without_credentials_costs_less_than_4_mib(hook: Process) -> None:
    hook.post(payload("100003"))
    before = _resident_bytes(hook)
    for headers in (b"Content-Length: 104857600", b"Transfer-Encoding: chunked"):
        _pour(hook.port, headers, 100 * MIB)
    assert _resident_bytes(hook) - before < 4 * MIB
    assert [line["event"] for line in hook.log()[-2:]] == ["body_too_large"] * 2


def _pour(port: int, headers: bytes, size: int) -> None:
    """Send as much of a body as the server takes."""
    piece = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n\r\n")
            for _ in range(size // len(piece)):
                connection.sendall(piece)
        except ConnectionError:
            pass


@pytest.mark.parametrize("fault", ["big_body", "big_headers", "gzip_bomb"])
def test_an_answer_of_100_mb_costs_less_than_4_mib(fault: str, hook: Process, mitto: FakeMittoProcess) -> None:
    hook.post(payload("100004"))
    before = _resident_bytes(hook)
    mitto.script(fault)
    status, reply = hook.post(payload("100005"))
    assert (status, reply["error"]["code"]) == (504, "outcome_unknown")
    assert _resident_bytes(hook) - before < 4 * MIB


def test_warm_requests_share_one_connection_to_mitto(hook: Process, mitto: FakeMittoProcess) -> None:
    for number in range(20):
        hook.post(payload(f"30{number:04d}"))
    state = json.loads(mitto.request("GET", "/inbox")[1])
    assert len(state["messages"]) == 20
    assert state["connections"] <= 3, "one of the function, the rest are our own questions"


def test_a_caller_that_sends_its_body_too_slowly_is_refused_at_the_deadline(hook: Process) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", hook.port, timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "100")
    connection.putheader("Authorization", f"Bearer {BEARER}")
    connection.endheaders()
    started = time.monotonic()
    response = connection.getresponse()
    assert response.status == 400
    assert time.monotonic() - started < 5
    connection.close()


def test_a_mounted_api_key_is_read_again_when_mitto_refuses_it(mitto: FakeMittoProcess, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("the-key-of-yesterday\n", encoding="ascii")
    settings = {"MITTO_API_KEY": "", "MITTO_API_KEY_FILE": str(key), "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}"}
    mitto.clear()
    with function(tmp_path / "function.txt", **settings) as process:
        assert process.post(payload("100006"))[1]["error"]["code"] == "upstream_auth"
        key.write_text(f"{API_KEY}\n", encoding="ascii")
        assert process.post(payload("100007"))[0] == 200
    assert len(mitto.inbox()) == 1


def test_a_message_in_flight_gets_its_response_when_the_server_stops(hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.script(default="slow:1")
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(hook.post(payload("100008"))[0]))
    caller.start()
    while mitto.requests() == 0:
        time.sleep(0.01)
    hook.popen.terminate()
    caller.join(10)
    assert answers == [200]
