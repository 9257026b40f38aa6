"""What a second platform costs: ``python -m benchmarks.platforms``. It must be nothing per message and less than 5 ms at start.

Times are CPU time, the least of several processes, and one message costs instructions, counted by callgrind: neither depends much on
what else the machine does.
"""

# ruff: noqa: T201 - a command prints

import os
import sys

from benchmarks.instructions import instructions
from benchmarks.running import RunError, inherited_environment, run_tool
from benchmarks.tables import table
from mitto_phone_hook.platforms import NAMES, ROOT

STARTS = 9
GOAL_MS, GOAL_SHARE = 5.0, 0.002
SECOND = "supabase"
SECRET = "bearer-secret-of-the-benchmark"  # noqa: S105 - no secret

_START = "import time, mitto_phone_hook.function; print(time.process_time() * 1000)"
_LOADED = (
    "import sys, mitto_phone_hook.function; from mitto_phone_hook.platforms import load_platform; load_platform('native');"
    "print(*sorted(name.rpartition('.')[2] for name in sys.modules if name.startswith('mitto_phone_hook.platforms.') and '._' not in name))"
)
_FIRST_CALL = (
    "import sys, time, mitto_phone_hook.function; from mitto_phone_hook.platforms import load_platform; load_platform('auth0');"
    "started = time.process_time(); load_platform(sys.argv[1]); print((time.process_time() - started) * 1000)"
)


def run(script: str, *arguments: str, **settings: str) -> str:
    """Return the last line that a function with these settings prints when it runs ``script`` in place of a server."""
    given = {"MITTO_API_KEY": "k", "HOOK_SECRETS": SECRET, "ALLOWED_REGIONS": "CH", "LOG_LEVEL": "ERROR"} | settings
    environment = [f"{name}={value}" for name, value in (inherited_environment() | given).items()]
    return run_tool(["env", "-i", *environment, sys.executable, "-c", script, *arguments], timeout=60).splitlines()[-1]


def start_ms(*settings: dict[str, str]) -> list[float]:
    """Return the CPU time of a start for each of ``settings``. They take turns, so that all meet the same machine."""
    rounds = [[float(run(_START, **one)) for one in settings] for _ in range(STARTS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def main() -> int:
    """Print the table. Returns the exit status: 1 if a cost is too high."""
    second = {f"HOOK_SECRETS_{SECOND.upper()}": "another-secret-of-the-benchmark"}
    okta = {"OKTA_ISSUER": "https://example.okta.com/oauth2/default", "OKTA_AUDIENCE": "https://hook.example.org", "OKTA_SCOPE": "sms"}
    try:
        loaded = run(_LOADED, **second)
        one, two, with_tokens = start_ms({}, second, okta)
        first_call = {name: min(float(run(_FIRST_CALL, name)) for _ in range(STARTS)) for name in NAMES if name != ROOT}
        alone, together = instructions("native"), instructions("native", SECOND)
    except RunError as error:
        print(f"no costs: {error}", file=sys.stderr)
        return 2
    slowest = max(first_call, key=first_call.__getitem__)
    share = together / alone - 1
    rows: list[tuple[str, str, str, bool]] = [
        ("platforms imported after a call of native", loaded, "native", loaded == "native"),
        ("start with a second platform", f"{two - one:+.1f} ms of {one:.0f} ms", f"under {GOAL_MS:g} ms", two - one < GOAL_MS),
        (
            f"import at its first call, at most ({slowest})",
            f"{first_call[slowest]:.1f} ms",
            f"under {GOAL_MS:g} ms",
            first_call[slowest] < GOAL_MS,
        ),
        (
            "instructions of a message with a second platform",
            f"{share:+.3%} of {alone:,.0f}",
            f"under {GOAL_SHARE:.1%}",
            share < GOAL_SHARE,
        ),
        ("start with OKTA_ISSUER, for its library", f"{with_tokens - one:+.1f} ms", "no goal", True),
    ]
    print(table(["what", "measured", "must be", "verdict"], [[*row, "ok" if is_good else "TOO HIGH"] for *row, is_good in rows]))
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    return 0 if all(is_good for *_, is_good in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
