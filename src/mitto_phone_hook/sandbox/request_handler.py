"""Handles each request: the fault that is next, Mitto's rules, or the control API."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import h11

from mitto_phone_hook.sandbox.behaviours import Fault, body_of
from mitto_phone_hook.sandbox.control import ROUTES, json_response
from mitto_phone_hook.sandbox.incoming import Incoming, TooLargeError
from mitto_phone_hook.sandbox.rules import Verdict, is_key, judge
from mitto_phone_hook.sandbox.state import State
from mitto_phone_hook.sandbox.wire import Wire, http_response

SMS_ROUTES = (("POST", "/sms.json"), ("POST", "/sms"))
"""The part of Mitto's API that this fake has."""

GRACE_SECONDS = 0.2
"""How long a new connection may send nothing before a fault of the kind ``is_before_read`` applies."""

_SMS_START = b"POST /sms"
_DRAIN_SECONDS = 2


@dataclass(frozen=True, slots=True)
class RequestHandler:
    """Serves connections with one state and one key. ``is_public``: the control API requires the key, too."""

    state: State
    api_key: str
    is_public: bool

    async def serve(self, wire: Wire) -> None:
        """Serve request after request. Raises ConnectionError and TimeoutError when the connection is over."""
        incoming = Incoming(wire)
        while await self._exchange(wire, incoming):
            pass

    async def _exchange(self, wire: Wire, incoming: Incoming) -> bool:
        """Serve one request. Returns whether another may follow."""
        if fault := await self._before_read(incoming):
            await fault.apply(wire, Verdict())
            return False
        try:
            head = await incoming.head()
            if head is None:
                return False
            route = head.method.decode(), head.target.partition(b"?")[0].decode()
            self.state.requests += route in SMS_ROUTES
            body = await incoming.body()
        except h11.RemoteProtocolError:
            return await _refuse(wire, 400)
        except TooLargeError:
            return await _refuse(wire, 413)
        is_authentic = is_key(dict(head.headers).get(b"x-mitto-api-key", b""), api_key=self.api_key)
        if route in SMS_ROUTES:
            return await self._sms(wire, body, is_authentic=is_authentic, keeps_alive=incoming.keeps_alive)
        if route in ROUTES and incoming.is_first:
            self.state.connections -= 1
        await wire.send(self._control(route, body, is_allowed=is_authentic or not self.is_public))
        return False

    async def _before_read(self, incoming: Incoming) -> Fault | None:
        """Return the next fault if it applies before reading.

        The first bytes decide, so that the control API stays usable. A client that sends nothing gets the fault, too.
        """
        try:
            async with asyncio.timeout(GRACE_SECONDS if self.state.is_next_before_read else None):
                start = await incoming.start()
        except TimeoutError:
            start = _SMS_START
        return self.state.pop_fault_before_read() if start.startswith(_SMS_START) else None

    async def _sms(self, wire: Wire, body: bytes, *, is_authentic: bool, keeps_alive: bool) -> bool:
        verdict = judge(body, is_authentic=is_authentic, message_id=str(uuid.uuid4()), received_at=datetime.now(UTC))
        fault = self.state.pop_fault(verdict.msisdn)
        if verdict.message and (fault is None or fault.is_sent):
            self.state.add(verdict.message)
            await self.state.reports.report(verdict.message, verdict.callback)
        if fault:
            await fault.apply(wire, verdict)
            return False
        await wire.send(http_response(verdict.status, body_of(verdict), keeps_alive=keeps_alive))
        return keeps_alive

    def _control(self, route: tuple[str, str], body: bytes, *, is_allowed: bool) -> bytes:
        methods = [method for method, path in (*ROUTES, *SMS_ROUTES) if path == route[1]]
        if not methods:
            return json_response(404, {"error": "unknown path"})
        if route not in ROUTES:
            return json_response(405, {"error": "wrong method"}, f"Allow: {', '.join(methods)}")
        if not is_allowed:
            return json_response(401, {"error": "this fake Mitto is public: send its API key in X-Mitto-API-Key"})
        return ROUTES[route](self.state, body)


async def _refuse(wire: Wire, status: int) -> bool:
    await wire.send(http_response(status))
    wire.finish()
    # Closing with unread bytes sends a RST, which can arrive before the response.
    await wire.drain(_DRAIN_SECONDS)
    return False
