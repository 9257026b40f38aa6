"""Whether Mitto takes our key. One test message tells, neither delivered nor charged; what each answer means is a table."""

import asyncio
from collections.abc import Mapping, Sequence

import httpx

from mitto_phone_hook.cli.report import Line, Mark
from mitto_phone_hook.config.settings import Settings
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.response_codes import MittoResult
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import encode

FICTIONAL_RECIPIENT = "+12025550110"
"""Reserved for fiction by the North American numbering plan: nobody gets the message even if Mitto forgot that it is a test."""

_TEXT = "A test message of mitto-phone-hook check."
_REFERENCE = "mitto-phone-hook-check"

_KEY_TAKEN = Line(Mark.RIGHT, "API key", "accepted by Mitto")
_ANOTHER_RECIPIENT = "try a number of your own in a country that you serve: --recipient"
_LATER = "wait a minute, then check again; see Mitto's status page"

_FICTION = "; sender IDs are registered by country, and the fictional number is American"

BY_WHY: Mapping[str, Sequence[Line]] = {
    "accepted": (_KEY_TAKEN, Line(Mark.RIGHT, "test message", "taken; neither delivered nor charged")),
    "http_401": (
        Line(Mark.WRONG, "API key", "refused (401)", "compare it with Mitto's dashboard; where it is the same, look at the egress IP"),
    ),
    "http_403": (
        Line(Mark.WRONG, "API key", "refused from this address (403)", "have Mitto register the egress IP, or lift its IP restriction"),
    ),
    **dict.fromkeys(
        ("mitto_code_5", "mitto_code_6"),
        (_KEY_TAKEN, Line(Mark.WRONG, "sender ID", "refused for this recipient's country", "have Mitto register MITTO_SENDER_ID there")),
    ),
    **dict.fromkeys(
        ("mitto_code_7", "mitto_code_8"),
        (_KEY_TAKEN, Line(Mark.LOOK, "test message", "the recipient is refused, the key is not", _ANOTHER_RECIPIENT)),
    ),
    "http_404": (Line(Mark.WRONG, "API key", "there is no SMS API at this address (404)", "correct MITTO_BASE_URL"),),
    "http_429": (Line(Mark.WRONG, "API key", "unknown: Mitto asks for fewer calls (429)", _LATER),),
    "tls_not_trusted": (
        Line(Mark.WRONG, "API key", "not tried: the certificate is not trusted", "does a proxy open TLS here? See SSL_CERT_FILE"),
    ),
}
"""Mitto's answers by the word for them in the log; all others by their outcome."""

BY_OUTCOME: Mapping[Outcome, Line] = {
    Outcome.UPSTREAM_AUTH: Line(Mark.WRONG, "API key", "Mitto refuses this function", "see docs/operations.md, upstream_auth"),
    Outcome.UPSTREAM_REJECTED: Line(Mark.LOOK, "test message", "refused by Mitto", "docs/operations.md, upstream_rejected, has the codes"),
    Outcome.INVALID_RECIPIENT: Line(Mark.LOOK, "test message", "the recipient is refused", _ANOTHER_RECIPIENT),
    Outcome.UPSTREAM_UNAVAILABLE: Line(Mark.WRONG, "API key", "unknown: Mitto cannot be reached", _LATER),
    Outcome.OUTCOME_UNKNOWN: Line(Mark.WRONG, "API key", "unknown: no answer that can be trusted", _LATER),
}


def verdict(answer: MittoResult, *, is_fictional: bool) -> list[Line]:
    """Say what Mitto's answer to the test message means. ``is_fictional``: nobody chose its recipient."""
    lines = list(BY_WHY.get(answer.why, ()))
    if not lines:
        line = BY_OUTCOME[answer.outcome]
        return [line._replace(text=f"{line.text} ({answer.why})")]
    if is_fictional and answer.why in ("mitto_code_5", "mitto_code_6"):
        lines[1] = lines[1]._replace(mark=Mark.LOOK, text=f"refused for this recipient{_FICTION}", next_step=_ANOTHER_RECIPIENT)
    if is_fictional and answer.why in ("mitto_code_7", "mitto_code_8"):
        lines[1] = Line(Mark.RIGHT, "test message", "its fictional recipient is refused, which proves the key")
    return lines


async def ask(settings: Settings, recipient: Recipient) -> MittoResult:
    """Send one test message, within the function's own deadline."""
    origin = httpx.URL(settings.mitto_base_url)
    transport = OneOriginTransport(origin, httpx.create_ssl_context() if origin.scheme == "https" else None)
    mitto = Mitto(
        transport,
        settings.mitto_api_key,
        base_url=settings.mitto_base_url,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        is_test=True,
    )
    sms = Sms(recipient, settings.mitto_sender_id, encode(_TEXT, is_smart=False), validity_minutes=1)
    until = asyncio.get_running_loop().time() + settings.deadline_seconds
    try:
        return await mitto.send(sms, reference=_REFERENCE, until=until)
    finally:
        await transport.aclose()


def is_taken(lines: Sequence[Line]) -> bool:
    """Tell whether the key was accepted, and with it our address."""
    return lines[0] == _KEY_TAKEN
