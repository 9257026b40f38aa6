"""What a fresh process has loaded: the platforms that call, and no library of the others."""

import os
import subprocess
import sys

import pytest

from mitto_phone_hook.platforms import NAMES
from support.processes import ROOT, function_environment

CALLS = """
import asyncio, sys
from mitto_phone_hook import function
from mitto_phone_hook.request import Call

async def pieces():
    yield b"{}"

async def main():
    for path in sys.argv[1:]:
        await function._hook().respond(Call("POST", path, {}, pieces()))

asyncio.run(main())
print("loaded:", *sys.modules)
"""
OKTA = {"OKTA_ISSUER": "https://example.okta.com/oauth2/default", "OKTA_AUDIENCE": "https://hook.example.org", "OKTA_SCOPE": "sms"}


def loaded_after(*paths: str, **settings: str) -> set[str]:
    """Give the modules of a function that was started with these settings and called at these paths."""
    done = subprocess.run(
        [sys.executable, "-c", CALLS, *paths],
        cwd=ROOT,
        env=function_environment(**settings) | {"PYTHONPATH": os.fspath(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("loaded: ")]
    return set(line.split()[1:])


def platforms(modules: set[str]) -> set[str]:
    return {name for name in NAMES if f"mitto_phone_hook.platforms.{name}" in modules}


@pytest.mark.parametrize(
    "settings", [{}, {f"HOOK_SECRETS_{name.upper()}": f"the-own-secret-of-{name}-here" for name in NAMES}], ids=["one", "all"]
)
def test_a_start_loads_no_platform_whatever_is_configured(settings: dict[str, str]) -> None:
    modules = loaded_after(**settings)
    assert platforms(modules) == set()
    assert not modules & {"jwt", "cryptography", "redis"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {"auth0"}),
        ("/hooks/native", {"native"}),
        ("/hooks/supabase", {"supabase"}),
        ("/hooks/okta/x", {"okta"}),
        ("/nowhere", {"auth0"}),
    ],
)
def test_a_call_loads_the_platform_that_it_is_for_and_no_other(path: str, expected: set[str]) -> None:
    assert platforms(loaded_after(path)) == expected


def test_the_library_of_oktas_tokens_is_loaded_only_where_their_issuer_is_set() -> None:
    assert not loaded_after("/hooks/okta", HOOK_SECRETS_OKTA="the-own-secret-of-okta-is-here") & {"jwt", "cryptography"}
    assert {"jwt", "cryptography"} <= loaded_after("/hooks/okta", **OKTA)


def test_without_that_library_the_start_says_what_to_install() -> None:
    script = "import sys; sys.modules['jwt'] = None; import mitto_phone_hook.function"
    command, environment = [sys.executable, "-c", script], function_environment(**OKTA)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "OKTA_ISSUER needs the package PyJWT" in done.stderr
    assert "Traceback" not in done.stderr
