"""Whoever makes a common mistake reads what is wrong, where, and what to do now; the page about it says the same."""

import pytest

from support import mistakes
from support.processes import API_KEY, BEARER

SECRETS = (API_KEY, BEARER, "whsec_AAEC", "another-secret", "2025550110", "739105")


@pytest.fixture(scope="module")
def made() -> list[tuple[mistakes.Mistake, list[mistakes.Seen]]]:
    return list(mistakes.seen())


def test_each_mistake_is_answered_with_the_next_step(made: list[tuple[mistakes.Mistake, list[mistakes.Seen]]]) -> None:
    assert len(made) >= 20
    for mistake, seen in made:
        assert seen, mistake.name
        text = " ".join(part for one in seen for part in one)
        assert mistake.proof in text, mistake.name
        for one in seen:
            assert len(one.what) > 1, mistake.name
            assert len(one.to_do.split()) > 1, f"{mistake.name}: {one}"
            assert not [secret for secret in SECRETS if secret in one.what + one.to_do], mistake.name


def test_the_page_says_what_is_seen(made: list[tuple[mistakes.Mistake, list[mistakes.Seen]]]) -> None:
    assert mistakes.PAGE.read_text(encoding="utf-8") == mistakes.page(made), "run: make docs"
