"""How much work one message may be, counted in calls of functions: ``python -m support.budget`` in ``tests`` writes it anew.

Instructions would say more, but need valgrind, and differ with every processor. How many functions of Python and of C one message
calls is the same on every machine with the same version of Python and of the packages.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from support import served
from support.processes import ROOT

PATH = Path(__file__).parents[1] / "data" / "budget.json"
TOLERANCE = 0.05
PYTHON = "{}.{}".format(*sys.version_info)

_MESSAGES, _WARM = 50, 20


def budget() -> dict[str, Any]:
    """Give the version of Python with which it was counted, and the calls of one message of each of ``SETUPS``."""
    known: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return known


def calls(name: str) -> float:
    """Count the calls of one message, in a process of its own."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment["PYTHONPATH"] = str(ROOT / "tests")
    command = [sys.executable, "-m", "support.budget", name]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stderr.splitlines()[-1])


def _count(name: str) -> float:
    counted: Counter[str] = Counter()

    def note(_frame: FrameType, event: str, _function: object) -> None:
        counted[event] += 1

    served.run(name, _WARM, _MESSAGES, lambda: sys.setprofile(note))
    sys.setprofile(None)
    return (counted["call"] + counted["c_call"]) / _MESSAGES


if __name__ == "__main__":
    if sys.argv[1:]:
        # Standard output is the function's.
        sys.stderr.write(f"{_count(sys.argv[1]):.1f}\n")
    else:
        found = {"python": PYTHON, "calls": {name: round(calls(name)) for name in served.SETUPS}}
        PATH.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(f"{PATH.relative_to(ROOT)}: {found}\n")
