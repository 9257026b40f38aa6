"""Builds the requests of the battery as raw bytes, so that they may be as wrong as the wire allows."""

import base64
import hashlib
import hmac
import http.client
import io
import json
import socket
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from support.processes import BEARER

OLD_BEARER = "bearer-secret-of-the-tests-0000"
KEYS = {"first": b"k" * 32, "second": b"K" * 24, "wrong": b"w" * 32}
HOOK_SECRETS = " ".join([BEARER, OLD_BEARER, *(f"whsec_{base64.b64encode(KEYS[name]).decode()}" for name in ("first", "second"))])
_READ_SECONDS = 10.0


@dataclass
class Answer:
    """An HTTP answer, or the early end of the connection (``status`` 0)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def code(self) -> str | None:
        """The error code in the body, if there is one."""
        try:
            code: str = json.loads(self.body)["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None
        return code


def fill(value: Any, otp: str) -> Any:
    """Put the one-time code and the repetitions into a payload."""
    if isinstance(value, dict):
        return {key: fill(one, otp) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    value = value.replace("{OTP}", otp)
    head, mark, repeat = value.partition("@repeat:")
    if not mark:
        return value
    character, times = repeat.split(":")
    return head + character * int(times)


def body_of(request: dict[str, Any], default: dict[str, Any], otp: str) -> bytes:
    """Build the body that a case asks for."""
    payload = fill(default | request.get("set", {}), otp)
    for key in request.get("unset", []):
        del payload[key]
    text = json.dumps(payload, ensure_ascii="recode" not in request)
    if "dup_key" in request:
        [(key, value)] = request["dup_key"].items()
        text = text[:-1] + f', "{key}": {json.dumps(value)}' + "}"
    generator = request.get("body_gen", {})
    if "char" in generator:
        text = generator["char"] * generator["times"]
    elif "nest" in generator:
        text = generator["nest"] * generator["times"] + generator.get("middle", "") + generator["close"] * generator["times"]
    elif "extra_key_digits" in generator:
        text = text[:-1] + ', "x": ' + "7" * generator["extra_key_digits"] + "}"
    elif "pad_valid_json_to" in generator:
        text = text[:-1] + " " * (generator["pad_valid_json_to"] - len(text)) + "}"
    text = str(request.get("body_prefix", "") + request.get("body", text) + request.get("body_suffix", ""))
    encoding: str = request.get("recode", "utf-8")
    return text.encode(encoding)


def raw_request(request: dict[str, Any], body: bytes) -> bytes:
    """Build the bytes of a case's request."""
    if "raw_b64" in request:
        return base64.b64decode(request["raw_b64"])
    headers = {"Host": "localhost", "Content-Type": "application/json", "Connection": "close"}
    if request.get("chunked"):
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers["Content-Length"] = str(len(body) + request.get("raw_length_delta", 0))
    headers |= _credentials(request.get("auth", "bearer_good"), body)
    headers |= fill(request.get("headers", {}), "")
    path = request.get("path", "/") + (f"?secret={BEARER}" if request.get("path_secret") else "")
    lines = [
        f"{request.get('method', 'POST')} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items() if value is not None),
    ]
    if request.get("chunked"):
        body = (
            b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + 5000]), body[at : at + 5000]) for at in range(0, len(body), 5000)) + b"0\r\n\r\n"
        )
    return "\r\n".join([*lines, "", ""]).encode() + body


def exchange(port: int, raw: bytes, *, half_close: bool = False) -> Answer:
    """Send raw bytes and read what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=_READ_SECONDS) as connection:
        try:
            connection.sendall(raw)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            received = b""
    if not received:
        return Answer(0)
    method = raw.split(b" ", 1)[0].decode("latin-1")
    response = http.client.HTTPResponse(_Received(received), method=method)  # type: ignore[arg-type] # all that it needs of a socket
    response.begin()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


class _Received:
    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._received)


def _credentials(auth: Any, body: bytes) -> dict[str, str]:
    named = {
        "none": {},
        "bearer_good": {"Authorization": f"Bearer {BEARER}"},
        "bearer_lower": {"Authorization": f"bearer {BEARER}"},
        "bearer_old": {"Authorization": f"Bearer {OLD_BEARER}"},
        "bearer_good_minus_last": {"Authorization": f"Bearer {BEARER[:-1]}"},
        "bearer_good_plus_one": {"Authorization": f"Bearer {BEARER}1"},
        "basic": {"Authorization": "Basic " + base64.b64encode(f"user:{BEARER}".encode()).decode()},
    }
    if isinstance(auth, dict):
        return signed(body, **auth["webhook"])
    return named[auth] if auth in named else {"Authorization": f"Bearer {auth.removeprefix('bearer:')}"}


def signed(  # noqa: PLR0913 - every part of a signature can be wrong
    body: bytes,
    *,
    key: str = "first",
    ts: str | None = None,
    ts_delta: int = 0,
    sig: str | None = None,
    version: str = "v1",
    drop: str | None = None,
    extra_first: bool = False,
    sep: str = " ",
    reserialise: bool = False,
    other_body: bool = False,
    message_id: str | None = None,
) -> dict[str, str]:
    """Give Standard Webhooks headers, right or wrong as asked."""
    # An id belongs to one body: with another one it is a replay.
    message_id = message_id or f"msg_{uuid.uuid4().hex}"
    timestamp = ts or str(int(time.time()) + ts_delta)
    over = json.dumps(json.loads(body), indent=1).encode() if reserialise else body + b" " * other_body
    digest = hmac.new(KEYS[key], f"{message_id}.{timestamp}.".encode() + over, hashlib.sha256).digest()
    signature = f"{version},{base64.b64encode(digest).decode()}" if sig is None else sig
    if extra_first:
        signature = f"v1,{base64.b64encode(bytes(32)).decode()}{sep}{signature}"
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    headers.pop(drop or "", None)
    return headers
