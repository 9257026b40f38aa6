"""Reads the environment that deploy.sh is about to give the function, as the function will read it.

``check_settings.py ENVIRONMENT PRICES SECRET...`` prints what is wrong, one sentence a line. Each ``SECRET`` is about to be stored, and in
this process's environment; all others are stored already, and not looked at. Exit status: 0 the function would start, 1 it would not,
3 this Python lacks what the function needs.
"""

# ruff: noqa: INP001, T201 - a command, not a package, and commands print

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
try:
    from mitto_phone_hook.settings import SettingsError, load, unknown
except ImportError:
    sys.exit(3)

STORED, STORED_URL = "x" * 24, "redis://stored"
"""Stand for secrets that are stored already; each of them may look like this."""


def main(environment_file: str, prices: str, *secrets: str) -> int:
    """Read everything once; return the exit status."""
    lines = Path(environment_file).read_bytes().decode("utf-8", errors="replace").split("\n")
    # The file is YAML for gcloud, of the kind whose values are JSON.
    environment = {name: json.loads(value, strict=False) for name, value in (line.split(": ", 1) for line in lines if line)}
    mounted = {environment[f"{name}_FILE"]: os.environ[name] for name in secrets}

    def read_file(path: str) -> str:
        if path == environment.get("PRICES_FILE"):
            return Path(prices).read_text(encoding="utf-8")
        return mounted.get(path, STORED_URL if path == environment.get("STORE_URL_FILE") else STORED)

    for name, step in unknown(environment).items():
        print(f"deploy.sh: {name} is no setting, nothing reads it; {step}", file=sys.stderr)
    try:
        load(environment, read_file)
    except SettingsError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
