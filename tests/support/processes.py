"""The real function and the fake Mitto as processes of their own, as an operator would run them."""

import contextlib
import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from support.programs import redis_program

ROOT = Path(__file__).parents[2]
API_KEY = "sandbox-key-of-the-tests-0001"
BEARER = "bearer-secret-of-the-tests-0001"
_START_SECONDS = 20.0


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
# Below the ports that the system gives away (32768 on), and each test worker's own: one that was found free a moment
# ago must not be somebody else's by the time a server of ours has started.
_PORTS = itertools.cycle(range(10_000 + _WORKER * 1200, 10_000 + _WORKER * 1200 + 1200))
for _ in range(os.getpid() % 1200):
    next(_PORTS)


def free_port() -> int:
    """Give a loopback port that nobody listens on, and that nobody else is given."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("an endless cycle ended")


def function_environment(**settings: str) -> dict[str, str]:
    """Give the environment of a function with these settings and nothing left over from ours."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
    return inherited | {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER} | settings


def command(port: int) -> list[str]:
    """Give the command of the README, with this environment's own interpreter."""
    program = Path(sys.executable).parent / "functions-framework"
    options = ["--source", "src/main.py", "--target", "send_phone_message", "--host", "127.0.0.1", "--port", str(port)]
    return [str(program), *options]


def own_command(port: int) -> list[str]:
    """Give the command of the container, with this environment's own interpreter: the function without the framework."""
    return [sys.executable, "-m", "mitto_phone_hook.cli", "run", "--port", str(port)]


@dataclass
class Process:
    """A running server: where it listens, its process and what it has printed so far."""

    port: int
    popen: subprocess.Popen[bytes]
    output: Path

    def lines(self) -> list[str]:
        """Give what has been printed, line by line."""
        return self.output.read_text(encoding="utf-8").splitlines()

    def log(self) -> list[dict[str, Any]]:
        """Give the log, every line of it a JSON object, with those of all calls that were answered."""
        if self.popen.poll() is None:
            # A line follows its reply; it is there when a later call is answered.
            self.request("GET", "/health")
        return [json.loads(line) for line in self.lines()]

    def untimed_log(self) -> list[dict[str, Any]]:
        """Give the log without the time that each line has."""
        lines = self.log()
        for line in lines:
            del line["time"]
        return lines

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Send one plain HTTP request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()

    def post(self, body: object, bearer: str = BEARER) -> tuple[int, dict[str, Any]]:
        """Post a payload to the hook as a platform would."""
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        status, answer = self.request("POST", "/", json.dumps(body).encode(), headers)
        return status, json.loads(answer)


class FakeMittoProcess(Process):
    """The fake Mitto over its own HTTP interface."""

    def inbox(self) -> list[dict[str, Any]]:
        """Give the messages that have left."""
        messages: list[dict[str, Any]] = self._state()["messages"]
        return messages

    def requests(self) -> int:
        """Give the number of requests that came."""
        number: int = self._state()["requests"]
        return number

    def clear(self) -> None:
        """Forget messages and counts."""
        self.request("DELETE", "/inbox")

    def script(self, *faults: str, default: str | None = None) -> None:
        """Make the next requests fail like this, and all the others like ``default``."""
        answer = self.request("POST", "/script", json.dumps({"faults": faults, "default": default}).encode())
        assert answer[0] == http.HTTPStatus.OK, answer

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.request("GET", "/inbox")[1])
        return state


@contextlib.contextmanager
def function(output: Path, **settings: str) -> Iterator[Process]:
    """Run the function under functions-framework until the block ends."""
    with function_by(command, output, **settings) as process:
        yield process


@contextlib.contextmanager
def function_by(command_of: Callable[[int], list[str]], output: Path, **settings: str) -> Iterator[Process]:
    """Run the function with one of the commands above until the block ends."""
    port = free_port()
    # gunicorn keeps a socket in the home directory, and removes that of another process.
    with _process(command_of(port), function_environment(**({"HOME": str(output.parent)} | settings)), output) as popen:
        process = Process(port, popen, output)
        _wait_until(lambda: process.request("GET", "/health")[0] == http.HTTPStatus.OK, process)
        yield process


@contextlib.contextmanager
def fake_mitto(output: Path) -> Iterator[FakeMittoProcess]:
    """Run the fake Mitto until the block ends."""
    port = free_port()
    arguments = [sys.executable, "-m", "mitto_phone_hook.sandbox", "--port", str(port), "--api-key", API_KEY, "--quiet"]
    with _process(arguments, function_environment(), output) as popen:
        process = FakeMittoProcess(port, popen, output)
        _wait_until(lambda: process.request("GET", "/inbox")[0] == http.HTTPStatus.OK, process)
        yield process


@contextlib.contextmanager
def redis_server(folder: Path, port: int | None = None, *options: str, program: str | None = None) -> Iterator[Process]:
    """Run a real Redis, or another ``program``, until the block ends; ``port`` to come back where one was before."""
    port = port or free_port()
    fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    arguments = [program or redis_program(), "--port", str(port), *fixed, *options]
    with _process(arguments, function_environment(), folder / f"redis-{port}.txt") as popen:
        process = Process(port, popen, folder / f"redis-{port}.txt")
        _wait_until(lambda: _is_listening(port), process)
        yield process


@contextlib.contextmanager
def redis_sentinel(folder: Path) -> Iterator[Process]:
    """Run a real Sentinel, which watches nothing, until the block ends."""
    port, output, settings = free_port(), folder / "sentinel.txt", folder / "sentinel.conf"
    settings.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\n", encoding="utf-8")
    with _process([redis_program(), str(settings), "--sentinel"], function_environment(), output) as popen:
        process = Process(port, popen, output)
        _wait_until(lambda: _is_listening(port), process)
        yield process


def ask_redis(port: int, *words: str) -> Any:
    """Ask a Redis on this machine something; give what it says: text, a number, or a list of these."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile("rb") as file:
        connection.sendall("".join([f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]).encode())
        return _response(file)


def _response(file: BinaryIO) -> Any:
    line = file.readline().decode().rstrip()
    kind, rest = line[:1], line[1:]
    if kind not in "$*:+" or not kind:
        raise OSError(line)
    if kind == "*":
        return [_response(file) for _ in range(int(rest))]
    if kind == "$":
        return file.read(int(rest) + 2).decode().rstrip("\r\n")
    return int(rest) if kind == ":" else rest


def _is_listening(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")


@contextlib.contextmanager
def _process(arguments: Sequence[str], environment: Mapping[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        popen = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield popen
    finally:
        popen.terminate()
        try:
            popen.wait(10)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def _wait_until(is_ready: Any, process: Process) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if is_ready():
                return
        if process.popen.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"did not start: {process.output.read_text(encoding='utf-8')}")
        time.sleep(0.02)
