"""What the benchmarks wrote is for everybody: it shows the function, not the machine that it was measured on."""

import re
from pathlib import Path

import pytest

from support.documents import ROOT

RESULTS = sorted(path for path in (ROOT / "benchmarks" / "results").iterdir() if path.suffix != ".png")
FOLDER = re.compile(r"(?<![\w:/.])/(?:home|root|tmp|usr|opt|var|work|Users)/|site-packages")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_result_names_no_folder_of_the_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text
    assert not FOLDER.findall(text)
