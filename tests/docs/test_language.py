"""The pages are easy to read: short, plain, without spelling faults, and with headings like sentences."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.documents import README, ROOT, name_of, pages
from support.readability import prose, reading_ease

MOST_WORDS = 900
LEAST_EASE = 55.0
"""The least Flesch reading ease; newspapers have 50 to 60."""

FOREIGN_WORDS = "ist,sie,connexion"
"""Of the German and French texts of messages in docs/texts.md."""

NAMES = re.compile(
    "Actions|Amazon|API|Auth|Auth0|Auth0's|Authgear|AWS|Better|CLI|Cloud|Cognito|Deploy|Figures|"
    "Fraud|Goals|HTTP|IDs|IP|JSON|Lambda|Logging|Loki|Mitto|Mitto's|OpenAPI|Python|Redis|Run|SMS|Terraform"
)
"""Words of headings that begin with a capital letter wherever they stand."""

each_page = pytest.mark.parametrize("path", pages(), ids=name_of)


def headings(path: Path) -> list[str]:
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


@each_page
def test_a_sentence_begins_with_a_capital_letter(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(r"\w+\. [a-z]\w*", text) == []


@pytest.mark.parametrize("path", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=name_of)
def test_a_heading_is_written_like_a_sentence(path: Path) -> None:
    wrong = []
    for heading in headings(path):
        # A name of the code, a number of a version and the first word after a colon may begin as they like.
        words = re.sub(r"`[^`]+`", "code", heading).replace(": ", " code ").split()
        wrong += [word for word in words[1:] if word[0].isupper() and not NAMES.fullmatch(word.strip(",.:"))]
        wrong += [word for word in words[:1] if word[0].islower() and word not in {"code", "jq", "mitto-phone-hook"}]
    assert wrong == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= MOST_WORDS


@pytest.mark.parametrize("path", pages(), ids=name_of)
def test_a_page_is_easy_to_read(path: Path) -> None:
    text = prose(path.read_text(encoding="utf-8"))
    assert not re.search(r"\w", text) or reading_ease(text) >= LEAST_EASE


def test_the_reading_ease_tells_hard_from_easy() -> None:
    easy = "The cat sat on the mat. It was warm. The sun shone on the wall."
    hard = "Notwithstanding organisational responsibilities, interoperability considerations necessitate comprehensive documentation."
    assert reading_ease(hard) < LEAST_EASE - 50 < LEAST_EASE + 40 < reading_ease(easy)


def test_nothing_is_misspelt() -> None:
    codespell = Path(sys.executable).parent / "codespell"
    done = subprocess.run(
        [codespell, "--ignore-words-list", FOREIGN_WORDS, *pages()], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_spell_checker_finds_a_fault(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("The mesage is recieved.\n", encoding="ascii")
    done = subprocess.run([Path(sys.executable).parent / "codespell", page], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.count("==>") == 2
