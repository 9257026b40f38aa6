"""``make demo`` and ``make run`` as processes: the real function, the fake Mitto and the inbox together."""

import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from support.processes import function_environment

COMMAND = (sys.executable, "-m", "mitto_phone_hook.cli", "demo")
LIMIT_SECONDS = 40


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=function_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_demo_ends_when_the_handset_has_the_message() -> None:
    with started() as process:
        output, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, errors) == (0, "")
    [seconds] = re.findall(r"On the handset after ([0-9.]+) s\.", output)
    assert 1.2 <= float(seconds) < 10
    assert '"event": "delivered"' in output
    assert output.count("╭─") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_the_inbox_until_a_signal_also_while_somebody_reads(number: signal.Signals) -> None:
    with started("--stay") as process:
        assert process.stdout
        address = next(found[1] for line in process.stdout if (found := re.search(r"browser: +(http://\S+)", line)))
        host, port = address.removeprefix("http://").rstrip("/").split(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=LIMIT_SECONDS)) as reader:
            reader.request("GET", "/events")
            assert reader.getresponse().readline() == b"event: snapshot\n"
            began = time.monotonic()
            process.send_signal(number)
            output, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert time.monotonic() - began < 10
    assert output.rstrip().endswith("Both are stopped.")
