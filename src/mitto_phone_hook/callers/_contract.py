"""What a caller is: what it sends, how it proves itself, how it reads the response, how long it waits."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.platforms._contract import Response

_LONGEST_SHOWN = 160


class Case(StrEnum):
    """What is tried."""

    OK = "ok"
    VOICE = "voice"
    FORGED = "forged"
    STALE = "stale"
    REPEAT = "repeat"
    RESEND = "resend"
    REFUSED_NUMBER = "refused-number"
    OTHER_EVENT = "other-event"


class Reading(StrEnum):
    """What a platform makes of a response."""

    SUCCESS = "accepted"
    FAILURE = "failed"
    REPEATED_AT_ONCE = "retried at once"
    REPEATED = "retried later"
    SENT_BY_PLATFORM = "sent by its own provider"


class Verdict(NamedTuple):
    """What a platform makes of a response, and what its user gets to see of it."""

    reading: Reading
    shown: str = ""
    """Words of the response that the user sees; empty: none of them."""

    def __str__(self) -> str:
        """Say it in words. What comes from the other side is cut, and holds no control characters."""
        if not self.shown:
            return self.reading.value
        shown = "".join(character if character.isprintable() else " " for character in self.shown[:_LONGEST_SHOWN])
        return f'shown to the user as "{shown}"'


class NoSuchCase(Exception):  # noqa: N818 - nothing is wrong
    """The platform never sends that."""


class MissingSecret(Exception):  # noqa: N818 - a finding
    """None of the secrets is of the kind that the platform uses. The text names the kind."""


class Message(NamedTuple):
    """What a call is about."""

    to: str
    """An E.164 number, or one that nobody has."""
    code: str
    text: str
    now: float
    """When the message was made, in Unix seconds."""
    signed_at: int
    """When this attempt is signed, in Unix seconds."""
    is_voice: bool = False
    is_other_event: bool = False

    @property
    def digits(self) -> str:
        """The number without ``+``."""
        return self.to.removeprefix("+")

    @property
    def time(self) -> str:
        """``now`` as ISO 8601 in UTC, with milliseconds."""
        return datetime.fromtimestamp(self.now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def message_id(self) -> str:
        """Give an id that is the same in each attempt to send this message: 32 hexadecimal digits."""
        return hashlib.sha256(f"{self.to} {self.code}".encode()).hexdigest()[:32]

    def attempt_id(self) -> str:
        """Give an id that is new in each attempt: 32 hexadecimal digits."""
        return hashlib.sha256(f"{self.to} {self.code} {self.now} {self.signed_at}".encode()).hexdigest()[:32]


class HookRequest(NamedTuple):
    """A POST request in plain values."""

    path: str
    headers: dict[str, str]
    body: bytes


Sign = Callable[[HookSecrets, bytes, Message], dict[str, str]]
"""Makes the headers that authenticate a body. Raises ``MissingSecret``."""


def by_status(response: Response) -> Verdict:
    """Take every 2xx for success, as most do."""
    return Verdict(Reading.SUCCESS if is_2xx(response) else Reading.FAILURE)


def by_queue(response: Response) -> Verdict:
    """Take every 2xx for success, and put everything else back into a queue. The user was told before."""
    return Verdict(Reading.SUCCESS if is_2xx(response) else Reading.REPEATED)


def by_status_and_shown(response: Response) -> Verdict:
    """Take every 2xx for success, and show the body of all other responses."""
    return Verdict(Reading.FAILURE, response.body.decode(errors="replace")) if not is_2xx(response) else Verdict(Reading.SUCCESS)


def is_2xx(response: Response) -> bool:
    """Whether the status is one of success."""
    return response.status // 100 == 2  # noqa: PLR2004 - the class of success


class Caller(NamedTuple):
    """One way in which a platform calls. Every module of this room without a leading underscore lists its own as ``CALLERS``."""

    title: str
    """The platform's name in prose."""
    payload: Callable[[Message], object]
    """Makes the content of the body. Where the platform knows neither calls nor other events, it ignores those two fields."""
    sign: Sign
    judge: Callable[[Response], Verdict]
    """Reads a response as the platform's own code does. Names of headers are in lower case."""
    waits_seconds: float
    """How long it waits. ``math.inf``: no limit, or none that is known."""
    waits_source: str
    """Where that is said."""
    when_late: Reading = Reading.FAILURE
    """What it does where no response came in time."""
    headers: Mapping[str, str] = {}
    """What it sends besides."""
