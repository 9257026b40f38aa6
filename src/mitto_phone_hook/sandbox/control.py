"""The control API: what a test in any language can ask the fake Mitto, and tell it. Every answer closes the connection."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from mitto_phone_hook.sandbox.faults import FAULTS, UnknownFaultError, fault
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS
from mitto_phone_hook.sandbox.page import page
from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sandbox.state import State
from mitto_phone_hook.sandbox.wire import PLAIN, http_answer

_MSISDN = re.compile(r"\+?[0-9]{7,15}")
_USAGE = 'expected {"faults": [names], "recipient": digits} or {"default": name or null}; the recipient is optional'


def json_answer(status: int, document: object, *lines: str) -> bytes:
    """Return an answer in JSON."""
    return http_answer(status, json.dumps(document).encode(), lines=lines)


def _explain(_state: State, _body: bytes) -> bytes:
    return http_answer(200, page().encode(), media=PLAIN)


def _inbox(state: State, _body: bytes) -> bytes:
    counters = {"requests": state.requests, "connections": state.connections, "test_messages": state.test_messages}
    return json_answer(200, {"messages": [_as_json(message) for message in state.inbox], **counters})


def _as_json(message: Message) -> dict[str, object]:
    return {**dataclasses.asdict(message), "received_at": message.received_at.isoformat()}


def _clear_inbox(state: State, _body: bytes) -> bytes:
    state.clear_inbox()
    return json_answer(200, {})


def _clear_script(state: State, _body: bytes) -> bytes:
    state.clear_script()
    return json_answer(200, {})


def _faults(_state: State, _body: bytes) -> bytes:
    rows = {
        name: {"description": row.description, "sent": row.is_kept, "seconds": row.seconds, "before_read": row.is_before_read}
        for name, row in FAULTS.items()
    }
    return json_answer(200, {"faults": rows, "magic_numbers": dict(MAGIC_NUMBERS)})


def _script(state: State, body: bytes) -> bytes:
    order = _order(body)
    if order is None:
        return json_answer(400, {"error": _USAGE})
    names, default = order.get("faults", []), order.get("default")
    try:
        for name in (*names, *([] if default is None else [default])):
            fault(name)
    except UnknownFaultError as error:
        return json_answer(400, {"error": str(error), "known": list(FAULTS)})
    state.script(*names, recipient=order.get("recipient"))
    if "default" in order:
        state.script_forever(default)
    return json_answer(200, {"queued": len(names)})


def _order(body: bytes) -> dict[str, Any] | None:
    try:
        order = json.loads(body)
    except (ValueError, RecursionError):
        return None
    is_known = isinstance(order, dict) and order.keys() <= {"faults", "recipient", "default"} and order.keys() & {"faults", "default"}
    if not is_known or not isinstance(order.get("faults", []), list):
        return None
    recipient = order.get("recipient")
    is_recipient = recipient is None or (isinstance(recipient, str) and _MSISDN.fullmatch(recipient))
    return order if is_recipient else None


ROUTES: Mapping[tuple[str, str], Callable[[State, bytes], bytes]] = {
    ("GET", "/"): _explain,
    ("GET", "/faults"): _faults,
    ("GET", "/inbox"): _inbox,
    ("DELETE", "/inbox"): _clear_inbox,
    ("POST", "/script"): _script,
    ("DELETE", "/script"): _clear_script,
}
"""Method and path to what answers."""
