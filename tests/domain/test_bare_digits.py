"""The table of numbers without ``+``: nobody's code goes to a stranger, except where the operator says ``national``."""

import re
import subprocess
import sys

import pytest

from support.documents import ROOT


@pytest.mark.timeout(240)
def test_no_mobile_of_any_region_is_read_as_a_strangers_unless_national_is_asked_for() -> None:
    command = [sys.executable, "-m", "benchmarks.bare_digits", "--per-region", "12"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=230, check=False)
    rows = re.findall(r"^\| (careful|international|national) \|(?: (\w+) \|)? (\d+) \| (\d+) \| (\d+) \|$", ended.stdout, re.MULTILINE)
    stripped = {(mode, home): tuple(map(int, fates)) for mode, home, *fates in rows if home}
    at_home = {mode: tuple(map(int, fates)) for mode, home, *fates in rows if not home}
    assert ended.returncode == 0, ended.stderr
    assert {home for _, home in stripped} == {"none", "US", "DE", "MX", "AT", "GB"}
    assert all(sum(fates) > 2500 for fates in stripped.values())
    assert all(fates[2] == 0 for (mode, _), fates in stripped.items() if mode != "national")
    assert all(fates[1:] == (0, 0) for (mode, _), fates in stripped.items() if mode == "international")
    assert stripped["national", "MX"][2] > 100
    assert at_home["careful"][2] == at_home["national"][2] == 0
