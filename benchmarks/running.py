"""Servers as processes: pinned to a core, their output drained, ended by id."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.machine import tree

HOST = "127.0.0.1"
ROOT = Path(__file__).parent.parent
CACHE = Path(__file__).parent / ".cache"

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.002
_DRAIN_PAUSE_SECONDS = 0.01


class RunError(Exception):
    """A started program failed. The text says how."""


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Output:
    """A pipe that is always read, in large pieces, like by a log collector, so that no writer waits."""

    def __init__(self, descriptor: int, on_line: Callable[[bytes], object] | None = None) -> None:
        """Read in its own thread until the last writer has closed. ``on_line`` gets every line, in that thread."""
        self.lines = 0
        self.bytes = 0
        self._on_line = on_line
        self._last: deque[bytes] = deque(maxlen=4)
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def last(self) -> str:
        """Return the last output."""
        return b"".join(self._last).decode(errors="replace")[-4000:]

    def wait(self) -> None:
        """Wait until everything is read."""
        self._thread.join(_STOP_SECONDS)

    def _read(self) -> None:
        rest = b""
        with contextlib.closing(os.fdopen(self._descriptor, "rb", buffering=0)) as pipe:
            while data := pipe.read(1 << 16):
                self.lines += data.count(b"\n")
                self.bytes += len(data)
                self._last.append(data)
                if self._on_line:
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._on_line(line)
                time.sleep(_DRAIN_PAUSE_SECONDS)


class Server:
    """A running server: its port, its process and what it prints."""

    def __init__(self, port: int, popen: subprocess.Popen[bytes], output: Output) -> None:
        """Take a process that has just been started."""
        self.port = port
        self.popen = popen
        self.output = output
        self.started_in_seconds = 0.0

    @property
    def pid(self) -> int:
        """The id of the process; there may be children."""
        return self.popen.pid

    def call(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Send one plain HTTP request. Raises ``OSError`` and ``http.client.HTTPException``."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()


@contextlib.contextmanager
def running(  # noqa: PLR0913 - what a process needs
    command: Sequence[str],
    port: int,
    core: int,
    environment: Mapping[str, str],
    *,
    folder: Path = ROOT,
    on_line: Callable[[bytes], object] | None = None,
) -> Iterator[Server]:
    """Run a server on one core until the block ends. ``on_line`` gets every line that it prints, in a thread of its own."""
    read, write = os.pipe()
    pinned = ["taskset", "-c", str(core), *command]
    try:
        popen = subprocess.Popen(  # noqa: S603 - our own commands
            pinned, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=write, stderr=write
        )
    finally:
        os.close(write)
    output = Output(read, on_line)
    try:
        yield Server(port, popen, output)
    finally:
        _end(popen)
        output.wait()


def wait_for_200(server: Server, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
    """Send the request until the response is 200. Raises ``RunError`` with the output of the server."""
    started = time.monotonic()
    last_seen = "no response"
    while time.monotonic() - started < _START_SECONDS and server.popen.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, response = server.call(method, path, body, headers)
            if status == http.HTTPStatus.OK:
                return
            last_seen = f"{status} {response.decode(errors='replace')[:300]}"
        time.sleep(_POLL_SECONDS)
    raise RunError(f"{server.popen.args!r} did not start: {last_seen}\n{server.output.last}")


def wait_for_port(server: Server) -> None:
    """Wait until the server listens. Raises ``RunError``."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.popen.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, server.port), timeout=1):
            return
        time.sleep(_POLL_SECONDS)
    raise RunError(f"{server.popen.args!r} did not start:\n{server.output.last}")


def inherited_environment() -> dict[str, str]:
    """Return the part of our environment that every program needs, without variables that could change how it runs."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def run_tool(command: Sequence[str], *, timeout: float, folder: Path = ROOT) -> str:
    """Run a program to its end and return its output. Raises ``RunError`` with its output."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout, check=True)  # noqa: S603 - our own commands
    except subprocess.TimeoutExpired as error:
        raise RunError(f"{command[0]} took longer than {timeout:g} s") from error
    except subprocess.CalledProcessError as error:
        raise RunError(f"{' '.join(command)} failed:\n{(error.stderr or error.stdout).decode(errors='replace')[-2000:]}") from error
    return done.stdout.decode()


def as_json(value: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def _end(popen: subprocess.Popen[bytes]) -> None:
    """Stop the process and its children: SIGTERM first, then SIGKILL."""
    family = tree(popen.pid)
    popen.terminate()
    try:
        popen.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        popen.wait()
