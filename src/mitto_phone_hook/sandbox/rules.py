"""Mitto's rules: its checks, its codes and its response to a message. No I/O.

Source: Mitto's API documentation and its published client code. Mitto documents neither the order of its checks nor
the body of a 401; here the checks run in the order of the codes.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mitto_phone_hook.sms.gsm7 import SEPTETS, is_gsm7
from mitto_phone_hook.sms.segments import Encoding, encode, split

RESPONSE_TEXTS = {
    0: "SMS sent",
    1: "Internal error",
    2: "Invalid type",
    3: "Empty message",
    4: "Message text is invalid",
    5: "Empty sender",
    6: "Invalid sender",
    7: "Empty receiver",
    8: "Invalid receiver",
    9: "Character set error",
}
"""Every documented ``responseCode`` and its text."""

FIELDS: Mapping[str, type] = {
    "to": str,
    "from": str,
    "text": str,
    "type": str,
    "validity": int,
    "reference": str,
    "callback": str,
    "flash": bool,
    "udh": str,
    "pid": int,
    "test": bool,
}
"""The fields of a request and their JSON types; any other field is ignored."""

DEFAULTS: Mapping[str, Any] = {
    "to": "",
    "from": "",
    "text": "",
    "type": "GSM",
    "validity": 2880,
    "reference": None,
    "test": False,
    "callback": None,
}
"""What an absent field means. ``validity`` is in minutes."""

# Mitto does not document how it counts "Binary". Here it counts as text.
TYPES: Mapping[str, Encoding | None] = {"GSM": Encoding.GSM7, "Unicode": Encoding.UCS2, "Binary": None, "auto": None}
"""The values of ``type`` and the encoding of each. None: the cheaper one."""

_SENDER_ID = re.compile(r"[A-Za-z0-9 ]{3,11}|[0-9]{3,14}")
_RECIPIENT = re.compile(r"\+?[0-9]{7,15}")

CHECKS: tuple[tuple[int, Callable[[Mapping[str, Any]], bool]], ...] = (
    (2, lambda request: request["type"] not in TYPES),
    (3, lambda request: not request["text"]),
    (4, lambda request: request["type"] == "GSM" and not is_gsm7(request["text"])),
    (5, lambda request: not request["from"]),
    (6, lambda request: not _SENDER_ID.fullmatch(request["from"])),
    (7, lambda request: not request["to"]),
    (8, lambda request: not _RECIPIENT.fullmatch(request["to"])),
)
"""The codes that a request can get, and why. The first one that applies counts."""


@dataclass(frozen=True, slots=True)
class Message:
    """An accepted SMS. ``to`` is unchanged; ``validity`` is in minutes."""

    id: str
    sender: str
    to: str
    text: str
    type: str
    segments: int
    validity: int
    reference: str | None
    test: bool
    received_at: datetime

    @property
    def encoding(self) -> Encoding:
        """The encoding of the text on the radio network."""
        return _encoding(self.text, self.type)

    @property
    def units(self) -> int:
        """The length of the text in the units of its encoding: septets or UTF-16 units."""
        return units_of(self.text, self.encoding)

    @property
    def parts(self) -> list[str]:
        """The part of the text in each segment."""
        return list(split(self.text, self.encoding))


def units_of(text: str, encoding: Encoding) -> int:
    """Count the length of a text in the units of an encoding: septets or UTF-16 units."""
    if encoding is Encoding.GSM7:
        return sum(map(SEPTETS.__getitem__, text))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Mitto's response, the message if it was accepted, and the recipient's MSISDN and where reports go if the request names them."""

    status: int = 200
    document: Mapping[str, object] = field(default_factory=dict)
    message: Message | None = None
    msisdn: str | None = None
    callback: str | None = field(default=None, repr=False)


def is_key(given: bytes, *, api_key: str) -> bool:
    """Whether the value of the header ``X-Mitto-API-Key`` is the key."""
    return hmac.compare_digest(given, api_key.encode())


def judge(body: bytes, *, is_authentic: bool, message_id: str, received_at: datetime) -> Verdict:
    """Check a request as Mitto does: the key, the JSON, then the fields in the order of their codes.

    ``received_at`` is in UTC. Raises nothing, for any body.
    """
    request = _parse(body)
    msisdn = request["to"].removeprefix("+") if request else None
    if not is_authentic:
        return Verdict(401, {"message": "Authentication failed"}, msisdn=msisdn)
    if request is None:
        return Verdict(400, {"message": "The request is not valid JSON of the right types"})
    code = next((code for code, is_wrong in CHECKS if is_wrong(request)), 0)
    message = None if code else _message(request, message_id, received_at)
    return Verdict(200, _document(request, code, message, received_at), message, msisdn, request["callback"])


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    # `type(...) is`: for isinstance a boolean is an int, but it is not a valid validity.
    if not isinstance(found, dict) or any(type(found[name]) is not kind for name, kind in FIELDS.items() if name in found):
        return None
    return {**DEFAULTS, **found}


def _message(request: Mapping[str, Any], message_id: str, received_at: datetime) -> Message:
    text, type_ = request["text"], request["type"]
    return Message(
        id=message_id,
        sender=request["from"],
        to=request["to"],
        text=text,
        type=type_,
        segments=sum(1 for _ in split(text, _encoding(text, type_))),
        validity=request["validity"],
        reference=request["reference"],
        test=request["test"],
        received_at=received_at,
    )


def _document(request: Mapping[str, Any], code: int, message: Message | None, received_at: datetime) -> dict[str, object]:
    return {
        **({"id": message.id} if message else {}),
        "timestamp": f"{received_at:%Y-%m-%dT%H:%M:%S.%f}0Z",
        "to": request["to"],
        "responseCode": code,
        "responseText": RESPONSE_TEXTS[code],
        **({"textLength": len(message.text), "messageParts": message.segments} if message else {}),
        **({"test": True} if request["test"] else {}),
    }


def _encoding(text: str, type_: str) -> Encoding:
    return TYPES[type_] or encode(text, is_smart=False).encoding
