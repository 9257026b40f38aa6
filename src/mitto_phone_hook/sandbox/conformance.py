"""Calls the real function as every platform does, while the fake Mitto fails as it is told, and makes a table of what came of it.

``python -m mitto_phone_hook.sandbox.conformance [FILE]`` prints the table, and writes the page with it.
"""

import asyncio
import base64
import contextlib
import itertools
import math
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx

from mitto_phone_hook.callers import Caller, Case, NoSuchCase, Reading, Verdict, all_callers, build_call
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.sandbox.demo import choose_port, function_environment, running_function
from mitto_phone_hook.sandbox.magic import LAST_TWO, RANGE
from mitto_phone_hook.sandbox.server import FakeMitto

DEADLINE_SECONDS = 8.0
"""The default of the setting."""

COLUMNS = (
    "authenticated",
    "forged refused",
    "accepted",
    "refused number",
    "limit",
    "Mitto down",
    "unknown",
    "voice",
    "deadline kept",
)

NOTHING = "-"
"""The platform never sends that."""

_HEAD = """\
# What each platform does with each result

Each cell comes from a run of the real function with the fake Mitto behind it: the call is built as the platform builds it, and the
response is read as the platform's own code reads it. `make platforms` makes this page again; a test compares both.

"""

_LEGEND = """
* **authenticated**: a call with the right secret gets in; **forged refused**: one with another secret gets 401, and nothing is sent.
* **accepted**: Mitto accepted the message. **unknown**: the connection to Mitto broke after the message was sent, so nobody can tell
  whether it left. In both cases exactly one SMS left, also after the platform's next attempt.
* **refused number**, **limit** (the second code for one number, where the limit is 1), **Mitto down** (503 at each attempt), **voice**
  (a phone call): nothing was sent. There, "accepted" means that the platform does not call again, because another call could not help.
* **deadline kept**: Mitto takes the message and never responds; the function responded before the platform stopped waiting, or, where
  no limit of it is known, after `DEADLINE_SECONDS`.
* "failed": the platform shows an error of its own. "shown": it shows what the function says, see below. "retried later": it calls again
  by itself, after it told the user that a code is on its way. "sends itself": it sends the message through its own provider.
* "-": the platform never sends that. Authgear has an error of its own for each word that it is told.

## What the user sees

"""

_WORDS: Mapping[Reading, str] = {
    Reading.SUCCESS: "accepted",
    Reading.FAILURE: "failed",
    Reading.REPEATED: "retried later",
    Reading.REPEATED_AT_ONCE: "retried at once",
    Reading.SENT_BY_PLATFORM: "sends itself",
}

_FAULTY = {name: f"+{RANGE}{last}" for last, name in LAST_TWO.items() if name in ("503", "reset_after_request", "hang")}
_ORDINARY = [f"+{RANGE}{last:02}" for last in range(100) if f"{last:02}" not in LAST_TWO]
_SAFE_AFTER_UNKNOWN = (Reading.SUCCESS, Reading.FAILURE)
_SENT = ("accepted", "unknown")
_WAY_SECONDS = 0.5
_UNAUTHORIZED = 401


class Row(NamedTuple):
    """What came of the calls of one platform."""

    name: str
    title: str
    cells: dict[str, str]
    """By column."""
    shown: dict[str, str]
    """What the user sees, by column."""
    problems: tuple[str, ...]
    """The columns where the platform's rules are broken."""


class Bench:
    """A function, the fake Mitto, and the codes that were sent through them."""

    def __init__(self, client: httpx.AsyncClient, mitto: FakeMitto, known: HookSecrets) -> None:
        """Take a client of the function, the fake Mitto behind it, and the secrets that the function knows."""
        self._client, self._mitto, self._known = client, mitto, known
        self._codes: Iterator[str] = (f"{number:06d}" for number in itertools.count(100_003, 17))

    def code(self) -> str:
        """Give a code that no other message of this run has."""
        return next(self._codes)

    async def call(  # noqa: PLR0913, PLR0917 - what a call is made of
        self, name: str, to: str, code: str, now: float, case: Case, attempt: int
    ) -> tuple[Response, float]:
        """Call as a platform does. Returns the response, and how long it took in seconds."""
        request = build_call(name, self._known, to, code, now, case, attempt=attempt)
        started = time.perf_counter()
        response = await self._client.post(request.path, content=request.body, headers=request.headers)
        return Response(response.status_code, response.content, dict(response.headers)), time.perf_counter() - started

    def sent(self, code: str) -> int:
        """Count the SMS with a code."""
        return sum(code in message.text for message in self._mitto.inbox)


async def measure(show: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Run everything, about 10 s. ``show`` gets the name of what is being tried."""
    api_key, bearer, key = secrets.token_urlsafe(18), secrets.token_urlsafe(24), secrets.token_bytes(32)
    settings = {
        "HOOK_SECRETS": f"{bearer} whsec_{base64.b64encode(key).decode()}",
        "LIMITS": "recipient=1/hour; prefix=off; ip=off; region=off; total=off",
        "EXEMPT_NUMBERS": ",".join(_FAULTY.values()),
    }
    show("the function starts")
    async with (
        FakeMitto(api_key=api_key) as mitto,
        running_function(choose_port(None), function_environment(mitto.url, api_key, bearer, **settings)) as base_url,
        httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=30) as client,
    ):
        bench = Bench(client, mitto, HookSecrets((bearer.encode(),), (key,)))
        rows: dict[str, Row] = {}

        async def add(name: str, caller: Caller, number: str) -> None:
            rows[name] = await row_of(name, caller, number, bench)
            show(f"{len(rows)} of {len(all_callers())} platforms")

        show("all platforms call")
        await asyncio.gather(*(add(name, caller, _ORDINARY[place]) for place, (name, caller) in enumerate(all_callers().items())))
        return [rows[name] for name in all_callers()]


async def row_of(name: str, caller: Caller, number: str, bench: Bench) -> Row:
    """Call as one platform does. ``number`` is used for nothing else."""
    verdicts: dict[str, Verdict] = {}
    sent: dict[str, int] = {}

    async def run(column: str, to: str, case: Case = Case.OK, attempts: int = 1) -> tuple[Response, float]:
        code, now = bench.code(), time.time()
        for attempt in range(1, attempts + 1):
            response, seconds = await bench.call(name, to, code, now, case, attempt)
            verdicts.setdefault(column, caller.judge(response))
        sent[column] = bench.sent(code)
        return response, seconds

    is_in = (await run("accepted", number, attempts=2))[0].status != _UNAUTHORIZED
    is_out = (await run("forged refused", number, Case.FORGED))[0].status == _UNAUTHORIZED
    await run("limit", number)
    await run("refused number", number, Case.REFUSED_NUMBER)
    await run("Mitto down", _FAULTY["503"])
    await run("unknown", _FAULTY["reset_after_request"], attempts=2)
    most_seconds = caller.waits_seconds if math.isfinite(caller.waits_seconds) else DEADLINE_SECONDS + _WAY_SECONDS
    _, seconds = await run("deadline kept", _FAULTY["hang"])
    if seconds >= most_seconds:
        # Once more: a busy machine is not a slow function.
        _, seconds = await run("deadline kept", _FAULTY["hang"])
    with contextlib.suppress(NoSuchCase):
        await run("voice", number, Case.VOICE)
    good = {
        "authenticated": is_in,
        "forged refused": is_out and not sent["forged refused"] and verdicts["forged refused"].reading is not Reading.SUCCESS,
        "accepted": verdicts["accepted"].reading is Reading.SUCCESS,
        "unknown": verdicts["unknown"].reading in _SAFE_AFTER_UNKNOWN,
        "deadline kept": seconds < most_seconds,
    }
    cells = {column: _cell(verdicts.get(column), sent.get(column, 0), int(column in _SENT)) for column in COLUMNS}
    cells |= {column: "yes" if good[column] else "NO!" for column in ("authenticated", "forged refused", "deadline kept")}
    if math.isfinite(caller.waits_seconds):
        cells["deadline kept"] += f", {caller.waits_seconds:g} s"
    wrong = tuple(column for column in COLUMNS if not good.get(column, True) or "!" in cells[column])
    return Row(name, caller.title, cells, {column: verdict.shown for column, verdict in verdicts.items()}, wrong)


def _cell(verdict: Verdict | None, sent: int, must_be_sent: int) -> str:
    if verdict is None:
        return NOTHING
    word = "shown" if verdict.shown else _WORDS[verdict.reading]
    return word if sent == must_be_sent else f"{word}, {sent} SMS!"


def document(rows: list[Row]) -> str:
    """Give the whole page."""
    table = [("Platform", "`simulate`", *COLUMNS), *((row.title, f"`{row.name}`", *row.cells.values()) for row in rows)]
    columns = ("refused number", "limit", "Mitto down")
    seen = [("Platform", *columns), *((row.title, *(row.shown[column] for column in columns)) for row in rows if any(row.shown.values()))]
    return _HEAD + markdown(table) + _LEGEND + markdown(seen)


def markdown(table: list[tuple[str, ...]]) -> str:
    """Write a table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "".join(f"| {line} |\n" for line in lines)


def _show(topic: str) -> None:
    print(f"\r\x1b[K  · {topic} ...", end="", file=sys.stderr, flush=True)


def main(path: str | None = None) -> int:
    """Print the table, and write the page. Returns the exit status: 1 if a platform's rules are broken."""
    is_terminal = sys.stderr.isatty()
    rows = asyncio.run(measure(_show if is_terminal else lambda _: None))
    if is_terminal:
        print("\r\x1b[K", end="", file=sys.stderr)
    page = document(rows)
    print(page.partition("\n\n")[2].partition("\n\n")[2].partition(_LEGEND)[0])
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(page, encoding="utf-8")
    for row in rows:
        for column in row.problems:
            print(f"{row.title}: {column} is {row.cells[column]}", file=sys.stderr)
    return int(any(row.problems for row in rows))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
