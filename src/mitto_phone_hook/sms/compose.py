"""What is sent, if anything: a pure decision on a parsed message."""

from typing import NamedTuple

from mitto_phone_hook.config.settings import Settings
from mitto_phone_hook.domain.message import Channel, PhoneMessage, Purpose, Recipient
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.sms.segments import Encoded, encode

MAX_VALIDITY_MINUTES = 2880
"""Mitto's own default, 48 hours."""


class Sms(NamedTuple):
    """One SMS, ready for Mitto."""

    recipient: Recipient
    sender_id: str
    encoded: Encoded
    validity_minutes: int
    """How long delivery is attempted: a code must not arrive after it is dead."""


def decide(message: PhoneMessage, settings: Settings, *, signed_at: float | None, now: float) -> Sms:
    """Refuse what is no SMS, or a dead one (``Refused``), and choose encoding and validity for the others.

    ``signed_at`` and ``now`` are Unix seconds. A code lives until the caller's expiry, else
    ``CODE_LIFETIME_SECONDS`` from the time at which the caller sent or signed it. One that would die within
    our own deadline is not started. A notice without a code and an expiry does not die.
    """
    if message.channel is Channel.VOICE:
        raise Refused(Outcome.VOICE_UNSUPPORTED)
    lives_seconds = _expiry(message, settings, signed_at, now) - now
    if lives_seconds <= settings.deadline_seconds:
        raise Refused(Outcome.CODE_EXPIRED)
    encoded = encode(message.text.get_secret_value(), is_smart=settings.smart_encoding)
    if encoded.segments > settings.max_segments:
        raise Refused(Outcome.TEXT_TOO_LONG, f"needs_{encoded.segments}_segments")
    return Sms(message.recipient, settings.mitto_sender_id, encoded, min(max(int(lives_seconds // 60), 1), MAX_VALIDITY_MINUTES))


def _expiry(message: PhoneMessage, settings: Settings, signed_at: float | None, now: float) -> float:
    if message.expires_at is not None:
        return message.expires_at.timestamp()
    if message.purpose is Purpose.NOTICE and message.code is None:
        return now + MAX_VALIDITY_MINUTES * 60
    sent_at = message.sent_at.timestamp() if message.sent_at else signed_at or now
    # A caller whose clock is ahead must not stretch the life of its codes.
    return min(sent_at, now) + settings.code_lifetime_seconds
