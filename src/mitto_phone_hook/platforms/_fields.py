"""The types of payload fields. A wrong value is refused where the field matters for sending; elsewhere it becomes ``None``."""

import re
import unicodedata
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

from pydantic import SecretStr

from mitto_phone_hook.domain.end_user_address import UNREADABLE, EndUserIp, end_user_address
from mitto_phone_hook.domain.message import Channel, Purpose
from mitto_phone_hook.domain.read_by import ReadBy

CHANNELS = {
    "sms": Channel.SMS,
    "text": Channel.SMS,
    "voice": Channel.VOICE,
    "call": Channel.VOICE,
}
"""What callers write for the channel. Any other value is refused, except for types of templates: it may be another channel."""

_VOICE = frozenset({"voice", "call", "phonecall", "voicecall", "tts"})
# Ory sends the type of its template in the place of a channel: login_code_valid, verifiable_address_changed, authenticator_key_added.
_TEMPLATE_TYPE = re.compile(r"[a-z]+(?:_[a-z]+)*_(?:valid|invalid|changed|added|removed|updated)")

PURPOSES = {
    "authentication": Purpose.AUTHENTICATION,
    "otp_verify": Purpose.AUTHENTICATION,
    "login": Purpose.AUTHENTICATION,
    "SignIn": Purpose.AUTHENTICATION,
    "second-factor-authentication": Purpose.MFA,
    "second-factor-authenticator": Purpose.MFA,
    "mfa": Purpose.MFA,
    "MfaVerification": Purpose.MFA,
    "enrollment": Purpose.ENROLLMENT,
    "otp_enroll": Purpose.ENROLLMENT,
    "BindMfa": Purpose.ENROLLMENT,
    "sign_up": Purpose.SIGN_UP,
    "Register": Purpose.SIGN_UP,
    "verification": Purpose.VERIFICATION,
    "UserPermissionValidation": Purpose.VERIFICATION,
    "BindNewIdentifier": Purpose.VERIFICATION,
    "change_password": Purpose.PASSWORD_RESET,
    "recovery": Purpose.PASSWORD_RESET,
    "ForgotPassword": Purpose.PASSWORD_RESET,
    "notice": Purpose.NOTICE,
    "blocked_account": Purpose.NOTICE,
    "password_breach": Purpose.NOTICE,
}
"""What callers write for the purpose. Any other value is ``Purpose.OTHER``."""

_CODE = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_SECONDS = re.compile("[0-9]{1,11}")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([^\]]+)\](?::[0-9]{1,5})?")
_MOST_HOPS = 32
_WRITTEN_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]*")
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{0,512}")
_ISO_3166_LENGTH = 2

# What Go's formatting writes where a template does not fit its values, as Casdoor's do (package fmt, "Format errors").
_BROKEN_TEMPLATE = re.compile(r"%!(?:[A-Za-z]\(|.?\((?:EXTRA |(?:MISSING|BADINDEX|NOVERB|BADWIDTH|BADPREC)\)))")


def _digits_or_string(raw: object) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return str(raw)
    return _string(raw)


def _string(raw: object) -> str:
    # Pydantic handles a ValueError, but not a TypeError.
    if not isinstance(raw, str):
        raise ValueError  # noqa: TRY004 - as said
    return raw


def _text(raw: object) -> SecretStr:
    text = _string(raw)
    if not text.strip() or ("%!" in text and _BROKEN_TEMPLATE.search(text)):
        raise ValueError
    return SecretStr(text)


def _code(raw: object) -> SecretStr:
    code = _digits_or_string(raw)
    if not _CODE.fullmatch(in_ascii_digits(code)):
        raise ValueError
    if not code.isascii() and len({ord(digit) - unicodedata.decimal(digit) for digit in code if digit.isdecimal()}) > 1:
        # Digits of two scripts in one code are no caller's.
        raise ValueError
    return SecretStr(code)


def in_ascii_digits(text: str) -> str:
    """Write the decimal digits of every script as ``0`` to ``9``."""
    return text if text.isascii() else "".join(str(unicodedata.decimal(character, character)) for character in text)


def says_voice(raw: object) -> bool:
    """Tell whether a value that callers name freely (``type``, ``delivery_method``) asks for a voice call."""
    return isinstance(raw, str) and not _VOICE.isdisjoint(re.split("[^a-z]+", raw.lower()))


def _channel(raw: object) -> Channel:
    written = _string(raw).lower()
    if channel := CHANNELS.get(written):
        return channel
    if says_voice(written):
        return Channel.VOICE
    if _TEMPLATE_TYPE.fullmatch(written):
        return Channel.SMS
    raise ValueError


def _name(raw: object) -> str:
    name = _string(raw)
    if not _NAME.fullmatch(name):
        raise ValueError
    return name


def _description(raw: object) -> str | None:
    return raw if isinstance(raw, str) and _NAME.fullmatch(raw) else None


def _sender_id(raw: object) -> str | None:
    written = (_description(raw) or "").strip()
    return re.sub("[^0-9]", "", written) if _WRITTEN_NUMBER.fullmatch(written) else written or None


def _language(raw: object) -> str | None:
    tag = (_description(raw) or "").replace("_", "-")
    if not _LANGUAGE.fullmatch(tag):
        return None
    language, *rest = tag.split("-")
    return "-".join([language.lower(), *(part.upper() if len(part) == _ISO_3166_LENGTH else part for part in rest)])


def _address(raw: object) -> EndUserIp | None:
    if not isinstance(raw, str):
        return UNREADABLE
    if not raw.strip(" "):
        return None
    private = None
    for written in raw.split(",", _MOST_HOPS)[:_MOST_HOPS]:
        try:
            address = _one_address(written.strip())
        except ValueError:
            return UNREADABLE
        if "," not in raw or end_user_address(address):
            return address
        private = private or address
    return private


def _one_address(written: str) -> IPv4Address | IPv6Address:
    found = _WITH_PORT.fullmatch(written)
    # What stands behind % names an interface of the caller's, in words of the caller's.
    address = ip_address((found[1] or found[2] if found else written).partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _instant(raw: object) -> datetime:
    seconds = _digits_or_string(raw)
    if not _SECONDS.fullmatch(seconds):
        raise ValueError
    return datetime.fromtimestamp(int(seconds), UTC)


WrittenNumber = Annotated[str, ReadBy(_digits_or_string)]
"""A phone number as the caller writes it, also as a JSON integer; ``read_number`` checks it."""

MessageText = Annotated[SecretStr, ReadBy(_text)]
"""The words of the SMS; ``clean_text`` judges what nobody sees of them."""

Code = Annotated[SecretStr, ReadBy(_code)]
"""The one-time code: 1 to 64 visible ASCII characters, where decimal digits may be those of another script; or a JSON integer."""

MessageChannel = Annotated[Channel, ReadBy(_channel)]

MessagePurpose = Annotated[Purpose, ReadBy(lambda raw: PURPOSES.get(raw if isinstance(raw, str) else "", Purpose.OTHER))]

Name = Annotated[str, ReadBy(_name)]
"""A name that matters for sending: at most 512 characters, no control characters."""

Description = Annotated[str | None, ReadBy(_description)]
"""A name that only describes the message. A wrong one becomes ``None``, so that no login fails because of it."""

SenderId = Annotated[str | None, ReadBy(_sender_id)]
"""The sender ID that the caller would like; of a phone number its digits. Anything wrong becomes ``None``."""

Language = Annotated[str | None, ReadBy(_language)]
"""A BCP 47 tag, also with an underscore; anything else becomes ``None``."""

EndUserAddress = Annotated[EndUserIp | None, ReadBy(_address)]
"""An IP address, also with a port, or the first of a list as in ``X-Forwarded-For`` that can be an end user's.

``UNREADABLE`` where it is none: an address that nobody can read must not be a way round the limits. ``None`` only where it is blank.
"""

Instant = Annotated[datetime, ReadBy(_instant)]
"""A time in Unix seconds, as a JSON integer or as digits."""
