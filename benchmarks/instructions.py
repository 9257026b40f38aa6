"""How many instructions one message costs: ``python -m benchmarks.instructions``, counted by valgrind's callgrind.

A count says nothing about time, but other work on the machine does not change it. So it compares two versions with an
accuracy of 0.1 %. It counts the whole hook with a prepared response of Mitto, without HTTP server and network. It is the
difference between two runs, so start and warm-up are not included.
"""

import asyncio
import gc
import re
import sys
import tempfile
from pathlib import Path

from benchmarks.costs import whole
from benchmarks.running import RunError, inherited_environment, run_tool
from mitto_phone_hook.platforms import load_platform

FEW, MANY = 300, 800
_TIMEOUT_SECONDS = 300
_COLLECTED = re.compile(r"Collected *: *([0-9]+)")


async def handle(messages: int, platforms: list[str]) -> None:
    """Handle ``messages`` messages, with ``platforms`` configured. Without garbage collection: its moments differ in every run."""
    gc.disable()
    one = whole(**{f"HOOK_SECRETS_{name.upper()}": f"secret-of-{name}-in-the-benchmark" for name in platforms})
    for name in platforms:
        load_platform(name)
    for number in range(messages):
        await one(number)


def per_message(*platforms: str) -> float:
    """Count the instructions of one message, with these platforms configured in addition. Raises ``RunError``."""
    # What Python compiles, it compiles in this run: the two that are compared must not differ in it.
    run_tool([sys.executable, "-m", "benchmarks.instructions", "1", *platforms], timeout=_TIMEOUT_SECONDS)
    return (instructions(MANY, *platforms) - instructions(FEW, *platforms)) / (MANY - FEW)


def instructions(messages: int, *platforms: str) -> int:
    """Count the instructions of a process that handles ``messages`` messages. Raises ``RunError``."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        # Otherwise hash collisions in dictionaries and sets would differ in every run.
        environment = [f"{name}={value}" for name, value in inherited_environment().items()] + ["PYTHONHASHSEED=0"]
        command = ["env", "-i", *environment, "valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", f"--log-file={log}"]
        command += [sys.executable, "-m", "benchmarks.instructions", str(messages), *platforms]
        run_tool(command, timeout=_TIMEOUT_SECONDS)
        found = _COLLECTED.search(log.read_text())
        if found is None:
            raise RunError(f"valgrind counted nothing:\n{log.read_text()[-2000:]}")
        return int(found[1])


def main() -> int:
    """Print the count. With arguments: handle that many messages with these platforms configured, for valgrind."""
    if len(sys.argv) > 1:
        asyncio.run(handle(int(sys.argv[1]), sys.argv[2:]))
        return 0
    sys.stdout.write(f"{per_message():,.0f} instructions per message\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
