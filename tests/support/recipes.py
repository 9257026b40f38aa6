"""The recipes of ``docs/platforms/``: their blocks, with a secret filled in."""

import re
from pathlib import Path

from support.processes import ROOT

PAGES = {path.stem: path for path in sorted((ROOT / "docs" / "platforms").glob("*.md"))}
INDEX = ROOT / "docs" / "platforms.md"
DEPLOY = ROOT / "deploy"


def blocks(name: str, language: str) -> list[str]:
    """Give the blocks of a page that are marked with this language, as they are."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[name].read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def values(name: str, language: str = "text") -> dict[str, str]:
    """Give every ``name = value`` of the page's blocks, without the blanks around them."""
    lines = [line for block in blocks(name, language) for line in block.splitlines() if "=" in line]
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def file(path: str) -> str:
    """Give a file of ``deploy/``."""
    return Path(DEPLOY / path).read_text(encoding="utf-8")
