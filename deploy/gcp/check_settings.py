"""Checks the environment that deploy.sh will give the function, with the function's own code.

``check_settings.py ENVIRONMENT PRICES INSTANCES SECRET...`` prints errors to standard output, one per line, and warnings to
standard error. ``INSTANCES`` is the maximum number of instances. Each ``SECRET`` is new; its value is in this process's
environment. Secrets that are stored already are not checked. Exit status: 0 the function starts, 1 it does not start,
3 this Python lacks the function's packages.
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
"""Placeholders for secrets that are stored already."""


def warnings(settings: Settings, instances: int) -> Iterator[str]:
    """Yield a warning for each setting that is valid but rarely intended."""
    if not settings.allowed_regions:
        yield "ALLOWED_REGIONS is not set, so every country gets messages: set it in --settings to the countries that you serve, or to *"
    if settings.mitto_test:
        yield "MITTO_TEST is on, so no message is delivered: remove it before you go live"
    if instances > 1 and settings.store_url == MEMORY:
        yield f"{instances} instances share nothing: a code may be sent twice, and each has limits of its own; add --redis or STORE_URL"


def main(environment_file: str, prices: str, templates: str, instances: str, *secrets: str) -> int:
    """Check everything. Returns the exit status."""
    lines = Path(environment_file).read_bytes().decode("utf-8", errors="replace").split("\n")
    # The file is YAML for gcloud, and its values are valid JSON.
    environment = {name: json.loads(value, strict=False) for name, value in (line.split(": ", 1) for line in lines if line)}
    mounted = {environment[f"{name}_FILE"]: os.environ[name] for name in secrets}

    def read_file(path: str) -> str:
        if path == environment.get("PRICES_FILE"):
            return Path(prices).read_text(encoding="utf-8")
        if path == environment.get("TEMPLATES_FILE"):
            return Path(templates).read_text(encoding="utf-8")
        return mounted.get(path, STORED_URL if path == environment.get("STORE_URL_FILE") else STORED)

    for name, step in unknown(environment).items():
        print(f"deploy.sh: {name} is no setting, nothing reads it; {step}", file=sys.stderr)
    try:
        settings = load(environment, read_file)
    except SettingsError as error:
        print(error)
        return 1
    for sentence in warnings(settings, int(instances)):
        print(f"deploy.sh: {sentence}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
