"""``mitto-phone-hook run``: serve the function, without a framework."""

import argparse
import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitto_phone_hook.cli.terminal import Terminal

_HELP = """\
Serve the function with the settings of the environment. It is what the container runs.

The settings are those of docs/configuration.md. WORKERS processes answer, by default one per core where STORE_URL names a
Redis, and one where all is kept in memory: processes share no memory, and limits would count per process.
"""

_DEFAULT_PORT = 8080

_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of CPU in a period, and the period. Source: Linux, Control Group v2, ``cpu.max``."""


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser("run", help="serve the function", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1; 0.0.0.0 for all)")
    parser.add_argument("--port", type=int, metavar="N", help="port to listen on (default: PORT, else 8080)")
    parser.add_argument("--workers", type=int, metavar="N", help="number of processes (default: WORKERS, else as said above)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Serve until a signal comes. Returns 1 where the port cannot be used or a number is none."""
    try:
        port = options.port or int(environment.get("PORT") or _DEFAULT_PORT)
        workers = options.workers or int(environment.get("WORKERS") or _default_workers(environment))
    except ValueError:
        terminal.write("PORT and WORKERS are numbers; correct them or leave them out.\n")
        return 1
    # Both together took a ninth of the start: see `main.py`. The variable holds for the worker processes, too.
    gc.disable()
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    os.environ.update(environment)  # the settings of --env, which the function and its worker processes read
    from mitto_phone_hook import http_server  # noqa: PLC0415 - after these

    if workers > 1 and (problems := _problems(environment)):
        # Each worker would say so, again and again.
        terminal.write("mitto-phone-hook does not start:\n" + "".join(f"  {problem}\n" for problem in problems))
        return 1
    if terminal.is_terminal:
        terminal.write(f"Starting on http://{f'[{options.host}]' if ':' in options.host else options.host}:{port}; Ctrl-C ends it.\n")
    try:
        http_server.run(options.host, port, workers)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        terminal.write(
            f"Cannot listen on {options.host} port {port} ({reason}); choose another one with --port, and put it into PUBLIC_URL.\n"
        )
        return 1
    except OverflowError:
        terminal.write("A port is 0 to 65535; choose another one with --port.\n")
        return 1
    return 0


def _default_workers(environment: Mapping[str, str]) -> int:
    return cores() if environment.get("STORE_URL", "memory:").startswith("redis") else 1


def cores(limit: Path = _CPU_LIMIT) -> int:
    """Count the cores that this process may use: those of the machine, or the fewer that a container has."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, limit.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return allowed  # no such file, or the word max in place of a number
    return max(min(allowed, quota // period), 1)


def _problems(environment: Mapping[str, str]) -> tuple[str, ...]:
    from mitto_phone_hook.config.packages import missing_packages  # noqa: PLC0415 - not before the collector is off
    from mitto_phone_hook.config.settings import SettingsError, load  # noqa: PLC0415 - likewise

    try:
        return tuple(missing_packages(load(environment)))
    except SettingsError as error:
        return tuple(error.problems)
