"""Which sender ID a message gets: the rules of the operator, the most specific one first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mitto_phone_hook.sms.sender_countries import COUNTRIES, Takes


class Scope(NamedTuple):
    """What a rule is for, or what a message is. A part of a rule that is ``None`` fits every message.

    The order of the parts is their rank: of two rules with equally many parts, the one with a client comes first, then the one
    with an organization, with a platform, with a region.
    """

    client_id: str | None = None
    organization: str | None = None
    platform: str | None = None
    """The platform of the route that was called."""
    region: str | None = None
    """ISO 3166 region of the recipient's number."""


@dataclass(frozen=True)
class SenderIds:
    """The operator's sender IDs."""

    default: str
    """For messages that no rule fits."""
    rules: Mapping[Scope, str]

    def choose(self, message: Scope, asked: str | None = None) -> str:
        """Give the sender ID of the most specific rule that fits a message, else the default.

        ``asked`` is what the caller would like. It is used instead if a rule that fits, or the default, has it and the country takes it.
        """
        fitting = [*self._fitting(message), self.default]
        return asked if asked in fitting and self._is_usable(asked, message.region) else fitting[0]

    def is_usable_in(self, region: str) -> bool:
        """Whether a country takes the sender IDs that its messages can get, as far as ``COUNTRIES`` knows.

        A rule that names the region is the operator's word that its sender ID works there.
        """
        # Whatever rule wins for some message also wins for a message that has just the parts of this rule.
        cases = {scope._replace(region=region) for scope in self.rules if scope.region in (region, None)} | {Scope(region=region)}
        return all(self._is_usable(next(self._fitting(case), self.default), region) for case in cases)

    def _is_usable(self, sender_id: str, region: str | None) -> bool:
        country = COUNTRIES.get(region or "")
        if country is None or any(scope.region == region and named == sender_id for scope, named in self.rules.items()):
            return True
        return country.takes is Takes.NUMERIC and sender_id.isdecimal()

    def _fitting(self, message: Scope) -> Iterator[str]:
        """Yield the sender IDs of the rules that fit, the most specific first."""
        for shape in self._shapes:
            scope = Scope(*(part if is_kept else None for part, is_kept in zip(message, shape, strict=True)))
            # A message without a client is not what a rule for a client is about.
            if all(part or not is_kept for part, is_kept in zip(scope, shape, strict=True)) and scope in self.rules:
                yield self.rules[scope]

    @cached_property
    def _shapes(self) -> list[tuple[bool, ...]]:
        """The combinations of parts that the rules have, the most specific first."""
        shapes = {tuple(part is not None for part in scope) for scope in self.rules}
        return sorted(shapes, key=lambda shape: (sum(shape), shape), reverse=True)
