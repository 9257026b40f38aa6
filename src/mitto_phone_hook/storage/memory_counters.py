"""The limits' windows in this process: exact, bounded, gone with it."""

import math
import time
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence

from mitto_phone_hook.storage.protocols import Acquired, Charge, Refusal

MAX_WINDOWS = 100_000
"""Some 40 MiB; then, of the length of which there are most, the window touched longest ago is forgotten."""

_FORGET_EVERY_MS = 1000


class _Log:
    """What was counted in one window, oldest first, and its sum.

    Times and amounts alternate in one list: of most windows there are many thousands, with one entry each.
    """

    __slots__ = ("entries", "used", "window_ms")

    def __init__(self, window_ms: int) -> None:
        self.entries: list[int] = []
        self.used = 0
        self.window_ms = window_ms

    def forget(self, now: int) -> None:
        entries, passed = self.entries, 0
        if entries and entries[0] > now - self.window_ms:
            return
        while passed < len(entries) and entries[passed] <= now - self.window_ms:
            self.used -= entries[passed + 1]
            passed += 2
        del entries[:passed]

    def add(self, at: int, amount: int) -> None:
        if self.entries and self.entries[-2] == at:
            self.entries[-1] += amount
        else:
            self.entries += (at, amount)
        self.used += amount

    def remove(self, at: int, amount: int) -> None:
        entries = self.entries
        place = 2 * bisect_left(range(len(entries) // 2), at, key=lambda number: entries[2 * number])
        if place == len(entries) or entries[place] != at:
            return
        self.used -= amount
        entries[place + 1] -= amount
        if entries[place + 1] <= 0:
            # No limit bounds how many messages do not leave.
            del entries[place : place + 2]

    def wait(self, charge: Charge, now: int) -> int:
        """Give the milliseconds until ``charge`` fits."""
        excess = self.used + charge.amount - charge.window.limit
        for at, amount in zip(self.entries[::2], self.entries[1::2], strict=True):
            excess -= amount
            if excess <= 0:
                return at + self.window_ms - now
        return self.window_ms


class MemoryCounterStore:
    """``CounterStore`` in a dictionary. One event loop uses it and nothing is awaited, so each operation is atomic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count from nothing; ``clock`` tells seconds."""
        self._clock = clock
        # By length, each in the order of use: a window of a day must not keep those of ten minutes behind it.
        self._logs: defaultdict[int, OrderedDict[str, _Log]] = defaultdict(OrderedDict)
        self._forget_at = 0

    def __len__(self) -> int:
        """Count the windows kept."""
        return sum(map(len, self._logs.values()))

    async def acquire(self, charges: Sequence[Charge], latest: float = math.inf) -> Acquired | Refusal:  # noqa: ARG002 - nobody waits here
        """See ``CounterStore``."""
        now = int(self._clock() * 1000)
        if now >= self._forget_at:
            self._forget(now)
            self._forget_at = now + _FORGET_EVERY_MS
        found, waits = [], []
        for charge in charges:
            limit, seconds = charge.window
            logs = self._logs[seconds]
            log = logs.get(charge.key)
            if log is not None:
                log.forget(now)
            if (log.used if log else 0) + charge.amount > limit:
                waits.append((log.wait(charge, now) if log else seconds * 1000, charge))
            found.append((charge, logs, log))
        if waits:
            milliseconds, charge = max(waits)
            return Refusal(charge.name, charge.window.seconds, math.ceil(milliseconds / 1000))
        used = []
        for charge, logs, log in found:
            if log is None:
                log = logs[charge.key] = _Log(charge.window.seconds * 1000)  # noqa: PLW2901 - a new one
            else:
                logs.move_to_end(charge.key)
            log.add(charge.stamp(now) if charge.step_ms else now, charge.amount)
            used.append(log.used)
        while len(self) > MAX_WINDOWS:
            max(self._logs.values(), key=len).popitem(last=False)
        return Acquired(charges, [now] * len(charges), used)

    async def release(self, acquired: Acquired, latest: float = math.inf) -> None:  # noqa: ARG002 - nobody waits here
        """See ``CounterStore``."""
        for charge, at_ms in zip(acquired.charges, acquired.at_ms, strict=True):
            logs = self._logs[charge.window.seconds]
            if (log := logs.get(charge.key)) is not None:
                log.remove(charge.stamp(at_ms), charge.amount)
                if not log.entries:
                    del logs[charge.key]

    def _forget(self, now: int) -> None:
        """Drop windows that are over, from the one touched longest ago on."""
        for logs in self._logs.values():
            while logs:
                log = next(iter(logs.values()))
                log.forget(now)
                if log.entries:
                    break
                logs.popitem(last=False)
