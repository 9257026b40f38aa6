"""The cases that came from people who run such systems: what they send, and what must become of it."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx

from support.battery import HOOK_SECRETS, signed
from support.processes import BEARER
from support.stage import Stage

_FILE = Path(__file__).parents[1] / "data" / "field_cases.json"
_SETTINGS = {"ALLOWED_REGIONS": "*", "LIMITS": "off", "HOOK_SECRETS": HOOK_SECRETS}
_START = 1_800_000_000.0


class FieldCase(NamedTuple):
    """Calls in their order, and what is expected of each."""

    name: str
    kind: str
    settings: dict[str, str]
    headers: dict[str, str]
    calls: list[dict[str, Any]]
    expect: list[dict[str, Any]]


def field_cases(*kinds: str) -> list[FieldCase]:
    """Give the cases of these kinds, or all of them."""
    cases = json.loads(_FILE.read_text(encoding="utf-8"))["cases"]
    return [
        FieldCase(f"{case['id']}: {case['what']}", case["kind"], case["settings"], case.get("headers", {}), case["calls"], case["expect"])
        for case in cases
        if not kinds or case["kind"] in kinds
    ]


class FieldStage:
    """A hook in this process, on a clock that goes where a case puts it."""

    def __init__(self, case: FieldCase) -> None:
        self._case = case
        self._now = _START
        self._upstream: str | None = None
        self._stage = Stage(self._mitto, lambda: self._now, **_SETTINGS | case.settings)

    async def play(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Make a call; give all that a case may expect of it."""
        self._now = _START + call.get("at", 0)
        self._upstream = call.get("upstream")
        earlier = len(self._stage.requests)
        body, content_type = _body_of(call)
        headers = self._headers(call, body) | {"content-type": content_type}
        response = await self._stage.acall(body, {name.lower().encode(): value.encode() for name, value in headers.items()})
        content = json.loads(response.body)
        sent = [json.loads(request.content) for request in self._stage.requests[earlier:]]
        sms = sent[-1] if sent else {}
        return {
            "status": response.status,
            "code": content.get("error", {}).get("code"),
            "why": self._stage.lines[-1].get("why"),
            "duplicate": content.get("duplicate"),
            "segments": content.get("segments"),
            "sms": len(sent),
            "sms_to": sms.get("to"),
            "sms_text": sms.get("text"),
            "type": sms.get("type"),
            "message": content.get("error", {}).get("message", ""),
        }

    def _headers(self, call: Mapping[str, Any], body: bytes) -> dict[str, str]:
        if "webhook_id" in call:
            return signed(body, ts=str(int(self._now)), message_id=call["webhook_id"])
        headers = self._case.headers | call.get("headers", {})
        return {name: _filled(value) for name, value in headers.items()} or {"Authorization": f"Bearer {BEARER}"}

    def _mitto(self, _: httpx.Request) -> httpx.Response:
        if self._upstream:
            return httpx.Response(int(self._upstream.removeprefix("http_")))
        return httpx.Response(200, json={"responseCode": 0, "id": "m1"})


def _body_of(call: Mapping[str, Any]) -> tuple[bytes, str]:
    if "form" in call:
        return urlencode(call["form"]).encode(), "application/x-www-form-urlencoded"
    return json.dumps(call["json"]).encode(), "application/json"


def _filled(value: str) -> str:
    value = re.sub(r"\bS\b", BEARER, value)
    return re.sub(r"base64\((.*)\)", lambda found: base64.b64encode(found[1].encode()).decode(), value)
