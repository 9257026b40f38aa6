"""Mitto's SMS API over HTTP. Only this module knows the names of its request fields."""

import asyncio
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import httpx
from pydantic_core import to_json

from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.connection import END_CONNECTION
from mitto_phone_hook.mitto.response_codes import MittoResult, read_result
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import Encoding

MAX_RESPONSE_BYTES = 65536

TYPES = {Encoding.GSM7: "GSM", Encoding.UCS2: "Unicode"}
"""Mitto's names of the encodings. It rejects a text that does not fit the declared one."""


class Mitto:
    """A client of ``/sms.json``: one call of ``send`` is one attempt at one SMS."""

    def __init__(  # noqa: PLR0913 - what every request needs
        self,
        transport: httpx.AsyncBaseTransport,
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
        self._url = httpx.URL(f"{base_url}/sms.json")
        self._host = self._url.netloc.decode("ascii")
        self._timeout = {"connect": connect_timeout_seconds}
        self._is_test = is_test
        self._callback = callback
        self._converted_url = httpx.URL(f"{base_url}/sms/converted")

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
        attempt = _Attempt(sms, key)
        request = self._request(sms, reference, attempt, key, self._callback and self._callback(now))
        try:
            async with asyncio.timeout_at(until):
                await attempt.read(await self._transport.handle_async_request(request))
        except (TimeoutError, httpx.TransportError) as fault:
            if not attempt.status:
                return attempt.result_of(fault)
        return attempt.result or read_result(attempt.status, None, attempt.retry_after)

    async def convert(self, message_id: str, *, until: float) -> str | None:
        """Tell Mitto once that the code of a message was used. Gives why that failed, ``None`` where it did not. Raises nothing.

        Ends when the event loop's clock shows ``until``.
        """
        key = self._api_key.current(asyncio.get_running_loop().time())
        request = self._post(self._converted_url, {"messageId": message_id}, key, {"timeout": self._timeout})
        try:
            async with asyncio.timeout_at(until):
                response = await self._transport.handle_async_request(request)
                try:
                    await _body(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TransportError):
            return "no_response"
        return None if response.is_success else f"http_{response.status_code}"

    def _request(self, sms: Sms, reference: str, attempt: "_Attempt", key: str, callback: str | None) -> httpx.Request:
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
        return self._post(self._url, fields, key, {"timeout": self._timeout, "trace": attempt.trace})

    def _post(self, url: httpx.URL, fields: dict[str, Any], key: str, extensions: dict[str, Any]) -> httpx.Request:
        content = to_json(fields)
        headers = _headers(self._host, key).copy()
        headers["Content-Length"] = str(len(content))
        # ``content`` instead of ``stream`` would make httpx build all headers again, which takes as long as all the rest here.
        return httpx.Request("POST", url, headers=headers, stream=httpx.ByteStream(content), extensions=extensions)


@lru_cache(maxsize=1)
def _headers(host: str, api_key: str) -> httpx.Headers:
    return httpx.Headers(
        {
            "Host": host,
            "X-Mitto-API-Key": api_key,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
    )


async def _body(response: httpx.Response) -> bytes | None:
    """Read the body; ``None`` where it is compressed or too long: nothing in it can be trusted then."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    async for chunk in response.stream:  # type: ignore[union-attr] # always asynchronous here
        if len(body) + len(chunk) > MAX_RESPONSE_BYTES:
            return None
        body += chunk
    return bytes(body)


class _Attempt:
    """What is known about one request while it runs, so that its result is true whenever the deadline ends it."""

    is_connecting = False
    """While this is false, bytes may have been written: a transport need not report that it connects."""
    status = 0
    retry_after = ""
    result: MittoResult | None = None
    """``None`` until the response is read to its end, or as far as it can be trusted."""

    def __init__(self, sms: Sms, api_key: str) -> None:
        self._sms = sms
        self._api_key = api_key

    async def trace(self, event: str, _: object) -> None:
        if event == "connection.connect_tcp.started":
            self.is_connecting = True
        elif event == "http11.send_request_headers.started":
            self.is_connecting = False

    async def read(self, response: httpx.Response) -> None:
        self.status = response.status_code
        try:
            if not response.is_success:
                self.retry_after = response.headers.get("retry-after", "")
            self.result = read_result(self.status, await _body(response), self.retry_after, self._sms, self._api_key)
            if not self.result.is_expected and (end_connection := response.extensions.get(END_CONNECTION)):
                end_connection()
        finally:
            await response.aclose()

    def result_of(self, fault: Exception) -> MittoResult:
        """Say what a fault before the response means."""
        if isinstance(fault, TimeoutError):
            return MittoResult(Outcome.UPSTREAM_UNAVAILABLE if self.is_connecting else Outcome.OUTCOME_UNKNOWN, "deadline")
        if isinstance(fault.__cause__, ssl.SSLCertVerificationError):
            return MittoResult(Outcome.UPSTREAM_AUTH, "tls_not_trusted")
        if isinstance(fault, httpx.ConnectTimeout):
            return MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "connect_timeout")
        if isinstance(fault, httpx.ConnectError):
            return MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "cannot_connect")
        return MittoResult(Outcome.OUTCOME_UNKNOWN, "connection_lost")
