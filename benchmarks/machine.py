"""The machine: its cores, and the CPU time, memory and descriptors of a process tree."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

PROGRAMS = {
    "taskset": "util-linux",
    "wrk": "wrk",
    "nginx": "nginx-light",
    "node": "nodejs",
    "npm": "npm",
    "openssl": "openssl",
}
"""The programs that a run needs, and their Debian packages."""

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_STAT_PARENT, _STAT_UTIME, _STAT_STIME = 1, 11, 12  # of the fields after the program's name


class MachineError(Exception):
    """The benchmarks cannot run on this machine. The text says what is missing."""


def cores() -> tuple[int, int]:
    """Return the server's core, and the core of load and upstream. Raises ``MachineError``."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:  # noqa: PLR2004 - the server must have one to itself
        raise MachineError("Two cores are needed: one for the server, one for the load and the upstream.")
    return available[0], available[1]


def check_programs() -> None:
    """Raise ``MachineError`` with the names of missing programs."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        raise MachineError(f"Programs are missing; on Debian and Ubuntu: apt install {' '.join(missing)}")


def description(python: Path) -> dict[str, str]:
    """Describe the machine of the figures. ``python`` is the interpreter of the servers."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.machine())
    return {
        "cpu": f"{model}, {os.cpu_count()} cores",
        "system": f"Linux {'.'.join(platform.release().split('.')[:2])}",
        "python": _first_line([str(python), "--version"]),
        "node": f"Node {_first_line(['node', '--version'])}",
    }


def _first_line(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()  # noqa: S603 - our own commands


def load_average() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[_STAT_PARENT]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process tree, in user and system mode."""
    stats = filter(None, map(_stat, tree(pid)))
    return sum(int(fields[_STAT_UTIME]) + int(fields[_STAT_STIME]) for fields in stats) / _TICKS_A_SECOND


def memory_mib(pid: int) -> float:
    """Return the memory of the process tree (PSS: shared pages are divided among the processes that share them)."""
    kib = 0
    for one in tree(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib / 1024


def descriptors(pid: int) -> int:
    """Return the number of open file descriptors of the process tree."""
    return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in tree(pid))


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
