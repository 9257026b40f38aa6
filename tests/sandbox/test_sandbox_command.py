"""``python -m mitto_phone_hook.sandbox`` as a process."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mitto_phone_hook.sandbox.__main__ import main
from mitto_phone_hook.sandbox.faults import FAULTS
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS

LIMIT_SECONDS = 10
COMMAND = (sys.executable, "-m", "mitto_phone_hook.sandbox", "--port", "0")


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen((*COMMAND, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    assert process.stdout
    try:
        first = process.stdout.readline()
        assert first.startswith("fake Mitto listening on http://127.0.0.1:")
        yield process, int(first.rpartition(":")[2])
    finally:
        process.kill()
        process.communicate()


def send(port: int, key: str = "sandbox-key") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_SECONDS)
    content = json.dumps({"to": "12025550100", "from": "Mitto SMS", "text": "Your code is 123456", "validity": 5})
    connection.request("POST", "/sms.json", content, {"X-Mitto-API-Key": key})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_shows_each_sms_and_ends_on_a_signal(number: signal.Signals) -> None:
    with started() as (process, port):
        assert process.stdout
        assert process.stdout.readline() == f"set MITTO_BASE_URL=http://127.0.0.1:{port} MITTO_API_KEY=sandbox-key\n"
        assert send(port) == 200
        shown = [process.stdout.readline() for _ in range(5)]
        assert shown[2] == "╭─ Mitto SMS → 12025550100 ─╮\n"
        assert shown[4].startswith("╰─")
        assert "1 segment · GSM-7 · 19 of 160 septets · valid 5 min" in process.stdout.readline()
        idle = socket.create_connection(("127.0.0.1", port))
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT_SECONDS)
        idle.close()
        assert (process.returncode, errors) == (0, "")
        assert time.monotonic() - began < 5


def test_quiet_command_shows_no_sms_and_requires_its_key() -> None:
    with started("--quiet", "--api-key", "other") as (process, port):
        assert [send(port), send(port, key="other")] == [401, 200]
        process.terminate()
        output, _ = process.communicate(timeout=LIMIT_SECONDS)
        assert "╭" not in output


def test_command_goes_on_when_nobody_reads_its_output() -> None:
    with started() as (process, port):
        assert process.stdout
        process.stdout.close()
        assert [send(port), send(port)] == [200, 200]
        process.terminate()
        assert process.wait(LIMIT_SECONDS) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_taken_port_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    step = "choose another one with --port, and put it into MITTO_BASE_URL, too"
    assert capsys.readouterr().err == f"cannot start the fake Mitto: 127.0.0.1 port {port}: Address already in use; {step}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "loopback only"),  # noqa: S104 - it must be refused
        (["--api-key", ""], "key"),
        (["--reports-to", "http://192.0.2.1/reports"], "on this machine"),
    ],
    ids=["public", "no key", "reports"],
)
def test_invalid_settings_are_one_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert words in output.err


@pytest.mark.parametrize("port", ["65536", "-1", "x", ""])
def test_impossible_port_is_a_usage_error(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--port={port}"])
    assert ended.value.code == 2
    assert "a port is 0 to 65535" in capsys.readouterr().err


def test_help_lists_every_fault_and_magic_number(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    words = {word.partition("[")[0] for word in capsys.readouterr().out.split()}
    assert words >= FAULTS.keys()
    assert words >= {f"+{msisdn}" for msisdn in MAGIC_NUMBERS}
