"""The way of each message, put together from log lines, messages and the page's own calls."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.sandbox.journeys import ENDS_AT, KEPT, STEPS, Journeys, highlight
from mitto_phone_hook.sandbox.rules import Message

NOW = 1_800_000_000.0
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Page:
    """The latest values of everything that changed."""

    def __init__(self) -> None:
        self.journeys: dict[str, dict[str, Any]] = {}
        self.bubbles: dict[str, dict[str, Any]] = {}
        self.cleared = 0
        self.model = Journeys(self.change, lambda: NOW)

    def change(self, kind: str, values: dict[str, Any]) -> None:
        if kind == "cleared":
            self.cleared += 1
        else:
            {"journey": self.journeys, "bubble": self.bubbles}[kind][values["id"]] = values

    @property
    def journey(self) -> dict[str, Any]:
        [only] = self.journeys.values()
        return only

    def states(self) -> list[str]:
        return [step["state"] for step in self.journey["steps"]]


def message(text: str = "482913 is your code", **changes: Any) -> Message:
    values: dict[str, Any] = {
        "id": "m-1",
        "sender": "Mitto SMS",
        "to": "12025550100",
        "text": text,
        "type": "auto",
        "segments": 1,
        "validity": 5,
        "reference": "request-1",
        "test": False,
        "received_at": datetime.fromtimestamp(NOW, UTC),
    }
    return Message(**values | changes)


def line(event: str = "accepted", **changes: Any) -> dict[str, Any]:
    return {"event": event, "request_id": "request-1", "route": "/hooks/supabase", "duration_ms": 12.0, "upstream_ms": 8.0, **changes}


def begin(page: Page, call_id: str = TRACE, code: str = "482913") -> None:
    page.model.begin(call_id, "Supabase", to="+12025550100", code=code, route="/hooks/supabase")


def test_every_outcome_ends_at_a_step() -> None:
    assert ENDS_AT.keys() == set(Outcome)
    assert set(ENDS_AT.values()) <= set(STEPS)


def test_own_call_is_followed_from_the_form_to_the_handset() -> None:
    page = Page()
    begin(page)
    assert page.states() == ["done", "waiting", "ahead", "ahead", "ahead"]
    page.model.sent(message())
    assert page.states() == ["done", "done", "done", "waiting", "ahead"]
    page.model.logged(line(message_id="m-1", region="US", attempts=1, **{"logging.googleapis.com/trace": TRACE}))
    assert page.states() == ["done", "done", "done", "done", "waiting"]
    assert [step["after_ms"] for step in page.journey["steps"]] == [0, None, 4.0, 12.0, None]
    page.model.answered(TRACE, "HTTP 200: accepted")
    page.model.logged({"event": "delivered", "message_id": "m-1", "after_seconds": 1.2})
    assert page.states() == ["done"] * 5
    assert (page.journey["reading"], page.journey["steps"][-1]["after_ms"]) == ("HTTP 200: accepted", 1200)
    assert (page.bubbles["m-1"]["status"], page.bubbles["m-1"]["after_seconds"]) == ("delivered", 1.2)
    assert [one["event"] for one in page.journey["log"]] == ["accepted", "delivered"]


def test_call_from_elsewhere_is_named_by_its_log_line() -> None:
    page = Page()
    page.model.sent(message())
    page.model.logged(line(message_id="m-1", source="native"))
    assert (page.journey["title"], page.journey["to"]) == ("native", "+12025550100")


@pytest.mark.parametrize("outcome", [one for one in Outcome if one not in (Outcome.ACCEPTED, Outcome.IGNORED, Outcome.OUTCOME_UNKNOWN)])
def test_refused_call_fails_at_its_step_and_goes_no_further(outcome: Outcome) -> None:
    page = Page()
    page.model.logged(line(outcome.value, why="a_reason"))
    place = STEPS.index(ENDS_AT[outcome])
    assert page.states() == ["done"] * place + ["failed"] + ["ahead"] * (4 - place)
    assert page.journey["steps"][place]["detail"]
    assert (page.journey["outcome"], page.journey["why"]) == (outcome.value, "a_reason")


def test_unknown_outcome_still_waits_for_a_report() -> None:
    page = Page()
    page.model.sent(message())
    page.model.logged(line("outcome_unknown"))
    assert page.states() == ["done", "done", "done", "unknown", "waiting"]
    page.model.logged({"event": "delivered", "message_id": "m-1", "after_seconds": 1.2})
    assert page.states()[-1] == "done"


def test_repeated_call_sends_nothing_and_waits_for_nothing() -> None:
    page = Page()
    begin(page)
    page.model.logged(line(duplicate=True, message_id="m-1", **{"logging.googleapis.com/trace": TRACE}))
    assert page.states() == ["done", "done", "done", "skipped", "skipped"]


def test_call_with_wrong_credentials_has_no_trace_and_is_the_oldest_that_runs() -> None:
    page = Page()
    begin(page, "a" * 32)
    begin(page, "b" * 32)
    page.model.logged(line("unauthorized"))
    page.model.logged(line("unauthorized", request_id="request-2"))
    assert [(one["id"][0], one["request_id"]) for one in page.journeys.values()] == [("a", "request-1"), ("b", "request-2")]


@pytest.mark.parametrize(
    ("events", "status", "state"),
    [
        (["undelivered"], "undelivered", "failed"),
        (["expired"], "expired", "failed"),
        (["buffered"], "buffered", "waiting"),
        (["buffered", "delivered"], "delivered", "done"),
        (["delivered", "buffered"], "delivered", "done"),
        (["delivered", "delivered"], "delivered", "done"),
    ],
    ids=" ".join,
)
def test_first_final_report_counts(events: list[str], status: str, state: str) -> None:
    page = Page()
    page.model.sent(message())
    page.model.logged(line(message_id="m-1"))
    for event in events:
        page.model.logged({"event": event, "message_id": "m-1", "after_seconds": 1.0})
    assert (page.bubbles["m-1"]["status"], page.states()[-1]) == (status, state)


def test_report_before_the_end_of_the_call_is_kept() -> None:
    page = Page()
    page.model.sent(message())
    page.model.logged({"event": "delivered", "message_id": "m-1", "after_seconds": 0.0})
    page.model.logged(line(message_id="m-1"))
    assert page.states() == ["done"] * 5


@pytest.mark.parametrize(
    "other", [{}, {"event": "started"}, {"event": "delivered", "message_id": "other"}, {"event": "limits", "duration_ms": 3}]
)
def test_other_lines_change_nothing(other: dict[str, Any]) -> None:
    page = Page()
    page.model.logged(other)
    assert (page.journeys, page.bubbles) == ({}, {})


def test_bubble_shows_each_segment_with_its_length() -> None:
    page = Page()
    page.model.sent(message("é" * 200))
    assert [(len(text), used, room) for text, used, room in page.bubbles["m-1"]["segments"]] == [(153, 153, 153), (47, 47, 153)]
    page.model.sent(message("ж" * 70, id="m-2"))
    assert page.bubbles["m-2"]["segments"] == [("ж" * 70, 70, 70)]


def test_characters_that_turn_text_around_are_replaced() -> None:
    page = Page()
    page.model.sent(message("a\u202eb\x1b\nc", type="Unicode"))
    assert page.bubbles["m-1"]["words"] == [("a\ufffdb\ufffd\nc", False)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("482913 is your code", "482913"),
        ("Your code is 730 461.", "730 461"),
        ("G-123-456!", "123-456"),
        ("Call +12025550100", None),
        ("In 5 minutes", None),
        ("Code 1234, valid 2026", "1234"),
        ("No digits", None),
    ],
)
def test_code_is_the_first_number_of_its_length(text: str, code: str | None) -> None:
    pieces = highlight(text)
    assert "".join(words for words, _ in pieces) == text
    assert [words for words, is_code in pieces if is_code] == ([code] if code else [])


def test_oldest_are_forgotten_and_clearing_forgets_all() -> None:
    page = Page()
    for number in range(KEPT + 5):
        page.model.sent(message(id=f"m-{number}", reference=f"request-{number}"))
    shown = page.model.snapshot()
    assert [len(shown[kind]) for kind in ("journeys", "bubbles")] == [KEPT, KEPT]  # type: ignore[arg-type]
    page.model.clear()
    assert (page.model.snapshot(), page.cleared) == ({"journeys": [], "bubbles": []}, 1)


def test_page_never_gets_the_code_of_a_call_outside_the_message() -> None:
    page = Page()
    begin(page)
    assert "482913" not in repr(page.journey)
