"""Steady load for a long time with every fault of the fake Mitto: ``python -m benchmarks.soak [--seconds N]``.

At the end it compares memory, descriptors, latency and log with the start. Growth above the limits is a failure.
"""

# ruff: noqa: T201 - a command prints

import argparse
import asyncio
import itertools
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.configuration import API_KEY, FUNCTION_SETTINGS, HEADERS, PAYLOAD, SHORT_WINDOWS
from benchmarks.contestants import OURS
from benchmarks.install import install_production
from benchmarks.load import call_number
from benchmarks.machine import MachineError, cores, descriptors, memory_mib
from benchmarks.running import HOST, RunError, Server, as_json, free_port, inherited_environment, running, wait_for_200
from benchmarks.tables import table
from mitto_phone_hook.sandbox.faults import FAULTS

CALLS_A_SECOND = 50
FAULTS_A_SECOND = 4

MEMORY_GROWTH_MIB = 10.0
DESCRIPTOR_GROWTH = 16
LATENCY_DRIFT = 1.5
LATENCY_SLACK_MS = 1.0
"""A smaller drift is caused by the machine."""
LOG_BYTES_A_CALL = 1024

_TENTHS = 10
_LEAST_SECONDS = 100
_ANSWER_SECONDS = 10.0
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass
class Tenth:
    """What was measured in a tenth of the time."""

    good_ms: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)


class Soak:
    """One soak test: its load, its faults and its measurements."""

    def __init__(self, function: Server, mitto: Server, seconds: int) -> None:
        """Take the running servers."""
        self.statuses: Counter[str] = Counter()
        self.tenths = [Tenth() for _ in range(_TENTHS)]
        self._function = function
        self._mitto = mitto
        self._seconds = seconds

    async def run(self) -> None:
        """Run the load for the whole time, then wait for the last responses."""
        self._started = time.monotonic()
        helpers = [asyncio.create_task(self._make_faults()), asyncio.create_task(self._watch())]
        async with asyncio.TaskGroup() as calls:
            for number in range(self._seconds * CALLS_A_SECOND):
                await asyncio.sleep(self._started + number / CALLS_A_SECOND - time.monotonic())
                calls.create_task(self._call(number))
        for helper in helpers:
            helper.cancel()
        for end in await asyncio.gather(*helpers, return_exceptions=True):
            if isinstance(end, Exception):
                raise end

    async def _call(self, number: int) -> None:
        """Call once, over a connection of its own."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                status = await _status(number, self._function.port)
        except (OSError, EOFError, TimeoutError) as error:
            status = type(error).__name__
        self.statuses[status] += 1
        if status == "200":
            self._now().good_ms.append((time.monotonic() - started) * 1000)

    async def _make_faults(self) -> None:
        names = itertools.cycle(FAULTS)
        while True:
            faults = list(itertools.islice(names, FAULTS_A_SECOND))
            await asyncio.to_thread(self._mitto.call, "POST", "/script", as_json({"faults": faults}))
            await asyncio.to_thread(self._mitto.call, "DELETE", "/inbox")
            await asyncio.sleep(1)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._now().memory_mib.append(memory_mib(self._function.pid))
            self._now().descriptors.append(descriptors(self._function.pid))

    def _now(self) -> Tenth:
        passed = (time.monotonic() - self._started) / self._seconds
        return self.tenths[min(int(passed * _TENTHS), _TENTHS - 1)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak test. Returns the exit status: 0, 1 if something grew or failed, 2 if it could not start."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: %(default)s)")
    seconds = max(parser.parse_args(arguments).seconds, _LEAST_SECONDS)
    try:
        server_core, load_core = cores()
        install_production()
        return _soak(seconds, server_core, load_core)
    except (MachineError, RunError) as error:
        print(f"no soak: {error}", file=sys.stderr)
        return 2


def _soak(seconds: int, server_core: int, load_core: int) -> int:
    mitto_port, port = free_port(), free_port()
    fake = [sys.executable, "-m", "mitto_phone_hook.sandbox", "--port", str(mitto_port), "--api-key", API_KEY, "--quiet"]
    url = f"http://{HOST}:{mitto_port}"
    environment = OURS.environment(url) | FUNCTION_SETTINGS | SHORT_WINDOWS
    print(f"{seconds} s, {CALLS_A_SECOND} calls and {FAULTS_A_SECOND} faults per second, {len(FAULTS)} faults in turn ...", flush=True)
    with (
        running(fake, mitto_port, load_core, inherited_environment()) as mitto,
        running(OURS.command(port, url), port, server_core, environment) as function,
    ):
        wait_for_200(mitto, "GET", "/inbox")
        wait_for_200(function, "POST", "/", as_json(PAYLOAD), HEADERS)
        soak = Soak(function, mitto, seconds)
        asyncio.run(soak.run())
    # Only now is the whole output read.
    findings = list(_findings(soak, function))
    print(table(["what", "first", "last", "bound", "verdict"], [[*row, "ok" if is_good else "FAILED"] for *row, is_good in findings]))
    print(f"responses: {', '.join(f'{count} x {status}' for status, count in sorted(soak.statuses.items()))}")
    return 0 if all(is_good for *_, is_good in findings) else 1


def _findings(soak: Soak, function: Server) -> Iterator[tuple[str, str, str, str, bool]]:
    """Compare the second tenth, when everything is warm, with the last."""
    first, last = soak.tenths[1], soak.tenths[-1]
    calls = sum(soak.statuses.values())
    if not all((first.good_ms, first.memory_mib, last.good_ms, last.memory_mib)):
        yield "calls with a 200 response in both", str(len(first.good_ms)), str(len(last.good_ms)), "some", False
        return
    before, after = statistics.median(first.memory_mib), statistics.median(last.memory_mib)
    is_flat = after - before <= MEMORY_GROWTH_MIB
    yield "memory (PSS), MiB", f"{before:.1f}", f"{after:.1f}", f"+{MEMORY_GROWTH_MIB:g}", is_flat
    before, after = statistics.median(first.descriptors), statistics.median(last.descriptors)
    yield "file descriptors", f"{before:g}", f"{after:g}", f"+{DESCRIPTOR_GROWTH}", after - before <= DESCRIPTOR_GROWTH
    before, after = statistics.median(first.good_ms), statistics.median(last.good_ms)
    is_steady = after <= max(before * LATENCY_DRIFT, before + LATENCY_SLACK_MS)
    yield "p50 of good calls, ms", f"{before:.2f}", f"{after:.2f}", f"x {LATENCY_DRIFT:g}", is_steady
    size = function.output.bytes / calls
    yield "log bytes per call", "", f"{size:.0f}", f"{LOG_BYTES_A_CALL}", size <= LOG_BYTES_A_CALL
    # Two more lines are expected: the start, and the first call. Others, such as library warnings, are a surplus.
    surplus = function.output.lines - calls - 2
    yield "log lines above one per call", "", str(surplus), "0", surplus == 0
    lost = sum(count for status, count in soak.statuses.items() if not status.isdecimal())
    yield "calls without a response", "", str(lost), "0", lost == 0
    yield "500 responses (a bug)", "", str(soak.statuses["500"]), "0", soak.statuses["500"] == 0


async def _status(number: int, port: int) -> str:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(call_number(number))
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()
    return head.split(b" ", 2)[1].decode()


if __name__ == "__main__":
    sys.exit(main())
