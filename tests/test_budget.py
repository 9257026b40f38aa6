"""No change makes a message dearer unseen."""

import pytest

from support.budget import PYTHON, TOLERANCE, budget, calls
from support.served import SETUPS


def test_every_kind_of_call_has_a_budget() -> None:
    assert budget()["calls"].keys() == SETUPS.keys()


@pytest.mark.parametrize("name", SETUPS)
def test_a_message_is_not_dearer_than_its_budget(name: str) -> None:
    """Where this fails for a good reason, `make budget` writes the budget anew."""
    known = budget()
    now, allowed = calls(name), known["calls"][name]
    assert now <= allowed * (1 + TOLERANCE), f"a message makes {now:.0f} calls, and its budget are {allowed}"
    if known["python"] == PYTHON:
        # What was saved must not be spent again unseen. Another version of Python counts a little differently.
        assert now >= allowed * (1 - TOLERANCE), f"a message makes only {now:.0f} calls, and its budget are {allowed}: make budget"
