"""How much a storm of delivery reports slows messages down: ``python -m benchmarks.storm``.

One caller sends messages one after the other: first alone, then beside 2,000 reports a round (10,000 in all) on several connections, of
messages that nobody knows. Both run in several rounds, one after the other, to reduce the effect of other work on the machine.
"""

import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.processes import BEARER, fake_mitto, function

REPORTS, CONNECTIONS, ROUNDS = 2_000, 4, 5
CALLS = 400
"""Messages of a quiet round."""

GOAL = 1.5
TOKEN = "report-secret-of-the-benchmark"  # noqa: S105 - no secret
SETTINGS = {"REPORT_SECRETS": TOKEN, "ALLOWED_REGIONS": "CH", "LIMITS": "off", "CONVERSIONS": "on"}


def request(head: str, body: bytes = b"") -> bytes:
    """Return an HTTP request on a kept connection."""
    lines = [f"{head} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {BEARER}", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def exchange(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], sent: bytes) -> bytes:
    """Send a request and return the body of its response."""
    reader, writer = streams
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(head.decode())
    return body


async def messages(port: int, first: int, *, count: int = 0, while_alive: multiprocessing.Process | None = None) -> list[float]:
    """Send messages one after the other, ``count`` of them or as long as a process runs. Return the milliseconds of each."""
    streams = await asyncio.open_connection("127.0.0.1", port)
    taken: list[float] = []
    while len(taken) < count or (while_alive and while_alive.is_alive()):
        number = first + len(taken)
        body = json.dumps({"recipient": f"+4179{number % 10_000_000:07d}", "text": f"Your code is {number:06d}"}).encode()
        started = time.perf_counter()
        await exchange(streams, request("POST /", body))
        taken.append((time.perf_counter() - started) * 1000)
    streams[1].close()
    return taken


def storm(port: int, first: int) -> None:
    """Send all reports, each in a call of its own, on all connections at once."""

    async def connection(part: int) -> None:
        streams = await asyncio.open_connection("127.0.0.1", port)
        for number in range(first + part, first + REPORTS, CONNECTIONS):
            await exchange(streams, request(f"GET /reports/{TOKEN}?msgid={number:032x}&status=DELIVERED&mcc=228&mnc=01"))

    async def all_of_them() -> None:
        await asyncio.gather(*map(connection, range(CONNECTIONS)))

    asyncio.run(all_of_them())


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> int:
    """Print the times. Returns the exit status: 1 if the goal is missed."""
    quiet: list[float] = []
    stormy: list[float] = []
    seconds = 0.0
    with TemporaryDirectory() as name, fake_mitto(Path(name) / "mitto.txt") as mitto:
        settings = SETTINGS | {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}"}
        with function(Path(name) / "function.txt", **settings) as process:
            asyncio.run(messages(process.port, 0, count=CALLS))
            for number in range(1, ROUNDS + 1):
                quiet += asyncio.run(messages(process.port, 20_000 * number, count=CALLS))
                sending = multiprocessing.Process(target=storm, args=(process.port, REPORTS * number))
                started = time.monotonic()
                sending.start()
                stormy += asyncio.run(messages(process.port, 20_000 * number + CALLS, while_alive=sending))
                seconds += time.monotonic() - started
                sending.join()
    ratio = percentile(stormy, 0.99) / percentile(quiet, 0.99)
    for title, values in (("quiet", quiet), (f"beside {ROUNDS * REPORTS / seconds:,.0f} reports/s", stormy)):
        sys.stdout.write(
            f"{title:<26}p50 {percentile(values, 0.5):6.2f} ms   p99 {percentile(values, 0.99):6.2f} ms   {len(values)} messages\n"
        )
    sys.stdout.write(f"p99 {ratio:.2f} times the quiet one, the goal is {GOAL}: {'met' if ratio <= GOAL else 'MISSED'}\n")
    return int(ratio > GOAL)


if __name__ == "__main__":
    sys.exit(main())
