"""Load: a steady load by wrk, and many calls at the same moment."""

import asyncio
import base64
import hmac
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
        self.core = core
        self._number = 0

    def wrk(self, port: int, *, in_flight: int, seconds: int, path: str = "/", most: int = 0) -> Load:
        """Keep ``in_flight`` calls in flight for some seconds. Start no more calls after ``most`` responses."""
        command = ["taskset", "-c", str(self.core), "wrk", "-t", "1", "-c", str(in_flight), "-d", f"{seconds}s", "--timeout", "15s"]
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
    recipient, code = recipient_of(number), f"{number % 1_000_000:06d}"
    context = PAYLOAD["context"]
    assert isinstance(context, dict)  # noqa: S101 - see configuration.py
    address = f"10.254.{number // 250 % 250}.{number % 250}"
    body = as_json(
        {"recipient": recipient, "text": f"Your verification code is: {code}", "context": {**context, "code": code, "ip": address}}
    )
    head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {BEARER}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def signed_call(number: int, call_id: str, *, is_supabase: bool) -> bytes:
    """Return the bytes of a call that Standard Webhooks signs: a text to the native route, or Supabase's code, which needs a template.

    The same ``number`` gives the same message.
    """
    recipient, code, address = recipient_of(number), f"{number % 1_000_000:06d}", f"11.253.{number // 250 % 250}.{number % 250}"
    if is_supabase:
        user = {"id": f"{number:032x}", "phone": recipient[1:], "user_metadata": {"locale": "en"}}
        content = {"metadata": {"ip_address": address}, "user": user, "sms": {"otp": code, "phone": recipient[1:]}}
    else:
        content = {"recipient": recipient, "text": f"Your verification code is: {code}", "context": {"code": code, "ip": address}}
    body, now = as_json(content), str(int(time.time()))
    signature = base64.b64encode(hmac.digest(SIGNING_KEY, f"{call_id}.{now}.".encode() + body, "sha256")).decode()
    lines = [
        f"POST /hooks/{'supabase' if is_supabase else 'native'} HTTP/1.1",
        f"Host: {HOST}",
        "Content-Type: application/json",
        f"webhook-id: {call_id}",
        f"webhook-timestamp: {now}",
        f"webhook-signature: v1,{signature}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def recipient_of(number: int) -> str:
    """Return a Swiss mobile number. The digits that change fastest are in its middle, so that few numbers have the same first digits."""
    return f"+417{5 + number // 1000 % 5}{number % 1000:03d}{number // 5000 % 10000:04d}"


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
