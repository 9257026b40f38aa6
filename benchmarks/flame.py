"""Where calls spend their time, by room: ``python -m benchmarks.flame``.

py-spy samples the function under load. ``results/flame.svg`` shows signed calls with a text. ``results/profile.md`` has the share of the
samples in code of each room: for such calls, for Supabase's calls with a template, and for calls with Redis. callgrind counts the
instructions of one call of each kind (``benchmarks.instructions``).
"""

# ruff: noqa: T201 - a command prints

import argparse
import os
import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.configuration import IN_FLIGHT, QUICK
from benchmarks.contestants import OURS, PLATFORM, PRODUCTION, PYTHON, REDIS, Contestant
from benchmarks.install import drawing_python, install_production
from benchmarks.instructions import instructions, room_of
from benchmarks.load import Generator
from benchmarks.machine import MachineError, check_programs, cores, description
from benchmarks.results import Results
from benchmarks.rounds import Bench
from benchmarks.running import CACHE, HOST, ROOT, RunError, run_tool
from benchmarks.store import redis_port, redis_server
from benchmarks.tables import table
from benchmarks.upstreams import delay_stub, nginx_stub

_RESULTS = Path(__file__).parent / "results"
_SECONDS = 15
_SAMPLES_A_SECOND = 400
_TOOL_SECONDS = 60
_LEAST_SHARE = 0.005
"""Rooms below it are one row."""
_TITLE = re.compile('(<text id="title"[^>]*>)[^<]*')
_PLACE = re.compile(r"\((.+?):[0-9]+\)$")


class Kind(NamedTuple):
    """One kind of call: who serves it, and the run of ``benchmarks.instructions`` that is like it."""

    title: str
    contestant: Contestant
    run: str


_KINDS = (
    Kind("native", OURS, "native"),
    Kind("Supabase, template", PLATFORM, "supabase"),
    Kind("native, Redis", REDIS, "native"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample, count and write. Returns the exit status: 0, or 2 if nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="of each recording (default: %(default)s)")
    seconds = parser.parse_args(arguments).seconds
    try:
        check_programs()
        server_core, load_core = cores()
        CACHE.mkdir(exist_ok=True)
        install_production()
        spy = str(drawing_python().with_name("py-spy"))
        counts = [_instructions(kind, load_core) for kind in _KINDS]
        os.sched_setaffinity(0, {load_core})
        with nginx_stub(CACHE / "nginx-stub", load_core) as instant, delay_stub(load_core) as delayed:
            bench = Bench(server_core, Generator(load_core), instant, delayed, QUICK, Results())
            shares = [
                _shares(record(bench, kind.contestant, [spy, "record", "--format", "raw", "--full-filenames"], seconds)) for kind in _KINDS
            ]
            flame = record(bench, OURS, [spy, "record", "--format", "flamegraph", "--function"], seconds)
    except (MachineError, RunError) as error:
        print(f"no profile: {error}", file=sys.stderr)
        return 2
    (_RESULTS / "flame.svg").write_text(without_folders(flame), encoding="utf-8")
    page = as_markdown(shares, counts, seconds)
    (_RESULTS / "profile.md").write_text(page, encoding="utf-8")
    print(page)
    return 0


def _instructions(kind: Kind, core: int) -> float:
    if not kind.contestant.has_redis:
        return instructions(kind.run)
    with redis_server(port := redis_port(), core):
        return instructions(kind.run, STORE_URL=f"redis://{HOST}:{port}")


def record(bench: Bench, contestant: Contestant, command: list[str], seconds: int) -> str:
    """Return what py-spy writes about a contestant under load. Raises ``RunError``."""
    with tempfile.TemporaryDirectory() as folder, bench.started(contestant, bench.instant.url) as server:
        bench.load.wrk(server.port, in_flight=IN_FLIGHT, seconds=QUICK.warm_seconds, path=contestant.path)
        length = seconds + 2 * QUICK.warm_seconds  # py-spy needs a moment to begin
        load = threading.Thread(
            target=bench.load.wrk, args=(server.port,), kwargs={"in_flight": IN_FLIGHT, "seconds": length, "path": contestant.path}
        )
        load.start()
        options = ["--pid", str(server.pid), "--duration", str(seconds), "--rate", str(_SAMPLES_A_SECOND), "--output", f"{folder}/out"]
        try:
            run_tool([*command, *options], timeout=seconds + _TOOL_SECONDS)
        finally:
            load.join()
        return (Path(folder) / "out").read_text(encoding="utf-8")


def _shares(raw: str) -> dict[str, float]:
    """Return the share of samples whose innermost function is in a room. Each line is a stack and its number."""
    samples = Counter[str]()
    for line in raw.splitlines():
        stack, _, number = line.rpartition(" ")
        place = _PLACE.search(stack.rpartition(";")[2])
        samples[room_of(place[1]) if place else "(unknown)"] += int(number)
    return {room: number / samples.total() for room, number in samples.items()}


def without_folders(svg: str) -> str:
    """Return a picture with a title, whose files have the names of their modules: where they are on this machine is nobody's business."""
    svg = _TITLE.sub(rf"\g<1>Signed calls with a text, everything on, {IN_FLIGHT} in flight", svg, count=1)
    for folder in (PRODUCTION, ROOT / "src", ROOT):
        svg = svg.replace(f"{folder}/", "")
    return re.sub(r"(?:/[\w.+-]+)*/(?:site-packages|python3\.[0-9]+)/", "", svg)


def as_markdown(shares: Sequence[dict[str, float]], counts: Sequence[float], seconds: int) -> str:
    """Return the table by room, each kind of call with its share of the samples, and the instructions that this share is of a call's."""
    rooms = sorted({room for one in shares for room in one}, key=lambda room: -max(one.get(room, 0.0) for one in shares))
    shown = [room for room in rooms if max(one.get(room, 0.0) for one in shares) >= _LEAST_SHARE]
    rest = [sum(share for room, share in one.items() if room not in shown) for one in shares]
    rows = [
        ["all", *_cells([1.0] * len(counts), counts)],
        *([room, *_cells([one.get(room, 0.0) for one in shares], counts)] for room in shown),
        ["all others", *_cells(rest, counts)],
    ]
    head = ["room", *(cell for kind in _KINDS for cell in (kind.title, "instructions"))]
    about = ", ".join(description(PYTHON).values())
    return f"""# Where a call spends its time

Written by `python -m benchmarks.flame` on {datetime.now(UTC):%Y-%m-%d}: {about}. Figures of this machine only.

- The share of a room is that of the samples whose innermost Python function is in one of its files. What a function calls in C
  (hashes, parsers, sockets) counts as its own. py-spy samples {_SAMPLES_A_SECOND} times per second for {seconds} s, with {IN_FLIGHT}
  calls in flight.
- The instructions in the first row are those of one call, counted by callgrind. Below it they are multiplied by the share: an estimate.
- Names in brackets are packages of others. uvloop is written in C, so its share is in the rooms that it calls or that call it.
- [`flame.svg`](flame.svg) shows the stacks of native calls.

{table(head, rows)}
"""


def _cells(shares: Sequence[float], counts: Sequence[float]) -> list[str]:
    return [cell for share, count in zip(shares, counts, strict=True) for cell in (f"{100 * share:.1f} %", f"{share * count:,.0f}")]


if __name__ == "__main__":
    sys.exit(main())
