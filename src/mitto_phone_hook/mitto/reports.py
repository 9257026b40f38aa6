"""Mitto's delivery reports: how one is read, in whatever form the account's template gives it. Does no I/O.

Source: Mitto's API documentation, and the callbacks of clients that others run in production. Field names follow a template per
account. Nothing is signed, so every value is untrusted: only what cannot hold a number, a code or a secret is kept.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic_core import from_json

from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.mitto.response_codes import safe_id

MAX_REPORTS = 200
"""Reports that are read of one call. Further ones are counted and lost."""


class State(StrEnum):
    """What a report says about a message. The value is the event in the log: add, never rename."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    BUFFERED = "buffered"
    UNKNOWN_STATUS = "unknown_status"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self not in (State.BUFFERED, State.UNKNOWN_STATUS)


STATES = {
    "delivered": State.DELIVERED,
    "undelivered": State.UNDELIVERED,
    "failed": State.UNDELIVERED,
    "expired": State.EXPIRED,
    "rejected": State.REJECTED,
    "buffered": State.BUFFERED,
    "sent": State.BUFFERED,
}
"""Mitto's statuses in small letters. Any other one is unknown, and kept as it is."""

_IDS = ("msgid", "messageid", "id")
_STATUSES = ("status", "deliverystatus")
_MAX_FIELDS = 100
_OTHER = "other"
_NOT_IN_A_NAME = re.compile("[^a-z]")
_STATUS = re.compile("(?!(?:[^0-9]*[0-9]){4})[A-Za-z0-9 _-]{1,20}")
_ERROR = re.compile("[0-9]{1,4}")
_COUNTRY, _NETWORK = re.compile("[0-9]{3}"), re.compile("[0-9]{2,3}")
_REFERENCE = re.compile("[a-p]{20}")
_E164_DIGITS = re.compile(r"\+?([1-9][0-9]{6,14})")


class Report(NamedTuple):
    """One delivery report. Its values are safe to log, apart from the ``message_id`` of a message that nobody knows."""

    message_id: str | None
    """Mitto's id, as ``safe_id`` gives it."""
    request_id: str | None
    """``reference``, where it is one of ours."""
    state: State
    status: str
    """Mitto's own word, ``other`` where it could be something else."""
    error: str | None = None
    """Mitto's error code, ``None`` for no error."""
    network: str | None = None
    """Mobile country code and mobile network code, with a hyphen."""
    receiver: Recipient | None = None


def read_reports(query: bytes, body: bytes) -> tuple[list[Report], int]:
    """Read the reports of one call, and count what is none. Raises nothing.

    The body is JSON (an object or an array of objects) or a form, whatever its Content-Type says; without one the query counts.
    """
    reports: list[Report] = []
    unreadable = 0
    for fields in _objects(body) if body.strip() else _form(query):
        report = _report(fields) if len(reports) < MAX_REPORTS else None
        if report is None:
            unreadable += 1
        else:
            reports.append(report)
    return reports, unreadable


def _objects(body: bytes) -> Iterator[Mapping[str, Any]]:
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text.startswith((b"{", b"[")):
        yield from _form(text)
        return
    try:
        read = from_json(text)
    except ValueError:
        read = None
    for one in read if isinstance(read, list) else [read]:
        yield one if isinstance(one, dict) else {}


def _form(text: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        yield dict(parse_qsl(text.decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS, errors="replace"))
    except ValueError:
        yield {}


def _report(raw: Mapping[str, Any]) -> Report | None:
    """Read one report; ``None`` where it has no status, or does not say of which message."""
    fields: dict[str, str] = {}
    for name, value in raw.items():
        fields.setdefault(_NOT_IN_A_NAME.sub("", name.lower()), _text(value))
    message_id = next(filter(None, (safe_id(fields.get(name, "")) for name in _IDS)), None)
    request_id = _matching(_REFERENCE, fields.get("reference"))
    status = next(filter(None, (fields.get(name) for name in _STATUSES)), "")
    if not status or not (message_id or request_id):
        return None
    error, country, network = fields.get("errorcode"), _matching(_COUNTRY, fields.get("mcc")), _matching(_NETWORK, fields.get("mnc"))
    receiver = _E164_DIGITS.fullmatch(fields.get("receiver", ""))
    return Report(
        message_id,
        request_id,
        STATES.get(status.lower(), State.UNKNOWN_STATUS),
        _matching(_STATUS, status) or _OTHER,
        None if not error or not error.strip("0") else _matching(_ERROR, error) or _OTHER,
        f"{country}-{network}" if country and network else country,
        Recipient(f"+{receiver[1]}") if receiver else None,
    )


def _text(value: object) -> str:
    # Python refuses to write integers of thousands of digits.
    is_short = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**20
    return value.strip() if isinstance(value, str) else str(value) if is_short else ""


def _matching(pattern: re.Pattern[str], text: str | None) -> str | None:
    return text if text and pattern.fullmatch(text) else None
