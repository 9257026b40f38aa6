import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mitto_phone_hook.cli.run import cores
from support.processes import FakeMittoProcess, fake_mitto, free_port, function_by, function_environment, own_command

MESSAGE = {"recipient": "+12025550110", "text": "Your code is 314159", "context": {"code": "314159"}}


def run(*options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mitto_phone_hook.cli", "run", *options],
        env=function_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )


@pytest.fixture
def mitto(tmp_path: Path) -> contextlib.AbstractContextManager[FakeMittoProcess]:
    return fake_mitto(tmp_path / "mitto.txt")


def test_a_port_in_use_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert done.returncode == 1
    assert (
        done.stdout
        == f"Cannot listen on 127.0.0.1 port {port} (Address already in use); choose another one with --port, and put it into PUBLIC_URL.\n"
    )


@pytest.mark.parametrize("options", [["--port", "70000"], ["--host", "nowhere.invalid"]])
def test_an_address_that_is_none_is_said_in_one_line(options: list[str]) -> None:
    done = run(*options)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize("settings", [{"PORT": "http"}, {"WORKERS": "all"}])
def test_a_number_that_is_none_is_said_in_one_line(settings: dict[str, str]) -> None:
    done = run(**settings)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "PORT and WORKERS are numbers; correct them or leave them out.\n"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_wrong_settings_end_it_once_and_not_again_and_again(workers: str) -> None:
    done = run("--port", str(free_port()), "--workers", workers, HOOK_SECRETS="")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert said.count("HOOK_SECRETS is required") == 1


def test_two_workers_serve_and_end_with_a_signal(tmp_path: Path, mitto: contextlib.AbstractContextManager[FakeMittoProcess]) -> None:
    with mitto as fake:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{fake.port}", "WORKERS": "2"}
        with function_by(own_command, tmp_path / "function.txt", **settings) as process:
            status, response = process.post(MESSAGE)
            assert (status, response["status"]) == (200, "accepted")
            process.popen.send_signal(signal.SIGTERM)
            process.popen.wait(20)
        events = [json.loads(line)["event"] for line in process.lines()]
        assert events.count("started") == 2


def test_any_asgi_server_can_serve_the_application(tmp_path: Path, mitto: contextlib.AbstractContextManager[FakeMittoProcess]) -> None:
    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "uvicorn", "mitto_phone_hook.function:app", "--port", str(port), "--no-access-log"]

    with mitto as fake, function_by(command, tmp_path / "function.txt", MITTO_BASE_URL=f"http://127.0.0.1:{fake.port}") as process:
        status, response = process.post(MESSAGE)
        assert (status, response["status"]) == (200, "accepted")
        assert len(fake.inbox()) == 1


def test_a_package_that_is_missing_ends_several_workers_once_and_not_again_and_again() -> None:
    code = "import sys; sys.modules['redis'] = None; from mitto_phone_hook.cli import main; sys.exit(main())"
    environment = function_environment(STORE_URL="redis://127.0.0.1", WORKERS="2")
    done = subprocess.run([sys.executable, "-c", code, "run"], env=environment, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("STORE_URL needs the package redis") == 1


@pytest.mark.parametrize(
    ("limit", "at_most"),
    [("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 1), ("900000000 100000", None), ("max 100000", None)],
)
def test_a_container_has_as_many_workers_as_cores(tmp_path: Path, limit: str, at_most: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(f"{limit}\n", encoding="ascii")
    of_the_machine = cores(tmp_path / "none")
    assert of_the_machine >= 1
    assert cores(file) == (at_most or of_the_machine)
