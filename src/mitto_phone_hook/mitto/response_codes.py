"""What Mitto's responses mean: the tables of its codes and statuses, and how a response is read by them. Does no I/O.

Source: Mitto's API documentation, its published client code and what certified connectors do with it.
"""

import re
from typing import Any, NamedTuple

from pydantic_core import from_json

from mitto_phone_hook.domain import strict_json
from mitto_phone_hook.domain.outcome import POSSIBLY_SENT, Outcome
from mitto_phone_hook.sms.compose import Sms

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
_BAD_REQUEST = 400
_WHITE_SPACE = b" \t\r\n"
_NOT_A_DIGIT = re.compile("[^0-9]")
_SHOWN_DIGITS = 7
_SHORTEST_WORD = 4
_DIGITS_IN_GROUPS = re.compile("[0-9](?:[ .-]?[0-9]){3,}")

_SEPARATORS = b"._:-"
_WORDS = bytes(ord(chr(one).lower()) if one < 128 and chr(one).isalnum() else ord(" ") for one in range(256))  # noqa: PLR2004 - ASCII
_NOT_IN_AN_ID = bytes(one for one in range(256) if _WORDS[one] == ord(" ") and one not in _SEPARATORS)
_NOT_IN_A_WORD = _NOT_IN_AN_ID + _SEPARATORS


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

    @property
    def is_expected(self) -> bool:
        """Whether Mitto can have written this response: it has a code, or a status that says something about this attempt."""
        if self.outcome is Outcome.UPSTREAM_REJECTED:
            return not self.why.startswith("http_")
        return self.outcome is not Outcome.OUTCOME_UNKNOWN


def read_result(status: int, body: bytes | None, retry_after: str, sms: Sms | None = None, api_key: str = "") -> MittoResult:
    """Read an HTTP response to ``sms``, sent with ``api_key``; ``body`` is ``None`` where it did not arrive complete and uncompressed.

    Accepted is only a 2xx with a JSON object whose ``responseCode`` is the integer 0: Mitto reports rejections with 200, too,
    and ``false`` or ``"0"`` promise nothing. A response about another recipient belongs to another request: nothing is known then.
    """
    fields = _fields(body or b"")
    if (to := fields.get("to")) and sms is not None and not _is_about(to, sms.recipient.msisdn):
        return MittoResult(Outcome.OUTCOME_UNKNOWN, f"http_{status}")
    code = fields.get("responseCode")
    if type(code) is not int:
        code = None
    outcome = _outcome(status, code)
    if outcome is Outcome.ACCEPTED:
        return MittoResult(outcome, "accepted", message_id=_message_id(fields.get("id"), sms, api_key))
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
    if by_code is Outcome.UPSTREAM_AUTH and status == _BAD_REQUEST:
        return Outcome.UPSTREAM_REJECTED  # the request was wrong, not the account
    if status in STATUSES:
        return Outcome.OUTCOME_UNKNOWN if by_code in POSSIBLY_SENT else STATUSES[status]
    if by_code is Outcome.ACCEPTED and status // 100 != _SUCCESS_CLASS:
        return Outcome.OUTCOME_UNKNOWN
    return by_code or (Outcome.UPSTREAM_REJECTED if status // 100 in _REJECTING_CLASSES else Outcome.OUTCOME_UNKNOWN)


def _fields(body: bytes) -> dict[str, Any]:
    """Parse the body; empty where it is no JSON object, or where a name is repeated in it."""
    try:
        fields = from_json(body, allow_inf_nan=False)
        if not isinstance(fields, dict):
            return {}
        # Every name ends like this. More of them are repeated, or deeper, or inside a string: only the slow parser can tell.
        if body.translate(None, _WHITE_SPACE).count(b'":') != len(fields):
            strict_json.parse(body)
    except ValueError:
        return {}
    return fields


def _is_about(to: object, msisdn: str) -> bool:
    """Whether ``to`` of a response is the recipient, which may be written with a plus sign."""
    return to == msisdn or _NOT_A_DIGIT.sub("", str(to)) == msisdn


def _message_id(raw: object, sms: Sms | None, api_key: str) -> str | None:
    """Keep only the part of Mitto's id that is safe in a log line; nothing of an id that holds number, key or words of the text."""
    if not isinstance(raw, str):
        return None
    safe = _safe(raw)
    if sms is not None and _is_private(safe.translate(_WORDS, _SEPARATORS), sms, api_key):
        return None
    return safe[:_MAX_MESSAGE_ID].decode() or None


def safe_id(raw: str) -> str | None:
    """Give an id of Mitto's as responses' ``message_id`` has it: only the part that is safe in a log line."""
    return _safe(raw)[:_MAX_MESSAGE_ID].decode() or None


def _safe(raw: str) -> bytes:
    return raw.encode("ascii", "ignore").translate(None, _NOT_IN_AN_ID)


def _is_private(bare: bytes, sms: Sms, api_key: str) -> bool:
    """Whether an id without separators holds something that only Mitto and the recipient may know. Everything is in small letters."""
    if sms.recipient.msisdn[-_SHOWN_DIGITS:].encode() in bare or ((key := _bare(api_key)) and key in bare):
        return True
    text = sms.encoded.text
    has_groups = False
    for word in text.encode("ascii", "replace").translate(_WORDS).split():
        if len(word) < _SHORTEST_WORD:
            has_groups = has_groups or word.isdigit()
        elif word in bare:
            return True
    return has_groups and any(_bare(code) in bare for code in _DIGITS_IN_GROUPS.findall(text))


def _bare(text: str) -> bytes:
    return text.encode("ascii", "ignore").translate(_WORDS, _NOT_IN_A_WORD)
