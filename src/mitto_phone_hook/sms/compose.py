"""From a phone message to the SMS that is sent, or the reason why none is."""

from collections.abc import Mapping
from typing import NamedTuple

from mitto_phone_hook.domain.message import Channel, PhoneMessage, Purpose, Recipient
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.sms.hidden_characters import MAX_CHARACTERS
from mitto_phone_hook.sms.segments import Encoded, encode
from mitto_phone_hook.sms.templates import TextRules, text_of

_MOST_CHARACTERS_OF_A_PART = 153
MAX_VALIDITY_MINUTES = 2880
"""Mitto's own default, 48 hours."""


class Sms(NamedTuple):
    """One SMS, ready for Mitto."""

    recipient: Recipient
    sender_id: str
    encoded: Encoded
    validity_minutes: int
    """How long delivery is attempted: a code must not arrive after it has expired."""


class SmsRules(NamedTuple):
    """The operator's settings for every SMS."""

    sender_id: str
    code_lifetime_seconds: float
    """How long a code is valid when the caller does not say it."""
    max_segments: int
    smart_encoding: Mapping[str, bool]
    """By region of the recipient, ``""`` for all others: whether typographic characters may be replaced by GSM-7 characters."""
    texts: TextRules


def compose(message: PhoneMessage, rules: SmsRules, *, signed_at: float | None, now: float, deadline_seconds: float) -> Sms:
    """Choose text, encoding and validity of the SMS. Raises ``Refused`` for a voice call, an expired code or a text that is too long.

    ``signed_at`` and ``now`` are Unix seconds. A code is valid until the caller's expiry; without one, ``code_lifetime_seconds``
    from when the caller sent or signed it. A code that expires within ``deadline_seconds`` is not sent. A notice without code
    and expiry does not expire.
    """
    if message.channel is Channel.VOICE:
        raise Refused(Outcome.VOICE_UNSUPPORTED)
    lives_seconds = _expiry(message, rules, signed_at, now) - now
    if lives_seconds <= deadline_seconds:
        raise Refused(Outcome.CODE_EXPIRED)
    minutes = max(int(lives_seconds // 60), 1)
    text = text_of(message, rules.texts, minutes)
    if len(text) > MAX_CHARACTERS:
        raise Refused(Outcome.TEXT_TOO_LONG, f"needs_{-(-len(text) // _MOST_CHARACTERS_OF_A_PART)}_segments")
    is_smart = rules.smart_encoding.get(message.region, rules.smart_encoding[""])
    encoded = encode(text, is_smart=is_smart)
    if encoded.segments > rules.max_segments:
        raise Refused(Outcome.TEXT_TOO_LONG, f"needs_{encoded.segments}_segments")
    if message.code and (rules.texts.domains or rules.texts.app_hashes):
        autofill = rules.texts.autofill_of(message)
        filled = encode(autofill.add_to(text, message.code.get_secret_value()), is_smart=is_smart)
        # What only saves typing must not keep a code back.
        encoded = filled if filled.segments <= rules.max_segments else encoded
    return Sms(message.recipient, rules.sender_id, encoded, min(minutes, MAX_VALIDITY_MINUTES))


def _expiry(message: PhoneMessage, rules: SmsRules, signed_at: float | None, now: float) -> float:
    if message.expires_at is not None:
        return message.expires_at.timestamp()
    if message.purpose is Purpose.NOTICE and message.code is None:
        return now + MAX_VALIDITY_MINUTES * 60
    sent_at = message.sent_at.timestamp() if message.sent_at else signed_at or now
    # A caller whose clock is ahead must not make its codes valid for longer.
    return min(sent_at, now) + rules.code_lifetime_seconds
