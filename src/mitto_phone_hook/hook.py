"""The story of one hook call: read, authenticate, understand, decide, send once, respond."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import NamedTuple

from mitto_phone_hook.config.rules import OBSERVE
from mitto_phone_hook.config.settings import Settings
from mitto_phone_hook.delivery.attempts import send
from mitto_phone_hook.delivery.finalizer import Finalizer
from mitto_phone_hook.delivery.idempotency import IdempotencyGuard, key_of
from mitto_phone_hook.domain.deadline import reserve_seconds
from mitto_phone_hook.domain.outcome import POSSIBLY_SENT, Outcome, Refused, Result
from mitto_phone_hook.domain.phone_number import BareDigits
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.platforms import NAMES, ROOT, load_platform
from mitto_phone_hook.platforms._contract import Defaults, Platform, Response
from mitto_phone_hook.platforms._native_response import HEALTHY
from mitto_phone_hook.policy.enforcement import Policy, QuotaReservation
from mitto_phone_hook.request import Call, read_body
from mitto_phone_hook.routes import Route, check_method, find_route, routes_for
from mitto_phone_hook.sms.compose import Sms, SmsRules, compose
from mitto_phone_hook.storage.protocols import CounterStore, IdempotencyStore
from mitto_phone_hook.telemetry.call_record import CallRecord
from mitto_phone_hook.telemetry.log_lines import Emit

_LETTERS = str.maketrans("0123456789", "ghijklmnop")


class Stores(NamedTuple):
    """Where duplicates and limits are kept."""

    store: IdempotencyStore
    counters: CounterStore


class Hook:
    """Answers hook calls. Everything outside is an argument: settings, Mitto, stores, log, platforms, clock."""

    def __init__(  # noqa: PLR0913 - as said
        self,
        settings: Settings,
        make_mitto: Callable[[], Mitto],
        make_stores: Callable[[], Stores],
        emit: Emit,
        *,
        platforms: Mapping[str, Platform] | None = None,
        cloud_project: str | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Start nothing: the server may fork after this.

        ``platforms`` are those served beside ``/``, by name; without it all that there are. ``cloud_project`` is the Google
        Cloud project whose traces the log joins. ``wall_clock`` gives Unix seconds.
        """
        self._settings = settings
        self._make_mitto = make_mitto
        self._make_stores = make_stores
        self._emit = emit
        self._platforms = platforms or {}
        self._routes = routes_for((*NAMES, *self._platforms))
        self._cloud_project = cloud_project
        self._wall_clock = wall_clock
        self._defaults = Defaults(settings.default_region, settings.bare_digits, settings.allowed_numbers)
        self._sms_rules = SmsRules(settings.mitto_sender_id, settings.code_lifetime_seconds, settings.max_segments, settings.smart_encoding)
        self._finalizer = Finalizer(settings.deadline_seconds)

    async def answer(self, call: Call) -> Response:
        """Answer one HTTP request, whatever it is; raises nothing. One log line follows, except for a health check."""
        record = CallRecord(request_id=_new_id(), headers=call.headers, started=time.perf_counter())
        platform, allow = self._platform(ROOT), None
        try:
            route = find_route(call.path, self._routes)
            record.route, allow = route.path, route.allow
            check_method(call.method, route)
            if route.platform is None:
                return HEALTHY
            platform = self._platform(route.platform)
            result = await self._process(call, route, platform, record)
        except Refused as refusal:
            result = refusal.result
        except Exception as bug:  # noqa: BLE001 - whatever it is, the caller gets an answer
            result = Result(Outcome.INTERNAL_ERROR)
            record.bug = bug
        # In the loop's next turn, when the response is on its way: nobody who wants to log in waits for a log line.
        asyncio.get_running_loop().call_soon(self._log, record, result, time.perf_counter())
        response = platform.respond(result, record.request_id)
        if allow and result.outcome is Outcome.METHOD_NOT_ALLOWED:
            response.headers["allow"] = allow
        return response

    async def _process(self, call: Call, route: Route, platform: Platform, record: CallRecord) -> Result:
        """Tell the whole story of one message, to its good or bad end."""
        settings = self._settings
        deadline_seconds = min(settings.deadline_seconds, platform.timeout_seconds)
        until = asyncio.get_running_loop().time() + deadline_seconds
        body = await read_body(call, max_bytes=settings.max_body_bytes, until=until)
        signed_at = await self._authenticate(call, body, route, platform, until)
        message = record.message = platform.read(body, call.headers, self._defaults_of(platform))
        self._policy.check_destination(message, record.would_refuse)
        sms = compose(message, self._sms_rules, signed_at=signed_at, now=self._wall_clock(), deadline_seconds=deadline_seconds)
        reserve = reserve_seconds(deadline_seconds)
        _refuse_if_late(until, reserve)
        secret = settings.hook_secrets.current(asyncio.get_running_loop().time()).first
        reservation = self._policy.reserve(message, secret, record.would_refuse, until - reserve)
        send_once = partial(self._send_once, sms, reservation, record, until, reserve)
        turn = await self._idempotency.once(key_of(message, secret), record.request_id, until, send_once)
        record.claim_seconds, record.wait_seconds, record.settle_seconds = turn.claim_seconds, turn.wait_seconds, turn.settle_seconds
        return turn.result

    async def _send_once(self, sms: Sms, reservation: QuotaReservation, record: CallRecord, until: float, reserve: float) -> Result:
        """Count the message, hand it to Mitto, and keep the count only if the message may have left."""
        _refuse_if_late(until, reserve)
        counting = time.perf_counter()
        await reservation.count(sms.encoded.segments)
        record.count_seconds = time.perf_counter() - counting
        sent = await send(
            self._mitto,
            sms,
            reference=record.request_id,
            until=until,
            max_attempts=self._settings.max_attempts,
            max_segments=self._settings.max_segments,
            count=reservation.count,
            reserve_seconds=reserve,
        )
        record.attempts, record.upstream_seconds = sent.attempts, sent.seconds
        record.segments, record.encoding = sent.sms.encoded.segments, sent.sms.encoded.encoding.value
        await self._finalizer.finish(reservation.settle(possibly_sent=sent.result.outcome in POSSIBLY_SENT), until)
        return sent.result

    async def _authenticate(self, call: Call, body: bytes, route: Route, platform: Platform, until: float) -> float | None:
        """Check the caller. Before it is refused, look once whether its secret has been rotated meanwhile."""
        secrets = (self._settings.hook_secrets_auth0 if route.path == "/hooks/auth0" else None) or self._settings.hook_secrets
        now = asyncio.get_running_loop().time()
        try:
            return platform.authenticate(call.headers, body, secrets.current(now), self._wall_clock())
        except Refused:
            if not await secrets.look_for_refused(now, until):
                raise
        return platform.authenticate(call.headers, body, secrets.current(now), self._wall_clock())

    def _log(self, record: CallRecord, result: Result, now: float) -> None:
        self._emit(record.log_line(result, now, self._cloud_project))

    def _defaults_of(self, platform: Platform) -> Defaults:
        return self._defaults._replace(bare_digits=BareDigits.INTERNATIONAL) if platform.digits_are_international else self._defaults

    def _platform(self, name: str) -> Platform:
        return self._platforms.get(name) or load_platform(name)

    @cached_property
    def _idempotency(self) -> IdempotencyGuard:
        return IdempotencyGuard(self._stores.store, deadline_seconds=self._settings.deadline_seconds)

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
        return self._make_mitto()


def _refuse_if_late(until: float, reserve: float) -> None:
    """Raise ``Refused`` where a late body, or a slow store, leaves so little time that the answer could come too late."""
    if until - asyncio.get_running_loop().time() < reserve:
        raise Refused(Outcome.UPSTREAM_UNAVAILABLE, "deadline")


def _new_id() -> str:
    """Give 80 random bits in letters: among digits a search for a code in the logs would find codes by chance."""
    return os.urandom(10).hex().translate(_LETTERS)
