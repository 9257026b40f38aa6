"""The story of one hook call: receive, authenticate, parse, decide, send, reply."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cached_property, partial
from typing import NamedTuple

import httpx

from mitto_phone_hook.config.rules import OBSERVE
from mitto_phone_hook.config.settings import Settings
from mitto_phone_hook.delivery.attempts import send
from mitto_phone_hook.delivery.idempotency import Ledger, Store, key_of
from mitto_phone_hook.domain.deadline import Closing, reserve_seconds
from mitto_phone_hook.domain.outcome import MAY_HAVE_LEFT, Outcome, Refused, Result
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.platforms._parse import parse
from mitto_phone_hook.platforms._replies import HEALTHY, Reply, reply_to
from mitto_phone_hook.platforms._signatures import authenticate
from mitto_phone_hook.policy.enforcement import Bill, Policy
from mitto_phone_hook.policy.limits import Counters
from mitto_phone_hook.request import receive
from mitto_phone_hook.routes import HEALTH_PATH, Route, allowed_methods, find_route
from mitto_phone_hook.sms.compose import Sms, decide
from mitto_phone_hook.telemetry.call_record import CallRecord
from mitto_phone_hook.telemetry.log_lines import Emit

_LETTERS = str.maketrans("0123456789", "ghijklmnop")


class Call(NamedTuple):
    """One HTTP request in plain values. ``chunks`` raises ``ConnectionError`` when the caller hangs up."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    """Names in lower case."""
    chunks: AsyncIterator[bytes]

    def __repr__(self) -> str:
        """Show no header, which may be a secret, and no path, which may hold one."""
        return f"Call({self.method!r})"


class Stores(NamedTuple):
    """Where ledger and limits are kept."""

    store: Store
    counters: Counters


class Hook:
    """Answers hook calls. Whatever it touches outside is an argument: settings, transport, stores, log, clock."""

    def __init__(
        self,
        settings: Settings,
        make_transport: Callable[[], httpx.AsyncBaseTransport],
        make_stores: Callable[[], Stores],
        emit: Emit,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Start nothing: the server may fork after this. ``wall_clock`` tells Unix seconds."""
        self._settings = settings
        self._make_transport = make_transport
        self._make_stores = make_stores
        self._emit = emit
        self._wall_clock = wall_clock
        self._closing = Closing(settings.deadline_seconds)
        self._reserve_seconds = reserve_seconds(settings.deadline_seconds)

    async def answer(self, call: Call) -> Reply:
        """Answer one HTTP request, whatever it is; raises nothing. One log line follows, but none about health."""
        until = asyncio.get_running_loop().time() + self._settings.deadline_seconds
        record = CallRecord(request_id=_new_id(), path=call.path, headers=call.headers, started=time.perf_counter())
        try:
            route = find_route(call.method, call.path)
            if call.path == HEALTH_PATH:
                return HEALTHY
            result = await self._carry(call, route, record, until)
        except Refused as refusal:
            result = refusal.result
        except Exception as bug:  # noqa: BLE001 - whatever it is, the caller gets an answer
            result = Result(Outcome.INTERNAL_ERROR)
            record.bug = bug
        # In the loop's next turn, when the reply is on its way: nobody who wants to log in waits for a line of log.
        asyncio.get_running_loop().call_soon(self._log, record, result, time.perf_counter())
        return reply_to(result, record.request_id, allowed_methods(call.path))

    def _log(self, record: CallRecord, result: Result, now: float) -> None:
        self._emit(record.line(result, now))

    async def _carry(self, call: Call, route: Route, record: CallRecord, until: float) -> Result:
        """Tell the whole story of one message, to its good or bad end."""
        settings = self._settings
        body = await receive(call.headers, call.chunks, max_bytes=settings.max_body_bytes, until=until)
        signed_at = await self._authenticate(call, body, route, until)
        message = record.message = parse(body, call.headers.get(b"content-type", b""), settings.default_region)
        self._policy.check_destination(message, record.would_refuse)
        sms = decide(message, settings, signed_at=signed_at, now=self._wall_clock())
        self._refuse_if_late(until)
        secret = settings.hook_secrets.current(asyncio.get_running_loop().time()).first
        bill = self._policy.bill(message, secret, record.would_refuse, until - self._reserve_seconds)
        send_once = partial(self._send_once, sms, bill, record, until)
        record.turn = await self._ledger.once(key_of(message, secret), record.request_id, until, send_once)
        return record.turn.result

    async def _send_once(self, sms: Sms, bill: Bill, record: CallRecord, until: float) -> Result:
        """Count the message, hand it to Mitto, and let the count stand only if it may have left."""
        self._refuse_if_late(until)
        counting = time.perf_counter()
        await bill.count(sms.encoded.segments)
        record.count_seconds = time.perf_counter() - counting
        record.sent = await send(
            self._mitto,
            sms,
            reference=record.request_id,
            until=until,
            max_attempts=self._settings.max_attempts,
            max_segments=self._settings.max_segments,
            count=bill.count,
            reserve_seconds=self._reserve_seconds,
        )
        may_have_left = record.sent.answer.outcome in MAY_HAVE_LEFT
        await self._closing.finish(bill.settle(may_have_left=may_have_left), until)
        return record.sent.result

    def _refuse_if_late(self, until: float) -> None:
        """Raise ``Refused`` where a late body, or a slow store, leaves so little time that the answer could come too late."""
        if until - asyncio.get_running_loop().time() < self._reserve_seconds:
            raise Refused(Outcome.UPSTREAM_UNAVAILABLE, "deadline")

    async def _authenticate(self, call: Call, body: bytes, route: Route, until: float) -> float | None:
        """Check the caller; where it is refused, look once whether its secret has been mounted meanwhile."""
        own = getattr(self._settings, route.own_secrets) if route.own_secrets else None
        mounted = own or self._settings.hook_secrets
        now = asyncio.get_running_loop().time()
        try:
            return authenticate(call.headers, body, mounted.current(now), self._wall_clock())
        except Refused:
            if not await mounted.look_for_refused(now, until):
                raise
        return authenticate(call.headers, body, mounted.current(now), self._wall_clock())

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(self._stores.store, deadline_seconds=self._settings.deadline_seconds)

    @cached_property
    def _policy(self) -> Policy:
        settings = self._settings
        is_observing = settings.policy_mode == OBSERVE
        return Policy(settings.destination, settings.limits, self._stores.counters, self._emit, is_observing=is_observing)

    @cached_property
    def _stores(self) -> Stores:
        return self._make_stores()

    @cached_property
    def _mitto(self) -> Mitto:
        settings = self._settings
        return Mitto(
            self._make_transport(),
            settings.mitto_api_key,
            base_url=settings.mitto_base_url,
            connect_timeout_seconds=settings.connect_timeout_seconds,
            is_test=settings.mitto_test,
        )


def _new_id() -> str:
    """Give 80 random bits in letters: among digits a search for a code in the logs would find codes by chance."""
    return os.urandom(10).hex().translate(_LETTERS)
