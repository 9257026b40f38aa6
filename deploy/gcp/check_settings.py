"""Reads the environment that deploy.sh is about to give the function, as the function will read it.

``check_settings.py ENVIRONMENT PRICES INSTANCES SECRET...`` prints what is wrong, one sentence a line, and on standard error what may
be meant but seldom is. ``INSTANCES`` is how many there may be at once. Each ``SECRET`` is about to be stored, and in
this process's environment; all others are stored already, and not looked at. Exit status: 0 the function would start, 1 it would not,
3 this Python lacks what the function needs.
"""

# ruff: noqa: INP001, T201 - a command, not a package, and commands print

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
try:
    from mitto_phone_hook.config.rules import MEMORY
    from mitto_phone_hook.config.settings import Settings, SettingsError, load
    from mitto_phone_hook.config.unknown_variables import unknown
except ImportError:
    sys.exit(3)

STORED, STORED_URL = "x" * 24, "redis://stored"
"""Stand for secrets that are stored already; each of them may look like this."""


def seldom_meant(settings: Settings, instances: int) -> Iterator[str]:
    """Yield what the function would start with, and what an operator would rather know before the bill comes."""
    if not settings.allowed_regions:
        yield "ALLOWED_REGIONS is not set, so codes go to every country: name those that you serve in --settings, or * if all are meant"
    if settings.mitto_test:
        yield "MITTO_TEST is on, so no message arrives anywhere: take it out before anybody has to log in"
    if instances > 1 and settings.store_url == MEMORY:
        yield f"{instances} instances share nothing: a code may leave twice, and every limit holds for each alone; add --redis or STORE_URL"


def main(environment_file: str, prices: str, instances: str, *secrets: str) -> int:
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
        settings = load(environment, read_file)
    except SettingsError as error:
        print(error)
        return 1
    for sentence in seldom_meant(settings, int(instances)):
        print(f"deploy.sh: {sentence}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
