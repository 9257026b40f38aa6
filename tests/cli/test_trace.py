"""``mitto-phone-hook trace``: one message found by each of its ids, in each form of a log."""

import re
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from support.logs import cloud_logging, message_id, morning, plain, request_id, untimed, with_timestamps
from support.processes import ROOT
from support.terminals import in_process

FORMS = [plain, with_timestamps, cloud_logging]


def trace(tmp_path: Path, log: str, wanted: str) -> tuple[int, str]:
    file = tmp_path / "log.txt"
    file.write_text(log, encoding="utf-8")
    return in_process("trace", wanted, str(file))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "wanted", [request_id(2), message_id(2), str(UUID(message_id(2))).upper()], ids=["ours", "Mitto's", "with hyphens"]
)
def test_a_message_is_told_from_the_call_to_the_handset(form: object, wanted: str, tmp_path: Path) -> None:
    assert callable(form)
    status, text = trace(tmp_path, form(morning()), wanted)
    assert status == 0
    assert text == (
        f"request_id {request_id(2)}  message_id {message_id(2)}\n"
        "+49********42  DE  auth0  authentication\n"
        "  ✓ 09:15:10.588     call received on /hooks/auth0\n"
        "  ✓ 09:15:11.000     accepted by Mitto after 412 ms\n"
        "                     1.2 ms claiming the message in the store\n"
        "                     0.9 ms counting for the limits\n"
        "                     408 ms Mitto\n"
        "                     1.1 ms storing the result\n"
        "                     2 segments, GSM-7, 2 attempts\n"
        "  ✓ 09:15:11.900     waiting in the network after 900 ms\n"
        "                     network 262-02\n"
        "  ✓ 09:15:33.800     delivered after 22.8 s\n"
        "                     network 262-02\n"
    )
    assert trace(tmp_path, form(morning()[::-1]), wanted) == (0, text)


@pytest.mark.parametrize("wanted", [request_id(5), request_id(6), message_id(5)])
def test_a_repeated_call_belongs_to_the_message_that_it_repeats(wanted: str, tmp_path: Path) -> None:
    _, text = trace(tmp_path, with_timestamps(morning()), wanted)
    assert re.findall(r"  . 09:\d\d:\d\d.\d{3}     (.*)", text) == [
        "call received on /hooks/supabase",
        "accepted by Mitto after 233 ms",
        "call received on /hooks/supabase",
        "repeated call, nothing sent after 1.4 ms",
    ]


def test_a_failure_is_marked_and_a_line_without_a_time_says_so(tmp_path: Path) -> None:
    _, text = trace(tmp_path, untimed(morning()), request_id(8))
    assert "  ! time unknown     expired before it was delivered after 4 min (error 21)\n" in text


@pytest.mark.parametrize("log", ["", "not a log\n", with_timestamps(morning())])
def test_a_message_that_is_not_in_the_log_is_not_found(log: str, tmp_path: Path) -> None:
    assert trace(tmp_path, log, request_id(9)) == (1, "not in this log\n")


@pytest.mark.parametrize("wanted", ["", "two words", "\x1b[2J", "x" * 101])
def test_an_id_that_is_none_is_wrong_usage(wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        trace(tmp_path, "", wanted)
    assert (ended.value.code, "\x1b" in capsys.readouterr().err) == (2, False)


def test_a_log_from_standard_input_is_read_as_often_as_needed() -> None:
    command = [sys.executable, "-m", "mitto_phone_hook.cli", "trace", request_id(6)]
    log = with_timestamps(morning()).encode()
    ended = subprocess.run(command, cwd=ROOT, input=log, capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr, ended.stdout.count(b"call received")) == (0, b"", 2)
