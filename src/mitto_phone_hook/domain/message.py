"""The phone message: what every payload is turned into."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import Secret, SecretStr

from mitto_phone_hook.domain.end_user_address import EndUserIp
from mitto_phone_hook.domain.numbering_plan import NumberKind, calling_code

_VISIBLE_LAST_DIGITS = 2


class Recipient(Secret[str]):
    """An E.164 number that prints as ``+41*******67``: calling code and last two digits."""

    def _display(self) -> str:
        code = calling_code(self.msisdn)
        rest = self.msisdn[len(code) :]
        hidden = max(len(rest) - _VISIBLE_LAST_DIGITS, 0)
        return f"+{code}{'*' * hidden}{rest[hidden:]}"

    @property
    def msisdn(self) -> str:
        """The digits without ``+``, the form that Mitto wants."""
        return self.get_secret_value()[1:]


class Channel(StrEnum):
    """How the caller wants the message to travel."""

    SMS = "sms"
    VOICE = "voice"


class Purpose(StrEnum):
    """What the message is for: one list of values for all platforms."""

    AUTHENTICATION = "authentication"
    ENROLLMENT = "enrollment"
    SIGN_UP = "sign_up"
    VERIFICATION = "verification"
    MFA = "mfa"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a purpose, not a password
    NOTICE = "notice"
    OTHER = "other"


class PhoneMessage(NamedTuple):
    """What the identity platform wants the user to receive.

    Number, text and code mask themselves in ``str``, ``repr``, f-strings, JSON and exceptions.
    """

    source: str
    """Name of the payload in which the message came."""
    recipient: Recipient
    region: str
    """ISO 3166 region of the number, ``001`` for international networks."""
    number_kind: NumberKind
    text: SecretStr
    """The caller's own words; empty if it gives only a code, or only says that it is a notice."""
    channel: Channel = Channel.SMS
    code: SecretStr | None = None
    purpose: Purpose = Purpose.OTHER
    locale: str | None = None
    """BCP 47 tag."""
    client_id: str | None = None
    organization: str | None = None
    tenant: str | None = None
    sender_id: str | None = None
    """What the caller would like as the sender ID."""
    client_ip: EndUserIp | None = None
    """The end user's address, where the platform sends it; ``UNREADABLE`` if it cannot be read."""
    expires_at: datetime | None = None
    sent_at: datetime | None = None
