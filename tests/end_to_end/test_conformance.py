"""The conformance table, made by running the real function, and the page in the documentation."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from mitto_phone_hook.callers import all_callers
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.sandbox import FakeMitto
from mitto_phone_hook.sandbox.conformance import COLUMNS, Bench, markdown, row_of
from support.processes import API_KEY, ROOT

PAGE = ROOT / "docs" / "conformance.md"
SECRETS = HookSecrets((b"bearer-secret-of-the-tests-0001",), (bytes(32),))


def test_the_page_in_the_documentation_is_what_a_run_gives(tmp_path: Path) -> None:
    """No platform's rule is broken in it, each platform has a row, and a terminal shows how far it is."""
    written = tmp_path / "new" / "conformance.md"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mitto_phone_hook.sandbox.conformance", str(written)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=55, check=False)
        progress = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, progress
    page = written.read_text(encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "run: make platforms"
    assert done.stdout.strip() in page
    assert [f"`{name}`" in done.stdout for name in all_callers()] == [True] * len(all_callers())
    assert all(f" {column} " in done.stdout for column in COLUMNS)
    assert "!" not in done.stdout
    assert f"\r\x1b[K  · {len(all_callers())} of {len(all_callers())} platforms ...\r\x1b[K" in progress


async def row(name: str, response: httpx.Response) -> tuple[dict[str, str], tuple[str, ...]]:
    """Make the row of a platform from a server that has this response for everybody, and that sends nothing."""
    transport = httpx.MockTransport(lambda _: httpx.Response(response.status_code, content=response.content, headers=response.headers))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        found = await row_of(name, all_callers()[name], "+12025550110", Bench(client, FakeMitto(api_key=API_KEY), SECRETS))
    return found.cells, found.problems


@pytest.mark.parametrize("name", ["native", "zitadel", "clerk"])
async def test_a_function_that_accepts_everything_and_sends_nothing_is_found_out(name: str) -> None:
    cells, problems = await row(name, httpx.Response(200, json={"status": "accepted"}))
    assert problems == ("forged refused", "accepted", "unknown")
    assert (cells["accepted"], cells["forged refused"]) == ("accepted, 0 SMS!", "NO!")


async def test_a_function_that_refuses_everything_is_found_out() -> None:
    cells, problems = await row("okta", httpx.Response(401, json={}))
    assert set(problems) == {"authenticated", "accepted", "unknown"}
    assert (cells["authenticated"], cells["forged refused"], cells["accepted"]) == ("NO!", "yes", "sends itself, 0 SMS!")


def test_a_table_is_aligned() -> None:
    assert markdown([("a", "bcd"), ("ef", "g")]) == "| a  | bcd |\n| -- | --- |\n| ef | g   |\n"
