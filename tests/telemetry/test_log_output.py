"""Where log lines go: whole, in order, and never in the way of a message."""

import asyncio
import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

import pytest

from mitto_phone_hook.telemetry.log_output import LineOutput
from support.processes import fake_mitto, function

PIPE_BYTES = 8192
LINE = "x" * 299 + "\n"
LONG = "y" * 9000 + "\n"


class Pipe(NamedTuple):
    """A small pipe, which nobody reads of itself."""

    writer: TextIO
    reader: int

    def read(self) -> str:
        """Give what is in it now."""
        os.set_blocking(self.reader, False)
        pieces = []
        while True:
            try:
                piece = os.read(self.reader, 65536)
            except BlockingIOError:
                break
            if not piece:
                break
            pieces.append(piece)
        return b"".join(pieces).decode()


@contextmanager
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with os.fdopen(writer, "w") as stream:
        try:
            yield Pipe(stream, reader)
        finally:
            os.close(reader)


def about(lost: int) -> str:
    return f"{lost} lost\n"


def test_line_is_there_at_once() -> None:
    with pipe() as (writer, reader):
        LineOutput(writer, about).write(LINE)
        assert os.read(reader, 65536).decode() == LINE


@pytest.mark.parametrize("line", [pytest.param(LINE, id="short"), pytest.param(LONG, id="longer than the pipe")])
def test_what_a_full_pipe_does_not_take_comes_later_whole_and_in_order(line: str) -> None:
    with pipe() as end:
        output = LineOutput(end.writer, about)
        lines = [f"{number:04d}{line}" for number in range(60)]
        for one in lines:
            output.write(one)
        read = ""
        for _ in range(1000):
            read += end.read()
            if len(read) >= sum(map(len, lines)):
                break
            output.write("")
        assert read == "".join(lines)


def test_what_is_too_much_to_keep_is_counted() -> None:
    with pipe() as end:
        output = LineOutput(end.writer, about, max_waiting=3)
        for number in range(30):
            output.write(f"{number:04d}{LONG}")
        read = ""
        for _ in range(1000):
            read += end.read()
            if "lost" in read:
                break
            output.write("")
        lines = read.splitlines(keepends=True)
        assert lines[:3] == [f"{number:04d}{LONG}" for number in range(3)]
        assert int(lines[-1].split()[0]) >= 27


def test_a_loss_is_reported_once() -> None:
    with pipe() as end:
        output = LineOutput(end.writer, about, max_waiting=3)
        for number in range(30):
            output.write(f"{number:04d}{LONG}")
        read, silent = "", 0
        while silent < 5:
            piece = end.read()
            read, silent = read + piece, 0 if piece else silent + 1
            output.write(LINE if not silent and "lost" in read and LINE not in read.splitlines(keepends=True) else "")
        assert read.count("lost") == 1
        assert read.endswith(LINE)


def test_reader_that_has_gone_is_no_trouble() -> None:
    with pipe() as end:
        output = LineOutput(end.writer, about)
        os.close(end.reader)
        for _ in range(3):
            output.write(LINE)
        os.dup2(os.open(os.devnull, os.O_RDONLY), end.reader)


@pytest.mark.parametrize("is_there", [pytest.param(True, id="closed"), pytest.param(False, id="none")])
def test_no_output_is_no_trouble(tmp_path: Path, *, is_there: bool) -> None:
    stream = (tmp_path / "log").open("w")
    stream.close()
    LineOutput(stream if is_there else None, about).write(LINE)


async def test_what_waits_is_written_without_further_lines() -> None:
    with pipe() as end:
        output = LineOutput(end.writer, about)
        for number in range(60):
            output.write(f"{number:04d}{LINE}")
        read = ""
        async with asyncio.timeout(10):
            while read.count("\n") < 60:
                read += end.read()
                await asyncio.sleep(0.01)
        assert read == "".join(f"{number:04d}{LINE}" for number in range(60))


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("busy_threads")
def test_lines_of_several_threads_come_whole_and_once() -> None:
    expected = [f"{name} {number:04d} {'x' * 40}" for name in range(4) for number in range(300)]
    with pipe() as end:
        output = LineOutput(end.writer, about)

        def write(name: int) -> None:
            for number in range(300):
                output.write(f"{expected[300 * name + number]}\n")

        read = ""
        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, name) for name in range(4)]
            end_at = time.monotonic() + 20
            while (not all(one.done() for one in writing) or read.count("\n") < len(expected)) and time.monotonic() < end_at:
                read += end.read()
                output.write("")
        assert sorted(read.splitlines()) == expected


AT_EXIT = """
import fcntl, os, sys
from mitto_phone_hook.telemetry.log_output import LineOutput
fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 4096)
output = LineOutput(sys.stdout, str)
for number in range(60):
    output.write(f"{number:04d}" + "x" * 300 + chr(10))
print("written", file=sys.stderr, flush=True)
"""


def test_what_waits_is_written_at_the_end_of_the_process() -> None:
    with subprocess.Popen([sys.executable, "-c", AT_EXIT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        process.stderr.readline()
        assert process.stdout.read().count(b"\n") == 60


def test_calls_are_answered_while_nobody_reads_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    calls = 60
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "CH", "LIMITS": "prefix=off"}
        with function(log, **settings) as process:
            for number in range(calls):
                assert process.post(call(number))[0] == 200
            read = b""
            end = time.monotonic() + 10
            while read.count(b'"accepted"') < calls and time.monotonic() < end:
                with contextlib.suppress(BlockingIOError):
                    read += os.read(reader, 65536)
                time.sleep(0.01)
        os.close(reader)
    events = [json.loads(line)["event"] for line in read.splitlines()]
    assert events == ["started"] + ["accepted"] * calls


def call(number: int) -> dict[str, str]:
    return {"recipient": f"+4179000{number:04d}", "text": f"Your code is {number:06d}", "code": f"{number:06d}"}
