"""Messages as the hook reads and composes them, in one call each."""

import httpx

from mitto_phone_hook.config.settings import Settings
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.platforms._contract import Defaults
from mitto_phone_hook.platforms.auth0 import PLATFORM
from mitto_phone_hook.sms.compose import Sms, SmsRules, compose
from support.over_httpx import carried_by


def parse(body: bytes, content_type: bytes = b"", default_region: str | None = None) -> PhoneMessage:
    """Read a body as the route ``/`` does."""
    return PLATFORM.read(body, {b"content-type": content_type}, Defaults(default_region))


def decide(message: PhoneMessage, settings: Settings, *, signed_at: float | None, now: float) -> Sms:
    """Compose the SMS as the hook does with these settings."""
    rules = SmsRules(
        settings.mitto_sender_id, settings.code_lifetime_seconds, settings.max_segments, settings.smart_encoding, settings.texts
    )
    return compose(message, rules, signed_at=signed_at, now=now, deadline_seconds=settings.deadline_seconds)


def mitto_over(transport: httpx.AsyncBaseTransport, settings: Settings) -> Mitto:
    """Build Mitto's client as the function does with these settings, over a transport of the test's own."""
    return Mitto(
        carried_by(transport),
        settings.mitto_api_key,
        base_url=settings.mitto_base_url,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        is_test=settings.mitto_test,
        callback=settings.callback,
    )
