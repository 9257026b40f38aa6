"""Steady load for a long time, with all that goes wrong in operation: ``python -m benchmarks.soak [--seconds N] [--fill N] [--rate N]``.

Two platforms call with signed messages. Some calls come twice at once, some users ask again. The fake Mitto has every fault in turn, and
sends delivery reports. Redis is killed again and again, and comes back empty.

At the end memory, descriptors and latency are compared with the start, and messages, responses, reports and log lines with each other.
Before that, ``--fill`` calls fill what the function remembers for ten minutes, so that memory which still grows is a leak.
The first two minutes warm it up: in a run of less than five minutes, growth of memory says little.
"""

# ruff: noqa: T201 - a command prints

import argparse
import asyncio
import itertools
import json
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from benchmarks.configuration import API_KEY, FUNCTION_SETTINGS, RESEND_SECONDS, SHORT_WINDOWS
from benchmarks.contestants import OURS
from benchmarks.install import install_production
from benchmarks.load import recipient_of, signed_call
from benchmarks.machine import MachineError, cores, descriptors, memory_mib
from benchmarks.running import HOST, RunError, Server, free_port, running, wait_for_200
from benchmarks.store import kill, redis_port, redis_server
from benchmarks.tables import table
from mitto_phone_hook.delivery.reports import ROUTE as REPORT_ROUTE
from mitto_phone_hook.sandbox.faults import FAULTS
from mitto_phone_hook.sandbox.reports import PLANS
from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sandbox.server import FakeMitto
from mitto_phone_hook.storage.memory_idempotency import MAX_ENTRIES
from mitto_phone_hook.telemetry.tally import SECONDS as TALLY_SECONDS

MESSAGES_A_SECOND = 40
"""By default; half of them by each platform."""
REPEAT_EVERY, RESEND_EVERY = 5, 5
"""So many messages for one that is called twice at once, and for one that is asked for again."""
FAULTS_A_SECOND = 4
REPORT_EVERY = 10
"""So many messages for one with delivery reports: the fake Mitto needs 25 ms to send one."""
RESTART_SECONDS, DOWN_SECONDS = 75, 3
"""Redis is killed so often, and away for so long."""

MEMORY_GROWTH_MIB = 10.0
DESCRIPTOR_GROWTH = 16
LATENCY_DRIFT = 1.5
LATENCY_SLACK_MS = 1.0
"""A smaller drift is caused by the machine."""
LOG_BYTES_A_CALL = 1024

SETTINGS = {"REPORT_SECRETS": "report-secret-of-the-benchmarks-1", "APP_NAME": "Example", "UNKNOWN_AS": "failed", "WORKERS": "1"}
"""A platform that is told ``accepted`` must have its message: what was only possibly sent is told as failed. The server has one core."""

_TENTHS = 10
_LEAST_SECONDS = 100
_RESPONSE_SECONDS = 10.0
_RESEND_SLACK_SECONDS = 1.0
_LAST_REPORTS_SECONDS = 10.0 + TALLY_SECONDS
"""A report of a message that is not known yet is looked at again after four seconds, and repeated reports are counted for a minute."""
_REPEATED = "report_repeated"
_TAKEN_FOR_REPEATED = 0.01
"""This share of the messages may have no event. Where Redis answers too late it has noted a report, which then counts as a repeated one."""
_FILLING_CONNECTIONS = 16
_FILLED = 49_999_999
"""The number of the one message of all calls that fill."""
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_EXPECTED_EVENTS = frozenset({"started", "sender_id_not_allowed", "store_unavailable", _REPEATED})
"""Of lines that belong to no call."""
_FAILED = b'"error"'
"""In the body of a 200 to Supabase."""


@dataclass
class Tenth:
    """What was measured in a tenth of the time."""

    good_ms: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)


class Row(NamedTuple):
    """One comparison of the report."""

    what: str
    first: str
    last: str
    bound: str
    is_good: bool


class LogCount:
    """What the function's log says, line by line."""

    def __init__(self) -> None:
        """Start empty."""
        self.calls = 0
        self.events: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.reported: set[str] = set()
        """Ids of messages with an event of a report."""
        self.reports = 0
        """Reports that have an event, or count as repeated."""

    def add(self, line: bytes) -> None:
        """Count a line. It is called in the thread that reads."""
        try:
            values = json.loads(line)
        except ValueError:
            values = {"event": "no JSON"}
        route, event = values.get("route", ""), values["event"]
        if event == _REPEATED:
            self.reports += values["count"]
            self.others[event] += 1
        elif route == REPORT_ROUTE:
            self.reports += 1
            self.reported |= {_id(value) for name in ("message_id", "request_id") if (value := values.get(name))}
        elif route.startswith("/hooks/"):
            self.calls += 1
            self.events[event] += 1
        else:
            self.others[event] += 1


class Mitto(FakeMitto):
    """A fake Mitto in this process that counts its messages in place of keeping them."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__(api_key=API_KEY, on_message=self._arrive)
        self.arrived: Counter[str] = Counter()
        """Messages by recipient."""
        self.to_report: list[tuple[str, str]] = []
        """Id and reference of the messages with reports."""
        self._plans = itertools.cycle(name for name, plan in PLANS.items() if plan.statuses)
        self._messages = 0

    def _arrive(self, message: Message) -> None:
        self.inbox.clear()
        self.arrived[message.to.removeprefix("+")] += 1
        self._messages += 1
        has_reports = self._messages % REPORT_EVERY == 0
        # The plan is for this very message: its reports are planned next.
        self.reports.script(next(self._plans) if has_reports else "never")
        if has_reports:
            self.to_report.append((_id(message.id), message.reference or ""))


class Redis:
    """A Redis that is killed and comes back, empty, on the same port."""

    def __init__(self, core: int) -> None:
        """Start it."""
        self.port = redis_port()
        self._core = core
        self._stack = ExitStack()
        self.start()

    def start(self) -> None:
        """Start it, empty."""
        self._server = self._stack.enter_context(redis_server(self.port, self._core))

    def kill(self) -> None:
        """End it as a crash does."""
        kill(self._server)
        self._stack.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._stack.close()


class Soak:
    """One soak test: its load, its faults and its measurements."""

    def __init__(self, function: Server, mitto: Mitto, seconds: int, rate: int) -> None:
        """Take the running servers."""
        self.statuses: Counter[str] = Counter()
        self.tenths = [Tenth() for _ in range(_TENTHS)]
        self.promised: Counter[str] = Counter()
        """How many messages were said to be accepted, by recipient."""
        self.allowed: dict[str, int] = {}
        """How many messages may arrive, by recipient."""
        self.restarts = 0
        self._function = function
        self._mitto = mitto
        self._seconds = seconds
        self._rate = rate

    async def fill(self, calls: int) -> None:
        """Fill what is remembered of signed calls: all of them are for one message, which is sent once in a while."""
        numbers = iter(range(calls))

        async def caller() -> None:
            reader, writer = await asyncio.open_connection(HOST, self._function.port)
            for number in numbers:
                writer.write(signed_call(_FILLED, f"fill_{number}", is_supabase=False))
                status, _ = await _response(reader)
                self.statuses[status] += 1
            writer.close()

        await asyncio.gather(*(caller() for _ in range(_FILLING_CONNECTIONS)))

    async def run(self, redis: Redis) -> None:
        """Run the load for the whole time, then wait for the last responses and reports."""
        self._started = time.monotonic()
        helpers = [asyncio.create_task(work) for work in (self._make_faults(), self._watch(), self._restart(redis))]
        async with asyncio.TaskGroup() as messages:
            for number in range(self._seconds * self._rate):
                await asyncio.sleep(self._started + number / self._rate - time.monotonic())
                messages.create_task(self._message(number))
        for helper in helpers:
            helper.cancel()
        for end in await asyncio.gather(*helpers, return_exceptions=True):
            if isinstance(end, Exception):
                raise end
        print(f"waiting {_LAST_REPORTS_SECONDS:g} s for the last reports ...", flush=True)
        await asyncio.sleep(_LAST_REPORTS_SECONDS)

    async def _message(self, number: int) -> None:
        """Call once, twice at once, or again after some time."""
        is_repeated, is_resent = number % REPEAT_EVERY == 1, number % RESEND_EVERY == 3  # noqa: PLR2004 - any other remainder
        is_supabase = number % 2 == 1
        to = recipient_of(number).removeprefix("+")
        self.allowed[to] = 1 + is_resent
        call = signed_call(number, f"msg_{number}", is_supabase=is_supabase)
        told = await asyncio.gather(*(self._call(call) for _ in range(1 + is_repeated)))
        # Supabase is told of success, too, while the other call is sending: only together do the two promise a message.
        self.promised[to] += all(told)
        if is_resent:
            await asyncio.sleep(RESEND_SECONDS + _RESEND_SLACK_SECONDS)
            self.promised[to] += await self._call(signed_call(number, f"again_{number}", is_supabase=is_supabase))

    async def _call(self, call: bytes) -> bool:
        """Call over a connection of its own. Return whether the message is said to be accepted."""
        started, is_accepted = time.monotonic(), False
        try:
            async with asyncio.timeout(_RESPONSE_SECONDS):
                reader, writer = await asyncio.open_connection(HOST, self._function.port)
                writer.write(call)
                status, body = await _response(reader)
                writer.close()
                is_accepted = status == "200" and _FAILED not in body
        except (OSError, EOFError, TimeoutError) as error:
            status = type(error).__name__
        self.statuses[status] += 1
        if is_accepted:
            self._now().good_ms.append((time.monotonic() - started) * 1000)
        return is_accepted

    async def _make_faults(self) -> None:
        names = itertools.cycle(FAULTS)
        while True:
            self._mitto.script(*itertools.islice(names, FAULTS_A_SECOND))
            await asyncio.sleep(1)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._now().memory_mib.append(memory_mib(self._function.pid))
            self._now().descriptors.append(descriptors(self._function.pid))

    async def _restart(self, redis: Redis) -> None:
        pause = _restart_seconds(self._seconds)
        for _ in range(self._seconds // (pause + DOWN_SECONDS)):
            await asyncio.sleep(pause)
            await asyncio.to_thread(redis.kill)
            await asyncio.sleep(DOWN_SECONDS)
            await asyncio.to_thread(redis.start)
            self.restarts += 1

    def _now(self) -> Tenth:
        passed = (time.monotonic() - self._started) / self._seconds
        return self.tenths[min(int(passed * _TENTHS), _TENTHS - 1)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak test. Returns the exit status: 0, 1 if something grew, was lost or failed, 2 if it could not start."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: %(default)s)")
    parser.add_argument("--fill", type=int, default=MAX_ENTRIES, help="calls before (default: %(default)s, the most that are remembered)")
    parser.add_argument("--rate", type=int, default=MESSAGES_A_SECOND, help="messages per second (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        server_core, load_core = cores()
        install_production()
        os.sched_setaffinity(0, {load_core})
        return asyncio.run(_soak(options, server_core, load_core))
    except (MachineError, RunError) as error:
        print(f"no soak: {error}", file=sys.stderr)
        return 2


async def _soak(options: argparse.Namespace, server_core: int, load_core: int) -> int:
    seconds, port, log = max(options.seconds, _LEAST_SECONDS), free_port(), LogCount()
    with Redis(load_core) as redis:
        async with Mitto() as mitto:
            more = {"STORE_URL": f"redis://{HOST}:{redis.port}", "PUBLIC_URL": f"http://{HOST}:{port}"}
            environment = OURS.environment(mitto.url) | FUNCTION_SETTINGS | SHORT_WINDOWS | SETTINGS | more
            with running(OURS.command(port, mitto.url), port, server_core, environment, on_line=log.add) as function:
                await asyncio.to_thread(wait_for_200, function, "GET", "/health")
                soak = Soak(function, mitto, seconds, options.rate)
                print(f"{options.fill:,} calls that fill what is remembered ...", flush=True)
                await soak.fill(options.fill)
                print(
                    f"{seconds} s: {options.rate} messages per second in turn by two platforms, {FAULTS_A_SECOND} faults per second,"
                    f" {len(FAULTS)} in turn, Redis killed every {_restart_seconds(seconds)} s ...",
                    flush=True,
                )
                await soak.run(redis)
    # Only now is the whole output read.
    rows = [*_growth(soak), *_messages(soak, mitto), *_log(soak, mitto, log, function)]
    print(table((*Row._fields[:-1], "verdict"), [[*row[:-1], "ok" if row.is_good else "FAILED"] for row in rows]))
    print(f"memory by tenth, MiB: {', '.join(f'{statistics.median(tenth.memory_mib):.1f}' for tenth in soak.tenths if tenth.memory_mib)}")
    print(f"responses: {_counts(soak.statuses)}\nresults: {_counts(log.events)}\nother lines: {_counts(log.others)}")
    return 0 if all(row.is_good for row in rows) else 1


def _growth(soak: Soak) -> Iterator[Row]:
    """Compare the third tenth, when everything is warm, with the last."""
    first, last = soak.tenths[2], soak.tenths[-1]
    if not all((first.good_ms, first.memory_mib, last.good_ms, last.memory_mib)):
        yield Row("accepted messages in both tenths", str(len(first.good_ms)), str(len(last.good_ms)), "some", is_good=False)
        return
    before, after = statistics.median(first.memory_mib), statistics.median(last.memory_mib)
    is_flat = after - before <= MEMORY_GROWTH_MIB
    yield Row("memory (PSS), MiB", f"{before:.1f}", f"{after:.1f}", f"+{MEMORY_GROWTH_MIB:g}", is_flat)
    before, after = statistics.median(first.descriptors), statistics.median(last.descriptors)
    yield Row("file descriptors", f"{before:g}", f"{after:g}", f"+{DESCRIPTOR_GROWTH}", after - before <= DESCRIPTOR_GROWTH)
    before, after = statistics.median(first.good_ms), statistics.median(last.good_ms)
    is_steady = after <= max(before * LATENCY_DRIFT, before + LATENCY_SLACK_MS)
    yield Row("p50 of accepted messages, ms", f"{before:.2f}", f"{after:.2f}", f"x {LATENCY_DRIFT:g}", is_steady)


def _messages(soak: Soak, mitto: Mitto) -> Iterator[Row]:
    """Compare what the callers were told with what has arrived."""
    arrived = {to: mitto.arrived[to] for to in soak.allowed}
    yield _count("messages that arrived", sum(arrived.values()))
    yield _must_be_0("lost: accepted, but not arrived", sum(max(soak.promised[to] - count, 0) for to, count in arrived.items()))
    yield _must_be_0("doubles, whether Redis was there or not", sum(max(count - soak.allowed[to], 0) for to, count in arrived.items()))
    yield Row("kills of Redis", "", str(soak.restarts), "some", soak.restarts > 0)
    yield _must_be_0("calls without a response", sum(count for status, count in soak.statuses.items() if not status.isdecimal()))
    yield _must_be_0("500 responses (a bug)", soak.statuses["500"])


def _log(soak: Soak, mitto: Mitto, log: LogCount, function: Server) -> Iterator[Row]:
    """Compare the log with the calls and the reports."""
    calls = soak.statuses.total()
    missing, most = sum(map(log.reported.isdisjoint, mitto.to_report)), int(len(mitto.to_report) * _TAKEN_FOR_REPEATED)
    yield _count("messages with reports", len(mitto.to_report))
    yield _must_be_0("reports that the function did not take", mitto.reports.failed)
    yield Row(
        "reports in the log, of reports taken", f"{mitto.reports.sent:,}", f"{log.reports:,}", "all", log.reports == mitto.reports.sent
    )
    yield Row("messages with reports, but without an event", "", str(missing), str(most), missing <= most)
    yield _must_be_0("internal errors in the log", log.events["internal_error"])
    yield Row("log lines of calls, less calls", "", str(log.calls - calls), "0", log.calls == calls)
    yield _must_be_0("other log lines, not expected", sum(count for event, count in log.others.items() if event not in _EXPECTED_EVENTS))
    size = function.output.bytes / calls
    yield Row("log bytes per call", "", f"{size:.0f}", f"{LOG_BYTES_A_CALL}", size <= LOG_BYTES_A_CALL)


def _restart_seconds(seconds: int) -> int:
    """Return how often Redis is killed, twice at least in a soak of so many seconds."""
    return min(RESTART_SECONDS, seconds // 3)


def _count(what: str, count: int) -> Row:
    return Row(what, "", f"{count:,}", "some", count > 0)


def _must_be_0(what: str, count: int) -> Row:
    return Row(what, "", f"{count:,}", "0", count == 0)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} x {name}" for name, count in sorted(counter.items()))


def _id(written: str) -> str:
    """Return an id as it is compared: with or without hyphens it is the same."""
    return written.replace("-", "").lower()


async def _response(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Return the status and the body of a response."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head.split(b" ", 2)[1].decode(), await reader.readexactly(int(length[1]) if length else 0)


if __name__ == "__main__":
    sys.exit(main())
