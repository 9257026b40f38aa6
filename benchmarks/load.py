"""Load: a steady load by wrk, and many calls at the same moment."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.configuration import BEARER, PAYLOAD, SIGNING_KEY
from benchmarks.running import HOST, as_json, run_tool

_SCRIPT = Path(__file__).parent / "load.lua"
_GRACE_SECONDS = 30
_GAP = 10_000


@dataclass(frozen=True)
class Load:
    """The results of wrk."""

    requests: int
    seconds: float
    socket_errors: int
    status_errors: int
    p50_ms: float
    p99_ms: float

    @property
    def rps(self) -> float:
        """Responses per second."""
        return self.requests / self.seconds

    @property
    def fault(self) -> str | None:
        """Why this load does not count. ``None``: every call got a 2xx response."""
        if self.requests == 0:
            return "no response at all"
        if self.socket_errors or self.status_errors:
            return f"{self.status_errors} responses were not 2xx, {self.socket_errors} socket errors"
        return None


class Generator:
    """Makes load from one core. The calls are numbered through the whole run."""

    def __init__(self, core: int) -> None:
        """Take the core."""
        self._core = core
        self._number = 0

    def wrk(self, port: int, *, in_flight: int, seconds: int, path: str = "/", most: int = 0) -> Load:
        """Keep ``in_flight`` calls in flight for some seconds. Start no more calls after ``most`` responses."""
        command = ["taskset", "-c", str(self._core), "wrk", "-t", "1", "-c", str(in_flight), "-d", f"{seconds}s", "--timeout", "15s"]
        command += ["-s", str(_SCRIPT), f"http://{HOST}:{port}{path}", "--", str(self._number), SIGNING_KEY.hex(), str(most)]
        output = run_tool(command, timeout=seconds + _GRACE_SECONDS)
        seen = json.loads(next(line for line in output.splitlines() if line.startswith("RESULT ")).removeprefix("RESULT "))
        self._number += seen["requests"] + _GAP
        return Load(
            requests=seen["requests"],
            seconds=seen["microseconds"] / 1e6,
            socket_errors=seen["socket_errors"],
            status_errors=seen["status_errors"],
            p50_ms=seen["p50_us"] / 1000,
            p99_ms=seen["p99_us"] / 1000,
        )

    def burst(self, port: int, calls: int) -> "Burst":
        """Send many calls at once over open connections, and wait for all responses."""
        first = self._number
        self._number += calls
        return asyncio.run(_burst(port, range(first, first + calls)))


@dataclass(frozen=True)
class Burst:
    """How many calls got a 200 response, and when the last response came."""

    calls: int
    answered: int
    slowest_seconds: float

    @property
    def fault(self) -> str | None:
        """Why the time does not count. ``None``: it counts."""
        return None if self.answered == self.calls else f"{self.calls - self.answered} of {self.calls} got no 200 response"


def call_number(number: int) -> bytes:
    """Return the bytes of a unique call, different from those of wrk."""
    recipient = f"+417{5 + number // 1000 % 5}{number % 1000:03d}{number // 5000 % 10000:04d}"
    code = f"{number % 1_000_000:06d}"
    context = PAYLOAD["context"]
    assert isinstance(context, dict)  # noqa: S101 - see configuration.py
    address = f"10.254.{number // 250 % 250}.{number % 250}"
    body = as_json(
        {"recipient": recipient, "text": f"Your verification code is: {code}", "context": {**context, "code": code, "ip": address}}
    )
    head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {BEARER}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _burst(port: int, numbers: range) -> Burst:
    connections = [await asyncio.open_connection(HOST, port) for _ in numbers]
    started = time.perf_counter()
    for number, (_, writer) in zip(numbers, connections, strict=True):
        writer.write(call_number(number))
    ends = await asyncio.gather(*(_response_time(reader) for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in connections), return_exceptions=True)
    good = [end for end in ends if end is not None]
    return Burst(len(numbers), len(good), max(good, default=started) - started)


async def _response_time(reader: asyncio.StreamReader) -> float | None:
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, EOFError, TimeoutError):
        return None
    return time.perf_counter() if head.startswith(b"HTTP/1.1 200 ") else None
