"""Plain functions-framework in its asynchronous mode, one ``httpx.AsyncClient``: this function without its own transport and checks."""

import os
from functools import cache
from typing import Any

import functions_framework.aio
import httpx
from starlette.requests import Request


@functions_framework.aio.http
async def relay(request: Request) -> tuple[dict[str, Any], int]:
    """Post the message to Mitto; check nothing."""
    payload = await request.json()
    message = {"from": "Mitto SMS", "to": payload["recipient"], "text": payload["text"]}
    answer = (await _client().post("/sms.json", json=message)).json()
    if answer["responseCode"] != 0:
        return {"status": "failed"}, 502
    return {"status": "sent", "id": answer["id"]}, 200


@cache
def _client() -> httpx.AsyncClient:
    """Open the client after the server has forked."""
    return httpx.AsyncClient(base_url=os.environ["MITTO_BASE_URL"], headers={"X-Mitto-API-Key": os.environ["MITTO_API_KEY"]})
