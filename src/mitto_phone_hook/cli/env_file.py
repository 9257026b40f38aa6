"""Reads a file of settings as ``docker run --env-file`` does, so that one file serves a container and these commands."""

import argparse
from pathlib import Path


def env_file(path: str) -> dict[str, str]:
    """Read lines ``NAME=value`` from a file. Raises ``argparse.ArgumentTypeError``, which names a line and never a value.

    By the rules of Docker: empty lines and lines that begin with ``#`` do not count, a value is everything after the first ``=``,
    quotation marks and spaces included, and a name alone takes its value from the environment.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise argparse.ArgumentTypeError("names no readable file in UTF-8; mitto-phone-hook init writes one") from None
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        name, equals, value = line.rstrip("\r").lstrip().partition("=")
        if (not name and not equals) or name.startswith("#"):
            continue
        if not name.isascii() or not name.isidentifier():
            step = "take the word export out" if name.startswith("export ") else "a value stays in one line"
            raise argparse.ArgumentTypeError(f"line {number} of this file must be NAME=value, without spaces around the name: {step}")
        if equals:
            values[name] = value
    return values
