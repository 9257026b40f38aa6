"""What Mitto's responses mean: the tables of its codes and statuses, and how a response is read by them. Does no I/O.

Source: Mitto's API documentation, its published client code and what certified connectors do with it.
"""

import re
from typing import NamedTuple

from pydantic_core import from_json

from mitto_phone_hook.domain.outcome import POSSIBLY_SENT, Outcome

RESPONSE_CODES = {
    0: Outcome.ACCEPTED,
    1: Outcome.OUTCOME_UNKNOWN,  # "Internal error", before or after sending
    2: Outcome.UPSTREAM_REJECTED,  # invalid type
    3: Outcome.UPSTREAM_REJECTED,  # empty message
    4: Outcome.UPSTREAM_REJECTED,  # characters outside the type
    5: Outcome.UPSTREAM_AUTH,  # empty sender
    6: Outcome.UPSTREAM_AUTH,  # invalid sender
    7: Outcome.INVALID_RECIPIENT,  # empty receiver
    8: Outcome.INVALID_RECIPIENT,  # invalid receiver
    9: Outcome.UPSTREAM_REJECTED,  # character set error
}
"""``responseCode``; any other non-zero code is a rejection."""

CHARACTER_SET_CODES = frozenset({4, 9})
"""Codes for a text outside its alphabet. Only such a rejected message may succeed in another encoding."""

STATUSES = {
    401: Outcome.UPSTREAM_AUTH,
    403: Outcome.UPSTREAM_AUTH,
    408: Outcome.OUTCOME_UNKNOWN,  # a gateway's time-out, on one side or the other
    429: Outcome.UPSTREAM_UNAVAILABLE,
    503: Outcome.UPSTREAM_UNAVAILABLE,
}
"""HTTP statuses with a meaning of their own. Of the others, 3xx and 4xx are rejections, the rest is unknown."""

_SUCCESS_CLASS = 2
_REJECTING_CLASSES = (3, 4)
_SHORT_CODES = range(1000)
_MAX_MESSAGE_ID = 64
_NOT_IN_AN_ID = re.compile("[^A-Za-z0-9._:-]")


class MittoResult(NamedTuple):
    """What became of one attempt.

    ``ACCEPTED``: Mitto accepted it. ``UPSTREAM_UNAVAILABLE``: certainly not sent. ``OUTCOME_UNKNOWN``: bytes were
    written and nothing trustworthy came back. Anything else: rejected.
    """

    outcome: Outcome
    why: str
    message_id: str | None = None
    retry_after_seconds: int | None = None
    is_key_refused: bool = False
    is_character_set_refused: bool = False


def read_result(status: int, body: bytes | None, retry_after: str) -> MittoResult:
    """Read an HTTP response; ``body`` is ``None`` where it did not arrive complete and uncompressed.

    Accepted is only a 2xx with a JSON object whose ``responseCode`` is the integer 0: Mitto reports rejections with 200, too,
    and ``false`` or ``"0"`` promise nothing.
    """
    try:
        fields = from_json(body or b"", allow_inf_nan=False)
    except ValueError:
        fields = None
    code = fields.get("responseCode") if isinstance(fields, dict) else None
    if type(code) is not int:
        code = None
    outcome = _outcome(status, code)
    if outcome is Outcome.ACCEPTED:
        return MittoResult(outcome, "accepted", message_id=_message_id(fields.get("id")))
    is_by_status = code is None or status in STATUSES
    has_retry_after = outcome is Outcome.UPSTREAM_UNAVAILABLE and re.fullmatch("[0-9]{1,6}", retry_after)
    return MittoResult(
        outcome,
        f"http_{status}" if is_by_status else f"mitto_code_{code if code in _SHORT_CODES else 'other'}",
        retry_after_seconds=int(retry_after) if has_retry_after else None,
        is_key_refused=outcome is Outcome.UPSTREAM_AUTH and status in STATUSES,
        is_character_set_refused=outcome is Outcome.UPSTREAM_REJECTED and code in CHARACTER_SET_CODES,
    )


def _outcome(status: int, code: int | None) -> Outcome:
    """Read status and code together. Where a status contradicts a code that may mean "sent", the outcome is unknown."""
    by_code = None if code is None else RESPONSE_CODES.get(code, Outcome.UPSTREAM_REJECTED)
    if status in STATUSES:
        return Outcome.OUTCOME_UNKNOWN if by_code in POSSIBLY_SENT else STATUSES[status]
    if by_code is Outcome.ACCEPTED and status // 100 != _SUCCESS_CLASS:
        return Outcome.OUTCOME_UNKNOWN
    return by_code or (Outcome.UPSTREAM_REJECTED if status // 100 in _REJECTING_CLASSES else Outcome.OUTCOME_UNKNOWN)


def _message_id(raw: object) -> str | None:
    """Keep only the part of Mitto's id that is safe in a log line."""
    return _NOT_IN_AN_ID.sub("", raw)[:_MAX_MESSAGE_ID] or None if isinstance(raw, str) else None
