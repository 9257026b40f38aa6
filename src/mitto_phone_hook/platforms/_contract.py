"""What a platform is: how it authenticates, what it sends, which response it expects, how long it waits."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Outcome, Result
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


ACCEPTED, FAILED = UNKNOWN_AS = ("accepted", "failed")
"""How an unknown outcome can be told."""


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
    unknown_counts_as_accepted: bool = False
    """Whether a message that was possibly sent is told as accepted, unless ``UNKNOWN_AS`` says otherwise."""
    failures_repeat: bool = False
    """Whether the platform calls again after a failure, or sends the message itself: then ``respond`` tells no unknown outcome as
    a failure, and ``UNKNOWN_AS`` changes nothing."""
    digits_are_international: bool = False
    """Whether its numbers without ``+`` are E.164, by its own documentation, whatever ``BARE_DIGITS`` says."""
    call_id: Callable[[Headers, bytes], str | None] = webhook_id
    """Gives what identifies a signed call, so that a captured one is not sent again; ``None`` if it has no id."""
    needs_signature_for_id: bool = True
    """Whether the id of a call counts only if it is signed. Without a signature it has to include the body."""

    def as_told(self, result: Result, unknown_as: str | None) -> Result:
        """Give the result that ``respond`` tells: an unknown outcome is accepted where the operator or else the platform wants it.

        The log keeps the true one. A repeat has the same outcome, and is told the same.
        """
        if result.outcome is not Outcome.OUTCOME_UNKNOWN or self.failures_repeat:
            return result
        is_accepted = self.unknown_counts_as_accepted if unknown_as is None else unknown_as == ACCEPTED
        return result._replace(outcome=Outcome.ACCEPTED) if is_accepted else result
