"""How long identity platforms wait for the hook's response. Those with a route of their own say it in ``callers/``.

Source: each platform's own code or documentation, as of 2026; "default" where its operator can change it.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from mitto_phone_hook.callers import Caller, all_callers, platform_of
from mitto_phone_hook.platforms import ROOT


class Platform(NamedTuple):
    """An identity platform and its timeout."""

    name: str
    timeout_seconds: float
    source: str


NATIVE_CALLERS = (
    Platform("privacyIDEA", 3, "HTTP SMS gateway, default of TIMEOUT"),
    Platform("Ory", 10, "ory/kratos courier/http_channel.go: 10 s"),
    Platform("WSO2", 20, "WSO2 Identity Server: read time-out 20 s"),
)
"""Platforms that call with the native payload, as their administrators write it."""

MITTO_SECONDS = 1.0
"""Reserved for Mitto's response, which a check without a message cannot measure."""


def waiting(caller: Caller) -> Platform:
    """Give what a caller says of its timeout."""
    return Platform(caller.title, caller.waits_seconds, caller.waits_source)


def _callers_of_root() -> Iterable[Platform]:
    yield from NATIVE_CALLERS
    for name, caller in all_callers().items():
        if platform_of(name) == ROOT and math.isfinite(caller.waits_seconds):
            yield waiting(caller)


PLATFORMS = tuple(sorted(_callers_of_root(), key=lambda platform: platform.timeout_seconds))
"""Those that call ``/``, the shortest timeout first. All others have secrets, and a check, of their own route."""


def in_time(seconds: float, platforms: Iterable[Platform] = PLATFORMS) -> tuple[list[Platform], list[Platform]]:
    """Return the platforms for which a response after ``seconds`` plus Mitto's time is in time, and those for which it is late."""
    met = [platform for platform in platforms if seconds + MITTO_SECONDS <= platform.timeout_seconds]
    return met, [platform for platform in platforms if platform not in met]
