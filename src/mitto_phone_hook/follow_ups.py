"""What follows a message: its record, Mitto's delivery reports on ``/reports/<secret>``, and ``POST /conversions``."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json, to_json

from mitto_phone_hook.config.settings import Settings
from mitto_phone_hook.delivery.conversion_rates import ConversionRates
from mitto_phone_hook.delivery.conversions import Conversions, hash_of_recipient
from mitto_phone_hook.delivery.reports import DeliveryReports
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import POSSIBLY_SENT, Outcome, Refused, Result
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.reports import read_reports
from mitto_phone_hook.mitto.response_codes import safe_id
from mitto_phone_hook.platforms._contract import Defaults, Response
from mitto_phone_hook.platforms._native_response import HEADERS, respond
from mitto_phone_hook.platforms._signatures import is_any
from mitto_phone_hook.request import Call, read_body
from mitto_phone_hook.routes import REPORTS
from mitto_phone_hook.storage.message_records import MessageRecord, RecordStore
from mitto_phone_hook.telemetry.log_lines import Emit

GRACE_SECONDS = 2.0
"""So long after the deadline of its call, a message that nobody knows is unknown."""

REPORT_SECONDS, MOST_WAIT_SECONDS = 0.002, 1.0
"""Reports of a storm are read so far apart, unless one would wait longer than that: somebody waits for a message, nobody for a report."""

_READ_SECONDS = 5.0
_MAX_CLIENT_ID = 100
_MAX_FIELDS = 20
_TAKEN = b'{"status":"ok"}'
_CLOSING = HEADERS | {"connection": "close"}


class FollowUps:
    """Keeps a record of each message, and takes what comes later about it."""

    def __init__(  # noqa: PLR0913, PLR0917 - what the hook has
        self, settings: Settings, mitto: Mitto, store: RecordStore, key: bytes, emit: Emit, wall_clock: Callable[[], float]
    ) -> None:
        """Take what the hook has; ``key`` keys the hashes of recipients."""
        self._settings = settings
        self._store = store
        self._key = key
        self._wall_clock = wall_clock
        self._is_converting = settings.conversions
        early_seconds = settings.deadline_seconds + GRACE_SECONDS
        self._reports = DeliveryReports(store, emit, early_seconds=early_seconds, wall_clock=wall_clock)
        self._conversions = Conversions(store, mitto, emit, wall_clock)
        self._rates = ConversionRates(store, emit)
        self._next_report = 0.0

    def keep(self, message: PhoneMessage, sender_id: str, masked: str, result: Result, request_id: str) -> None:
        """Keep the record of a message that was sent, or possibly sent, by this very call; ``masked`` is its masked number."""
        if result.is_duplicate or result.is_test or result.outcome not in POSSIBLY_SENT:
            return
        number = message.recipient.get_secret_value()
        record = MessageRecord(  # by position: names would take three times as long, and every message pays for them
            request_id,
            self._wall_clock(),
            message.source,
            masked,
            message.region,
            sender_id,
            result.segments or 0,
            result.message_id,
            message.client_id and message.client_id[:_MAX_CLIENT_ID],
            hash_of_recipient(number, self._key) if self._is_converting else None,
        )
        self._store.add(record)
        if self._is_converting and result.outcome is Outcome.ACCEPTED:
            self._rates.add(record.key, number, message.region)

    async def take_reports(self, call: Call, request_id: str) -> Response:
        """Take delivery reports. With a right secret the response is 200, whatever the content; else it is that of an unknown path."""
        if not await self._is_known(call.path.removeprefix(REPORTS.path.removesuffix("*"))):
            self._reports.refuse()
            response = respond(Result(Outcome.NOT_FOUND), request_id)
            # As for every path that there is not: nobody must see which begin like a right one.
            return response._replace(headers=response.headers | {"connection": "close"})
        if call.method not in REPORTS.methods:
            response = respond(Result(Outcome.METHOD_NOT_ALLOWED), request_id)
            response.headers["allow"] = ", ".join(REPORTS.methods)
            return response
        await self._take_turns()
        try:
            until = asyncio.get_running_loop().time() + _READ_SECONDS
            body = await read_body(call, max_bytes=self._settings.max_body_bytes, until=until) if call.method == "POST" else b""
        except Refused:
            self._reports.take([], unreadable=1)
            return Response(200, _TAKEN, dict(_CLOSING))
        self._reports.take(*read_reports(call.query, body))
        return Response(200, _TAKEN, dict(HEADERS))

    async def _take_turns(self) -> None:
        """Wait until this report's turn comes; at once where no other came in this moment."""
        now = asyncio.get_running_loop().time()
        wait_seconds = min(max(self._next_report - now, 0.0), MOST_WAIT_SECONDS)
        self._next_report = now + wait_seconds + REPORT_SECONDS
        if wait_seconds:
            await asyncio.sleep(wait_seconds)

    async def _is_known(self, token: str) -> bool:
        secrets = self._settings.report_secrets
        if secrets is None:
            return False
        now, given = asyncio.get_running_loop().time(), token.encode("latin-1")
        if is_any(given, secrets.current(now)):
            return True
        return await secrets.refresh_for_refused(now, now + _READ_SECONDS) and is_any(given, secrets.current(now))

    def take_conversion(self, body: bytes, defaults: Defaults, request_id: str) -> Response:
        """Take an authenticated word that a code was used. Raises ``Refused``. Mitto hears of it after the response."""
        fields = _fields(body)
        if message_id := safe_id(_text(fields, "message_id")):
            self._conversions.take(request_id=request_id, message_id=message_id)
        elif written := _text(fields, "recipient"):
            try:
                number = read_number(written, defaults.region, defaults.bare_digits, defaults.allowed_numbers)
            except ValueError as error:
                raise Refused(Outcome.INVALID_RECIPIENT, str(error), ("recipient",)) from None
            self._conversions.take(request_id=request_id, recipient_hash=hash_of_recipient(number.e164, self._key))
        else:
            raise Refused(Outcome.INVALID_REQUEST, "wrong_fields", ("recipient", "message_id"))
        return Response(202, to_json({"status": "taken", "request_id": request_id}), dict(HEADERS))


def _fields(body: bytes) -> Mapping[str, Any]:
    """Read JSON or a form. Raises ``Refused``."""
    try:
        if body.lstrip().startswith(b"{"):
            fields = from_json(body, allow_inf_nan=False)
            return fields if isinstance(fields, dict) else {}
        return dict(parse_qsl(body.decode(), max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise Refused(Outcome.INVALID_JSON, "not_json") from None


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""
