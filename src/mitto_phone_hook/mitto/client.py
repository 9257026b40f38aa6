"""Mitto's SMS API over HTTP: a thin client, the only module that knows the names of its request fields."""

import asyncio
import ssl
from functools import lru_cache
from typing import Any

import httpx
from pydantic_core import to_json

from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.response_codes import MittoResult, read_result
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import Encoding

MAX_ANSWER_BYTES = 65536

TYPES = {Encoding.GSM7: "GSM", Encoding.UCS2: "Unicode"}
"""Mitto's word for an encoding. It rejects a text outside the alphabet that is declared."""


class Mitto:
    """A thin client of ``/sms.json``: one call of ``send`` is one attempt at one SMS."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        api_key: RotatingSecret[str],
        *,
        base_url: str,
        connect_timeout_seconds: float,
        is_test: bool,
    ) -> None:
        """Take the transport that carries the requests; nothing is opened before the first one."""
        self._transport = transport
        self._api_key = api_key
        self._url = httpx.URL(f"{base_url}/sms.json")
        self._host = self._url.netloc.decode("ascii")
        self._timeout = {"connect": connect_timeout_seconds}
        self._is_test = is_test

    def key(self, now: float) -> str:
        """Give the API key that a request at ``now`` carries."""
        return self._api_key.current(now)

    async def reread_key(self, now: float) -> None:
        """Look whether the operator has mounted another API key; ``now`` in seconds of a monotonic clock."""
        await self._api_key.look_again(now)

    async def send(self, sms: Sms, *, reference: str, until: float) -> MittoResult:
        """Try once to hand ``sms`` to Mitto, until the event loop's clock shows ``until``. Raises nothing on any fault of the network."""
        now = asyncio.get_running_loop().time()
        if now >= until:
            return MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "deadline")
        exchange = _Exchange()
        request = self._request(sms, reference, exchange, now)
        try:
            async with asyncio.timeout_at(until):
                response = await self._transport.handle_async_request(request)
                exchange.status = response.status_code
                exchange.retry_after = "" if response.is_success else response.headers.get("retry-after", "")
                try:
                    exchange.body = await _read(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TransportError) as fault:
            return exchange.result_of(fault)
        answer = read_result(exchange.status, exchange.body, exchange.retry_after)
        # Else an id made of the number would carry it into the log and the reply.
        return answer._replace(message_id=None) if sms.recipient.msisdn in (answer.message_id or "") else answer

    def _request(self, sms: Sms, reference: str, exchange: "_Exchange", now: float) -> httpx.Request:
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
        content = to_json(fields)
        headers = _headers(self._host, self._api_key.current(now)).copy()
        headers["Content-Length"] = str(len(content))
        # With ``content`` httpx would work out all headers anew, which takes as long as everything else that it does here.
        stream = httpx.ByteStream(content)
        return httpx.Request(
            "POST", self._url, headers=headers, stream=stream, extensions={"timeout": self._timeout, "trace": exchange.trace}
        )


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


class _Exchange:
    """What is known about one request while it runs, so that a deadline that cuts it can still be told the truth."""

    def __init__(self) -> None:
        # Until the transport says that it is only connecting, bytes may have been written.
        self.is_connecting = False
        self.status: int | None = None
        self.retry_after = ""
        self.body: bytes | None = None

    async def trace(self, event: str, _: object) -> None:
        if event == "connection.connect_tcp.started":
            self.is_connecting = True
        elif event == "http11.send_request_headers.started":
            self.is_connecting = False

    def result_of(self, fault: Exception) -> MittoResult:
        if self.status is not None:
            return read_result(self.status, self.body, self.retry_after)
        if isinstance(fault, TimeoutError):
            return MittoResult(Outcome.UPSTREAM_UNAVAILABLE if self.is_connecting else Outcome.OUTCOME_UNKNOWN, "deadline")
        if _is_caused_by(fault, ssl.SSLCertVerificationError):
            return MittoResult(Outcome.UPSTREAM_AUTH, "tls_not_trusted")
        if isinstance(fault, httpx.ConnectTimeout):
            return MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "connect_timeout")
        if isinstance(fault, httpx.ConnectError):
            return MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "cannot_connect")
        return MittoResult(Outcome.OUTCOME_UNKNOWN, "connection_lost")


def _is_caused_by(fault: BaseException | None, kind: type[BaseException]) -> bool:
    while fault is not None and not isinstance(fault, kind):
        fault = fault.__cause__
    return fault is not None


async def _read(response: httpx.Response) -> bytes | None:
    """Read the raw body; ``None`` when it is compressed, too long or cut: nothing in it can be trusted then."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    try:
        async for chunk in response.stream:  # type: ignore[union-attr] # always asynchronous here
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                return None
    except httpx.TransportError:
        return None
    return bytes(body)
