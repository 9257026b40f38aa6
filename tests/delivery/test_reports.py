"""What becomes of delivery reports: one event for each that says something new, and the right state in the end."""

import contextlib
import random
from typing import Any

import pytest

from mitto_phone_hook.delivery.reports import MAX_EARLY, MAX_WAITING, ROUTE, DeliveryReports
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.mitto.reports import Report, State
from mitto_phone_hook.storage.message_records import MemoryRecordStore, MessageRecord
from mitto_phone_hook.telemetry.log_lines import FIELDS
from support.stage import PassingLoop
from support.turns import some_turns, until

UUID = "9a0b6a4e-2f43-4c0d-9d53-5b1f6a0e7c11"
EARLY_SECONDS = 10


def record(message_id: str | None = "m1", request_id: str = "r1") -> MessageRecord:
    return MessageRecord(request_id, 1000.0, "flat", "+1********10", "US", "Mitto SMS", 2, message_id)


def report(state: State, message_id: str | None = "m1", **values: Any) -> Report:
    return Report(message_id, None, state, state.value.upper())._replace(**values)


class Desk:
    """Delivery reports over a store in memory, with a clock that stands still."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.store = MemoryRecordStore()
        self.now = 1003.25
        self.reports = DeliveryReports(self.store, self.lines.append, early_seconds=EARLY_SECONDS, wall_clock=lambda: self.now)

    def events(self) -> list[object]:
        return [line["event"] for line in self.lines]


async def test_a_report_becomes_one_event_with_all_that_is_known() -> None:
    desk = Desk()
    desk.store.add(record())
    desk.reports.take([report(State.UNDELIVERED, error="12", network="228-01")])
    await until(lambda: bool(desk.lines))
    assert desk.lines == [
        {
            "severity": "WARNING",
            "event": "undelivered",
            "route": ROUTE,
            "status": "UNDELIVERED",
            "error": "12",
            "network": "228-01",
            "request_id": "r1",
            "message_id": "m1",
            "source": "flat",
            "recipient": "+1********10",
            "region": "US",
            "segments": 2,
            "after_seconds": 3.2,
        }
    ]
    assert set(desk.lines[0]) <= set(FIELDS)


@pytest.mark.parametrize(
    ("came", "logged", "state"),
    [
        ([State.BUFFERED, State.DELIVERED], ["buffered", "delivered"], "delivered"),
        ([State.DELIVERED, State.BUFFERED], ["delivered", "report_repeated"], "delivered"),
        ([State.DELIVERED, State.DELIVERED], ["delivered", "report_repeated"], "delivered"),
        ([State.DELIVERED, State.EXPIRED], ["delivered", "report_repeated"], "delivered"),
        ([State.BUFFERED, State.BUFFERED, State.EXPIRED], ["buffered", "report_repeated", "expired"], "expired"),
        ([State.UNKNOWN_STATUS, State.REJECTED], ["unknown_status", "rejected"], "rejected"),
        ([State.BUFFERED], ["buffered"], "buffered"),
        ([], [], ""),
    ],
)
async def test_the_first_final_state_wins(came: list[State], logged: list[str], state: str) -> None:
    desk = Desk()
    desk.store.add(record())
    desk.reports.take([report(one) for one in came])
    await until(lambda: len(desk.lines) == len(logged))
    found = await desk.store.find("m1")
    assert (desk.events(), found and found.status) == (logged, state)


async def test_repeated_reports_are_counted_in_one_line() -> None:
    desk = Desk()
    desk.store.add(record())
    desk.reports.take([report(State.DELIVERED)] * 100)
    await some_turns()
    assert desk.events() == ["delivered", "report_repeated"]


def test_a_tally_tells_the_rest_after_a_minute() -> None:
    desk = Desk()
    desk.store.add(record())

    async def scenario() -> None:
        desk.reports.take([report(State.DELIVERED)] * 101)
        await some_turns()
        loop.passed_seconds += 61
        await until(lambda: len(desk.lines) == 3)
        loop.passed_seconds += 61
        await some_turns()
        desk.reports.take([report(State.DELIVERED)])
        await until(lambda: len(desk.lines) == 4)

    with contextlib.closing(PassingLoop()) as loop:
        loop.run_until_complete(scenario())
    assert [line.get("count") for line in desk.lines] == [None, 1, 99, 1]


@pytest.mark.parametrize("state", [State.DELIVERED, State.UNDELIVERED])
def test_a_report_that_overtakes_mittos_response_waits_for_its_message(state: State) -> None:
    desk = Desk()

    async def scenario() -> None:
        desk.reports.take([report(State.BUFFERED), report(state)])
        await some_turns()
        assert desk.lines == []
        desk.store.add(record())
        desk.now += 60  # the time that counts is the one at which it came
        loop.passed_seconds += EARLY_SECONDS
        await until(lambda: len(desk.lines) == 2)
        found = await desk.store.find("m1")
        assert found
        assert found.status == state

    with contextlib.closing(PassingLoop()) as loop:
        loop.run_until_complete(scenario())
    assert [(line["event"], line["after_seconds"], line["region"]) for line in desk.lines] == [
        ("buffered", 3.2, "US"),
        (state.value, 3.2, "US"),
    ]


def test_a_final_report_with_a_record_wins_over_an_earlier_one_without() -> None:
    desk = Desk()

    async def scenario() -> None:
        desk.reports.take([report(State.BUFFERED)])
        await some_turns()
        desk.store.add(record())
        desk.reports.take([report(State.DELIVERED)])
        await some_turns()
        loop.passed_seconds += EARLY_SECONDS
        await until(lambda: len(desk.lines) == 2)

    with contextlib.closing(PassingLoop()) as loop:
        loop.run_until_complete(scenario())
    assert desk.events() == ["delivered", "report_repeated"]


def test_a_report_of_a_message_that_nobody_knows_is_logged_with_what_it_says() -> None:
    desk = Desk()
    unknown = report(State.DELIVERED, UUID, request_id="ghijklmnopghijklmnop", receiver=Recipient("+12025550110"), network="310-260")

    async def scenario() -> None:
        desk.reports.take([unknown, unknown._replace(message_id="12025550110", receiver=Recipient("+9999999999"))])
        await some_turns()
        loop.passed_seconds += EARLY_SECONDS
        await until(lambda: len(desk.lines) == 2)

    with contextlib.closing(PassingLoop()) as loop:
        loop.run_until_complete(scenario())
    first, second = desk.lines
    assert (first["message_id"], first["why"], first["region"], first["recipient"]) == (UUID, "no_record", "US", "+1********10")
    assert (first["request_id"], first["network"]) == ("ghijklmnopghijklmnop", "310-260")
    assert "2025550110" not in str(desk.lines)
    assert not {"message_id", "recipient", "region"} & set(second)


async def test_a_message_whose_outcome_is_unknown_is_found_by_its_reference() -> None:
    desk = Desk()
    desk.store.add(record(message_id=None, request_id="ghijklmnopghijklmnop"))
    desk.reports.take([report(State.DELIVERED, UUID, request_id="ghijklmnopghijklmnop")])
    await until(lambda: bool(desk.lines))
    assert (desk.lines[0]["event"], desk.lines[0]["request_id"]) == ("delivered", "ghijklmnopghijklmnop")


async def test_only_so_many_unknown_reports_wait() -> None:
    desk = Desk()
    desk.reports.take([report(State.DELIVERED, f"m{number}") for number in range(MAX_EARLY + 3)])
    await until(lambda: len(desk.lines) == 3)
    assert {line["why"] for line in desk.lines} == {"no_record"}


async def test_too_many_reports_at_once_are_lost_and_counted() -> None:
    desk = Desk()
    desk.store.add(record())
    desk.reports.take([report(State.DELIVERED)] * (MAX_WAITING + 7), unreadable=2)
    assert [(line["event"], line["count"]) for line in desk.lines] == [("report_unreadable", 2), ("reports_lost", 7)]


@pytest.mark.parametrize("seed", range(20))
def test_chaos_leaves_the_right_state_behind(seed: int) -> None:
    """Reports are lost, doubled, out of order, and before the response to their message."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    desk, ends = Desk(), {}
    finals = [State.DELIVERED, State.UNDELIVERED, State.EXPIRED, State.REJECTED]
    steps: list[tuple[float, Report | MessageRecord]] = []
    for number in range(40):
        one, end = f"m{number}", chance.choice(finals)
        steps.append((chance.random() * 9, record(one, f"r{number}")))
        came = [State.BUFFERED] * chance.randrange(3) + [end] * chance.randrange(3)
        steps += [(chance.random() * 30, report(state, one)) for state in came]
        ends[one] = end.value if end in came else "buffered" if came else ""
    steps.sort(key=lambda step: step[0])

    async def scenario() -> None:
        started = loop.time()
        for seconds, step in steps:
            loop.passed_seconds += max(started + seconds - loop.time(), 0)
            if isinstance(step, Report):
                desk.reports.take([step])
            else:
                desk.store.add(step)
            await some_turns()
        loop.passed_seconds += EARLY_SECONDS
        await some_turns()
        found = {one: await desk.store.find(one) for one in ends}
        assert {one: known and known.status for one, known in found.items()} == ends

    with contextlib.closing(PassingLoop()) as loop:
        loop.run_until_complete(scenario())
    for number in range(40):
        final = [line for line in desk.lines if line.get("request_id") == f"r{number}" and line["event"] != "buffered"]
        assert len(final) <= 1
