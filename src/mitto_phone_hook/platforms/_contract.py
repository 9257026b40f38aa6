"""What a platform is: how it authenticates, what it sends, which response it expects, how long it waits."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Result
from mitto_phone_hook.domain.phone_number import BareDigits

Headers = Mapping[bytes, bytes]
"""Names in lower case."""


class Defaults(NamedTuple):
    """The operator's settings for what a payload does not say itself."""

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


def webhook_id(headers: Headers, _body: bytes) -> str | None:
    """Give the id of a call that is signed as Standard Webhooks says."""
    found = headers.get(b"webhook-id")
    return None if found is None else found.decode("latin-1")


class Platform(NamedTuple):
    """One identity platform. Every module of this room without a leading underscore defines one, named ``PLATFORM``."""

    authenticate: Callable[[Headers, bytes, HookSecrets, float], float | None]
    """Checks headers and body with the active secrets, at a time in Unix seconds. Returns when the caller signed (Unix seconds),
    or ``None`` without a signature. Raises ``Refused``."""
    read: Callable[[bytes, Headers, Defaults], PhoneMessage]
    """Reads the body of an authenticated call. Raises ``Refused``; with ``ignored`` for a call that needs no SMS of ours."""
    respond: Callable[[Result, str], Response]
    """Builds the response that the platform understands. The second argument is the request id."""
    timeout_seconds: float
    """How long a call may take: what the platform waits, by its own documentation, less the way of the response."""
    digits_are_international: bool = False
    """Whether its numbers without ``+`` are E.164, by its own documentation, whatever ``BARE_DIGITS`` says."""
    call_id: Callable[[Headers, bytes], str | None] = webhook_id
    """Gives what identifies a signed call, so that a captured one is not sent again; ``None`` if it has no id."""
