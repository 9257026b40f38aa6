"""How each platform's own code reads our response, and what it sends. Sources: the modules in ``platforms/``."""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.platforms import load_platform
from mitto_phone_hook.platforms._contract import Response
from support.processes import ROOT
from support.stage import AUTHORIZED, Stage

DATA = ROOT / "tests" / "data"
JSON = {b"content-type": b"application/json"}


class Reading(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    REPEATED = "the platform calls again"
    SENT_BY_PLATFORM = "the platform may send the message itself"


def _by_status(response: Response) -> Reading:
    return Reading.SUCCESS if 200 <= response.status < 300 else Reading.FAILURE


def _by_queue(response: Response) -> Reading:
    return Reading.SUCCESS if 200 <= response.status < 300 else Reading.REPEATED


def _supabase(response: Response) -> Reading:
    if response.status in (429, 503) and "retry-after" in response.headers:
        return Reading.REPEATED
    if response.status == 204:
        return Reading.SUCCESS
    if response.status not in (200, 202) or response.headers.get("content-type") != "application/json":
        return Reading.FAILURE
    return Reading.FAILURE if json.loads(response.body).get("error", {}).get("message") else Reading.SUCCESS


def _authgear(response: Response) -> Reading:
    try:
        content = json.loads(response.body)
    except ValueError:
        return _by_status(response)
    return Reading.SUCCESS if content["code"] == "ok" else Reading.FAILURE


def _okta(response: Response) -> Reading:
    if response.status != 200 or response.headers["content-type"] != "application/json":
        return Reading.SENT_BY_PLATFORM
    [command] = json.loads(response.body)["commands"]
    [value] = command["value"]
    is_sent = command["type"] == "com.okta.telephony.action" and value["status"] in ("SUCCESSFUL", "PENDING")
    return Reading.SUCCESS if is_sent else Reading.SENT_BY_PLATFORM


READERS: Mapping[str, Callable[[Response], Reading]] = {
    "supabase": _supabase,
    "zitadel": _by_queue,
    "clerk": _by_queue,
    "authgear": _authgear,
    "okta": _okta,
}
"""Those that look at more than the status, or call again."""


def reading(name: str, response: Response) -> Reading:
    return READERS.get(name, _by_status)(response)


def sample(name: str, stem: str) -> bytes:
    return (DATA / name / f"{stem}.json").read_bytes()


def response_to(name: str, outcome: Outcome, **values: Any) -> Response:
    """What the platform is told of this outcome, with everything filled that may be told."""
    result = Result(outcome, why="a_word_for_the_operator", fields=("text",), message_id="m1", segments=1, retry_after_seconds=7)
    platform = load_platform(name)
    return platform.respond(platform.as_told(result._replace(**values), None), "request-1")


def call(name: str, body: bytes, stage: Stage | None = None, headers: Mapping[bytes, bytes] = AUTHORIZED) -> tuple[Response, Stage]:
    """Call the platform's route, with a bearer if nothing else is said."""
    stage = stage or Stage()
    return stage.call(body, {**headers, **JSON}, path=f"/hooks/{name}"), stage


def sent(stage: Stage) -> list[tuple[str, str]]:
    """Number and text of each SMS that left."""
    return [(fields["to"], fields["text"]) for fields in (json.loads(request.content) for request in stage.requests)]
