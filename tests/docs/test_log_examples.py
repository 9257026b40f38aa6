"""What the page shows of the commands that read the log is what they print. As a program it writes the page anew."""

import json
import re
import tempfile
from pathlib import Path

import pytest

from support.logs import morning, plain
from support.processes import ROOT
from support.terminals import in_process

PAGE = ROOT / "docs" / "tail.md"
EXAMPLE = re.compile(r"(<!-- example: (.+) -->\n```text\n)((?:.*\n)*?)(```\n)")
FILES = {
    "log.txt": plain(morning()),
    "prices.csv": "region,price\nCH,0.05\nDE,0.07\n*,0.10\n",
    "usage.json": json.dumps(
        [
            {"country": "CHE", "messagesCount": "2", "cost": "0.11"},
            {"country": "DEU", "messagesCount": "2", "cost": "0.1512"},
            {"country": "USA", "messagesCount": "1", "cost": "0.05"},
        ]
    ),
}


def printed(words: str, folder: Path) -> str:
    """Run a command of the page over the example's files."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    arguments = [str(folder / word) if word in FILES else word for word in words.split()]
    return in_process(*arguments)[1]


def examples() -> list[tuple[str, str]]:
    return [(found[2], found[3]) for found in EXAMPLE.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("words", "shown"), examples(), ids=[words for words, _ in examples()])
def test_the_page_shows_what_the_command_prints(words: str, shown: str, tmp_path: Path) -> None:
    assert shown == printed(words, tmp_path)


def test_each_command_that_reads_a_log_has_an_example() -> None:
    assert {words.split()[0] for words, _ in examples()} == {"tail", "trace", "costs"}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        text = EXAMPLE.sub(lambda found: found[1] + printed(found[2], Path(folder)) + found[4], PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")
