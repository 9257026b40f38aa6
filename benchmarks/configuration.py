"""The parameters: the function's settings, the lengths of a run, its load."""

import base64
from dataclasses import dataclass

API_KEY = "key-of-the-benchmarks-0001"
BEARER = "bearer-secret-of-the-benchmarks-0001"
SIGNING_KEY = b"signing-key-of-the-benchmarks-01"

FUNCTION_SETTINGS = {
    "MITTO_API_KEY": API_KEY,
    "HOOK_SECRETS": f"{BEARER} whsec_{base64.b64encode(SIGNING_KEY).decode()}",
    "ALLOWED_REGIONS": "CH,DE,GB,US",
    "BLOCKED_NUMBERS": "+18765550123,+4419",
    "LIMITS": "total=9000000/hour,9000000/day",
}
"""Our function's environment. All other settings have their defaults: destinations, idempotency, limits in memory, log.

wrk's calls are signed. The benchmark's own calls send the bearer secret. Budgets in money are off, as by default, and no
call goes to a country that the settings do not name. ``load.lua`` stays within the limits per number, block of numbers
and IP address. The default of the total limit would end a run after seconds, so it is counted, but very high.
"""

RESEND_SECONDS = 10

SHORT_WINDOWS = {
    "DEADLINE_SECONDS": "2",
    "CODE_LIFETIME_SECONDS": "30",
    "RESEND_AFTER_SECONDS": str(RESEND_SECONDS),
    "LIMITS": "recipient=100/10second; prefix=100/10second; ip=100/10second; total=9000000/10second",
}
"""Replaces some of these settings: the data in memory soon reaches its maximum. So further growth is a leak, but for the ids of signed
calls: 100,000 are kept for 10 minutes."""

PAYLOAD = {
    "recipient": "+41 76 000 00 01",
    "text": "Your verification code is: 000001",
    "context": {"message_type": "sms", "action": "second-factor-authentication", "language": "en", "code": "000001", "ip": "10.255.0.1"},
}
"""The first call to every server. It shows that the server is up."""

HEADERS = {"Authorization": f"Bearer {BEARER}", "Content-Type": "application/json"}

DELAY_MS = 50
LONG_DELAY_MS = 2000
IN_FLIGHT = 64
MANY_IN_FLIGHT = 256


@dataclass(frozen=True)
class Lengths:
    """How long a run takes."""

    rounds: int
    tls_rounds: int
    warm_seconds: int
    one_seconds: int
    load_seconds: int
    memory_steps: tuple[int, ...]
    """Memory is measured after each of these numbers of requests. The figures use the first, second and last."""
    short_steps: tuple[int, int] | None
    """The same with ``SHORT_WINDOWS``. At both numbers the windows are already full, and so are the ids of signed calls, of which
    100,000 are kept for 10 minutes. ``None``: there is no time for so many calls."""
    import_runs: int


FULL = Lengths(
    rounds=5,
    tls_rounds=5,
    warm_seconds=2,
    one_seconds=3,
    load_seconds=3,
    memory_steps=(1_000, 10_000, 100_000),
    short_steps=(110_000, 220_000),
    import_runs=5,
)
QUICK = Lengths(
    rounds=2,
    tls_rounds=1,
    warm_seconds=1,
    one_seconds=1,
    load_seconds=1,
    memory_steps=(1_000, 2_000, 4_000),
    short_steps=None,
    import_runs=1,
)
