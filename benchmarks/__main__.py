"""Compare this function with its alternatives (peers): ``python -m benchmarks [--quick]``."""

# ruff: noqa: T201 - a command prints

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import imports
from benchmarks.configuration import FULL, QUICK, Lengths
from benchmarks.contestants import ALL, KEPT, OURS, PYTHON, SHORT, Contestant
from benchmarks.install import compile_bytecode, drawing_python, install_node_packages, install_production
from benchmarks.load import Generator
from benchmarks.machine import MachineError, check_programs, cores, description, load_average
from benchmarks.report import as_markdown, write
from benchmarks.results import Results
from benchmarks.rounds import Bench
from benchmarks.running import CACHE, RunError, run_tool
from benchmarks.upstreams import delay_stub, nginx_stub

_RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds, print and write the results. Returns the exit status: 0, or 2 if nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, for development; written to benchmarks/.cache/quick")
    options = parser.parse_args(arguments)
    lengths, folder = (QUICK, CACHE / "quick") if options.quick else (FULL, _RESULTS)
    try:
        check_programs()
        server_core, load_core = cores()
        _say("Setting up: packages of a deployment, Node packages, bytecode ...")
        CACHE.mkdir(exist_ok=True)
        install_production()
        install_node_packages()
        compile_bytecode()
        # This process must not run on the server's core.
        os.sched_setaffinity(0, {load_core})
        started, busy = time.monotonic(), load_average()
        results = _measure(lengths, server_core, load_core)
    except (MachineError, RunError) as error:
        print(f"no benchmarks: {error}", file=sys.stderr)
        return 2
    about = {
        "machine": ", ".join(description(PYTHON).values()),
        "rounds": f"{lengths.rounds} rounds{' (quick: only for development)' if options.quick else ''}, {datetime.now(UTC):%Y-%m-%d}",
        "layout": "server on one core; load, stub upstream and this program on another",
        "load average before": f"{busy:.1f}" + (" (others were at work: believe nothing)" if busy > 1 else ""),
    }
    path = write(folder, results, lengths, about)
    print(f"\n{as_markdown(results, lengths, about)}")
    print(imports.report(lengths.import_runs, server_core))
    _draw(path)
    _say(f"{time.monotonic() - started:.0f} s; written to {folder}")
    return 0


def _measure(lengths: Lengths, server_core: int, load_core: int) -> Results:
    results = Results()
    with nginx_stub(CACHE / "nginx-stub", load_core) as instant, delay_stub(load_core) as delayed:
        bench = Bench(server_core, Generator(load_core), instant, delayed, lengths, results)
        for number in range(1, lengths.rounds + 1):
            bench.round_number = number
            bench.measure_direct()
            for contestant in _order(lengths, number):
                _say(f"round {number} of {lengths.rounds}: {contestant.title}")
                bench.measure(contestant)
        bench.round_number = 1
        for contestant, steps in ((OURS, lengths.memory_steps), (KEPT, lengths.memory_steps[:2]), (SHORT, lengths.short_steps)):
            if steps is None:
                continue
            _say(f"memory: {contestant.title}, {steps[-1]:,} requests")
            bench.measure_memory(contestant, steps)
    return results


def _order(lengths: Lengths, number: int) -> list[Contestant]:
    """Start every round with another contestant, so that a slow drift of the machine favours none."""
    taking_part = [one for one in ALL if one.is_main or lengths is FULL]
    shift = (number - 1) % len(taking_part)
    return taking_part[shift:] + taking_part[:shift]


def _draw(path: Path) -> None:
    try:
        run_tool([str(drawing_python()), str(Path(__file__).parent / "plot.py"), str(path)], timeout=120)
    except RunError as error:
        print(f"no plot: {error}", file=sys.stderr)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports it; all started processes have ended
