"""Where messages may go: fraud is refused before it costs."""

from dataclasses import dataclass

from mitto_phone_hook.message import Channel, PhoneMessage
from mitto_phone_hook.number import NumberKind
from mitto_phone_hook.outcome import Outcome, Refused

INTERNATIONAL_NETWORKS = "001"
"""libphonenumber's region for satellite, premium and other networks that belong to no country."""

ANY_REGION = "*"

KINDS_WITH_SMS = frozenset({NumberKind.MOBILE, NumberKind.FIXED_LINE_OR_MOBILE})
"""The kinds that receive SMS. North America never says "mobile": its plan does not tell them apart."""


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """The operator's choice. Empty ``allowed_regions`` and ``*`` both mean every country."""

    allowed_regions: frozenset[str]
    blocked_numbers: tuple[str, ...]
    """E.164 numbers or prefixes, with ``+``."""

    def check(self, message: PhoneMessage) -> None:
        """Raise ``Refused`` unless this message may leave: an SMS to a handset in a country that is allowed.

        By region, not by calling code: +44 is also Jersey, +1 also Jamaica, +7 also Kazakhstan.
        """
        if message.channel is Channel.VOICE:
            raise Refused(Outcome.VOICE_UNSUPPORTED)
        if message.recipient.get_secret_value().startswith(self.blocked_numbers):
            raise Refused(Outcome.BLOCKED_RECIPIENT)
        if not self._is_allowed(message.region):
            raise Refused(Outcome.BLOCKED_COUNTRY)
        if message.number_kind not in KINDS_WITH_SMS:
            raise Refused(Outcome.BLOCKED_NUMBER_TYPE)

    def _is_allowed(self, region: str | None) -> bool:
        if region in self.allowed_regions:
            return True
        is_any = not self.allowed_regions or ANY_REGION in self.allowed_regions
        return is_any and region != INTERNATIONAL_NETWORKS
