"""Our server and transport without anything else: the difference to the function is the cost of what peers lack.

``python -m benchmarks.peers.bare_handler PORT``.
With ``TRANSPORT=httpcore`` in the environment it sends through httpcore's connections instead of ours.
"""

import os
import sys
from functools import cache

import httpx
import uvicorn
from pydantic_core import from_json, to_json

from mitto_phone_hook.http_server import serving
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.request import Call

_ORIGIN = httpx.URL(os.environ["MITTO_BASE_URL"])
_URL = httpx.URL(f"{os.environ['MITTO_BASE_URL']}/sms.json")
_HEADERS = {"X-Mitto-API-Key": os.environ["MITTO_API_KEY"], "Content-Type": "application/json"}


_JSON = {"content-type": "application/json"}


async def relay(call: Call) -> Response:
    """Post the message to Mitto; check nothing."""
    payload = from_json(b"".join([chunk async for chunk in call.chunks]) if call.body is None else call.body)
    message = {"from": "Mitto SMS", "to": payload["recipient"], "text": payload["text"]}
    response = await _transport().handle_async_request(httpx.Request("POST", _URL, headers=_HEADERS, content=to_json(message)))
    mitto_response = from_json(await response.aread())
    await response.aclose()
    if mitto_response["responseCode"] != 0:
        return Response(502, b'{"status":"failed"}', dict(_JSON))
    return Response(200, to_json({"status": "sent", "id": mitto_response["id"]}), dict(_JSON))


@cache
def _transport() -> httpx.AsyncBaseTransport:
    """Open the transport after the server has forked."""
    if os.environ.get("TRANSPORT") == "httpcore":
        from benchmarks.peers.httpcore_transport import LastUsedFirst  # noqa: PLC0415 - only where it is measured

        return LastUsedFirst(_ORIGIN)
    return OneOriginTransport(_ORIGIN, httpx.create_ssl_context() if _ORIGIN.scheme == "https" else None)


async def application(*_: object) -> None:
    """Stand where uvicorn wants an ASGI application; the protocol calls ``relay`` itself."""


if __name__ == "__main__":
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http=serving(lambda _: None, relay),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
