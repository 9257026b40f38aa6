"""Programs that build and serve deployments, run as an operator would."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from support.processes import Process

MESSAGE = {
    "recipient": "+41791234567",
    "text": "Your code is 305918",
    "context": {"code": "305918", "message_type": "sms", "language": "en"},
}


_START_SECONDS = 20.0


def run(*command: str | Path, **options: Any) -> str:
    """Run a command to its good end and give what it printed."""
    done = attempt(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def attempt(*command: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command to whatever end."""
    done: subprocess.CompletedProcess[str] = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    return done


def new_environment(folder: Path, python: str = sys.executable) -> Path:
    """Make an empty virtual environment and give its interpreter."""
    run(python, "-m", "venv", "--without-pip", folder)
    return folder / "bin" / "python"


def cloud_run_environment(port: int, **settings: str) -> dict[str, str]:
    """Give what a Cloud Run function finds in its environment, and nothing of ours."""
    return {
        "PORT": str(port),
        "K_SERVICE": "mitto-phone-hook",
        "K_REVISION": "mitto-phone-hook-00001-abc",
        "K_CONFIGURATION": "mitto-phone-hook",
        "FUNCTION_TARGET": "send_phone_message",
        "FUNCTION_SIGNATURE_TYPE": "http",
        "CLOUD_RUN_TIMEOUT_SECONDS": "30",
        "HOME": "/nonexistent",
        "LOG_EXECUTION_ID": "true",
        "GOOGLE_CLOUD_PROJECT": "project-of-the-tests",
    } | settings


@contextlib.contextmanager
def serving(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], output: Path) -> Iterator[Process]:
    """Run a server from ``folder`` until the block ends; it listens on the environment's ``PORT``."""
    with output.open("wb") as file:
        popen = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
    process = Process(int(environment["PORT"]), popen, output)
    try:
        end = time.monotonic() + _START_SECONDS
        while not _is_healthy(process):
            assert popen.poll() is None, output.read_text(encoding="utf-8")
            assert time.monotonic() < end, output.read_text(encoding="utf-8")
            time.sleep(0.02)
        yield process
    finally:
        popen.terminate()
        try:
            popen.wait(15)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def _is_healthy(process: Process) -> bool:
    try:
        return process.request("GET", "/health") == (200, b'{"status":"ok"}')
    except OSError:
        return False


def stamps(*folders: Path) -> dict[str, tuple[int, int]]:
    """Give every file with its time stamp and size: equal before and after means that nothing was written."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for folder in folders for path in folder.rglob("*") if path.is_file()}
