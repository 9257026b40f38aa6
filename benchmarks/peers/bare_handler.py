"""Our framework mode and transport without anything else: the difference to the function is the cost of what peers lack.

With ``TRANSPORT=httpcore`` in the environment it sends through httpcore's connections instead of ours.
"""

import os
from functools import cache

import functions_framework.aio
import httpx
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response

from mitto_phone_hook.mitto.transport import OneOriginTransport

_ORIGIN = httpx.URL(os.environ["MITTO_BASE_URL"])
_URL = httpx.URL(f"{os.environ['MITTO_BASE_URL']}/sms.json")
_HEADERS = {"X-Mitto-API-Key": os.environ["MITTO_API_KEY"], "Content-Type": "application/json"}


@functions_framework.aio.http
async def relay(request: Request) -> Response:
    """Post the message to Mitto; check nothing."""
    payload = from_json(await request.body())
    message = {"from": "Mitto SMS", "to": payload["recipient"], "text": payload["text"]}
    response = await _transport().handle_async_request(httpx.Request("POST", _URL, headers=_HEADERS, content=to_json(message)))
    mitto_response = from_json(await response.aread())
    await response.aclose()
    if mitto_response["responseCode"] != 0:
        return Response(b'{"status":"failed"}', 502, media_type="application/json")
    return Response(to_json({"status": "sent", "id": mitto_response["id"]}), media_type="application/json")


@cache
def _transport() -> httpx.AsyncBaseTransport:
    """Open the transport after the server has forked."""
    if os.environ.get("TRANSPORT") == "httpcore":
        from benchmarks.peers.httpcore_transport import LastUsedFirst  # noqa: PLC0415 - only where it is measured

        return LastUsedFirst(_ORIGIN)
    return OneOriginTransport(_ORIGIN, httpx.create_ssl_context() if _ORIGIN.scheme == "https" else None)
