"""The day's load: users who ask for codes, platforms that call for them, and a Mitto that counts each SMS.

Callers and Mitto are in one process, so both see the same clock.
"""

import asyncio
import json
import math
import random
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from typing import NamedTuple, cast

from benchmarks.running import HOST
from benchmarks.wire import Messages, response
from mitto_phone_hook.callers import Reading, all_callers, build_call
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.platforms._contract import Response

MITTO_SECONDS = 0.05
SLOW_SECONDS = (3.0, 5.0)
SLOW_REFUSED = 0.25
"""Mitto's response time, that of a slow Mitto, and the share of requests that a slow Mitto refuses with 503."""

RESENDS, IMPATIENT_SHARE = 0.08, 0.5
IMPATIENT_SECONDS = 3.0
"""The share of users who press "resend" although all is well; half of them after so few seconds, the others when they get another SMS."""

HANGING_SECONDS, RELOADS = 3.0, 0.2
"""The share of users who press again while the page has been waiting for so long. Their platform sends the same code again."""

PRESSES = 4
"""How often a user asks again for a code after a failure."""

_CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_MOST_CODES = 1_000_000
_ACCEPTED = response(b'{"id":"3f2b7c1e-5d4a-4c0b-9a52-0f6f1f8f6a10","responseCode":0,"responseText":"SMS sent","messageParts":1}')
_REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Habit(NamedTuple):
    """How one kind of caller calls: its share of all, its code in ``callers/``, how long it waits, and when it calls again."""

    share: float
    caller: str
    waits_seconds: float
    tries: int
    pause_seconds: float
    repeats: frozenset[Reading]
    """After which readings of a response it calls again. A response that did not come in time is read as ``when_late``."""
    when_late: Reading


_FAILED = frozenset({Reading.FAILURE})

HABITS = {
    "Supabase": Habit(0.5, "supabase", 5, 3, 1, frozenset({Reading.REPEATED_AT_ONCE}), Reading.FAILURE),
    "Auth0": Habit(0.25, "auth0-provider", 9, 5, 5, frozenset({Reading.REPEATED}), Reading.FAILURE),
    "Ory": Habit(0.15, "native", 10, 6, 1, _FAILED, Reading.FAILURE),
    "own code, 4 s": Habit(0.1, "native", 4, 3, 1, _FAILED, Reading.FAILURE),
}
"""Sources: ``callers/`` and docs/platforms. The last one is code that waits for less than a slow Mitto needs, and calls again."""


class Point(NamedTuple):
    """The rate at one moment."""

    second: float
    clock: str
    share: float
    """Of the rate at the peak."""


@dataclass(frozen=True)
class Plan:
    """A curve of arrivals, and when Mitto is slow."""

    points: Sequence[Point]
    per_second: float
    """New codes at the peak."""
    slow: tuple[float, float] = (math.inf, math.inf)
    resend_after: float = 30

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.points[-1].second

    def rate(self, second: float) -> float:
        """Give the new codes per second at a moment, between two points along a cosine."""
        for (start, _, low), (end, _, high) in pairwise(self.points):
            if second <= end:
                part = (1 - math.cos(math.pi * (second - start) / (end - start))) / 2
                return self.per_second * (low + (high - low) * part)
        return 0.0

    def arrivals(self, rng: random.Random) -> Iterator[float]:
        """Give the seconds of arrivals of users who know nothing of each other (a Poisson process)."""
        second = 0.0
        while (second := second + rng.expovariate(self.per_second)) < self.seconds:
            if rng.random() * self.per_second < self.rate(second):
                yield second


class Call(NamedTuple):
    """One call, as its caller saw it. Seconds are those since the start."""

    code: int
    started: float
    ended: float
    status: int
    """0: no response in time, or the connection broke."""
    reading: Reading


@dataclass
class Ask:
    """One user who asks for a code: the codes that the platform made, one more after each failure."""

    at: float
    codes: list[int] = field(default_factory=list)
    has_code: bool = False
    """Whether the platform said, at last, that a code is on its way."""
    resends: list[float] = field(default_factory=list)
    """When the user pressed "resend" long enough after the first SMS to get another one, and was told that it is on its way."""


@dataclass
class Seen:
    """What callers and Mitto saw."""

    asks: list[Ask] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    sms: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each code left. An SMS counts when Mitto has it, whoever hears of it."""
    refused: int = 0
    """Requests that Mitto refused."""
    in_flight: int = 0
    strangers: int = 0
    """SMS without a code, or with one that nobody asked for."""


class Mitto(asyncio.Protocol):
    """One connection to Mitto."""

    def __init__(self, load: "Load") -> None:
        """Take what all connections share."""
        self._load = load
        self._messages = Messages()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Count each SMS, and respond later."""
        load = self._load
        for body in self._messages.feed(data):
            now = load.now()
            is_slow = load.plan.slow[0] <= now < load.plan.slow[1]
            if is_slow and load.rng.random() < SLOW_REFUSED:
                load.seen.refused += 1
                self._transport.write(_REFUSED)
                continue
            found = _CODE.search(json.loads(body)["text"])
            if found and int(found[0]) < load.codes:
                load.seen.sms[int(found[0])].append(now)
            else:
                load.seen.strangers += 1
            seconds = load.rng.uniform(*SLOW_SECONDS) if is_slow else MITTO_SECONDS
            load.loop.call_later(seconds, self._accept)

    def _accept(self) -> None:
        if not self._transport.is_closing():  # the function waits no longer
            self._transport.write(_ACCEPTED)


class Line(asyncio.Protocol):
    """A kept connection to the function. One call at a time."""

    def __init__(self) -> None:
        """Start without a call."""
        self.is_open = True
        self._response: asyncio.Future[Response] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        """Fail the call that waits."""
        self.is_open = False
        if self._response and not self._response.done():
            self._response.set_exception(ConnectionError())

    def data_received(self, data: bytes) -> None:
        """Collect the response."""
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if separator and self._response and length and len(body) >= int(length[1]):
            status, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self._buffer = b""
            self._response.set_result(Response(int(status.split(" ")[1]), body, headers))

    async def call(self, request: bytes) -> Response:
        """Send a request and give the response. Raises ``ConnectionError``."""
        self._response = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._response


class Load:
    """One run: the users, their platforms, and Mitto."""

    def __init__(self, plan: Plan, secrets: HookSecrets, numbers: Sequence[str], *, seed: int = 1) -> None:
        """Prepare; nothing runs yet. ``numbers`` are the users' E.164 numbers, which are used again when all were used."""
        self.plan = plan
        self.rng = random.Random(seed)  # noqa: S311 - chances of users, no secrets
        self.seen = Seen()
        self.codes = 0
        self._secrets = secrets
        self._numbers = cycle(numbers)
        self._lines: deque[Line] = deque()
        self._habits = list(HABITS.values())
        self._shares = [habit.share for habit in self._habits]

    async def listen(self, port: int) -> asyncio.Server:
        """Let Mitto listen."""
        self.loop = asyncio.get_running_loop()
        self._started = self.loop.time()
        return await self.loop.create_server(lambda: Mitto(self), HOST, port, backlog=2048)

    def now(self) -> float:
        """Give the seconds since the start."""
        return self.loop.time() - self._started

    async def run(self, port: int, is_over: Callable[[], bool] = lambda: False) -> None:
        """Let all users ask, and wait until each has a code or has given up. ``is_over`` ends the arrivals early."""
        self._port, self._wall = port, time.time()
        self._started = self.loop.time()
        async with asyncio.TaskGroup() as users:
            for at in self.plan.arrivals(self.rng):
                await asyncio.sleep(at - self.now())
                if is_over():
                    break
                ask = Ask(at)
                self.seen.asks.append(ask)
                users.create_task(self._ask(ask, next(self._numbers)))

    def hang_up(self) -> None:
        """Close all kept connections."""
        for line in self._lines:
            line.transport.close()

    async def _ask(self, ask: Ask, number: str) -> None:
        """Be one user."""
        habit = self.rng.choices(self._habits, self._shares)[0]
        for _ in range(PRESSES):
            code = self._new_code()
            ask.codes.append(code)
            ask.has_code = await self._press(habit, number, code, ask.at if len(ask.codes) == 1 else None)
            if ask.has_code:
                break
            await asyncio.sleep(self.rng.uniform(IMPATIENT_SECONDS, 2 * IMPATIENT_SECONDS))
        if not ask.has_code or self.rng.random() >= RESENDS:
            return
        is_impatient = self.rng.random() < IMPATIENT_SHARE
        pause = IMPATIENT_SECONDS if is_impatient else self.plan.resend_after + IMPATIENT_SECONDS
        if self.now() + pause < self.plan.seconds:
            await asyncio.sleep(pause)
            pressed = self.now()
            if await self._platform(habit, number, code, pressed, 100) and not is_impatient:
                ask.resends.append(pressed)

    async def _press(self, habit: Habit, number: str, code: int, due: float | None) -> bool:
        """Ask for a code, and once more while the page hangs. Tell whether the platform said that it is on its way."""
        first = asyncio.ensure_future(self._platform(habit, number, code, due, 1))
        done, _ = await asyncio.wait([first], timeout=HANGING_SECONDS)
        if done or self.rng.random() >= RELOADS:
            return await first
        return any(await asyncio.gather(first, self._platform(habit, number, code, None, 50)))

    async def _platform(self, habit: Habit, number: str, code: int, due: float | None, attempt: int) -> bool:
        """Be the platform: call, and call again as this one does. ``due``: when the user asked, if the call may be late."""
        for tried in range(habit.tries):
            reading = await self._call(habit, number, code, self.now() if due is None else due, attempt + tried)
            if reading not in habit.repeats:
                break
            due = None
            await asyncio.sleep(habit.pause_seconds)
        return reading is Reading.SUCCESS

    async def _call(self, habit: Habit, number: str, code: int, started: float, attempt: int) -> Reading:
        call = build_call(habit.caller, self._secrets, number, f"{code:06d}", self._wall, attempt=attempt)
        headers = "".join([f"{name}: {value}\r\n" for name, value in call.headers.items()])
        head = f"POST {call.path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}Content-Length: {len(call.body)}\r\n\r\n"
        self.seen.in_flight += 1
        line = None
        try:
            async with asyncio.timeout(habit.waits_seconds):
                line = await self._line()
                found = await line.call(head.encode() + call.body)
        except (OSError, TimeoutError):
            if line:
                line.transport.abort()
            status, reading = 0, habit.when_late
        else:
            self._lines.append(line)
            status, reading = found.status, all_callers()[habit.caller].judge(found).reading
        self.seen.in_flight -= 1
        self.seen.calls.append(Call(code, started, self.now(), status, reading))
        return reading

    async def _line(self) -> Line:
        """Take the connection that was used longest ago, so that all workers of the function get calls."""
        while self._lines:
            line = self._lines.popleft()
            if line.is_open and not line.transport.is_closing():
                return line
        return (await self.loop.create_connection(Line, HOST, self._port))[1]

    def _new_code(self) -> int:
        if self.codes == _MOST_CODES:
            raise RuntimeError("more codes than six digits can tell apart")
        self.codes += 1
        return self.codes - 1
