"""How long identity platforms wait for the hook's response.

Source: each platform's own code or documentation, as of 2026; "default" where its operator can change it.
"""

from typing import NamedTuple


class Platform(NamedTuple):
    """An identity platform and its timeout."""

    name: str
    timeout_seconds: float
    source: str


PLATFORMS = (
    Platform("Okta", 3, "inline hooks: 3 s, then Okta sends the message itself"),
    Platform("privacyIDEA", 3, "HTTP SMS gateway, default of TIMEOUT"),
    Platform("Supabase", 5, "supabase/auth hookshttp.go: 5 s over all attempts"),
    Platform("ZITADEL", 5, "zitadel webhook/channel.go: 5 s"),
    Platform("Auth0", 10, "documentation of Actions: recommended for one HTTP call; a whole trigger run has 20 s"),
    Platform("Ory", 10, "ory/kratos courier/http_channel.go: 10 s"),
    Platform("WSO2", 20, "WSO2 Identity Server: read time-out 20 s"),
    Platform("Auth0's old SMS gateway", 30, "documentation of the passwordless sms_gateway: 30 s"),
)
"""The shortest timeout first."""

MITTO_SECONDS = 1.0
"""Reserved for Mitto's response, which a check without a message cannot measure."""


def in_time(seconds: float) -> tuple[list[Platform], list[Platform]]:
    """Return the platforms for which a response after ``seconds`` plus Mitto's time is in time, and those for which it is late."""
    met = [platform for platform in PLATFORMS if seconds + MITTO_SECONDS <= platform.timeout_seconds]
    return met, [platform for platform in PLATFORMS if platform not in met]
