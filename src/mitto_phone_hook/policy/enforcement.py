"""The operator's policy for one message: destinations, limits and budgets, enforced or only observed."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field

from mitto_phone_hook.domain.end_user_address import EndUserIp, end_user_address
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.limits import WARN_AT, Limits, is_budget
from mitto_phone_hook.storage.protocols import Acquired, CounterStore, Entry, IdempotencyStore, Quota, Refusal, Validity
from mitto_phone_hook.telemetry.log_lines import Emit

BUDGET_EXHAUSTED = "budget_exhausted"
BUDGET_WARNING = "budget_at_80_percent"

IP_NOT_PUBLIC = {
    "severity": "WARNING",
    "event": "client_ip_not_public",
    "limit": "ip",
    "hint": "ip is no end user's address and is not counted: pass the one from which the user's browser comes, not a proxy's",
}
IP_UNREADABLE = {
    "severity": "WARNING",
    "event": "client_ip_unreadable",
    "limit": "ip",
    "hint": "ip is no IP address, and all such messages share one limit: pass a bare one such as 203.0.113.7, or leave ip out",
}

_IP_WARNING_SECONDS = 3600


@dataclass(eq=False, repr=False)
class Policy:
    """Refuses messages that the operator does not want. In observe mode it only notes what it would refuse."""

    destination: DestinationPolicy
    limits: Limits
    counters: CounterStore
    emit: Emit
    """Takes the alerts about budgets, and the warnings about addresses."""
    _: KW_ONLY
    is_observing: bool
    clock: Callable[[], float] = time.monotonic
    _emitted: dict[tuple[str, str], float] = field(default_factory=dict, init=False)

    def check_destination(self, message: PhoneMessage, would_refuse: list[str]) -> None:
        """Raise ``Refused`` when the number must not get messages; in observe mode add the code to ``would_refuse`` instead."""
        outcome = self.destination.verdict(message)
        if outcome is not None:
            why = message.number_kind.name.lower() if outcome is Outcome.BLOCKED_NUMBER_TYPE else None
            self.refuse(Refused(outcome, why), outcome, would_refuse)

    def reserve(self, message: PhoneMessage, key: bytes, would_refuse: list[str], latest: float = math.inf) -> "QuotaReservation":
        """Prepare to count a message. ``key`` keys the hashes; the store must respond before the event loop's clock shows ``latest``."""
        return QuotaReservation(self, message, key, would_refuse, latest)

    def refuse(self, refusal: Refused, code: str, would_refuse: list[str]) -> None:
        """Raise the refusal; in observe mode add its code to ``would_refuse`` instead."""
        if not self.is_observing:
            raise refusal
        would_refuse.append(code)

    def alert(self, event: str, severity: str, name: str, window_seconds: int) -> None:
        """Log an alert at most once in a window."""
        alert = {"severity": severity, "event": event, "limit": name}
        self._emit_once(alert | {"severity": "WARNING", "policy": "observe"} if self.is_observing else alert, window_seconds)

    def warn_of_address(self, ip: EndUserIp | None) -> None:
        """Log, at most once an hour, that the limit per IP address cannot work with such an address."""
        if ip is None or not self.limits.windows.get("ip"):
            return
        if isinstance(ip, str):
            self._emit_once(IP_UNREADABLE, _IP_WARNING_SECONDS)
        elif end_user_address(ip) is None:
            self._emit_once(IP_NOT_PUBLIC, _IP_WARNING_SECONDS)

    def _emit_once(self, line: Mapping[str, str], seconds: int) -> None:
        now, key = self.clock(), (line["event"], line["limit"])
        if now - self._emitted.get(key, -seconds) >= seconds:
            self._emitted[key] = now
            self.emit(line)


@dataclass(eq=False, repr=False)
class QuotaReservation:
    """What one message is counted for; nothing at first."""

    policy: Policy
    message: PhoneMessage
    key: bytes
    would_refuse: list[str]
    latest: float
    _acquired: Acquired | None = field(default=None, init=False)

    async def claim(  # noqa: PLR0913, PLR0917 - what the store needs, and the segments
        self, segments: int, store: IdempotencyStore, key: str, entry: Entry, validity: Validity, latest: float
    ) -> Entry | None:
        """Claim the message in ``store`` and count so many segments in the same step; give the entry of another call if there is one.

        Raises ``Refused`` when a window is full, and then keeps and counts nothing.
        """
        kept, counted = await store.claim_and_acquire(key, entry, self._quota(segments), validity, latest)
        if counted is not None:
            self._take(counted)
        return kept

    async def count(self, segments: int) -> None:
        """Count so many segments, instead of those counted before. Raises ``Refused`` when a window is full, and then counts nothing."""
        if self._acquired is not None:
            await self.settle(possibly_sent=False, latest=self.latest)
        self._take(await self._quota(segments).acquire(self.latest))

    def _quota(self, segments: int) -> Quota:
        policy = self.policy
        return Quota(policy.counters, policy.limits.charges(self.message, segments, self.key), not policy.is_observing)

    def _take(self, counted: Acquired | Refusal | Refused) -> None:
        policy = self.policy
        policy.warn_of_address(self.message.client_ip)
        if isinstance(counted, Acquired):
            self._acquired = counted
            return
        if isinstance(counted, Refused):
            policy.refuse(counted, counted.result.why or counted.result.outcome, self.would_refuse)
            return
        why = f"limit_{counted.name}"
        if is_budget(counted.name):
            why = BUDGET_EXHAUSTED
            policy.alert(BUDGET_EXHAUSTED, "ERROR", counted.name, counted.window_seconds)
        policy.refuse(Refused(Outcome.RATE_LIMITED, why, retry_after_seconds=counted.retry_after_seconds), why, self.would_refuse)

    async def settle(self, *, possibly_sent: bool, latest: float = math.inf) -> None:
        """Keep the count and warn when a budget is nearly used up; release the count when nothing was sent."""
        acquired, self._acquired = self._acquired, None
        if acquired is None:
            return
        if not possibly_sent:
            await self.policy.counters.release(acquired, latest)
            return
        for charge, used in zip(acquired.charges, acquired.used, strict=True):
            if used >= WARN_AT * charge.window.limit and is_budget(charge.name):
                self.policy.alert(BUDGET_WARNING, "WARNING", charge.name, charge.window.seconds)
