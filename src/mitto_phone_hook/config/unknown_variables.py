"""Variables that look like settings but are none, such as a misspelt limit."""

from collections.abc import Mapping
from difflib import get_close_matches

from mitto_phone_hook.config.settings import RENAMED, variables

_SHARED_WORDS = frozenset(
    {"MAX", "CODE", "DEADLINE", "CONNECT", "DEFAULT", "LOG", "STORE", "STATE", "OKTA", "SENDER", "STRICT", "REPORT", "PUBLIC", "TEST"}
)
"""First words of settings that variables of other software begin with, too."""

_MIN_LIKENESS = 0.85


def unknown(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the names of such variables, each with what to do about it."""
    known = {variable.name: variable for variable in variables()}
    # What follows the name of a family is checked when the settings are read.
    families = tuple(f"{name}_" for name, variable in known.items() if variable.is_family)
    first_words = {name.split("_")[0] for name in known} - _SHARED_WORDS | {"LIMIT"}
    found: dict[str, str] = {}
    for name in sorted(environment):
        bare = name.removesuffix("_FILE")
        if (
            not environment[name]
            or name in known
            or name in RENAMED
            or name.startswith(families)
            or (bare in known and known[bare].is_secret)
        ):
            continue
        if bare in known:
            found[name] = f"set {bare} itself, it comes from no file"
        elif near := get_close_matches(name, known, n=1, cutoff=_MIN_LIKENESS):
            found[name] = f"was {near[0]} meant?"
        elif name.split("_")[0] in first_words:
            found[name] = "docs/configuration.md has the names of all settings"
    return found
