"""Variables that look like settings and are none: a misspelt limit limits nothing."""

from collections.abc import Mapping
from difflib import get_close_matches

from mitto_phone_hook.config.table import BUDGET_SECONDS, TABLE

_EVERYBODYS = frozenset({"MAX", "CODE", "DEADLINE", "CONNECT", "DEFAULT", "LOG", "STORE"})
"""First words of settings that other software's variables begin with, too."""

_MIN_LIKENESS = 0.85


def unknown(environment: Mapping[str, str]) -> dict[str, str]:
    """Find them, each with what to do."""
    names = {setting.name for setting in TABLE}
    known = names | {f"{setting.name}_FILE" for setting in TABLE if setting.is_secret}
    families = {name.split("_")[0] for name in names} - _EVERYBODYS | {"LIMIT"}
    found: dict[str, str] = {}
    for name in sorted(environment.keys() - known):
        if name.rpartition("_")[0] in BUDGET_SECONDS or not environment[name]:
            continue
        bare = name.removesuffix("_FILE")
        if bare.startswith("HOOK_SECRETS_"):
            continue  # stops the start, with a sentence of its own
        if bare in names:
            found[name] = f"set {bare} itself, it comes from no file"
        elif near := get_close_matches(name, names, n=1, cutoff=_MIN_LIKENESS):
            found[name] = f"was {near[0]} meant?"
        elif name.split("_")[0] in families:
            found[name] = "README.md has the names of all settings"
    return found
