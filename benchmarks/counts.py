"""Counts that do not depend on the speed of the machine: ``python -m benchmarks.counts``, for continuous integration.

Simultaneous calls all get a response, warm calls open no connection to Mitto, and idle connections are closed.
"""

# ruff: noqa: T201 - a command prints

import os
import sys
import time

from benchmarks.configuration import HEADERS, LONG_DELAY_MS, MANY_IN_FLIGHT, PAYLOAD
from benchmarks.contestants import OURS
from benchmarks.install import install_production
from benchmarks.load import Generator
from benchmarks.machine import descriptors
from benchmarks.running import RunError, Server, as_json, free_port, running, wait_for_200
from benchmarks.tables import table
from benchmarks.upstreams import DelayStub, delay_stub
from mitto_phone_hook.mitto.transport import KEEPALIVE_SECONDS

_WARM_BURSTS = 3
_SLACK_SECONDS = 1.0
_FEW_DESCRIPTORS = 2


def main() -> int:
    """Count. Returns the exit status: 0, 1 if a count is wrong, 2 if nothing could be counted."""
    available = sorted(os.sched_getaffinity(0))
    server_core, load_core = available[0], available[-1]
    port = free_port()
    try:
        install_production()
        with delay_stub(load_core) as stub, running(OURS.command(port, stub.url), port, server_core, OURS.environment(stub.url)) as server:
            wait_for_200(server, "POST", "/", as_json(PAYLOAD), HEADERS)
            findings = _count(server, stub, Generator(load_core))
    except RunError as error:
        print(f"no counts: {error}", file=sys.stderr)
        return 2
    print(table(["what", "counted", "must be", "verdict"], [[*row, "ok" if is_good else "WRONG"] for *row, is_good in findings]))
    return 0 if all(is_good for *_, is_good in findings) else 1


def _count(server: Server, stub: DelayStub, load: Generator) -> list[tuple[str, str, str, bool]]:
    # gunicorn opens some descriptors of its own shortly after its start.
    time.sleep(_SLACK_SECONDS)
    before = descriptors(server.pid)
    # Long enough to have all of them in flight at the same time, even on a slow machine.
    stub.set_delay(LONG_DELAY_MS)
    fresh = load.burst(server.port, MANY_IN_FLIGHT)
    opened, requests = stub.counts()
    stub.set_delay(0)
    warm = [load.burst(server.port, MANY_IN_FLIGHT) for _ in range(_WARM_BURSTS)]
    answered = sum(burst.answered for burst in warm)
    calls = _WARM_BURSTS * MANY_IN_FLIGHT
    reopened, reached = (after - earlier for after, earlier in zip(stub.counts(), (opened, requests), strict=True))
    time.sleep(KEEPALIVE_SECONDS + _SLACK_SECONDS)
    # The pool closes idle connections only when it is used.
    wait_for_200(server, "POST", "/", as_json(PAYLOAD | {"text": "Your verification code is: 000002"}), HEADERS)
    time.sleep(_SLACK_SECONDS)
    left = descriptors(server.pid) - before
    return [
        ("calls at once, fresh pool, responses", str(fresh.answered), str(MANY_IN_FLIGHT), fresh.answered == MANY_IN_FLIGHT),
        ("calls at once, warm pool, responses", str(answered), str(calls), answered == calls),
        ("messages that reached the upstream for them", str(reached), str(calls), reached == calls),
        ("connections opened for them", str(reopened), "0", reopened == 0),
        ("descriptors left when all is idle again", f"{left:+d}", f"at most +{_FEW_DESCRIPTORS}", left <= _FEW_DESCRIPTORS),
    ]


if __name__ == "__main__":
    sys.exit(main())
