"""The operator's policy for one message: destinations, limits and budgets, enforced or only observed."""

import math
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.limits import WARN_AT, Limits, is_budget
from mitto_phone_hook.storage.protocols import Acquired, CounterStore
from mitto_phone_hook.telemetry.log_lines import Emit

BUDGET_EXHAUSTED = "budget_exhausted"
BUDGET_WARNING = "budget_at_80_percent"


@dataclass(eq=False, repr=False)
class Policy:
    """Refuses messages that the operator does not want. In observe mode it only notes what it would refuse."""

    destination: DestinationPolicy
    limits: Limits
    counters: CounterStore
    emit: Emit
    """Takes the alerts about budgets."""
    _: KW_ONLY
    is_observing: bool
    clock: Callable[[], float] = time.monotonic
    _alerted: dict[tuple[str, str], float] = field(default_factory=dict, init=False)

    def check_destination(self, message: PhoneMessage, would_refuse: list[str]) -> None:
        """Raise ``Refused`` when the number must not get messages; in observe mode add the code to ``would_refuse`` instead."""
        outcome = self.destination.verdict(message)
        if outcome is not None:
            why = message.number_kind.name.lower() if outcome is Outcome.BLOCKED_NUMBER_TYPE else None
            self._refuse(Refused(outcome, why), outcome, would_refuse)

    def reserve(self, message: PhoneMessage, key: bytes, would_refuse: list[str], latest: float = math.inf) -> "QuotaReservation":
        """Prepare to count a message. ``key`` keys the hashes; the store must respond before the event loop's clock shows ``latest``."""
        return QuotaReservation(self, message, key, would_refuse, latest)

    async def acquire(
        self, message: PhoneMessage, segments: int, key: bytes, would_refuse: list[str], latest: float = math.inf
    ) -> Acquired | None:
        """Count the message. Raise ``Refused`` when a window is full; in observe mode add the rule to ``would_refuse`` instead."""
        try:
            acquired = await self.counters.acquire(self.limits.charges(message, segments, key), latest)
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
        """Keep the count and warn when a budget is nearly used up; release the count when nothing was sent."""
        if acquired is None:
            return
        if not possibly_sent:
            await self.counters.release(acquired, latest)
            return
        for charge, used in zip(acquired.charges, acquired.used, strict=True):
            if is_budget(charge.name) and used >= WARN_AT * charge.window.limit:
                self._alert(BUDGET_WARNING, "WARNING", charge.name, charge.window.seconds)

    def _refuse(self, refusal: Refused, code: str, would_refuse: list[str]) -> None:
        if not self.is_observing:
            raise refusal
        would_refuse.append(code)

    def _alert(self, event: str, severity: str, name: str, window_seconds: int) -> None:
        """Log an alert at most once in a window."""
        now = self.clock()
        if now - self._alerted.get((event, name), -window_seconds) >= window_seconds:
            self._alerted[event, name] = now
            alert = {"severity": severity, "event": event, "limit": name}
            self.emit(alert | {"severity": "WARNING", "policy": "observe"} if self.is_observing else alert)


@dataclass(eq=False, repr=False)
class QuotaReservation:
    """What one message has been counted for; nothing yet, when it is new."""

    policy: Policy
    message: PhoneMessage
    key: bytes
    would_refuse: list[str]
    latest: float
    _acquired: Acquired | None = field(default=None, init=False)

    async def count(self, segments: int) -> None:
        """Count the message with so many segments, in place of an earlier count. Raises ``Refused``, and then counts nothing."""
        if self._acquired is not None:
            await self.settle(possibly_sent=False, latest=self.latest)
        self._acquired = await self.policy.acquire(self.message, segments, self.key, self.would_refuse, self.latest)

    async def settle(self, *, possibly_sent: bool, latest: float = math.inf) -> None:
        """Keep the count, or release it when nothing was sent."""
        acquired, self._acquired = self._acquired, None
        await self.policy.settle(acquired, possibly_sent=possibly_sent, latest=latest)
