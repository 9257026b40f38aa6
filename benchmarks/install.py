"""What the benchmarks install into ``.cache``: the packages of a deployment, of Node, and for the charts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.contestants import NODE, PRODUCTION, PYTHON
from benchmarks.running import CACHE, ROOT, run_tool

_HERE = Path(__file__).parent
_SECONDS = 300.0
_SYSTEM_PYTHON = "/usr/bin/python3"
_OLDEST = (3, 11)


def install_production() -> None:
    """Install exactly what is deployed with a shared store, once, for the best available interpreter. Raises ``RunError``.

    ``BENCH_PYTHON`` selects another interpreter. The system's Python has all optimisations, like the Python of clouds and
    images. A Python that was built by hand may lack them, which makes everything a fifth slower.
    """
    locks, done = [ROOT / "deploy" / name for name in ("requirements.txt", "requirements-redis.txt")], PRODUCTION / "made-of"
    interpreter = os.environ.get("BENCH_PYTHON") or (_SYSTEM_PYTHON if _is_recent(_SYSTEM_PYTHON) else sys.executable)
    made_of = "\n".join([interpreter, *(lock.read_text(encoding="utf-8") for lock in locks)])
    if done.exists() and done.read_text(encoding="utf-8") == made_of:
        return
    run_tool([interpreter, "-m", "venv", "--without-pip", "--clear", str(PRODUCTION)], timeout=_SECONDS)
    pip = [sys.executable, "-m", "pip", "--python", str(PYTHON), "--disable-pip-version-check", "install", "--quiet"]
    requirements = [word for lock in locks for word in ("--requirement", str(lock))]
    run_tool([*pip, "--only-binary", ":all:", "--require-hashes", *requirements], timeout=_SECONDS)
    done.write_text(made_of, encoding="utf-8")


def _is_recent(interpreter: str) -> bool:
    asked = [interpreter, "-c", f"import sys, venv; sys.exit(sys.version_info < {_OLDEST})"]
    try:
        return subprocess.run(asked, capture_output=True, timeout=10, check=False).returncode == 0  # noqa: S603 - our own command
    except OSError:
        return False


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
    """Return an interpreter with matplotlib; py-spy is beside it. They are installed on first use. Raises ``RunError``."""
    requirements, done = _HERE / "requirements.txt", CACHE / "venv" / "requirements.txt"
    python = CACHE / "venv" / "bin" / "python"
    if not (done.exists() and done.read_bytes() == requirements.read_bytes()):
        run_tool([sys.executable, "-m", "venv", "--clear", str(CACHE / "venv")], timeout=_SECONDS)
        run_tool([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], timeout=_SECONDS)
        shutil.copyfile(requirements, done)
    return python


def compile_bytecode() -> None:
    """Compile all bytecode, so that every measured start has valid bytecode."""
    run_tool([str(PYTHON), "-m", "compileall", "-q", str(ROOT / "src"), str(_HERE / "peers")], timeout=_SECONDS)
