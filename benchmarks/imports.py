"""What each import costs: ``python -m benchmarks.imports``.

The function starts as in the container, with ``-X importtime`` and handles one message. All imported modules are
counted by package: those imported at the start, and those imported by the first message.
"""

# ruff: noqa: T201 - a command prints

import re
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.configuration import HEADERS, PAYLOAD
from benchmarks.contestants import OURS, PYTHON
from benchmarks.install import install_production
from benchmarks.machine import cores
from benchmarks.running import CACHE, as_json, free_port, running, wait_for_200, wait_for_port
from benchmarks.tables import table
from benchmarks.upstreams import delay_stub

STANDARD = "(standard library)"

_LINE = re.compile(r"import time: +([0-9]+) \| +([0-9]+) \| ( *)([A-Za-z0-9_.]+)")
_LEAST_MS = 1.0


@dataclass
class Cost:
    """The import time of one package, in milliseconds."""

    modules: int = 0
    own_ms: float = 0.0
    """Its own modules."""
    whole_ms: float = 0.0
    """With the modules that it imported first: the most that its removal could save."""
    late_ms: float = 0.0
    """The part of its own modules that only the first message imported."""


def costs(early: list[str], late: list[str]) -> dict[str, Cost]:
    """Sum up the lines of ``-X importtime`` by package. A module's line comes after those of the modules that it imported."""
    found: defaultdict[str, Cost] = defaultdict(Cost)
    for lines, is_late in ((early, False), (late, True)):
        above: list[tuple[int, str]] = []
        for match in filter(None, map(_LINE.match, reversed(lines))):
            depth, package = len(match[3]), _package(match[4])
            while above and above[-1][0] >= depth:
                above.pop()
            cost = found[package]
            cost.modules += 1
            cost.own_ms += int(match[1]) / 1000
            cost.late_ms += int(match[1]) / 1000 * is_late
            if package not in (name for _, name in above):
                cost.whole_ms += int(match[2]) / 1000
            above.append((depth, package))
    return dict(found)


def report(runs: int, core: int) -> str:
    """Measure, and write the table."""
    found = [_measure(core) for _ in range(runs)]
    medians = {name: _median([one.get(name, Cost()) for one in found]) for name in {name for one in found for name in one}}
    shown = sorted((name for name in medians if medians[name].whole_ms >= _LEAST_MS), key=lambda name: -medians[name].own_ms)
    rest = [medians[name] for name in medians if name not in shown]
    rows = [_row(name, medians[name], f"{medians[name].whole_ms:.1f}") for name in shown]
    rows += [_row("(less than 1 ms each)", _total(rest)), _row("(all)", _total(list(medians.values())))]
    head = ["package", "modules", "own ms", "with its imports, ms", "first message, own ms"]
    title = f"## Imports, from the start to the first response (median of {runs}; the measurement makes them slower)"
    return f"{title}\n\n{table(head, rows)}\n"


def _package(module: str) -> str:
    name = module.partition(".")[0]
    return STANDARD if name in sys.stdlib_module_names else name


def _median(several: list[Cost]) -> Cost:
    def median(value: Callable[[Cost], float]) -> float:
        return statistics.median(map(value, several))

    return Cost(
        modules=round(median(lambda cost: cost.modules)),
        own_ms=median(lambda cost: cost.own_ms),
        whole_ms=median(lambda cost: cost.whole_ms),
        late_ms=median(lambda cost: cost.late_ms),
    )


def _total(several: list[Cost]) -> Cost:
    return Cost(sum(one.modules for one in several), sum(one.own_ms for one in several), 0, sum(one.late_ms for one in several))


def _row(name: str, cost: Cost, whole: str = "") -> list[str]:
    return [name, str(cost.modules), f"{cost.own_ms:.1f}", whole, f"{cost.late_ms:.1f}" if cost.late_ms >= 0.05 else ""]  # noqa: PLR2004 - rounds to 0


def _measure(core: int) -> dict[str, Cost]:
    port = free_port()
    with tempfile.TemporaryDirectory(dir=CACHE) as folder, delay_stub(core) as upstream:
        path = Path(folder) / "importtime"
        command = [str(PYTHON), "-X", "importtime", *OURS.command(port, upstream.url)[1:]]
        with running(["sh", "-c", f'exec "$@" 2>{path}', "sh", *command], port, core, OURS.environment(upstream.url)) as server:
            # A first request, even for /health, would load the platform of its path.
            wait_for_port(server)
            early = path.read_text(encoding="utf-8").splitlines()
            wait_for_200(server, "POST", "/", as_json(PAYLOAD), HEADERS)
            late = path.read_text(encoding="utf-8").splitlines()[len(early) :]
        return costs(early, late)


if __name__ == "__main__":
    CACHE.mkdir(exist_ok=True)
    install_production()
    print(report(5, cores()[0]))
