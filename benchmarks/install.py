"""What the benchmarks need beside the project's own environment: Node packages and a place to draw, both in ``.cache``."""

import shutil
import sys
from pathlib import Path

from benchmarks.contestants import NODE
from benchmarks.running import CACHE, ROOT, run_tool

_HERE = Path(__file__).parent
_SECONDS = 300.0


def install_node_packages() -> None:
    """Install the exact versions of the lock file, once. Raises ``RunError``."""
    source = _HERE / "peers" / "node"
    NODE.mkdir(parents=True, exist_ok=True)
    lock, installed = source / "package-lock.json", NODE / "package-lock.json"
    is_current = installed.exists() and installed.read_bytes() == lock.read_bytes() and (NODE / "node_modules").exists()
    for name in ("index.js", "package.json", "package-lock.json"):
        shutil.copyfile(source / name, NODE / name)
    if not is_current:
        run_tool(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], timeout=_SECONDS, folder=NODE)


def drawing_python() -> Path:
    """Give an interpreter that has matplotlib, made on first use. Raises ``RunError``."""
    requirements, done = _HERE / "requirements.txt", CACHE / "venv" / "requirements.txt"
    python = CACHE / "venv" / "bin" / "python"
    if not (done.exists() and done.read_bytes() == requirements.read_bytes()):
        run_tool([sys.executable, "-m", "venv", "--clear", str(CACHE / "venv")], timeout=_SECONDS)
        run_tool([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], timeout=_SECONDS)
        shutil.copyfile(requirements, done)
    return python


def compile_bytecode() -> None:
    """Make sure that no start is measured with stale bytecode."""
    run_tool([sys.executable, "-m", "compileall", "-q", str(ROOT / "src"), str(_HERE / "peers")], timeout=_SECONDS)
