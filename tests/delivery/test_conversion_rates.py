"""The figure that shows SMS pumping first: how many codes are used, per region and per prefix."""

import contextlib
from typing import Any

from mitto_phone_hook.delivery.conversion_rates import EVERY_SECONDS, MAX_MESSAGES, MIN_MESSAGES, ConversionRates
from mitto_phone_hook.storage.message_records import MemoryRecordStore, MessageRecord
from support.stage import PassingLoop
from support.turns import some_turns, until

HOME, PUMPED = "+1202555", "+994401234"


class Desk:
    """Rates over a store in memory."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.store = MemoryRecordStore()
        self.rates = ConversionRates(self.store, self.lines.append)
        self._number = 0

    async def send(self, prefix: str, region: str, messages: int, converted: int) -> None:
        for number in range(messages):
            self._number += 1
            key = f"m{self._number}"
            self.store.add(MessageRecord(key, 0, "flat", "+1", region, "Mitto SMS", 1, key))
            self.rates.add(key, f"{prefix}{number:04d}", region)
            if number < converted:
                await self.store.convert(key)


def test_rates_are_logged_when_messages_had_time_to_convert() -> None:
    desk = Desk()

    async def scenario() -> None:
        await desk.send(HOME, "US", 30, 24)
        await desk.send(PUMPED, "AZ", MIN_MESSAGES, 0)
        await desk.send("+41791234", "CH", MIN_MESSAGES - 1, 0)
        loop.passed_seconds += EVERY_SECONDS
        await some_turns()
        assert desk.lines == []
        loop.passed_seconds += EVERY_SECONDS
        await until(lambda: len(desk.lines) == 5)

    with contextlib.closing(PassingLoop()) as loop:
        loop.run_until_complete(scenario())
    found = [tuple(line.get(name) for name in ("severity", "region", "prefix", "messages", "converted", "rate")) for line in desk.lines]
    assert found == [
        ("INFO", "US", None, 30, 24, 0.8),
        ("WARNING", "AZ", None, 20, 0, 0.0),
        ("INFO", "CH", None, 19, 0, 0.0),
        ("WARNING", "AZ", PUMPED, 20, 0, 0.0),
        ("INFO", "US", HOME, 30, 24, 0.8),
    ]
    assert {line["event"] for line in desk.lines} == {"conversion_rate"}


def test_each_message_is_counted_once_and_a_quiet_instance_logs_nothing() -> None:
    desk = Desk()

    async def scenario() -> None:
        await desk.send(HOME, "US", 3, 1)
        for _ in range(6):
            loop.passed_seconds += EVERY_SECONDS
            await some_turns()
        await desk.send(HOME, "US", 5, 5)
        for _ in range(6):
            loop.passed_seconds += EVERY_SECONDS
            await some_turns()

    with contextlib.closing(PassingLoop()) as loop:
        loop.run_until_complete(scenario())
    assert [(line["messages"], line["converted"]) for line in desk.lines] == [(3, 1), (5, 5)]


def test_a_flood_is_counted_by_its_first_messages() -> None:
    desk = Desk()

    async def scenario() -> None:
        await desk.send(HOME, "US", MAX_MESSAGES + 10, 0)
        for _ in range(2):
            loop.passed_seconds += EVERY_SECONDS
            await some_turns()
        await until(lambda: len(desk.lines) == 2)

    with contextlib.closing(PassingLoop()) as loop:
        loop.run_until_complete(scenario())
    assert [line["messages"] for line in desk.lines] == [MAX_MESSAGES, MAX_MESSAGES]
