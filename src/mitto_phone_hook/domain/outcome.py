"""How a hook call can end. Nothing here knows HTTP."""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """Every way in which a hook call can end. The value is the code in responses, logs and alerts: add, never rename."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    """The platform called for something that needs no SMS of ours: another kind of event, or a message that it delivers itself."""
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    UNAUTHORIZED = "unauthorized"
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    INVALID_RECIPIENT = "invalid_recipient"
    VOICE_UNSUPPORTED = "voice_unsupported"
    BLOCKED_COUNTRY = "blocked_country"
    BLOCKED_NUMBER_TYPE = "blocked_number_type"
    BLOCKED_RECIPIENT = "blocked_recipient"
    CODE_EXPIRED = "code_expired"
    TEXT_TOO_LONG = "text_too_long"
    IN_PROGRESS = "in_progress"
    RATE_LIMITED = "rate_limited"
    UPSTREAM_REJECTED = "upstream_rejected"
    UPSTREAM_AUTH = "upstream_auth"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INTERNAL_ERROR = "internal_error"


POSSIBLY_SENT = frozenset({Outcome.ACCEPTED, Outcome.OUTCOME_UNKNOWN})
"""The outcomes after which an SMS was sent, or possibly sent."""


class Result(NamedTuple):
    """The outcome of one hook call, with everything that a response or a log line may say. It holds no secrets.

    ``why`` is a constant for the operator, ``fields`` are names of payload fields, ``position`` is the number of the wrong character in
    the one field that is named, counted from 1, ``retry_after_seconds`` is set only when nothing was sent.
    """

    outcome: Outcome
    why: str | None = None
    fields: tuple[str, ...] = ()
    message_id: str | None = None
    segments: int | None = None
    is_duplicate: bool = False
    retry_after_seconds: int | None = None
    position: int | None = None
    is_test: bool = False
    """Whether the number is one of TEST_NUMBERS, so that nothing was sent."""


class Refused(Exception):  # noqa: N818 - a refusal is a result, not an error
    """Ends a hook call before anything is sent."""

    def __init__(
        self,
        outcome: Outcome,
        why: str | None = None,
        fields: tuple[str, ...] = (),
        *,
        retry_after_seconds: int | None = None,
        position: int | None = None,
    ) -> None:
        """Take the values of ``Result``."""
        super().__init__(outcome.value)
        self.result = Result(outcome, why, fields, retry_after_seconds=retry_after_seconds, position=position)
