"""Calls a deployed function as an identity platform would: signed or with a bearer secret, each call timed."""

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

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome

PATIENCE_SECONDS = 30.0
"""As long as the most patient platform waits."""

Prove = Callable[[bytes], Mapping[str, str]]
"""Gives the headers that prove who calls, for a body."""

_PLAIN = {"Accept": "application/json", "Accept-Encoding": "identity"}
_MAX_ANSWER_BYTES = 65536
_MESSAGE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Credential(NamedTuple):
    """One secret, by a name that tells nothing of it."""

    name: str
    prove: Prove


class Answer(NamedTuple):
    """What the function answered, and after how long. Nothing in it comes from the other side unchecked."""

    status: int
    code: str
    """An outcome of ours, ``accepted`` included; empty when something else answered."""
    seconds: float
    message_id: str = ""
    segments: int = 0
    is_duplicate: bool = False
    clock_ahead_seconds: float = 0.0
    """How far the other side's clock is ahead of ours, to the second."""


class Caller:
    """Calls one function. Redirects are not followed, as no platform follows them."""

    def __init__(self, client: httpx.Client, hook_url: str, health_url: str) -> None:
        """Take the client that carries the requests; nothing is opened before the first one."""
        self._client = client
        self._hook_url = hook_url
        self._health_url = health_url

    def health(self) -> Answer:
        """Ask whether it lives. Raises ``httpx.TransportError``."""
        return self._answer(self._client.build_request("GET", self._health_url, headers=_PLAIN))

    def post(self, payload: object, prove: Prove) -> Answer:
        """Call the hook. Raises ``httpx.TransportError``."""
        body = json.dumps(payload).encode()
        headers = {**_PLAIN, "Content-Type": "application/json", **prove(body)}
        return self._answer(self._client.build_request("POST", self._hook_url, content=body, headers=headers))

    def _answer(self, request: httpx.Request) -> Answer:
        started = time.perf_counter()
        response = self._client.send(request, stream=True)
        with contextlib.closing(response):
            body = b""
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES:
                    break
        seconds = time.perf_counter() - started
        return read_answer(response.status_code, body, response.headers.get("date", ""), seconds, time.time())


def read_answer(status: int, body: bytes, date: str, seconds: float, now: float) -> Answer:
    """Read an answer of whoever answered; ``now`` is in Unix seconds."""
    answer = Answer(status, "", seconds, clock_ahead_seconds=_ahead(date, now))
    try:
        fields: Any = json.loads(body)
    except (ValueError, RecursionError):
        return answer
    if not isinstance(fields, dict):
        return answer
    error = fields.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        return answer._replace(code=code if isinstance(code, str) and code in set(Outcome) else "")
    if fields.get("status") != Outcome.ACCEPTED:
        return answer._replace(code="ok" if fields == {"status": "ok"} else "")
    message_id, segments = fields.get("message_id"), fields.get("segments")
    return answer._replace(
        code=Outcome.ACCEPTED.value,
        message_id=message_id if isinstance(message_id, str) and _MESSAGE_ID.fullmatch(message_id) else "",
        segments=segments if type(segments) is int else 0,
        is_duplicate=fields.get("duplicate") is True,
    )


def credentials(secrets: HookSecrets) -> list[Credential]:
    """Give every secret that there is, the signing keys first."""
    signing = [(f"signing key{_ordinal(at, secrets.signing_keys)}", signed_with(key)) for at, key in enumerate(secrets.signing_keys)]
    bearer = [(f"bearer secret{_ordinal(at, secrets.bearer)}", bearing(secret)) for at, secret in enumerate(secrets.bearer)]
    return [Credential(*one) for one in (*signing, *bearer)]


def signed_with(key: bytes) -> Prove:
    """Sign by the Standard Webhooks specification."""

    def prove(body: bytes) -> Mapping[str, str]:
        message_id, timestamp = f"check_{os.urandom(8).hex()}", str(int(time.time()))
        digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}

    return prove


def bearing(secret: bytes) -> Prove:
    """Show a bearer secret."""
    return lambda _: {"Authorization": f"Bearer {secret.decode()}"}


def nothing(_: bytes) -> Mapping[str, str]:
    """Prove nothing."""
    return {}


def wrong(body: bytes) -> Mapping[str, str]:
    """Prove it wrongly in both ways."""
    return {**signed_with(os.urandom(32))(body), **bearing(os.urandom(32).hex().encode())(body)}


def _ordinal(at: int, secrets: tuple[bytes, ...]) -> str:
    return f" {at + 1}" if len(secrets) > 1 else ""


def _ahead(date: str, now: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
