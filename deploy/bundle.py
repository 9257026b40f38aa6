"""Makes the bundle, which holds only what a cloud needs to run the function, and the lock of its packages.

``python deploy/bundle.py [--out DIR] [--redis] [--prices FILE] [--templates FILE]`` makes the bundle;
``python deploy/bundle.py --lock`` updates the lock. It needs only Python; ``--lock`` also needs the package index.
"""

# ruff: noqa: INP001, T201 - a command, not a package, and commands print

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
PROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "deploy" / "requirements.txt"
REDIS_LOCK = ROOT / "deploy" / "requirements-redis.txt"

EXCLUDED = re.compile(r"\..*|__pycache__|.*\.egg-info|sandbox")
"""Names in ``src/`` that are not in the bundle: hidden files such as ``.env``, build files, and the fake Mitto."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
ENVIRONMENT = "sys_platform == 'linux' and implementation_name == 'cpython'"
"""The target of the lock. The function also runs on PyPy and other systems, but no cloud uses them."""

_HEADER = """\
# {what}
# Wheels for Linux on {machines}, CPython {pythons}.
# Made by `python deploy/bundle.py --lock`, which takes the newest versions that pyproject.toml allows; do not edit.
"""
_PACKAGE = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
_ALWAYS_TRUE = re.compile(r"python_full_version >= '3\.([0-9]|1[01])'")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python deploy/bundle.py", description="Make the bundle for a deployment, or update its lock.")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "bundle", metavar="DIR", help="folder of the bundle (default: build/bundle)"
    )
    parser.add_argument("--redis", action="store_true", help="add the Redis client, for a STORE_URL with redis:// or rediss://")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="add this file as prices.csv, for PRICES_FILE")
    parser.add_argument("--templates", type=Path, metavar="FILE", help="add this file as templates.toml, for TEMPLATES_FILE")
    parser.add_argument("--lock", action="store_true", help="update deploy/requirements*.txt instead; needs the package index")
    options = parser.parse_args(arguments)
    try:
        if options.lock:
            renew_locks()
        else:
            stage(options.out, with_redis=options.redis, prices=options.prices, templates=options.templates)
            print(options.out)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


def stage(out: Path, *, with_redis: bool = False, prices: Path | None = None, templates: Path | None = None) -> None:
    """Put the contents of ``src/``, one ``requirements.txt``, the price file and the templates into ``out``. Replaces an earlier bundle.

    Raises ``ValueError`` when ``out`` contains anything else, because it would be deleted.
    """
    if with_redis and not REDIS_LOCK.exists():
        raise ValueError(f"{REDIS_LOCK.name} is missing; pyproject.toml needs an extra called redis, then run --lock")
    requirements = "".join(lock.read_text(encoding="utf-8") for lock in (LOCK, REDIS_LOCK)[: 1 + with_redis])
    added: dict[str, bytes] = {}
    for option, name, path in (("--prices", "prices.csv", prices), ("--templates", "templates.toml", templates)):
        try:
            added |= {name: path.read_bytes()} if path else {}
        except OSError:
            raise ValueError(f"{option} names a file that cannot be read: {path}") from None
    if out.exists():
        if any(out.iterdir()) and not all((out / name).is_file() for name in ("main.py", "requirements.txt")):
            raise ValueError(f"{out} is neither empty nor an earlier bundle; choose another folder, or delete it")
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / "requirements.txt").write_text(requirements, encoding="utf-8")
    for name, content in added.items():
        (out / name).write_bytes(content)
    for path in _bundled_files(SOURCE):
        target = out / path.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _bundled_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if EXCLUDED.fullmatch(path.name):
            continue
        if path.is_dir():
            yield from _bundled_files(path)
        else:
            yield path


def renew_locks() -> None:
    """Resolve the runtime dependencies again and write the locks. The lock for Redis holds only the additional packages."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as folder:
        uv = _uv(Path(folder))
        packages = _resolve(uv, Path(folder), project["dependencies"])
        _write(LOCK, "Everything the function runs with: exact versions, hashes of their wheels.", packages)
        redis = project.get("optional-dependencies", {}).get("redis")
        if redis:
            pinned = [f"{package['name']}=={package['version']}" for package in packages]
            names = {package["name"] for package in packages}
            added = [package for package in _resolve(uv, Path(folder), [*pinned, *redis]) if package["name"] not in names]
            _write(REDIS_LOCK, "What a store in Redis adds to requirements.txt.", added)


def _uv(folder: Path) -> Path:
    """Install uv for this run only. Unlike pip, it resolves for all Pythons and machines at once."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    _run([str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "uv"])
    return programs / "uv"


def _resolve(uv: Path, folder: Path, requirements: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the packages that ``requirements`` need, in the standard lock format (PEP 751)."""
    (folder / "pyproject.toml").write_text(
        "[project]\n"
        'name = "lock"\nversion = "0"\n'
        f'requires-python = ">={PYTHONS[0]}"\n'
        f"dependencies = {json.dumps(requirements)}\n"
        f"[tool.uv]\nenvironments = [{json.dumps(ENVIRONMENT)}]\n",
        encoding="utf-8",
    )
    resolved = folder / "pylock.toml"
    options = ["--universal", "--fork-strategy", "fewest", "--only-binary", ":all:", "--format", "pylock.toml"]
    _run([str(uv), "--quiet", "pip", "compile", "pyproject.toml", *options, "--output-file", str(resolved)], cwd=folder)
    packages: list[Mapping[str, Any]] = tomllib.loads(resolved.read_text(encoding="utf-8"))["packages"]
    resolved.unlink()
    return packages


def _write(lock: Path, what: str, packages: Iterable[Mapping[str, Any]]) -> None:
    text = _HEADER.format(what=what, machines=" and ".join(MACHINES), pythons=f"{PYTHONS[0]} to {PYTHONS[-1]}")
    for package in packages:
        for python, machine in sorted(missing(package["wheels"])):
            print(f"no wheel: {package['name']} {package['version']} for CPython {python} on {machine}", file=sys.stderr)
        pin = f"{package['name']}=={package['version']}{marker_of(package.get('marker', ''))}"
        text += " \\\n    ".join([pin, *(f"--hash=sha256:{one}" for one in hashes_of(package["wheels"]))]) + "\n"
    old = dict(_PACKAGE.findall(lock.read_text(encoding="utf-8"))) if lock.exists() else {}
    for name, version in _PACKAGE.findall(text):
        if old.get(name) != version:
            print(f"{name} {old.get(name, 'new')} -> {version}")
    lock.write_text(text, encoding="utf-8")


def hashes_of(wheels: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the hashes of the wheels that fit at least one target (Python and machine)."""
    return sorted(wheel["hashes"]["sha256"] for wheel in wheels if _targets(_name(wheel)))


def missing(wheels: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return the targets (Python and machine) that have no wheel."""
    fitting = {target for wheel in wheels for target in _targets(_name(wheel))}
    return {(python, machine) for python in PYTHONS for machine in MACHINES} - fitting


def _name(wheel: Mapping[str, Any]) -> str:
    name: str = wheel.get("name") or wheel["url"].rpartition("/")[2]
    return name


def _targets(wheel: str) -> set[tuple[str, str]]:
    """Return the targets that a wheel fits, by its file name. Images of these clouds have glibc, never musl."""
    interpreters, abis, platforms = (part.split(".") for part in wheel.removesuffix(".whl").split("-")[-3:])

    def fits_python(tag: str) -> bool:
        is_stable_abi = "abi3" in abis and any(re.fullmatch("cp3[0-9]+", one) and int(one[3:]) <= int(tag[3:]) for one in interpreters)
        return (tag in interpreters and tag in abis) or is_stable_abi or ("py3" in interpreters and "none" in abis)

    def fits_machine(machine: str) -> bool:
        return any(one == "any" or (one.startswith("manylinux") and one.endswith(machine)) for one in platforms)

    pythons = [python for python in PYTHONS if fits_python("cp" + python.replace(".", ""))]
    return {(python, machine) for python in pythons for machine in MACHINES if fits_machine(machine)}


def marker_of(marker: str) -> str:
    """Return a marker without the parts that are always true for this lock."""
    parts = [part for part in marker.split(" and ") if part not in ENVIRONMENT.split(" and ") and not _ALWAYS_TRUE.fullmatch(part)]
    return f" ; {' and '.join(parts)}" if any(parts) else ""


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd)  # noqa: S603 - our own commands


if __name__ == "__main__":
    sys.exit(main())
