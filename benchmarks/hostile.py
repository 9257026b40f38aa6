"""What honest callers notice of hostile ones: ``python -m benchmarks.hostile``.

Prints how long honest calls take on a quiet server, while others hold 2,000 silent connections, and while others send headers
without end. The server has one core; honest and hostile callers share another one, on which honest callers come first.
"""

# ruff: noqa: T201 - a command prints

import asyncio
import contextlib
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import load_average
from benchmarks.tables import table

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.processes import Process, fake_mitto, function

SILENT_CONNECTIONS, FLOODING_CONNECTIONS = 2000, 4
CALLS, PAUSE_SECONDS = 1000, 0.01
GOAL = 2.0
"""How many times the quiet server's p99 an honest call may take."""

_HOST = "127.0.0.1"
_RETRY_SECONDS = 0.1
_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
_HEADERS = b"".join(b"x-%06d: %b\r\n" % (number, b"a" * 50) for number in range(1000))


async def hold_silent(port: int, opened: Callable[[], None]) -> None:
    """Open a connection, say nothing, and wait until the server closes it."""
    reader, writer = await asyncio.open_connection(_HOST, port)
    opened()
    with contextlib.closing(writer):
        await reader.read()


async def flood(port: int, opened: Callable[[], None]) -> None:
    """Send more headers than the server takes, and leave as soon as it refuses them."""
    reader, writer = await asyncio.open_connection(_HOST, port)
    opened()
    with contextlib.closing(writer):
        writer.write(_HEAD + _HEADERS)
        await reader.read(65536)


ATTACKS: dict[str, tuple[int, Callable[[int, Callable[[], None]], Awaitable[None]]]] = {
    "silent": (SILENT_CONNECTIONS, hold_silent),
    "flood": (FLOODING_CONNECTIONS, flood),
}
"""How many connections attack at the same time, and what each does. Whatever the server closes is opened again."""


async def attack(name: str, port: int) -> None:
    """Attack until this process gets SIGTERM. Print how many connections were opened: when all are, and at the end."""
    number, once = ATTACKS[name]
    total = 0

    def opened() -> None:
        nonlocal total
        total += 1
        if total == number:
            print(total, flush=True)

    async def again_and_again() -> None:
        while True:
            with contextlib.suppress(OSError):
                await once(port, opened)
                continue
            await asyncio.sleep(_RETRY_SECONDS if name == "silent" else 0)

    work = asyncio.gather(*(again_and_again() for _ in range(number)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    print(total, flush=True)


@contextlib.contextmanager
def attacked(name: str, port: int) -> Iterator[None]:
    """Let a process attack ``port`` until the block ends. Print how many connections it opened meanwhile."""
    command = [sys.executable, "-m", "benchmarks.hostile", name, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:  # noqa: S603 - our own command
        assert attacker.stdout is not None  # noqa: S101 - it is a pipe
        before, started = int(attacker.stdout.readline()), time.monotonic()
        try:
            yield
        finally:
            attacker.terminate()
        each = (int(attacker.stdout.readline()) - before) / (time.monotonic() - started)
        print(f"{name}: {each:.0f} more connections a second, as the server closes them")


def honest_calls(server: Process, first: int) -> list[float]:
    """Send messages one after the other, each on a connection of its own. Give the milliseconds that each took, sorted."""
    times = []
    for number in range(first, first + CALLS):
        code = f"{number:06d}"
        started = time.perf_counter()
        status, response = server.post({"recipient": "+12025550110", "text": f"Your code is {code}", "context": {"code": code}})
        times.append((time.perf_counter() - started) * 1000)
        if (status, response.get("status")) != (200, "accepted"):
            raise SystemExit(f"an honest call got {status} {json.dumps(response)}")
        time.sleep(PAUSE_SECONDS)
    return sorted(times)


def main(arguments: list[str]) -> int:
    """Measure. Returns the exit status: 0, or 1 if the goal is missed. With arguments: attack, as a process of its own."""
    if arguments:
        # It takes only what the honest callers, who share its core, leave.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        asyncio.run(attack(arguments[0], int(arguments[1])))
        return 0
    # The server allows as many connections as its descriptors permit, and the attacker needs as many itself.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    cores, busy = sorted(os.sched_getaffinity(0)), load_average()
    rows, quiet_p99, is_good = [], 0.0, True
    with TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        os.sched_setaffinity(0, {cores[-1]})
        mitto = stack.enter_context(fake_mitto(folder / "mitto.txt"))
        os.sched_setaffinity(0, {cores[0]})
        settings = {"MITTO_BASE_URL": f"http://{_HOST}:{mitto.port}", "ALLOWED_REGIONS": "US", "LIMITS": "off"}
        server = stack.enter_context(function(folder / "function.txt", **settings))
        os.sched_setaffinity(0, {cores[-1]})
        honest_calls(server, 900_000)
        for number, (title, attacker) in enumerate({"quiet": None, "2,000 silent connections": "silent", "headers": "flood"}.items()):
            with attacked(attacker, server.port) if attacker else contextlib.nullcontext():
                times = honest_calls(server, number * CALLS)
            p99 = times[CALLS * 99 // 100]
            quiet_p99 = quiet_p99 or p99
            is_good = is_good and p99 <= GOAL * quiet_p99
            rows.append([title, f"{statistics.median(times):.1f} ms", f"{p99:.1f} ms", f"{times[-1]:.1f} ms", f"{p99 / quiet_p99:.2f}"])
    print(table(["server", "median", "p99", "slowest", "p99 / quiet"], rows))
    print(f"{CALLS} honest calls each, none failed; load average before: {busy:.1f}; goal: p99 at most {GOAL:g} times the quiet server's")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
