"""Events that may come in thousands: one log line a minute with their number."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from mitto_phone_hook.telemetry.log_lines import Emit

SECONDS = 60.0


class Tally:
    """Counts events. The first one of a kind is logged at once, further ones together, once in ``SECONDS``."""

    def __init__(self, emit: Emit) -> None:
        """Log with ``emit``, in the running event loop."""
        self._emit = emit
        self._counts: Counter[tuple[tuple[str, str], ...]] = Counter()

    def add(self, line: Mapping[str, str], count: int = 1) -> None:
        """Count an event by all values of its line, which come from a small set."""
        kind = tuple(line.items())
        is_first = kind not in self._counts
        self._counts[kind] += count
        if is_first:
            self._write(kind)

    def _write(self, kind: tuple[tuple[str, str], ...]) -> None:
        count = self._counts.pop(kind)
        if not count:
            return
        self._counts[kind] = 0
        self._emit({**dict(kind), "count": count})
        asyncio.get_running_loop().call_later(SECONDS, self._write, kind)
