"""How many instructions one message costs: ``python -m benchmarks.instructions``, counted by valgrind's callgrind.

A count says nothing about time, but no other work on the machine moves it: two versions can be compared by it to a part
in a thousand, and a commit can say what it saved. Counted is the whole hook with an answer of Mitto's at hand, without
HTTP server and network, as the difference between two runs, so that neither start nor warming up is in it.
"""

import asyncio
import gc
import re
import sys
import tempfile
from pathlib import Path

from benchmarks.costs import whole
from benchmarks.running import RunError, inherited_environment, run_tool

FEW, MANY = 300, 800
_TIMEOUT_SECONDS = 300
_COLLECTED = re.compile(r"Collected *: *([0-9]+)")


async def handle(messages: int) -> None:
    """Handle so many messages; without collections of garbage, whose moments would not be the same in every run."""
    gc.disable()
    one = whole()
    for number in range(messages):
        await one(number)


def instructions(messages: int) -> int:
    """Count the instructions of a process that handles so many messages. Raises ``RunError``."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        # Else dictionaries and sets would collide differently in every run.
        environment = [f"{name}={value}" for name, value in inherited_environment().items()] + ["PYTHONHASHSEED=0"]
        command = ["env", "-i", *environment, "valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", f"--log-file={log}"]
        command += [sys.executable, "-m", "benchmarks.instructions", str(messages)]
        run_tool(command, timeout=_TIMEOUT_SECONDS)
        found = _COLLECTED.search(log.read_text())
        if found is None:
            raise RunError(f"valgrind counted nothing:\n{log.read_text()[-2000:]}")
        return int(found[1])


def main() -> int:
    """Print the count, or handle messages when valgrind looks on."""
    if len(sys.argv) > 1:
        asyncio.run(handle(int(sys.argv[1])))
        return 0
    each = (instructions(MANY) - instructions(FEW)) / (MANY - FEW)
    sys.stdout.write(f"{each:,.0f} instructions a message\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
