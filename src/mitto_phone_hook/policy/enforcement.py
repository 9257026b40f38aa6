"""The operator's policy on one message: destinations, limits and budgets, enforced or only observed."""

import math
import time
from collections.abc import Callable

from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.limits import WARN_AT, Limits, is_budget
from mitto_phone_hook.storage.protocols import Acquired, CounterStore
from mitto_phone_hook.telemetry.log_lines import Emit

BUDGET_EXHAUSTED = "budget_exhausted"
BUDGET_WARNING = "budget_at_80_percent"


class Policy:
    """Refuses what the operator does not want to pay for; in observe mode it only says what it would refuse."""

    def __init__(  # noqa: PLR0913 - all that it touches outside is an argument
        self,
        destination: DestinationPolicy,
        limits: Limits,
        counters: CounterStore,
        emit: Emit,
        *,
        is_observing: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the rules and where windows are counted; ``emit`` gets the alerts about budgets."""
        self._destination = destination
        self._limits = limits
        self._counters = counters
        self._emit = emit
        self._is_observing = is_observing
        self._clock = clock
        self._alerted: dict[tuple[str, str], float] = {}

    def check_destination(self, message: PhoneMessage, would_refuse: list[str]) -> None:
        """Raise ``Refused`` when the number may not get messages; in observe mode note the code instead."""
        outcome = self._destination.verdict(message)
        if outcome is not None:
            why = message.number_kind.name.lower() if outcome is Outcome.BLOCKED_NUMBER_TYPE else None
            self._refuse(Refused(outcome, why), outcome, would_refuse)

    def reserve(self, message: PhoneMessage, key: bytes, would_refuse: list[str], latest: float = math.inf) -> "QuotaReservation":
        """Open the bill of a message, on which nothing is counted yet.

        ``key`` keys the hashes, ``would_refuse`` takes what observe mode only notes. Counting waits for its turn until the
        event loop's clock shows ``latest``.
        """
        return QuotaReservation(self, message, key, would_refuse, latest)

    async def acquire(
        self, message: PhoneMessage, segments: int, key: bytes, would_refuse: list[str], latest: float = math.inf
    ) -> Acquired | None:
        """Count the message; raise ``Refused`` when a window is full, in observe mode note the rule instead."""
        try:
            acquired = await self._counters.acquire(self._limits.charges(message, segments, key), latest)
        except Refused as refusal:
            self._refuse(refusal, refusal.result.why or refusal.result.outcome, would_refuse)
            return None
        if isinstance(acquired, Acquired):
            return acquired
        why = f"limit_{acquired.name}"
        if is_budget(acquired.name):
            why = BUDGET_EXHAUSTED
            self._alert(BUDGET_EXHAUSTED, "ERROR", acquired.name, acquired.window_seconds)
        self._refuse(Refused(Outcome.RATE_LIMITED, why, retry_after_seconds=acquired.retry_after_seconds), why, would_refuse)
        return None

    async def settle(self, acquired: Acquired | None, *, possibly_sent: bool, latest: float = math.inf) -> None:
        """Let the count stand and warn when a budget nears its end, or take it back: certainly nothing was sent."""
        if acquired is not None and possibly_sent:
            self._warn_of_budgets(acquired)
        elif acquired is not None:
            await self._counters.release(acquired, latest)

    def _refuse(self, refusal: Refused, code: str, would_refuse: list[str]) -> None:
        if not self._is_observing:
            raise refusal
        would_refuse.append(code)

    def _warn_of_budgets(self, acquired: Acquired) -> None:
        for charge, used in zip(acquired.charges, acquired.used, strict=True):
            if is_budget(charge.name) and used >= WARN_AT * charge.window.limit:
                self._alert(BUDGET_WARNING, "WARNING", charge.name, charge.window.seconds)

    def _alert(self, event: str, severity: str, name: str, window_seconds: int) -> None:
        """Write an alert's line once a window, so that it wakes somebody once."""
        now = self._clock()
        if now - self._alerted.get((event, name), -window_seconds) >= window_seconds:
            self._alerted[event, name] = now
            alert = {"severity": severity, "event": event, "limit": name}
            self._emit(alert | {"severity": "WARNING", "policy": "observe"} if self._is_observing else alert)


class QuotaReservation:
    """What one message has been counted for."""

    def __init__(self, policy: Policy, message: PhoneMessage, key: bytes, would_refuse: list[str], latest: float) -> None:
        """Count nothing yet; see ``Policy.bill``."""
        self._policy = policy
        self._message = message
        self._key = key
        self._would_refuse = would_refuse
        self._latest = latest
        self._taken: Acquired | None = None

    async def count(self, segments: int) -> None:
        """Count the message with so many segments, in place of what was counted before. Raises ``Refused``, and counts nothing then."""
        if self._taken is not None:
            await self.settle(possibly_sent=False, latest=self._latest)
        self._taken = await self._policy.acquire(self._message, segments, self._key, self._would_refuse, self._latest)

    async def settle(self, *, possibly_sent: bool, latest: float = math.inf) -> None:
        """Let the count stand, or take it back: certainly nothing was sent."""
        acquired, self._taken = self._taken, None
        await self._policy.settle(acquired, possibly_sent=possibly_sent, latest=latest)
