"""Plain functions-framework in its synchronous mode, one ``httpx.Client`` for all threads."""

import os
from functools import cache
from typing import Any

import functions_framework
import httpx


@functions_framework.http
def relay(request: Any) -> tuple[dict[str, Any], int]:  # noqa: ANN401 - Flask's request, which is not among our dependencies
    """Post the message to Mitto; check nothing."""
    payload = request.get_json()
    message = {"from": "Mitto SMS", "to": payload["recipient"], "text": payload["text"]}
    answer = _client().post("/sms.json", json=message).json()
    if answer["responseCode"] != 0:
        return {"status": "failed"}, 502
    return {"status": "sent", "id": answer["id"]}, 200


@cache
def _client() -> httpx.Client:
    """Open the client after the server has forked."""
    return httpx.Client(base_url=os.environ["MITTO_BASE_URL"], headers={"X-Mitto-API-Key": os.environ["MITTO_API_KEY"]})
