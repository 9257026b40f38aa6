"""A real Redis on one core: started, killed by its id, started again on the same port."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

from benchmarks.running import HOST, ROOT, Server, inherited_environment, running, wait_for_port

sys.path.append(str(ROOT / "tests"))
from support.processes import ask_redis, free_port
from support.programs import redis_program


def redis_port() -> int:
    """Return a free port that no outgoing connection is given, so that it is still free when Redis comes back."""
    return free_port()


@contextlib.contextmanager
def redis_server(port: int, core: int) -> Iterator[Server]:
    """Run a Redis that keeps nothing on disk until the block ends."""
    options = ["--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    with running([redis_program(), *options], port, core, inherited_environment()) as server:
        wait_for_port(server)
        yield server


def kill(server: Server) -> None:
    """End Redis as a crash does."""
    os.kill(server.pid, signal.SIGKILL)
    server.popen.wait()


def redis_cpu_seconds(port: int) -> float:
    """Return the CPU time that a Redis says it has used, in user and system mode."""
    lines = dict(line.split(":", 1) for line in ask_redis(port, "INFO", "cpu").splitlines() if ":" in line)
    return float(lines["used_cpu_sys"]) + float(lines["used_cpu_user"])
