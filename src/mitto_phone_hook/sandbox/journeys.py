"""The way of each message, from the call to the handset, as the function's own log lines tell it. No I/O."""

import dataclasses
import re
import time
from collections.abc import Callable, Mapping
from typing import Literal

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms._native_response import RESPONSES
from mitto_phone_hook.sandbox.handset import clean
from mitto_phone_hook.sandbox.rules import Message, units_of
from mitto_phone_hook.sms.segments import UNITS_IN_EACH, UNITS_IN_ONE

KEPT = 100
"""How many ways and how many messages are kept; the oldest are forgotten first."""

ANOTHER = "Another caller"
"""Who called, as long as nothing says it."""

STEPS = ("received", "authenticated", "checked", "sent", "reported")
"""What happens to a message, in order."""

ENDS_AT: Mapping[Outcome, str] = {
    Outcome.NOT_FOUND: "received",
    Outcome.METHOD_NOT_ALLOWED: "received",
    Outcome.BODY_TOO_LARGE: "received",
    Outcome.UNSUPPORTED_ENCODING: "received",
    Outcome.UNAUTHORIZED: "authenticated",
    Outcome.IGNORED: "checked",
    Outcome.INVALID_JSON: "checked",
    Outcome.INVALID_REQUEST: "checked",
    Outcome.INVALID_RECIPIENT: "checked",
    Outcome.VOICE_UNSUPPORTED: "checked",
    Outcome.BLOCKED_COUNTRY: "checked",
    Outcome.BLOCKED_NUMBER_TYPE: "checked",
    Outcome.BLOCKED_RECIPIENT: "checked",
    Outcome.CODE_EXPIRED: "checked",
    Outcome.TEXT_TOO_LONG: "checked",
    Outcome.IN_PROGRESS: "checked",
    Outcome.RATE_LIMITED: "checked",
    Outcome.ACCEPTED: "sent",
    Outcome.UPSTREAM_REJECTED: "sent",
    Outcome.UPSTREAM_AUTH: "sent",
    Outcome.UPSTREAM_UNAVAILABLE: "sent",
    Outcome.OUTCOME_UNKNOWN: "sent",
    Outcome.INTERNAL_ERROR: "sent",
}
"""The step at which a call ends, by its outcome."""

FINAL = ("delivered", "undelivered", "failed", "rejected", "expired")
"""The final events of the log about a handset. Only the first means that it has the message."""

State = Literal["done", "failed", "unknown", "waiting", "skipped", "ahead"]
"""How a step went. ``skipped``: there was nothing to do. ``ahead``: it was not reached, or not yet."""

_CODE = re.compile(r"(?<![0-9+])(?:[0-9]{3}[ -][0-9]{3}|[0-9]{4,10})(?![0-9])")
_STATES: Mapping[Outcome, State] = {Outcome.ACCEPTED: "done", Outcome.IGNORED: "skipped", Outcome.OUTCOME_UNKNOWN: "unknown"}


@dataclasses.dataclass(slots=True)
class Step:
    """One step. ``detail``: a word or two, or a sentence if it ended here. ``after_ms``: milliseconds since the call came; None: not known.

    Of ``reported`` they are the milliseconds since Mitto accepted the message.
    """

    name: str
    state: State = "ahead"
    detail: str = ""
    after_ms: float | None = None


@dataclasses.dataclass(slots=True)
class Journey:
    """The way of one call. ``started`` is in Unix seconds."""

    id: str
    title: str
    to: str
    started: float
    route: str | None = None
    code: str | None = dataclasses.field(default=None, repr=False)
    request_id: str | None = None
    outcome: str | None = None
    """None while the call runs."""
    why: str = ""
    """The reason in the log, if it names one."""
    reading: str = ""
    """What the platform makes of the response; empty if the call came from elsewhere."""
    log: list[Mapping[str, object]] = dataclasses.field(default_factory=list)
    message_id: str | None = None
    steps: list[Step] = dataclasses.field(default_factory=lambda: [Step(name) for name in STEPS])

    def step(self, name: str) -> Step:
        """Give one step."""
        return self.steps[STEPS.index(name)]


@dataclasses.dataclass(slots=True)
class Bubble:
    """A message as the handset shows it. ``at`` is in Unix seconds, ``after_seconds`` is from acceptance to the handset."""

    id: str
    sender: str
    to: str
    at: float
    words: list[tuple[str, bool]]
    """The text in pieces; True: the code."""
    encoding: str
    segments: list[tuple[str, int, int]]
    """The text of each segment, its length and the length that it can have."""
    status: str = "accepted"
    after_seconds: float | None = None


class Journeys:
    """Puts together what the log, the fake Mitto and the page's own calls tell. ``on_change`` gets a kind and its values as JSON."""

    def __init__(self, on_change: Callable[[str, dict[str, object]], None], clock: Callable[[], float] = time.time) -> None:
        """Start empty. ``clock`` gives Unix seconds."""
        self._on_change, self._clock = on_change, clock
        self._journeys: dict[str, Journey] = {}
        self._bubbles: dict[str, Bubble] = {}

    def snapshot(self) -> dict[str, object]:
        """Give everything, oldest first."""
        return {
            "journeys": [_journey_json(one) for one in self._journeys.values()],
            "bubbles": [dataclasses.asdict(one) for one in self._bubbles.values()],
        }

    def clear(self) -> None:
        """Forget everything."""
        self._journeys.clear()
        self._bubbles.clear()
        self._on_change("cleared", {})

    def begin(self, call_id: str, title: str, *, to: str, code: str, route: str) -> None:
        """Note a call of our own. ``call_id`` is its trace: 32 hexadecimal digits."""
        journey = Journey(call_id, title, to, self._clock(), route, code)
        journey.step("received").state = "done"
        journey.step("authenticated").state = "waiting"
        self._keep(journey)

    def answered(self, call_id: str, reading: str) -> None:
        """Note what the platform makes of the response to a call of our own."""
        if journey := self._journeys.get(call_id):
            journey.reading = reading
            self._keep(journey)

    def sent(self, message: Message) -> None:
        """Note a message that Mitto has accepted. The handset shows it; its call may still run."""
        encoding, parts = message.encoding, message.parts
        room = UNITS_IN_ONE[encoding] if len(parts) == 1 else UNITS_IN_EACH[encoding]
        bubble = Bubble(
            message.id,
            clean(message.sender),
            f"+{message.to.removeprefix('+')}",
            message.received_at.timestamp(),
            highlight(clean(message.text.replace("\r\n", "\n"))),
            encoding.value,
            [(clean(part), units_of(part, encoding), room) for part in parts],
        )
        self._keep_bubble(bubble)
        journey = self._of_message(message) or Journey(message.id, ANOTHER, bubble.to, bubble.at)
        journey.request_id, journey.message_id = message.reference, message.id
        if journey.outcome is None:
            for name in STEPS[:3]:
                journey.step(name).state = "done"
            journey.step("sent").state = "waiting"
        self._keep(journey)

    def logged(self, line: Mapping[str, object]) -> None:
        """Note a line of the function's log: the end of a call, or a delivery report. Other lines change nothing."""
        event = str(line.get("event"))
        if "duration_ms" in line and event in set(Outcome):
            self._ended(Outcome(event), line)
        elif line.get("message_id") in self._bubbles:
            self._reported(event, line)

    def _ended(self, outcome: Outcome, line: Mapping[str, object]) -> None:
        duration_ms = _number(line.get("duration_ms"))
        journey = self._of_line(line) or Journey(str(line.get("request_id")), ANOTHER, "", self._clock() - duration_ms / 1000)
        journey.request_id, journey.outcome = str(line.get("request_id")), outcome.value
        journey.route = str(line.get("route") or "an unknown path")
        journey.to = journey.to or str(line.get("recipient") or "")
        if journey.code is None and line.get("source"):
            journey.title = str(line["source"]).replace("_", " ")
        journey.why = str(line.get("why") or "")
        journey.log.append(dict(line))
        journey.message_id = str(line.get("message_id") or "") or journey.message_id
        _fill(journey, outcome, line)
        self._keep(journey)

    def _reported(self, event: str, line: Mapping[str, object]) -> None:
        bubble = self._bubbles[str(line["message_id"])]
        if bubble.status in FINAL:
            return
        bubble.status, bubble.after_seconds = event, _number(line.get("after_seconds"))
        self._keep_bubble(bubble)
        for journey in self._journeys.values():
            if journey.message_id == bubble.id and journey.step("reported").state != "skipped":
                state: State = "done" if event == "delivered" else "failed" if event in FINAL else "waiting"
                journey.steps[-1] = Step("reported", state, event, 1000 * bubble.after_seconds)
                journey.log.append(dict(line))
                self._keep(journey)

    def _of_message(self, message: Message) -> Journey | None:
        for journey in self._journeys.values():
            is_ours = journey.request_id is None and journey.code is not None and journey.code in message.text
            if journey.request_id == message.reference or (is_ours and journey.outcome is None):
                return journey
        return None

    def _of_line(self, line: Mapping[str, object]) -> Journey | None:
        trace = line.get("logging.googleapis.com/trace")
        for journey in self._journeys.values():
            if journey.request_id == line.get("request_id", "") or journey.id == trace:
                return journey
        # A caller whose credentials are wrong gets no trace into the log: the oldest call of ours that has no result yet.
        running = (
            one for one in self._journeys.values() if one.outcome is None and one.request_id is None and one.route == line.get("route")
        )
        return None if trace else next(running, None)

    def _keep(self, journey: Journey) -> None:
        self._journeys[journey.id] = journey
        if len(self._journeys) > KEPT:
            del self._journeys[next(iter(self._journeys))]
        self._on_change("journey", _journey_json(journey))

    def _keep_bubble(self, bubble: Bubble) -> None:
        self._bubbles[bubble.id] = bubble
        if len(self._bubbles) > KEPT:
            del self._bubbles[next(iter(self._bubbles))]
        self._on_change("bubble", dataclasses.asdict(bubble))


def highlight(text: str) -> list[tuple[str, bool]]:
    """Cut a text into pieces, of which at most one is the code: the first number of 4 to 10 digits."""
    found = _CODE.search(text)
    if not found:
        return [(text, False)]
    pieces = [(text[: found.start()], False), (found[0], True), (text[found.end() :], False)]
    return [piece for piece in pieces if piece[0]]


def _fill(journey: Journey, outcome: Outcome, line: Mapping[str, object]) -> None:
    """Set every step from the line of a call that has ended."""
    duration_ms, upstream_ms, settle_ms = (_number(line.get(name)) for name in ("duration_ms", "upstream_ms", "settle_ms"))
    checked_ms = max(0.0, duration_ms - upstream_ms - settle_ms)
    is_duplicate = bool(line.get("duplicate"))
    last = STEPS.index(ENDS_AT[outcome])
    journey.step("received").after_ms = 0
    for step in journey.steps[:last]:
        step.state = "done"
    for step in journey.steps[last + 1 :]:
        step.state = "ahead" if step.state == "waiting" else step.state
    end = journey.steps[last]
    end.state = "skipped" if is_duplicate else _STATES.get(outcome, "failed")
    end.detail = "Sent before: nothing is sent twice." if is_duplicate else _reason(outcome, line)
    end.after_ms = duration_ms
    checked = journey.step("checked")
    if checked.state == "done":
        checked.after_ms = checked_ms
        checked.detail = str(line.get("region") or "")
    if is_duplicate:
        journey.steps[-1] = Step("reported", "skipped")
    elif outcome in (Outcome.ACCEPTED, Outcome.OUTCOME_UNKNOWN) and journey.step("reported").state == "ahead":
        journey.step("reported").state = "waiting"


def _reason(outcome: Outcome, line: Mapping[str, object]) -> str:
    if outcome is Outcome.ACCEPTED:
        attempts = int(_number(line.get("attempts")))
        return f"attempt {attempts}" if attempts > 1 else ""
    return RESPONSES[outcome].message


def _journey_json(journey: Journey) -> dict[str, object]:
    values = dataclasses.asdict(journey)
    del values["code"]
    return values


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
