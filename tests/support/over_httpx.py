"""Mitto's requests over any transport of httpx's, above all its ``MockTransport``."""

import asyncio

import httpx

from mitto_phone_hook.mitto.client import Transport
from mitto_phone_hook.mitto.connection import WholeResponse
from mitto_phone_hook.mitto.transport import OneOriginTransport


def carried_by(transport: httpx.AsyncBaseTransport) -> Transport:
    """Give what ``Mitto`` takes: our own transport as it is, another one of httpx's in a form that fits."""
    return transport if isinstance(transport, OneOriginTransport) else OverHttpx(transport)


class OverHttpx:
    """A transport of httpx's as ``Mitto`` uses it."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def send(self, request: bytes, *, max_bytes: int, connect_timeout_seconds: float, until: float) -> WholeResponse:  # noqa: ARG002 - the tests of sizes have a real server
        head, _, content = request.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        method, target, _ = line.decode("ascii").split(" ")
        headers = [(name, value) for name, _, value in (one.partition(b": ") for one in lines)]
        url = f"http://{dict(headers)[b'Host'].decode()}{target}"
        async with asyncio.timeout_at(until):
            extensions = {"timeout": {"connect": connect_timeout_seconds}}
            sent = httpx.Request(method, url, headers=headers, content=content, extensions=extensions)
            response = await self._transport.handle_async_request(sent)
            body = await response.aread()
        return WholeResponse(response.status_code, response.headers.raw, body, lambda: None)
