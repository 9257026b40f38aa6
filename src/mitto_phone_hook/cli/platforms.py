"""How long identity platforms wait for the hook's answer.

Source: each platform's own code or documentation, as of 2026; "default" where its operator can change it.
"""

from typing import NamedTuple


class Platform(NamedTuple):
    """A caller and its patience."""

    name: str
    seconds: float
    source: str


PLATFORMS = (
    Platform("Okta", 3, "inline hooks: 3 s, then Okta sends by itself"),
    Platform("privacyIDEA", 3, "HTTP SMS gateway, default of TIMEOUT"),
    Platform("Supabase", 5, "supabase/auth hookshttp.go: 5 s over all attempts"),
    Platform("ZITADEL", 5, "zitadel webhook/channel.go: 5 s"),
    Platform("Auth0", 10, "documentation of Actions: advised for one HTTP call; a trigger's whole run has 20 s"),
    Platform("Ory", 10, "ory/kratos courier/http_channel.go: 10 s"),
    Platform("WSO2", 20, "WSO2 Identity Server: read time-out 20 s"),
    Platform("Auth0's old SMS gateway", 30, "documentation of the passwordless sms_gateway: 30 s"),
)
"""The least patient first."""

MITTO_SECONDS = 1.0
"""Set aside for Mitto's own answer, which a check that sends nothing cannot measure."""


def in_time(seconds: float) -> tuple[list[Platform], list[Platform]]:
    """Tell for which platforms an answer after ``seconds``, and Mitto's time on top, is early enough and for which it is not."""
    kept = [platform for platform in PLATFORMS if seconds + MITTO_SECONDS <= platform.seconds]
    return kept, [platform for platform in PLATFORMS if platform not in kept]
