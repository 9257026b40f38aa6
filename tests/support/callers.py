"""How each platform's own code reads our response, and what it sends. Sources: the modules in ``callers/``."""

import json
from collections.abc import Mapping
from typing import Any

from mitto_phone_hook.callers import Reading, all_callers
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.platforms import load_platform
from mitto_phone_hook.platforms._contract import Response
from support.processes import ROOT
from support.stage import AUTHORIZED, Stage

DATA = ROOT / "tests" / "data"
JSON = {b"content-type": b"application/json"}

__all__ = ["DATA", "JSON", "Reading", "call", "reading", "response_to", "sample", "sent"]


def reading(name: str, response: Response) -> Reading:
    return all_callers()[name].judge(response).reading


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
