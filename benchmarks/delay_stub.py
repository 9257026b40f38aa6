"""A stub of Mitto that responds after a delay, and counts.

``python -m benchmarks.delay_stub PORT CONTROL_PORT``. A line of digits on the control port sets the delay in
milliseconds. Every line gets the counters as JSON. nginx cannot wait without an extra module.
"""

import asyncio
import dataclasses
import json
import sys
from dataclasses import dataclass
from typing import cast

import uvloop

from benchmarks.wire import Messages, response

RESPONSE = response(
    b'{"id":"3f2b7c1e-5d4a-4c0b-9a52-0f6f1f8f6a10","timestamp":"2025-01-01T00:00:00.0000000Z",'
    b'"responseCode":0,"responseText":"SMS sent","textLength":34,"messageParts":1}'
)


@dataclass
class Counts:
    """Counts since the start; ``most_in_flight`` since the delay was last set."""

    connections: int = 0
    requests: int = 0
    in_flight: int = 0
    most_in_flight: int = 0


class Stub(asyncio.Protocol):
    """One connection of a client."""

    counts = Counts()
    delay_seconds = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._transport = cast("asyncio.Transport", transport)
        self._messages = Messages()
        self.counts.connections += 1

    def data_received(self, data: bytes) -> None:
        """Respond to every complete request after the delay."""
        for _ in self._messages.feed(data):
            counts = self.counts
            counts.requests += 1
            counts.in_flight += 1
            counts.most_in_flight = max(counts.most_in_flight, counts.in_flight)
            if self.delay_seconds:
                asyncio.get_running_loop().call_later(self.delay_seconds, self._respond)
            else:
                self._respond()

    def _respond(self) -> None:
        self.counts.in_flight -= 1
        self._transport.write(RESPONSE)


async def _control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := (await reader.readline()).strip().decode():
        if line.isdecimal():
            Stub.delay_seconds = int(line) / 1000
            Stub.counts.most_in_flight = Stub.counts.in_flight
        writer.write(json.dumps(dataclasses.asdict(Stub.counts)).encode() + b"\n")
    writer.close()


async def _serve(port: int, control_port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Stub, "127.0.0.1", port, backlog=2048)
    await asyncio.start_server(_control, "127.0.0.1", control_port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
