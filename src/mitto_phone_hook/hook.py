"""One hook call: read, authenticate, understand, check, compose, reserve, send once, respond."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from mitto_phone_hook.config.rules import OBSERVE
from mitto_phone_hook.config.settings import Settings
from mitto_phone_hook.credentials.hook_secrets import UNKNOWN_KEY, TokenRefusal
from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.delivery.attempts import send
from mitto_phone_hook.delivery.finalizer import Finalizer
from mitto_phone_hook.delivery.idempotency import CALL_SECONDS, Claim, IdempotencyGuard, fingerprint_of, key_of, key_of_call
from mitto_phone_hook.domain.deadline import reserve_seconds
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import POSSIBLY_SENT, Outcome, Refused, Result
from mitto_phone_hook.domain.phone_number import BareDigits
from mitto_phone_hook.follow_ups import FollowUps
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.platforms import NAMES, load_platform
from mitto_phone_hook.platforms._contract import Defaults, Platform, Response
from mitto_phone_hook.platforms._native_response import HEALTHY
from mitto_phone_hook.platforms._signatures import CREDENTIAL_HEADERS
from mitto_phone_hook.policy.enforcement import Policy, QuotaReservation
from mitto_phone_hook.request import Call, read_body
from mitto_phone_hook.routes import CONVERSIONS, REPORTS_PREFIX, Route, platform_below, routes_for
from mitto_phone_hook.sms.compose import Sms, SmsRules, compose
from mitto_phone_hook.sms.sender_ids import Scope
from mitto_phone_hook.storage.message_records import MemoryRecordStore, RecordStore
from mitto_phone_hook.storage.protocols import CounterStore, IdempotencyStore
from mitto_phone_hook.telemetry.call_record import CallRecord
from mitto_phone_hook.telemetry.log_lines import Emit

_BODY_UNREAD = frozenset({Outcome.NOT_FOUND, Outcome.METHOD_NOT_ALLOWED, Outcome.BODY_TOO_LARGE})

_LETTERS = str.maketrans("0123456789", "ghijklmnop")


class Stores(NamedTuple):
    """Where messages, calls and limits are kept, and the key of their hashes."""

    messages: IdempotencyStore
    calls: IdempotencyStore
    counters: CounterStore
    key: bytes
    records: RecordStore | None = None
    """Where messages are found again by reports and conversions; ``None``: in memory."""


@dataclass(eq=False, repr=False)
class Hook:
    """Responds to hook calls. Everything outside is an argument: settings, Mitto, stores, log, platforms, clock."""

    settings: Settings
    mitto: Mitto
    stores: Stores
    emit: Emit
    """Writes a log line."""
    _: KW_ONLY
    platforms: Mapping[str, Platform] = field(default_factory=dict)
    """More platforms by name, in addition to those in ``platforms/``."""
    access_tokens: Mapping[str, RotatingSecret[TokenRefusal]] = field(default_factory=dict)
    """By platform: what judges its access tokens."""
    cloud_project: str | None = None
    """The Google Cloud project whose traces the log joins."""
    wall_clock: Callable[[], float] = time.time
    """Unix seconds."""

    def __post_init__(self) -> None:
        """Prepare what all calls share."""
        settings, stores = self.settings, self.stores
        self._names = frozenset((*NAMES, *self.platforms))
        self._routes = routes_for(self._names)
        self._test_numbers = settings.test_numbers
        # A test number need not exist.
        allowed_numbers = (*settings.allowed_numbers, *settings.test_numbers)
        self._defaults = Defaults(settings.default_region, settings.bare_digits, allowed_numbers)
        self._sms_rules = SmsRules(
            settings.mitto_sender_id, settings.code_lifetime_seconds, settings.max_segments, settings.smart_encoding, settings.texts
        )
        self._finalizer = Finalizer(settings.deadline_seconds)
        deadline, repeat = settings.deadline_seconds, settings.resend_after_seconds
        self._messages = IdempotencyGuard(stores.messages, deadline_seconds=deadline, repeat_seconds=repeat)
        self._calls = IdempotencyGuard(stores.calls, deadline_seconds=deadline, repeat_seconds=CALL_SECONDS)
        is_observing = settings.policy_mode == OBSERVE
        self._follow_ups: FollowUps | None = None
        if settings.report_secrets or settings.conversions:
            records = MemoryRecordStore() if stores.records is None else stores.records
            self._follow_ups = FollowUps(settings, self.mitto, records, stores.key, self.emit, self.wall_clock)
        if settings.conversions:
            self._routes = {**self._routes, CONVERSIONS.path: CONVERSIONS}
        self._policy = Policy(settings.destination, settings.quotas, stores.counters, self.emit, is_observing=is_observing)

    async def respond(self, call: Call) -> Response:
        """Respond to one HTTP request. Raises nothing. Writes one log line, except for a health check."""
        record = CallRecord(request_id=_new_id(), started=time.perf_counter())
        name, route = platform_below(call.path, self._names), self._routes.get(call.path)
        platform = self._platform(name)
        try:
            if route is None:
                if self.settings.report_secrets and self._follow_ups and call.path.startswith(REPORTS_PREFIX):
                    return await self._follow_ups.take_reports(call, record.request_id)
                raise Refused(Outcome.NOT_FOUND)  # noqa: TRY301 - refused like everything else
            record.route = route.path
            if call.method not in route.methods:
                raise Refused(Outcome.METHOD_NOT_ALLOWED)  # noqa: TRY301 - likewise
            if route.platform is None:
                return HEALTHY
            if route is CONVERSIONS and self._follow_ups:
                return await self._convert(call, self._platform(route.platform), self._follow_ups, record.request_id)
            result = await self._process(call, route, platform, record)
        except Refused as refusal:
            result = refusal.result
        except Exception as bug:  # noqa: BLE001 - the caller gets a response to every call
            result = Result(Outcome.INTERNAL_ERROR)
            record.bug = bug
        ended = time.perf_counter()
        # In the loop's next turn, after the response is sent: nobody has to wait for the log.
        asyncio.get_running_loop().call_soon(self._finish, record, result, ended)
        response = platform.respond(platform.as_told(result, self.settings.unknown_as_of(name)), record.request_id)
        record.status = response.status
        if result.outcome in _BODY_UNREAD:
            # Otherwise the server would read, and throw away, everything that the caller still sends.
            response.headers["connection"] = "close"
        if route and result.outcome is Outcome.METHOD_NOT_ALLOWED:
            response.headers["allow"] = ", ".join(route.methods)
        return response

    def _finish(self, record: CallRecord, result: Result, ended: float) -> None:
        """Write the log line, and keep the record of a message that was sent."""
        line = record.log_line(result, ended, self.cloud_project)
        self.emit(line)
        if self._follow_ups and record.message:
            # To mask a number takes as long as all the rest of a record.
            self._follow_ups.keep(record.message, record.sender_id, str(line["recipient"]), result, record.request_id)

    async def _convert(self, call: Call, platform: Platform, follow_ups: FollowUps, request_id: str) -> Response:
        """Take the word that a code was used. Raises ``Refused``."""
        until = asyncio.get_running_loop().time() + self.settings.deadline_seconds
        body = await read_body(call, max_bytes=self.settings.max_body_bytes, until=until)
        await self._authenticate(call, body, CONVERSIONS, platform, until)
        return follow_ups.take_conversion(body, self._defaults, request_id)

    async def _process(self, call: Call, route: Route, platform: Platform, record: CallRecord) -> Result:
        """Take one message from the request to Mitto. Every step may raise ``Refused``; ``respond`` tells the caller the result."""
        deadline_seconds = min(self.settings.deadline_seconds, platform.timeout_seconds)
        until = asyncio.get_running_loop().time() + deadline_seconds
        body = await read_body(call, max_bytes=self.settings.max_body_bytes, until=until)
        signed_at = await self._authenticate(call, body, route, platform, until)
        record.headers = call.headers
        message = record.message = platform.read(body, call.headers, self._defaults_of(platform))
        if self._test_numbers and (code := self._test_numbers.get(message.recipient.get_secret_value())):
            return _test_result(message, code)
        self._policy.check_destination(message, record.would_refuse)
        scope = Scope(message.client_id, message.organization, route.platform, message.region)
        rules = self._sms_rules._replace(sender_id=self.settings.senders.choose(scope, message.sender_id))
        compose_sms = partial(compose, message, rules, signed_at=signed_at, deadline_seconds=deadline_seconds)
        latest = until - reserve_seconds(deadline_seconds)
        send_message = partial(self._send_message, message, compose_sms, record, until, latest)
        has_id = signed_at is not None or not platform.needs_signature_for_id
        call_id = platform.call_id(call.headers, body) if has_id else None
        if call_id is None:
            return await send_message()
        secrets = route.secrets if route.secrets in self.settings.hook_secrets else ""
        call_key, fingerprint = key_of_call(call_id, self.stores.key), fingerprint_of(body, secrets, self.stores.key)
        # A retry gets the first result, even if its code has expired meanwhile.
        return await self._once(self._calls, call_key, record, until, send_message, fingerprint=fingerprint)

    async def _send_message(
        self, message: PhoneMessage, compose_sms: Callable[..., Sms], record: CallRecord, until: float, latest: float
    ) -> Result:
        """Compose the SMS and send it, unless the same message was sent a moment ago."""
        sms = compose_sms(now=self.wall_clock())
        _refuse_if_late(latest)
        reservation = self._policy.reserve(message, self.stores.key, record.would_refuse, latest)
        send_sms = partial(self._send, sms, reservation, record, until, latest)
        claim = partial(reservation.claim, sms.encoded.segments)
        return await self._once(self._messages, key_of(message, self.stores.key), record, until, send_sms, claim=claim)

    async def _once(  # noqa: PLR0913 - what the guard needs, and the record
        self,
        guard: IdempotencyGuard,
        key: str,
        record: CallRecord,
        until: float,
        send: Callable[[], Awaitable[Result]],
        *,
        fingerprint: str | None = None,
        claim: Claim | None = None,
    ) -> Result:
        """Send unless the same was sent before, and note how long the store took."""
        done = await guard.once(key, record.request_id, until, send, fingerprint=fingerprint, claim=claim)
        record.claim_seconds = (record.claim_seconds or 0) + done.claim_seconds
        record.wait_seconds = (record.wait_seconds or 0) + done.wait_seconds
        if done.settle_seconds is not None:
            record.settle_seconds = (record.settle_seconds or 0) + done.settle_seconds
        return done.result

    async def _authenticate(self, call: Call, body: bytes, route: Route, platform: Platform, until: float) -> float | None:
        """Check the caller. Before refusing it, look once whether its secret, or the key of its token, has been rotated."""
        if not CREDENTIAL_HEADERS.isdisjoint(call.repeated):
            raise Refused(Outcome.UNAUTHORIZED, "repeated_header")
        secrets, tokens = self.settings.secrets_of(route.secrets), self.access_tokens.get(route.secrets)
        now = asyncio.get_running_loop().time()

        def check() -> float | None:
            current = secrets.current(now)
            if tokens is not None:
                current = replace(current, token_refusal=tokens.current(now))
            return platform.authenticate(call.headers, body, current, self.wall_clock())

        try:
            return check()
        except Refused as refusal:
            rotated = tokens if tokens is not None and refusal.result.why == UNKNOWN_KEY else secrets
            if not await rotated.refresh_for_refused(now, until):
                raise
        return check()

    async def _send(self, sms: Sms, reservation: QuotaReservation, record: CallRecord, until: float, latest: float) -> Result:
        """Hand the message to Mitto, count it again where it gets more segments, and release the count when nothing was sent."""

        async def count(segments: int) -> None:
            started = time.perf_counter()
            await reservation.count(segments)
            record.count_seconds = time.perf_counter() - started

        sent = await send(
            self.mitto,
            sms,
            reference=record.request_id,
            until=until,
            max_attempts=self.settings.max_attempts,
            max_segments=self.settings.max_segments,
            count=count,
            reserve_seconds=until - latest,
        )
        record.attempts, record.upstream_seconds, record.sender_id = sent.attempts, sent.seconds, sms.sender_id
        record.segments, record.encoding = sent.sms.encoded.segments, sent.sms.encoded.encoding.value
        result = sent.result
        await self._finalizer.finish(reservation.settle(possibly_sent=result.outcome in POSSIBLY_SENT), until)
        return result

    def _defaults_of(self, platform: Platform) -> Defaults:
        return self._defaults._replace(bare_digits=BareDigits.INTERNATIONAL) if platform.digits_are_international else self._defaults

    def _platform(self, name: str) -> Platform:
        return self.platforms.get(name) or load_platform(name)


def response_to_unreadable(target: bytes) -> Response | None:
    """Respond to a request for ``target`` that breaks HTTP's rules: only platforms that read failures from a 200 get a response."""
    path = target.partition(b"?")[0].decode("latin-1")
    response = load_platform(platform_below(path, NAMES)).respond(Result(Outcome.INVALID_JSON), _new_id())
    return response if response.status == HTTPStatus.OK else None


def _refuse_if_late(latest: float) -> None:
    """Raise ``Refused`` where too little time is left: the response could come after the deadline."""
    if asyncio.get_running_loop().time() > latest:
        raise Refused(Outcome.UPSTREAM_UNAVAILABLE, "deadline")


def _test_result(message: PhoneMessage, expected: str) -> Result:
    """Answer a message to a test number, which is not sent. The log says when it has another code than the one that testers enter."""
    given = message.code.get_secret_value() if message.code else None
    is_expected = given == expected if given else expected in message.text.get_secret_value()
    return Result(Outcome.ACCEPTED, None if is_expected else "other_code", is_test=True)


def _new_id() -> str:
    """Give 80 random bits in letters: digits could look like a code to somebody who searches the logs for it."""
    return os.urandom(10).hex().translate(_LETTERS)
