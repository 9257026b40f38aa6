"""Mitto's SMS API over HTTP. Only this module knows the names of its request fields."""

import asyncio
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import httpx
from pydantic_core import to_json

from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.connection import WholeResponse
from mitto_phone_hook.mitto.response_codes import MittoResult, read_result
from mitto_phone_hook.mitto.transport import NotWrittenError, serialized_head
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import Encoding

MAX_RESPONSE_BYTES = 65536

TYPES = {Encoding.GSM7: "GSM", Encoding.UCS2: "Unicode"}
"""Mitto's names of the encodings. It rejects a text that does not fit the declared one."""


_SUCCESS_CLASS = 2


class Transport(Protocol):
    """What carries the requests: ``OneOriginTransport``."""

    async def send(self, request: bytes, *, max_bytes: int, connect_timeout_seconds: float, until: float) -> WholeResponse:
        """See ``OneOriginTransport``."""


class Mitto:
    """A client of ``/sms.json``: one call of ``send`` is one attempt at one SMS."""

    def __init__(  # noqa: PLR0913 - what every request needs
        self,
        transport: Transport,
        api_key: RotatingSecret[str],
        *,
        base_url: str,
        connect_timeout_seconds: float,
        is_test: bool,
        callback: Callable[[float], str] | None = None,
    ) -> None:
        """Take the transport that carries the requests; nothing is opened before the first one.

        ``callback`` gives the URL for delivery reports at a time in seconds of a monotonic clock. Without it Mitto uses the account's.
        """
        self._transport = transport
        self._api_key = api_key
        url = httpx.URL(f"{base_url}/sms.json")
        self._path = url.raw_path
        self._host = url.netloc.decode("ascii")
        self._connect_timeout_seconds = connect_timeout_seconds
        self._is_test = is_test
        self._callback = callback
        self._converted_path = httpx.URL(f"{base_url}/sms/converted").raw_path

    def key(self, now: float) -> str:
        """Give the API key that a request at ``now`` carries."""
        return self._api_key.current(now)

    async def reread_key(self, now: float) -> None:
        """Read the API key again, which the operator may have replaced; ``now`` in seconds of a monotonic clock."""
        await self._api_key.refresh(now)

    async def send(self, sms: Sms, *, reference: str, until: float) -> MittoResult:
        """Try once to hand ``sms`` to Mitto, until the event loop's clock shows ``until``. Raises nothing on a fault of the network."""
        now = asyncio.get_running_loop().time()
        if now >= until:
            return MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "deadline")
        key = self._api_key.current(now)
        try:
            response = await self._transport.send(
                self._request(sms, reference, key, self._callback and self._callback(now)),
                max_bytes=MAX_RESPONSE_BYTES,
                connect_timeout_seconds=self._connect_timeout_seconds,
                until=until,
            )
        except (TimeoutError, httpx.TransportError) as fault:
            return _result_of(fault)
        retry_after = "" if response.status // 100 == _SUCCESS_CLASS else response.header(b"retry-after").decode("latin-1")
        if response.body is None:
            return read_result(response.status, None, retry_after)
        result = read_result(response.status, response.body, retry_after, sms, key)
        if not result.is_expected:
            response.end_connection()
        return result

    async def convert(self, message_id: str, *, until: float) -> str | None:
        """Tell Mitto once that the code of a message was used. Gives why that failed, ``None`` where it did not. Raises nothing.

        Ends when the event loop's clock shows ``until``.
        """
        key = self._api_key.current(asyncio.get_running_loop().time())
        try:
            response = await self._transport.send(
                self._post(self._converted_path, {"messageId": message_id}, key),
                max_bytes=MAX_RESPONSE_BYTES,
                connect_timeout_seconds=self._connect_timeout_seconds,
                until=until,
            )
        except (TimeoutError, httpx.TransportError):
            return "no_response"
        return None if response.status // 100 == _SUCCESS_CLASS else f"http_{response.status}"

    def _request(self, sms: Sms, reference: str, key: str, callback: str | None) -> bytes:
        fields: dict[str, Any] = {
            "to": sms.recipient.msisdn,
            "from": sms.sender_id,
            "text": sms.encoded.text,
            "type": TYPES[sms.encoded.encoding],
            "validity": sms.validity_minutes,
            "reference": reference,
        }
        if self._is_test:
            fields["test"] = True
        if callback:
            fields["callback"] = callback
        return self._post(self._path, fields, key)

    def _post(self, path: bytes, fields: dict[str, Any], key: str) -> bytes:
        content = to_json(fields)
        return b"%bContent-Length: %d\r\n\r\n%b" % (_head(path, self._host, key), len(content), content)


@lru_cache(maxsize=2)
def _head(path: bytes, host: str, api_key: str) -> bytes:
    """Give the head of a request up to its length."""
    headers = {
        "Host": host,
        "X-Mitto-API-Key": api_key,
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    return serialized_head("POST", path, [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()])


def _result_of(fault: Exception) -> MittoResult:
    """Say what a fault before the response means."""
    if isinstance(fault, TimeoutError):
        return MittoResult(Outcome.UPSTREAM_UNAVAILABLE if isinstance(fault, NotWrittenError) else Outcome.OUTCOME_UNKNOWN, "deadline")
    if isinstance(fault.__cause__, ssl.SSLCertVerificationError):
        return MittoResult(Outcome.UPSTREAM_AUTH, "tls_not_trusted")
    if isinstance(fault, httpx.ConnectTimeout):
        return MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "connect_timeout")
    if isinstance(fault, httpx.ConnectError):
        return MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "cannot_connect")
    return MittoResult(Outcome.OUTCOME_UNKNOWN, "connection_lost")
