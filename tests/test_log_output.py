"""Where log lines go: whole, in order, and never in the way of a message."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

import pytest

from mitto_phone_hook.log_output import LineOutput
from processes import fake_mitto, function

LINE = "x" * 299 + "\n"
LONG = "y" * 9000 + "\n"


class Pipe(NamedTuple):
    """A pipe of the least size there is, which nobody reads of itself."""

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
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
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
        lines = [f"{number:04d}{line}" for number in range(50)]
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


def test_calls_are_answered_while_nobody_reads_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    calls = 60
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "CH", "LIMITS": "prefix=off"}
        with function(log, **settings) as process:
            for number in range(calls):
                assert process.post(call(number))[0] == 200
            read = b""
            # What waits comes with the lines of further calls.
            for number in range(calls, 2 * calls):
                read += os.read(reader, 65536)
                assert process.post(call(number))[0] == 200
            read += os.read(reader, 65536)
        os.close(reader)
    events = [json.loads(line)["event"] for line in read.splitlines()]
    assert events.count("accepted") >= calls
    assert set(events) == {"started", "accepted"}


def call(number: int) -> dict[str, str]:
    return {"recipient": f"+4179000{number:04d}", "text": f"Your code is {number:06d}", "code": f"{number:06d}"}
