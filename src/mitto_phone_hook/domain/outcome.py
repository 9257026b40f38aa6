"""How a hook call can end, and whose fault it is. Nothing here knows HTTP."""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """Every end of a hook call. The value is the code in replies, logs and alerts: add, never rename."""

    ACCEPTED = "accepted"
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
"""The ends after which an SMS has left or may have."""


class Result(NamedTuple):
    """One hook call's end with all that a reply or a log line may tell about it; no secret fits in here.

    ``why`` is a constant word for the operator, ``fields`` are names of payload fields,
    ``position`` is the number, from 1, of the character at fault in the one field that is named,
    ``retry_after_seconds`` is set only where certainly nothing was sent.
    """

    outcome: Outcome
    why: str | None = None
    fields: tuple[str, ...] = ()
    message_id: str | None = None
    segments: int | None = None
    is_duplicate: bool = False
    retry_after_seconds: int | None = None
    position: int | None = None


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not an error
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
        """Take the outcome, a constant word about the cause, the fields at fault, when time heals it, and the character at fault."""
        super().__init__(outcome.value)
        self.result = Result(outcome, why, fields, retry_after_seconds=retry_after_seconds, position=position)
