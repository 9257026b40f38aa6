"""The control API of the fake Mitto, for tests in any language. Every response closes the connection."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from mitto_phone_hook.sandbox.faults import FAULTS, UnknownFaultError, fault
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS
from mitto_phone_hook.sandbox.page import page
from mitto_phone_hook.sandbox.reports import FORMS, PLANS, UnknownPlanError, plan
from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sandbox.state import State
from mitto_phone_hook.sandbox.wire import PLAIN, http_response

_MSISDN = re.compile(r"\+?[0-9]{7,15}")
_USAGE = (
    'expected {"faults": [names], "recipient": digits} or {"default": name or null}; recipient is optional; '
    'for delivery reports {"reports": [names]}, {"default_report": name or null} or {"report_form": form}'
)
_LISTS, _DEFAULTS = ("faults", "reports"), ("default", "default_report")
_KEYS = {*_LISTS, *_DEFAULTS, "report_form"}


def json_response(status: int, document: object, *lines: str) -> bytes:
    """Return a response in JSON."""
    return http_response(status, json.dumps(document).encode(), lines=lines)


def _explain(_state: State, _body: bytes) -> bytes:
    return http_response(200, page().encode(), media=PLAIN)


def _inbox(state: State, _body: bytes) -> bytes:
    counters = {"requests": state.requests, "connections": state.connections, "test_messages": state.test_messages}
    reports = {"sent": state.reports.sent, "failed": state.reports.failed}
    return json_response(200, {"messages": [_as_json(message) for message in state.inbox], **counters, "reports": reports})


def _as_json(message: Message) -> dict[str, object]:
    return {**dataclasses.asdict(message), "received_at": message.received_at.isoformat()}


def _clear_inbox(state: State, _body: bytes) -> bytes:
    state.clear_inbox()
    return json_response(200, {})


def _clear_script(state: State, _body: bytes) -> bytes:
    state.clear_script()
    return json_response(200, {})


def _faults(_state: State, _body: bytes) -> bytes:
    rows = {
        name: {"description": row.description, "sent": row.is_sent, "seconds": row.seconds, "before_read": row.is_before_read}
        for name, row in FAULTS.items()
    }
    reports = {name: row.description for name, row in PLANS.items()}
    return json_response(200, {"faults": rows, "magic_numbers": dict(MAGIC_NUMBERS), "reports": reports})


def _script(state: State, body: bytes) -> bytes:
    script = _parse_script(body)
    if script is None:
        return json_response(400, {"error": _USAGE})
    faults, reports = script.get("faults", []), script.get("reports", [])
    try:
        for name in (*faults, *_named(script, "default")):
            fault(name)
        for name in (*reports, *_named(script, "default_report")):
            plan(name)
    except UnknownFaultError as error:
        return json_response(400, {"error": str(error), "known": list(FAULTS)})
    except UnknownPlanError as error:
        return json_response(400, {"error": str(error), "known": list(PLANS)})
    state.script(*faults, recipient=script.get("recipient"))
    state.reports.script(*reports)
    if "default" in script:
        state.script_forever(script["default"])
    if "default_report" in script:
        state.reports.script_forever(script["default_report"])
    state.reports.form = script.get("report_form", state.reports.form)
    return json_response(200, {"queued": len(faults) + len(reports)})


def _named(script: Mapping[str, Any], key: str) -> list[Any]:
    return [] if script.get(key) is None else [script[key]]


def _parse_script(body: bytes) -> dict[str, Any] | None:
    try:
        script = json.loads(body)
    except (ValueError, RecursionError):
        return None
    is_script = isinstance(script, dict) and script.keys() <= {*_KEYS, "recipient"} and script.keys() & _KEYS
    if (
        not is_script
        or any(not isinstance(script.get(key, []), list) for key in _LISTS)
        or script.get("report_form", FORMS[0]) not in FORMS
    ):
        return None
    recipient = script.get("recipient")
    is_recipient_valid = recipient is None or (isinstance(recipient, str) and _MSISDN.fullmatch(recipient))
    return script if is_recipient_valid else None


ROUTES: Mapping[tuple[str, str], Callable[[State, bytes], bytes]] = {
    ("GET", "/"): _explain,
    ("GET", "/faults"): _faults,
    ("GET", "/inbox"): _inbox,
    ("DELETE", "/inbox"): _clear_inbox,
    ("POST", "/script"): _script,
    ("DELETE", "/script"): _clear_script,
}
"""Method and path to the function that handles them."""
