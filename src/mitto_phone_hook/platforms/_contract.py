"""What a platform is: how it proves who it is, what it sends, what it must be answered, how long it waits."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Result
from mitto_phone_hook.domain.phone_number import BareDigits

Headers = Mapping[bytes, bytes]
"""Names in lower case."""


class Defaults(NamedTuple):
    """What the operator has set for payloads that do not say it themselves."""

    region: str | None = None
    """ISO 3166 region of numbers without a country code."""
    bare_digits: BareDigits = BareDigits.CAREFUL
    """How numbers without ``+`` and ``00`` are read."""
    allowed_numbers: tuple[str, ...] = ()
    """E.164 numbers or prefixes that count as mobile whatever the plan says."""


class Response(NamedTuple):
    """An HTTP response in plain values."""

    status: int
    body: bytes
    headers: dict[str, str]


class Platform(NamedTuple):
    """One identity platform. Every file of this room that has no leading underscore defines one, named ``PLATFORM``."""

    authenticate: Callable[[Headers, bytes, HookSecrets, float], float | None]
    """Takes headers, body, active secrets and Unix seconds. Gives the time of the signature (Unix seconds), ``None`` where
    nothing is signed. Raises ``Refused``."""
    read: Callable[[bytes, Headers, Defaults], PhoneMessage]
    """Reads the body of an authenticated call. Raises ``Refused``."""
    respond: Callable[[Result, str], Response]
    """Tells the platform, in its own dialect, how its call ended; the second argument is the request id."""
    timeout_seconds: float
    """How long it waits for the response, by its own source."""
    digits_are_international: bool = False
    """Whether numbers without ``+`` are E.164 by its own source, whatever ``BARE_DIGITS`` says."""
