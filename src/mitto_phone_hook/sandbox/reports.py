"""The fake Mitto's delivery reports: what a real handset, or its network, would say later about an accepted message.

Source: Mitto's own documents and integrations that read its reports. Field names follow a template of the account, order and
number are not guaranteed, and nothing is signed. This is one such template.
"""

import asyncio
import dataclasses
import ipaddress
import time
from collections import deque
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import httpx

from mitto_phone_hook.sandbox.rules import Message

SECONDS = 1.2
"""From acceptance to the first report, when the name of a plan sets nothing else."""

LIMIT_SECONDS = 60
"""The longest time that a plan may take."""

Form = Literal["query", "form", "json"]
FORMS: tuple[Form, ...] = ("query", "form", "json")
"""How a report is sent: GET with a query, or POST with a form or JSON."""

_AFTER_THE_FIRST_SECONDS = 0.3
_TIMEOUT_SECONDS = 5
_DELIVERED, _UNDELIVERED, _EXPIRED, _BUFFERED = "DELIVERED", "UNDELIVERED", "EXPIRED", "BUFFERED"
_ERROR_CODES = {_UNDELIVERED: "1", _EXPIRED: "2"}
# ITU-T E.212: the network for tests.
_MCC, _MNC = "001", "01"


class Plan(NamedTuple):
    """The reports about one message, in order: their statuses, and whether the first one comes before Mitto's own response."""

    name: str
    description: str
    statuses: tuple[str, ...] = ()
    is_early: bool = False
    seconds: float = SECONDS


# fmt: off
_TABLE = (
    Plan("delivered", "the handset receives the message", (_DELIVERED,)),
    Plan("undelivered", "the network gives up", (_UNDELIVERED,)),
    Plan("expired", "the validity is over before the handset is reached", (_EXPIRED,)),
    Plan("never", "no report comes"),
    Plan("twice", "the same report comes twice", (_DELIVERED, _DELIVERED)),
    Plan("out_of_order", "the report of an earlier state comes after the final one", (_DELIVERED, _BUFFERED)),
    Plan("early", "the report comes before Mitto's response to the message", (_DELIVERED,), is_early=True),
)
# fmt: on

PLANS: Mapping[str, Plan] = {plan.name: plan for plan in _TABLE}
"""Every plan by name."""


class UnknownPlanError(ValueError):
    """An unknown name, or invalid seconds."""

    def __init__(self, name: object) -> None:
        """List the valid names."""
        super().__init__(f"unknown report {name!r}; known: {', '.join(PLANS)}; seconds may follow a colon")


def plan(name: object) -> Plan:
    """Return the plan of that name; ``delivered:2.5`` sets its seconds. Raises UnknownPlanError."""
    known, colon, text = name.partition(":") if isinstance(name, str) else ("", "", "")
    found = PLANS.get(known)
    if not found:
        raise UnknownPlanError(name)
    if not colon:
        return found
    try:
        seconds = float(text)
    except ValueError:
        raise UnknownPlanError(name) from None
    if not 0 <= seconds <= LIMIT_SECONDS:
        raise UnknownPlanError(name)
    return found._replace(seconds=seconds)


def fields_of(message: Message, status: str, now: float) -> dict[str, str]:
    """Give the fields of one report. ``now`` is in Unix seconds."""
    return {
        "msgid": message.id,
        "status": status,
        "errorcode": _ERROR_CODES.get(status, "0"),
        "receiver": message.to.removeprefix("+"),
        "reference": message.reference or "",
        "mcc": _MCC,
        "mnc": _MNC,
        "sendtime": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now)),
        "sendtimestamp": str(int(now)),
    }


def request_of(url: str, form: Form, fields: Mapping[str, str]) -> httpx.Request:
    """Build the request that brings a report. What the query of ``url`` has stays in it."""
    match form:
        case "query":
            return httpx.Request("GET", httpx.URL(url).copy_merge_params(fields))
        case "form":
            return httpx.Request("POST", url, data=dict(fields))
        case "json":
            return httpx.Request("POST", url, json=dict(fields))


def is_loopback(url: str) -> bool:
    """Whether reports may go there: only to this machine, so that no test reaches anybody else's."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # a port that is none raises ValueError
        return parts.scheme in ("http", "https") and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


@dataclasses.dataclass(eq=False, repr=False)
class Reporter:
    """Sends reports about accepted messages. Used by the fake Mitto; a test sets what comes.

    ``url``: where reports go if the message names no ``callback``, as agreed with Mitto for an account. None: nowhere.
    """

    url: str | None = None
    form: Form = "query"
    sent: int = 0
    """Reports that got a 2xx response."""
    failed: int = 0
    """Reports that got no response, or another one; also those that had to go to another machine."""

    def __post_init__(self) -> None:
        """Start with the handset receiving everything."""
        self._queue: deque[Plan] = deque()
        self._default = PLANS["delivered"]
        self._tasks: set[asyncio.Task[None]] = set()

    def script(self, *names: str) -> None:
        """Queue plans. Each message that is sent uses one. Raises UnknownPlanError; then nothing is queued."""
        self._queue.extend([plan(name) for name in names])

    def script_forever(self, name: str | None) -> None:
        """Set the plan of every message when none is queued. None: ``delivered``. Raises UnknownPlanError."""
        self._default = plan(name or "delivered")

    def clear_script(self) -> None:
        """Delete the queued plans and the default."""
        self._queue.clear()
        self.script_forever(None)

    async def report(self, message: Message, callback: str | None) -> None:
        """Send an early report now, and the others later. Nothing is sent about a test message."""
        url = callback or self.url
        if message.test or not url:
            return
        chosen = self._queue.popleft() if self._queue else self._default
        if not chosen.statuses:
            return
        if not is_loopback(url):
            self.failed += 1
        elif chosen.is_early:
            await self._send(url, message, chosen.statuses[0])
        else:
            task = asyncio.create_task(self._send_all(url, message, chosen))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop the reports that are not sent yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, url: str, message: Message, chosen: Plan) -> None:
        await asyncio.sleep(chosen.seconds)
        for number, status in enumerate(chosen.statuses):
            await asyncio.sleep(_AFTER_THE_FIRST_SECONDS * bool(number))
            await self._send(url, message, status)

    async def _send(self, url: str, message: Message, status: str) -> None:
        try:
            request = request_of(url, self.form, fields_of(message, status, time.time()))
            async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_SECONDS) as client:
                is_taken = (await client.send(request)).is_success
        except (httpx.HTTPError, httpx.InvalidURL):
            is_taken = False
        self.sent += is_taken
        self.failed += not is_taken
