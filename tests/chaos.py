"""Chaos: 2,000 codes, each posted 1 to 5 times to two functions that share a Redis, while everything around them fails.

``python tests/chaos.py`` tells what was done and what came of it. Half of the codes come in signed calls, each code with one
``webhook-id``: for one id there is never a second SMS. For the other half there are never two SMS within 30 seconds; a call after
that is a user who asks again. The run fails when a code got more although the store was up, and when a reply promised an SMS
that is not there. With ``--store cluster`` they share a Redis Cluster of three masters and three replicas: slots are moved in
mid-run, a master is killed, and later all servers are restarted.

What can be promised: Redis keeps nothing on disk here, so after a restart it has forgotten every code, and while it
is away each function knows only its own calls. A code whose calls touch such a time may leave twice, which is
counted and shown. A code is *store up* if from the start of its first call to the end of its last one the store was
up without a break; for those, two SMS are a bug. One doubt remains: to a function, a store is down that does not
answer within 0.25 s, and on a machine that has no time for its processes a healthy one does not. So somebody asks all
of them all the time, and two SMS at a time when they were slow to answer are shown apart.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import httpx
from redis.crc import key_slot

from mitto_phone_hook.sandbox.faults import FAULTS
from mitto_phone_hook.storage.redis_client import PAUSE_SECONDS, TIMEOUT_SECONDS
from support.battery import HOOK_SECRETS, signed
from support.clusters import Cluster, Move, redis_cluster
from support.numbers import fictional_numbers
from support.processes import BEARER, FakeMittoProcess, Process, ask_redis, fake_mitto, function, redis_server

SETTINGS = {"ALLOWED_REGIONS": "US", "DEADLINE_SECONDS": "2", "LIMITS": "off", "HOOK_SECRETS": HOOK_SECRETS}
RESEND_AFTER_SECONDS = 30
"""The default of the setting."""

MAX_CODES = 35_000
MAX_POSTS = 5
MAX_FAULTS = 4
FAULTY_SHARE = 0.5
GAPS_SECONDS = (0.05, 0.05, 0.5, 0.5, 4.0, 600.0)
"""How long after its first call a code is repeated at most: a race, a caller's retry, another page of the browser."""

IN_FLIGHT = 256
MOVED_SLOTS = 100
RESERVE_SECONDS = 7.0
"""For the last answers and the end of all processes."""

LEAST_SECONDS = 5.0
PROGRESS_SECONDS = 0.2
PROBE_SECONDS = 0.05
"""Between two questions, and the longest time to an answer: a claim on a new connection takes up to five round trips."""

CALLER_SECONDS = 10.0
NO_ANSWER = 0
ADMITTING = frozenset({NO_ANSWER, 200, 409, 500, 504})
"""Replies that leave room for an SMS. All others say that certainly none has left."""

DEFINITION = f"""\
The store counts as down from its stop until every function has certainly come back to it: {PAUSE_SECONDS:g} s (the pause
after a failure) and {TIMEOUT_SECONDS:g} s (the time-out) after it answers again. A code counts as "store up" if no such time
lies between the start of its first call and the end of its last one. The machine "stalled" if Redis or a function took
more than {PROBE_SECONDS * 1000:g} ms for a trivial question."""


STORES = ("redis", "cluster")


class Options(NamedTuple):
    codes: int = 2000
    seconds: float = 60.0
    seed: int = 0
    store: str = STORES[0]


class Post(NamedTuple):
    """A call to be made: seconds after the start, which code, which of the two functions."""

    at: float
    code: int
    function: int


class Call(NamedTuple):
    """A call that was made, on the monotonic clock of this process."""

    code: int
    pid: int
    """Which function, and which of its lives."""
    started: float
    ended: float
    status: int
    reply: str


class Outage(NamedTuple):
    """A time without the store.

    From just before it is stopped until every function has certainly come back to it: at the last failure a function
    leaves it alone for ``PAUSE_SECONDS``, and ``TIMEOUT_SECONDS`` is what that failure may have taken.
    """

    started: float
    ended: float


def outage(started: float, answers_again: float) -> Outage:
    """Count the time until every function has come back."""
    return Outage(started, answers_again + PAUSE_SECONDS + TIMEOUT_SECONDS)


def is_signed(code: int) -> bool:
    """Tell whether the calls of a code are signed, all under one id."""
    return code % 2 == 1


@dataclass
class Findings:
    """The result, seen from the callers and from Mitto's inbox."""

    sms: Mapping[int, int]
    """Number of SMS by code."""
    calls: Sequence[Call]
    outages: Sequence[Outage]
    stalls: Sequence[Outage] = ()
    """Times when processes were slow to answer although they were up, each as if it had been an outage."""
    reports: int = 0
    """How often a function said that the store is down."""

    @cached_property
    def by_code(self) -> dict[int, list[Call]]:
        by_code = defaultdict(list)
        for call in sorted(self.calls, key=lambda call: call.started):
            by_code[call.code].append(call)
        return dict(by_code)

    @cached_property
    def touched_by_outage(self) -> set[int]:
        """Codes for which the store was not up from the start of the first call to the end of the last one."""
        return self._touched(self.outages)

    def _touched(self, times: Sequence[Outage]) -> set[int]:
        spans = {code: (calls[0].started, max(call.ended for call in calls)) for code, calls in self.by_code.items()}
        return {code for code, (started, ended) in spans.items() if any(time.started < ended and started < time.ended for time in times)}

    def may_leave(self, code: int) -> int:
        """Give how many SMS are right for a code whose calls span so long a time."""
        calls = self.by_code[code]
        span = max(call.ended for call in calls) - calls[0].started
        return 1 if is_signed(code) else 1 + int(span // RESEND_AFTER_SECONDS)

    @property
    def doubled(self) -> set[int]:
        """Codes with more SMS than are right."""
        return {code for code, number in self.sms.items() if number > self.may_leave(code)}

    @property
    def doubled_while_stalled(self) -> set[int]:
        return (self.doubled - self.touched_by_outage) & self._touched(self.stalls)

    @property
    def doubled_while_up(self) -> set[int]:
        return self.doubled - self.touched_by_outage - self.doubled_while_stalled

    @property
    def doubled_by_one_function(self) -> set[int]:
        """Codes with more SMS than are right for the functions that were called: store or not, each remembers its own."""
        functions = {code: len({call.pid for call in self.by_code[code]}) for code in self.sms}
        return {code for code, number in self.sms.items() if number > functions[code] * self.may_leave(code)}

    @property
    def promised_and_missing(self) -> set[int]:
        return {call.code for call in self.calls if call.status == httpx.codes.OK and not self.sms.get(call.code)}

    @property
    def sent_and_denied(self) -> set[int]:
        return {code for code in self.sms if not any(call.status in ADMITTING for call in self.by_code[code])}

    @property
    def bugs(self) -> set[int]:
        return {call.code for call in self.calls if call.status == httpx.codes.INTERNAL_SERVER_ERROR}

    @property
    def musts(self) -> dict[str, set[int]]:
        """What must be empty, by name."""
        return {
            "store up, an SMS too many": self.doubled_while_up,
            "store up or down, an SMS too many by one function": self.doubled_by_one_function,
            "accepted, but no SMS": self.promised_and_missing,
            "SMS, but every reply said that none left": self.sent_and_denied,
            "reply 500, a bug": self.bugs,
        }


@dataclass
class Log:
    """What was done when, and on a terminal how far it is."""

    began: float = field(default_factory=time.monotonic)
    events: list[tuple[float, str]] = field(default_factory=list)
    is_terminal: bool = False
    written: float = 0.0

    def event(self, sentence: str) -> None:
        self.events.append((time.monotonic() - self.began, sentence))
        self.progress("")

    def progress(self, done: str) -> None:
        """Update the one line, a few times a second."""
        if self.is_terminal and (not done or time.monotonic() - self.written > PROGRESS_SECONDS):
            self.written = time.monotonic()
            latest = self.events[-1][1] if self.events else "starting"
            sys.stdout.write(f"\r\x1b[K{time.monotonic() - self.began:4.0f} s  {done}{latest}")
            sys.stdout.flush()

    def close(self) -> None:
        if self.is_terminal:
            sys.stdout.write("\r\x1b[K")


def plan_posts(rng: random.Random, codes: int, seconds: float) -> list[Post]:
    """Choose when each code is posted, and to which function."""
    posts = []
    for code in range(codes):
        first = rng.uniform(0, seconds)
        repeats = (first + rng.uniform(0, min(rng.choice(GAPS_SECONDS), seconds - first)) for _ in range(rng.randrange(MAX_POSTS)))
        posts += [Post(at, code, rng.randrange(2)) for at in (first, *repeats)]
    return sorted(posts)


def plan_faults(rng: random.Random, codes: int) -> dict[int, list[str]]:
    """Choose what Mitto does to the first requests for each code; to the others it is kind."""
    faulty = [code for code in range(codes) if rng.random() < FAULTY_SHARE]
    return {code: rng.choices(list(FAULTS), k=rng.randint(1, MAX_FAULTS)) for code in faulty}


class Stage:
    """The processes: both functions, Redis and the fake Mitto. All that blocks runs in threads."""

    def __init__(self, stack: ExitStack, folder: Path, log: Log) -> None:
        self.outages: list[Outage] = []
        self.stalls: list[Outage] = []
        self.functions: list[Process] = []
        self.mitto: FakeMittoProcess
        self._stack = stack
        self._folder = folder
        self._log = log
        self._redis: Process
        self._redis_stack = stack.enter_context(ExitStack())
        self._cluster: Cluster
        self._starts = 0
        self._is_redis_up = True

    async def start(self, store: str) -> None:
        self.mitto, self._redis = await asyncio.gather(
            asyncio.to_thread(self._stack.enter_context, fake_mitto(self._folder / "mitto.txt")),
            asyncio.to_thread(self._start_cluster if store == "cluster" else self._start_redis),
        )
        self.functions += await asyncio.gather(self._function(), self._function())

    def _start_redis(self) -> Process:
        return self._redis_stack.enter_context(redis_server(self._folder))

    def _start_cluster(self) -> Process:
        self._cluster = self._redis_stack.enter_context(redis_cluster(self._folder, replicas=3))
        # One that is never killed alone: the questions of `watch` go to it.
        return self._cluster.nodes[1]

    async def kill_function(self) -> None:
        """Kill the first function with all its workers, and start it anew."""
        for pid in _tree(self.functions[0].popen.pid):
            os.kill(pid, signal.SIGKILL)
        self._log.event("one function is killed")
        self.functions[0] = await self._function()
        self._log.event("it is back")

    async def stop_redis(self, until: Awaitable[None]) -> None:
        """Stop Redis, and start it, empty, after ``until``."""
        started = time.monotonic()
        self._is_redis_up = False
        await asyncio.to_thread(self._redis_stack.close)
        self._log.event("Redis is stopped")
        await until
        again = redis_server(self._folder, self._redis.port)
        self._redis = await asyncio.to_thread(self._redis_stack.enter_context, again)
        self._is_back(started, "Redis is back, empty")

    async def hang_redis(self, until: Awaitable[None]) -> None:
        """Let Redis take everything and answer nothing until after ``until``."""
        started = time.monotonic()
        self._is_redis_up = False
        self._redis.popen.send_signal(signal.SIGSTOP)
        self._log.event("Redis hangs")
        await until
        self._redis.popen.send_signal(signal.SIGCONT)
        self._is_back(started, "Redis answers again")

    async def move_slots(self) -> None:
        """Move slots that hold keys to other masters, under the calls; the store is up all the time."""
        moved = await asyncio.to_thread(self._move_slots)
        self._log.event(f"{moved} slots with keys are moved to other masters")

    def _move_slots(self) -> int:
        slots = {key_slot(key.encode()) for node in self._cluster.nodes[:3] for key in ask_redis(node.port, "KEYS", "*")}
        moved = random.Random(0).sample(sorted(slots), min(MOVED_SLOTS, len(slots)))  # noqa: S311 - any of them
        for slot in moved:
            move = Move(slot, self._cluster)
            move.begin()
            move.carry_all()
            move.end()
        return len(moved)

    async def kill_master(self) -> None:
        """Kill a master; its replica takes its place, and it comes back as the replica of that."""
        started = time.monotonic()
        await asyncio.to_thread(self._cluster.kill, 0)
        self._log.event("a master is killed")
        await asyncio.to_thread(self._cluster.wait_until_up)
        self._is_back(started, "its replica has taken its place")
        await asyncio.to_thread(self._cluster.start, 0)

    async def restart_cluster(self, until: Awaitable[None]) -> None:
        """Kill all servers of the cluster, and start them, empty, after ``until``."""
        started = time.monotonic()
        self._is_redis_up = False
        numbers = range(len(self._cluster.nodes))
        await asyncio.to_thread(self._cluster.kill, *numbers)
        self._log.event("all servers of the cluster are killed")
        await until
        await asyncio.to_thread(self._cluster.start, *numbers)
        await asyncio.to_thread(self._cluster.wait_until_up)
        self._redis = self._cluster.nodes[1]
        self._is_back(started, "all are back, empty")

    def _is_back(self, started: float, sentence: str) -> None:
        self.outages.append(outage(started, time.monotonic()))
        self._is_redis_up = True
        begun, ended = (moment - self._log.began for moment in self.outages[-1])
        self._log.event(f"{sentence}; counted as down from {begun:.1f} to {ended:.1f}")

    def reports(self) -> int:
        """Count the log lines in which a function says that the store is down."""
        return sum(file.read_text(encoding="utf-8").count('"store_unavailable"') for file in self._folder.glob("function-*.txt"))

    async def watch(self) -> None:
        """Ask all processes all the time, and note when one is slow to answer."""
        health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        while True:
            planned = time.monotonic() + PROBE_SECONDS
            await asyncio.sleep(PROBE_SECONDS)
            questions = [(function.port, health) for function in self.functions]
            if self._is_redis_up:
                questions.append((self._redis.port, b"PING\r\n"))
            await asyncio.gather(*(_ask(port, question) for port, question in questions))
            if time.monotonic() - planned > PROBE_SECONDS:
                self.stalls.append(outage(planned, time.monotonic()))

    async def _function(self) -> Process:
        self._starts += 1
        output = self._folder / f"function-{self._starts}.txt"
        urls = {"MITTO_BASE_URL": f"http://127.0.0.1:{self.mitto.port}", "STORE_URL": f"redis://127.0.0.1:{self._redis.port}"}
        return await asyncio.to_thread(self._stack.enter_context, function(output, **SETTINGS, **urls))


async def _ask(port: int, question: bytes) -> None:
    """Wait for the first bytes of an answer, or a second; whoever is gone is no matter here."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(question)
                await reader.read(64)
            finally:
                writer.close()


def _tree(pid: int) -> list[int]:
    """Give a process and all that it started, the parents first."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(one for child in children for one in _tree(int(child)))]


class Load:
    """Posts the codes when it is their time, whatever happens meanwhile."""

    def __init__(self, stage: Stage, numbers: Sequence[str], log: Log) -> None:
        self.calls: list[Call] = []
        self._stage = stage
        self._numbers = numbers
        self._log = log
        self._places = asyncio.Semaphore(IN_FLIGHT)
        self._client = httpx.AsyncClient(
            timeout=CALLER_SECONDS,
            # A new connection for each call: what is lost then is lost by the function, not by an idle connection that ended.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    async def run(self, posts: Sequence[Post], began: float) -> None:
        async with self._client, asyncio.TaskGroup() as tasks:
            for post in posts:
                await _sleep_until(began + post.at)
                await self._places.acquire()
                tasks.create_task(self._post(post))
                self._log.progress(f"{len(self.calls):,} of {len(posts):,} calls; ")

    async def _post(self, post: Post) -> None:
        code = f"{100_000 + post.code}"
        fields = {"recipient": self._numbers[post.code], "text": f"Your code is {code}", "context": {"code": code}}
        body = json.dumps(fields).encode()
        headers = signed(body, message_id=f"msg_{code}") if is_signed(post.code) else {"Authorization": f"Bearer {BEARER}"}
        function = self._stage.functions[post.function]
        started = time.monotonic()
        try:
            response = await self._client.post(f"http://127.0.0.1:{function.port}/", content=body, headers=headers)
            status, reply = response.status_code, _word(response)
        except httpx.TransportError:
            status, reply = NO_ANSWER, "the connection ended"
        self.calls.append(Call(post.code, function.popen.pid, started, time.monotonic(), status, reply))
        self._places.release()


def _word(response: httpx.Response) -> str:
    content = response.json()
    if response.is_success:
        return "accepted, duplicate" if content["duplicate"] else "accepted"
    return str(content["error"]["code"])


async def _sleep_until(end: float) -> None:
    await asyncio.sleep(max(end - time.monotonic(), 0))


async def play(options: Options, log: Log) -> Findings:
    """Start everything, post all codes amid the trouble, and look into Mitto's inbox."""
    rng = random.Random(options.seed)  # noqa: S311 - a plan that can be repeated, not a secret
    numbers = list(islice(fictional_numbers(), options.codes))
    faults = plan_faults(rng, options.codes)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stage = Stage(stack, Path(folder), log)
        await stage.start(options.store)
        await asyncio.to_thread(_script, stage.mitto, numbers, faults)
        seconds = max(options.seconds - RESERVE_SECONDS - (time.monotonic() - log.began), LEAST_SECONDS)
        posts = plan_posts(rng, options.codes, seconds)
        log.event(f"the calls begin; {len(faults):,} codes meet faults of Mitto")
        load = Load(stage, numbers, log)
        began = time.monotonic()
        watch = asyncio.create_task(stage.watch())
        await asyncio.gather(
            load.run(posts, began), _make_trouble(stage, options.store, lambda share: _sleep_until(began + share * seconds))
        )
        watch.cancel()
        log.event("the last call is answered")
        codes = {number.removeprefix("+"): code for code, number in enumerate(numbers)}
        sms = Counter(codes[message["to"]] for message in stage.mitto.inbox())
        reports = stage.reports()
    return Findings(sms, load.calls, stage.outages, stage.stalls, reports)


async def _make_trouble(stage: Stage, store: str, moment: Callable[[float], Awaitable[None]]) -> None:
    """Make it at its time; ``moment`` waits for a share of the time. A slow start of the function keeps nothing else back."""

    async def of_function() -> None:
        await moment(0.12)
        await stage.kill_function()

    async def of_redis() -> None:
        await moment(0.45)
        await stage.stop_redis(until=moment(0.55))
        await moment(0.80)
        await stage.hang_redis(until=moment(0.85))

    async def of_cluster() -> None:
        await moment(0.10)
        await stage.move_slots()
        await moment(0.30)
        await stage.kill_master()
        await moment(0.70)
        await stage.restart_cluster(until=moment(0.75))

    await asyncio.gather(of_function(), of_cluster() if store == "cluster" else of_redis())


def _script(mitto: FakeMittoProcess, numbers: Sequence[str], faults: Mapping[int, list[str]]) -> None:
    for code, names in faults.items():
        order = httpx.Request("POST", "http://mitto/script", json={"faults": names, "recipient": numbers[code].removeprefix("+")})
        status, answer = mitto.request("POST", "/script", order.content)
        assert status == httpx.codes.OK, answer


def report(findings: Findings, log: Log) -> str:
    """Write it as aligned tables."""
    sms = findings.sms
    touched = findings.touched_by_outage
    replies = Counter((call.status, call.reply) for call in findings.calls)
    parts = [
        _table("second", "what happened", [(f"{at:.1f}", sentence) for at, sentence in log.events]),
        _table("calls", "reply", [(f"{number:,}", _reply(*reply)) for reply, number in sorted(replies.items())]),
        _table("codes", "SMS for each", [(f"{number:,}", f"{times}") for times, number in sorted(_codes_by_sms(findings).items())]),
        _table(
            "number",
            "of",
            [
                (f"{len(findings.by_code):,}", "codes"),
                (f"{len(findings.calls):,}", "calls"),
                (f"{sum(sms.values()):,}", "SMS in Mitto's inbox"),
                (f"{len(findings.by_code.keys() - touched):,}", "codes with the store up"),
                (f"{len(touched):,}", "codes with the store down at some time"),
                (f"{len(touched & findings.doubled):,}", "store down, an SMS too many: not promised"),
                (f"{findings.reports:,}", "times that a function logged that the store is down: once a minute at most"),
                (f"{len(findings.stalls):,}", "times that the machine stalled"),
                (f"{len(findings.doubled_while_stalled):,}", "store up, but the machine stalled, an SMS too many: not promised"),
                *((f"{len(codes):,}", f"{name}: must be 0") for name, codes in findings.musts.items()),
            ],
        ),
        DEFINITION,
    ]
    return "\n\n".join(parts + [_story(findings, name, codes) for name, codes in findings.musts.items() if codes])


def _codes_by_sms(findings: Findings) -> Counter[int]:
    return Counter(findings.sms.get(code, 0) for code in findings.by_code)


def _reply(status: int, word: str) -> str:
    return f"{status or 'none'} {word}"


def _table(number: str, words: str, rows: Collection[tuple[str, str]]) -> str:
    width = max(len(row[0]) for row in [(number, words), *rows])
    rule = ("-" * width, "-" * max(len(row[1]) for row in [(number, words), *rows]))
    return "\n".join(f"{left:>{width}}  {right}" for left, right in [(number, words), rule, *rows])


def _story(findings: Findings, name: str, codes: set[int]) -> str:
    """Tell the calls of the first codes that should not be."""
    lines = [f"{name}:"]
    first = min(call.started for call in findings.calls)
    for code in sorted(codes)[:5]:
        lines.append(f"  code {code}, {findings.sms.get(code, 0)} SMS")
        lines += [
            f"    {call.started - first:7.3f} to {call.ended - first:7.3f}  function {call.pid}  {_reply(call.status, call.reply)}"
            for call in findings.by_code[code]
        ]
    return "\n".join(lines)


def main() -> int:
    """Run it; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--codes", type=int, default=Options().codes, help="how many (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=Options().seconds, help="for everything (default: %(default)g)")
    parser.add_argument("--seed", type=int, help="repeats the plan of another run")
    parser.add_argument("--store", choices=STORES, default=Options().store, help="what the functions share (default: %(default)s)")
    given = parser.parse_args()
    if not 1 <= given.codes <= MAX_CODES:
        parser.error(f"--codes must be 1 to {MAX_CODES}")
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    sys.stdout.write(f"chaos: {given.codes:,} codes in {given.seconds:g} s; --seed {seed} repeats the plan\n\n")
    log = Log(is_terminal=sys.stdout.isatty())
    findings = asyncio.run(play(Options(given.codes, given.seconds, seed, given.store), log))
    log.event("all processes are ended")
    log.close()
    sys.stdout.write(report(findings, log) + "\n")
    return 1 if any(findings.musts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
