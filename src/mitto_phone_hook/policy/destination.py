"""Where messages may go: fraud is refused before it costs money."""

from dataclasses import dataclass

from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.numbering_plan import HANDSETS
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.domain.phone_number import UNKNOWN_REGION

INTERNATIONAL_NETWORKS = "001"
"""libphonenumber's region for satellite and other networks that belong to no country."""

ANY_REGION = "*"


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """The operator's settings. Empty ``allowed_regions`` and ``*`` both mean every country."""

    allowed_regions: frozenset[str]
    blocked_numbers: tuple[str, ...]
    """E.164 numbers or prefixes, with ``+``."""

    def verdict(self, message: PhoneMessage) -> Outcome | None:
        """Give the reason to refuse this number, or ``None``.

        Countries are compared by region, not by calling code: +44 is also Jersey, +1 also Jamaica, +7 also Kazakhstan.
        """
        if message.recipient.get_secret_value().startswith(self.blocked_numbers):
            return Outcome.BLOCKED_RECIPIENT
        if not self._is_allowed(message.region):
            return Outcome.BLOCKED_COUNTRY
        if message.number_kind not in HANDSETS:
            return Outcome.BLOCKED_NUMBER_TYPE
        return None

    def _is_allowed(self, region: str) -> bool:
        # Numbers of no known calling code exist only by ALLOWED_NUMBERS, where the operator has named them.
        if region in self.allowed_regions or region == UNKNOWN_REGION:
            return True
        is_any = not self.allowed_regions or ANY_REGION in self.allowed_regions
        return is_any and region != INTERNATIONAL_NETWORKS
