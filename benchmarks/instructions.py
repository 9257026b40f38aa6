"""How many instructions one message costs: ``python -m benchmarks.instructions [RUN …] [--rooms] [--guard]``, counted by callgrind.

A count says nothing about time, but other work on the machine does not change it. It goes from the bytes of a signed call to those of its
response, with everything on: ``native`` brings a text, for ``supabase`` a template has the words, ``framework`` is ``native`` under
functions-framework. A Mitto in the same process accepts all of them.

The runs ``memory`` and ``redis``, with ``-unsigned`` for a bearer secret and ``-16`` for 16 calls in flight, say what Redis costs us.

``--rooms`` adds where the time goes, from a profile of Python's own, which makes small functions look dearer than they are.
``--guard`` counts the function as a plain ASGI application instead, with and without ``http_guard``, and gives the guard's share.
"""

import contextlib
import cProfile
import os
import pstats
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks.running import ROOT, RunError, inherited_environment, run_tool
from benchmarks.tables import table
from mitto_phone_hook.platforms import load_platform

sys.path.append(str(ROOT / "tests"))
from support import served
from support.processes import redis_server

WARM, COUNTED = 100, 400
_TIMEOUT_SECONDS = 600
_SUMMARY = re.compile(r"^summary: ([0-9]+)", re.MULTILINE)
_PROFILE = "--profile"


def instructions(run: str, *platforms: str, **settings: str) -> float:
    """Count the instructions of one message, with these platforms and settings in addition. Raises ``RunError``."""
    with tempfile.TemporaryDirectory() as folder:
        # callgrind writes down what it has counted when that function is called, and begins anew.
        tool = ["valgrind", "--tool=callgrind", f"--dump-before={os.getppid.__name__}", f"--callgrind-out-file={folder}/out"]
        _run([*tool, *_command(run, *platforms)], platforms, settings, needs_redis=_needs_redis(run))
        found = _SUMMARY.search((Path(folder) / "out.2").read_text())
        if found is None:
            raise RunError("callgrind counted nothing")
        return int(found[1]) / COUNTED


def rooms(run: str) -> str:
    """Profile one message by room: how many calls of functions of Python, and which share of the time. Raises ``RunError``."""
    with tempfile.TemporaryDirectory() as folder:
        _run(_command(_PROFILE, f"{folder}/profile", run), (), {}, needs_redis=_needs_redis(run))
        stats = pstats.Stats(f"{folder}/profile")
    calls, seconds = Counter[str](), Counter[str]()
    for (file, _, _), (_, number, own, _, _) in stats.stats.items():  # type: ignore[attr-defined] # typeshed lacks it
        calls[room_of(file)] += number
        seconds[room_of(file)] += own
    rows = [[room, f"{calls[room] / COUNTED:.1f}", f"{share / seconds.total():.1%}"] for room, share in seconds.most_common()]
    return table([run, "calls", "time"], rows)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.instructions", *arguments, "--here"]


def _run(command: list[str], platforms: tuple[str, ...], settings: Mapping[str, str], *, needs_redis: bool) -> None:
    secrets = {f"HOOK_SECRETS_{name.upper()}": f"secret-of-{name}-in-the-benchmark" for name in platforms}
    # Otherwise hash collisions in dictionaries and sets would differ in every run.
    environment = inherited_environment() | secrets | dict(settings) | {"PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) if needs_redis else contextlib.nullcontext() as redis:
        if redis:
            environment["STORE_URL"] = f"redis://127.0.0.1:{redis.port}"
        run_tool(["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command], timeout=_TIMEOUT_SECONDS)


def _needs_redis(run: str) -> bool:
    return (served.SETUPS | served.FOR_COMPARISON)[run].needs_redis


def room_of(file: str) -> str:
    """Return our room, or the package, that a file belongs to."""
    path = Path(file)
    for folder in ("mitto_phone_hook", "site-packages"):
        if folder in path.parts:
            part = path.parts[path.parts.index(folder) + 1].removesuffix(".py")
            return part if folder == "mitto_phone_hook" else f"({part})"
    return "(this benchmark)" if path.is_relative_to(ROOT) else "(standard library)"


def handle(arguments: list[str]) -> None:
    """Handle the messages, for callgrind; or with ``--profile FILE``, for the table by room."""
    if arguments[0] == _PROFILE:
        profile = cProfile.Profile(builtins=False)
        served.run(arguments[2], WARM, COUNTED, profile.enable)
        profile.dump_stats(arguments[1])
        return
    run, *platforms = arguments
    for name in platforms:
        load_platform(name)
    served.run(run, WARM, COUNTED, os.getppid)
    os.getppid()


def main(arguments: list[str]) -> int:
    """Print the counts."""
    if arguments[-1:] == ["--here"]:
        handle(arguments[:-1])
        return 0
    if "--guard" in arguments:
        without, with_guard = instructions("unguarded"), instructions("guarded")
        sys.stdout.write(f"{without:,.0f} instructions per message without the guard, {with_guard:,.0f} with it: ")
        sys.stdout.write(f"its share is {1 - without / with_guard:.1%}\n")
        return 0
    for run in [one for one in arguments if not one.startswith("--")] or served.SETUPS:
        sys.stdout.write(f"{run}: {instructions(run):,.0f} instructions per message\n")
        if "--rooms" in arguments:
            sys.stdout.write(f"\n{rooms(run)}\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
