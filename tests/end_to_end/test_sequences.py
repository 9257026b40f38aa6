"""Callers that repeat themselves, against real processes: one alone, two that share Redis, one that is killed."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.battery import HOOK_SECRETS, signed
from support.processes import BEARER, FakeMittoProcess, Process, fake_mitto, function, redis_server

SETTINGS = {
    "ALLOWED_REGIONS": "CH",
    "DEADLINE_SECONDS": "2",
    "HOOK_SECRETS": HOOK_SECRETS,
    "LIMITS": "off",
}
CODES = (f"{number:06d}" for number in range(400000, 500000))


class Stage(NamedTuple):
    first: Process
    second: Process
    """The same process as ``first``, or another one that shares its Redis."""
    mitto: FakeMittoProcess


@pytest.fixture(scope="module", params=["one process", "two processes sharing Redis"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("sequences")
    with ExitStack() as stack:
        mitto = stack.enter_context(fake_mitto(folder / "mitto.txt"))
        settings = SETTINGS | {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}"}
        if request.param == "one process":
            process = stack.enter_context(function(folder / "function.txt", **settings))
            yield Stage(process, process, mitto)
        else:
            redis = stack.enter_context(redis_server(folder))
            settings |= {"STORE_URL": f"redis://127.0.0.1:{redis.port}"}
            yield Stage(
                stack.enter_context(function(folder / "first.txt", **settings)),
                stack.enter_context(function(folder / "second.txt", **settings)),
                mitto,
            )


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.mitto.clear()
    running.mitto.script(default=None)
    return running


def message() -> dict[str, Any]:
    code = next(CODES)
    return {"recipient": "+41791234567", "text": f"Your code is {code}", "context": {"code": code}}


def test_the_same_request_twice_sends_one_sms(stage: Stage) -> None:
    body = message()
    answers = [stage.first.post(body), stage.second.post(body)]
    assert [status for status, _ in answers] == [200, 200]
    assert [reply["duplicate"] for _, reply in answers] == [False, True]
    assert len({reply["message_id"] for _, reply in answers}) == 1
    assert len(stage.mitto.inbox()) == 1


def test_twenty_parallel_identical_requests_send_one_sms(stage: Stage) -> None:
    stage.mitto.script(default="slow:1.2")
    body = message()
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda number: (stage.first if number % 2 else stage.second).post(body)[0], range(20)))
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert len(stage.mitto.inbox()) == 1


def test_what_was_not_sent_is_sent_when_it_is_repeated(stage: Stage) -> None:
    body = message()
    stage.mitto.script(default="503")
    assert stage.first.post(body)[0] == 503
    stage.mitto.script(default=None)
    assert stage.second.post(body)[0] == 200
    assert len(stage.mitto.inbox()) == 1


def test_what_nobody_can_tell_stays_so_at_once(stage: Stage) -> None:
    body = message()
    stage.mitto.script("hang")
    assert stage.first.post(body)[0] == 504
    started = time.monotonic()
    assert stage.second.post(body)[0] == 504
    assert time.monotonic() - started < 1.5, "it was waited for"
    assert len(stage.mitto.inbox()) == 1


def test_a_new_webhook_id_does_not_make_it_a_new_message(stage: Stage) -> None:
    body = json.dumps(message()).encode()
    for process, message_id in ((stage.first, "msg_1"), (stage.second, "msg_2")):
        status, _ = process.request("POST", "/", body, signed(body, message_id=message_id))
        assert status == 200
    assert len(stage.mitto.inbox()) == 1


def test_a_caller_that_hangs_up_does_not_undo_its_message(stage: Stage) -> None:
    body = json.dumps(message()).encode()
    stage.mitto.script("slow:0.6")
    head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {BEARER}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", stage.first.port)) as caller:
        caller.sendall(head + body)
        while stage.mitto.requests() == 0:
            time.sleep(0.01)
    status, reply = stage.second.post(json.loads(body))
    assert (status, reply["duplicate"]) == (200, True)
    assert len(stage.mitto.inbox()) == 1


def test_the_log_shows_what_claiming_and_settling_took(stage: Stage) -> None:
    stage.first.post(message())
    line = stage.first.log()[-1]
    assert line["claim_ms"] >= 0
    assert line["settle_ms"] >= 0


def test_a_process_killed_in_mid_flight_leaves_its_message_unknown(tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto, redis_server(tmp_path) as redis:
        settings = SETTINGS | {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "STORE_URL": f"redis://127.0.0.1:{redis.port}"}
        mitto.script("hang")
        body = message()
        with function(tmp_path / "first.txt", **settings) as first, ThreadPoolExecutor(1) as pool:
            call = pool.submit(first.post, body)
            while not mitto.inbox():
                time.sleep(0.01)
            for pid in (first.popen.pid, *_workers(first)):
                os.kill(pid, signal.SIGKILL)
            assert call.exception() is not None
        with function(tmp_path / "second.txt", **settings) as second:
            statuses = [second.post(body)[0]]
            while statuses[-1] == 409 and len(statuses) < 10:
                statuses.append(second.post(body)[0])
            assert statuses[-1] == 504
        assert len(mitto.inbox()) == 1


def test_one_webhook_id_with_another_body_is_refused(stage: Stage) -> None:
    first, second = json.dumps(message()).encode(), json.dumps(message()).encode()
    assert stage.first.request("POST", "/", first, signed(first, message_id="msg_twice"))[0] == 200
    assert stage.second.request("POST", "/", second, signed(second, message_id="msg_twice"))[0] == 401
    assert stage.second.log()[-1]["why"] == "replayed_id"
    assert len(stage.mitto.inbox()) == 1


def test_a_number_gets_so_many_codes_and_what_is_refused_costs_it_nothing(tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        settings = SETTINGS | {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "LIMITS": "recipient=3/10minute"}
        with function(tmp_path / "function.txt", **settings) as process:
            for _ in range(20):
                assert process.post(message() | {"text": ""})[0] == 422
            replies = [process.post(message()) for _ in range(5)]
            assert [status for status, _ in replies] == [200, 200, 200, 429, 429]
            assert replies[-1][1]["error"]["code"] == "rate_limited"
            assert len(mitto.inbox()) == 3


def _workers(process: Process) -> list[int]:
    pid = process.popen.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


@pytest.mark.parametrize("is_shared", [False, True], ids=["memory", "redis"])
def test_the_same_code_leaves_again_when_it_is_asked_for_later(tmp_path: Path, *, is_shared: bool) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto, redis_server(tmp_path) as redis:
        settings = SETTINGS | {
            "STORE_URL": f"redis://127.0.0.1:{redis.port}" if is_shared else "memory://",
            "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}",
            "DEADLINE_SECONDS": "0.5",
            "CONNECT_TIMEOUT_SECONDS": "0.4",
        }
        with function(tmp_path / "function.txt", **settings | {"RESEND_AFTER_SECONDS": "1"}) as process:
            # The first call also connects to Redis and to Mitto: on a busy machine that outlasts so short a deadline.
            process.post(message())
            mitto.clear()
            body = message()
            replies = [process.post(body)[1]]
            end = time.monotonic() + 6
            while len(mitto.inbox()) < 2 and time.monotonic() < end:
                time.sleep(0.1)
                replies.append(process.post(body)[1])
        assert replies[1]["duplicate"] is True
        assert replies[-1]["duplicate"] is False
        assert len(mitto.inbox()) == 2
