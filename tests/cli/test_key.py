"""``mitto-phone-hook key``: whether Mitto accepts a key, before the function gets it."""

import io
import re
from collections.abc import Iterator

import pytest

from mitto_phone_hook.cli.command import run
from support.processes import API_KEY, FakeMittoProcess, fake_mitto


@pytest.fixture(scope="module")
def mitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path_factory.mktemp("key") / "mitto.txt") as process:
        yield process


def key(*arguments: str, **settings: str) -> tuple[int, str]:
    stream = io.StringIO()
    status = run(["key", *arguments], settings, stream)
    return status, stream.getvalue()


def test_a_key_needs_no_other_setting_and_wrong_ones_do_not_matter(mitto: FakeMittoProcess) -> None:
    base_url = f"http://127.0.0.1:{mitto.port}"
    status, shown = key(MITTO_API_KEY=API_KEY, MITTO_BASE_URL=base_url, HOOK_SECRETS="short", ALLOWED_REGIONS="XX")
    assert status == 0
    assert "accepted by Mitto" in shown
    assert API_KEY not in shown
    assert mitto.inbox() == []


def test_a_key_that_mitto_refuses_is_an_error(mitto: FakeMittoProcess) -> None:
    status, shown = key(MITTO_API_KEY="another", MITTO_BASE_URL=f"http://127.0.0.1:{mitto.port}")
    assert (status, "refused (401)" in shown) == (1, True)


def test_a_key_that_is_not_there_is_said() -> None:
    status, shown = key()
    assert (status, "--env" in shown) == (1, True)
    assert re.search("MITTO_API_KEY +is required", shown)
    assert "HOOK_SECRETS" not in shown
