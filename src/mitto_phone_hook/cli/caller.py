"""Calls a deployed function as an identity platform would: signed or with a bearer secret. Every call is timed."""

import base64
import contextlib
import hmac
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx

from mitto_phone_hook.callers import HookRequest
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms._contract import Response

RESPONSE_TIMEOUT_SECONDS = 30.0
"""The longest timeout of any platform."""

MakeHeaders = Callable[[bytes], Mapping[str, str]]
"""Makes the headers that authenticate a body."""

_JSON_ONLY = {"Accept": "application/json", "Accept-Encoding": "identity"}
_MAX_RESPONSE_BYTES = 65536
_MESSAGE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Credential(NamedTuple):
    """One secret, under a name that reveals nothing about it."""

    name: str
    make_headers: MakeHeaders


class HookResponse(NamedTuple):
    """The function's response, and how long it took. Every value from the other side is validated."""

    status: int
    code: str
    """One of our outcomes, ``accepted`` included; ``ok`` for a healthy ``/health``; empty when something else responded."""
    seconds: float
    message_id: str = ""
    segments: int = 0
    is_duplicate: bool = False
    clock_ahead_seconds: float = 0.0
    """How far the server's clock is ahead of ours, to the second; negative when it is behind."""


class Caller:
    """Calls one function. It follows no redirects, as platforms do not."""

    def __init__(self, client: httpx.Client, hook_url: str, health_url: str) -> None:
        """Take the client that sends the requests. Nothing is sent yet."""
        self._client = client
        self._hook_url = hook_url
        self._health_url = health_url

    def health(self) -> HookResponse:
        """Call ``/health``. Raises ``httpx.TransportError``."""
        return self._send(self._client.build_request("GET", self._health_url, headers=_JSON_ONLY))

    def post(self, payload: object, make_headers: MakeHeaders) -> HookResponse:
        """Call the hook. Raises ``httpx.TransportError``."""
        body = json.dumps(payload).encode()
        headers = {**_JSON_ONLY, "Content-Type": "application/json", **make_headers(body)}
        return self._send(self._client.build_request("POST", self._hook_url, content=body, headers=headers))

    def _send(self, request: httpx.Request) -> HookResponse:
        response, seconds = exchange(self._client, request)
        return read_response(response.status, response.body, response.headers.get("date", ""), seconds, time.time())


def exchange(client: httpx.Client, request: httpx.Request) -> tuple[Response, float]:
    """Send a request. Returns the response, at most the first 64 KiB of it, and how long it took. Raises ``httpx.TransportError``."""
    started = time.perf_counter()
    response = client.send(request, stream=True)
    with contextlib.closing(response):
        body = b""
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _MAX_RESPONSE_BYTES:
                break
    return Response(response.status_code, body, dict(response.headers)), time.perf_counter() - started


def call_as_platform(client: httpx.Client, base_url: str, request: HookRequest) -> tuple[Response, float]:
    """Send what a platform sends to its route of the function at this address. Raises ``httpx.TransportError``."""
    return exchange(
        client, client.build_request("POST", base_url.rstrip("/") + request.path, content=request.body, headers=request.headers)
    )


def read_response(status: int, body: bytes, date: str, seconds: float, now: float) -> HookResponse:
    """Read a response, whatever server sent it. ``now`` is in Unix seconds."""
    response = HookResponse(status, "", seconds, clock_ahead_seconds=_clock_ahead(date, now))
    try:
        fields: Any = json.loads(body)
    except (ValueError, RecursionError):
        return response
    if not isinstance(fields, dict):
        return response
    error = fields.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        return response._replace(code=code if isinstance(code, str) and code in set(Outcome) else "")
    if fields.get("status") != Outcome.ACCEPTED:
        return response._replace(code="ok" if fields == {"status": "ok"} else "")
    message_id, segments = fields.get("message_id"), fields.get("segments")
    return response._replace(
        code=Outcome.ACCEPTED.value,
        message_id=message_id if isinstance(message_id, str) and _MESSAGE_ID.fullmatch(message_id) else "",
        segments=segments if type(segments) is int else 0,
        is_duplicate=fields.get("duplicate") is True,
    )


def credentials(secrets: HookSecrets) -> list[Credential]:
    """Return one credential per secret, signing keys first."""
    signing = [(f"signing key{_number(index, secrets.signing_keys)}", signed_with(key)) for index, key in enumerate(secrets.signing_keys)]
    bearer = [(f"bearer secret{_number(index, secrets.bearer)}", bearer_with(secret)) for index, secret in enumerate(secrets.bearer)]
    return [Credential(*pair) for pair in (*signing, *bearer)]


def signed_with(key: bytes) -> MakeHeaders:
    """Sign by the Standard Webhooks specification."""

    def make_headers(body: bytes) -> Mapping[str, str]:
        message_id, timestamp = f"check_{os.urandom(8).hex()}", str(int(time.time()))
        digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}

    return make_headers


def bearer_with(secret: bytes) -> MakeHeaders:
    """Send a bearer secret."""
    return lambda _: {"Authorization": f"Bearer {secret.decode()}"}


def no_credentials(_: bytes) -> Mapping[str, str]:
    """Send no credentials."""
    return {}


def wrong_credentials(body: bytes) -> Mapping[str, str]:
    """Send a wrong signature and a wrong bearer secret."""
    return {**signed_with(os.urandom(32))(body), **bearer_with(os.urandom(32).hex().encode())(body)}


def _number(index: int, secrets: tuple[bytes, ...]) -> str:
    return f" {index + 1}" if len(secrets) > 1 else ""


def _clock_ahead(date: str, now: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
