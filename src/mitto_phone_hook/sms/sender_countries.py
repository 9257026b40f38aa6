"""Countries where an alphanumeric sender ID of one's own does not arrive as it is, or only a registered one does.

The table is small on purpose: it has a country only where a public guide says so plainly. A country that is not here may have
rules, too; Mitto knows them, and registers sender IDs. Rules change: the guides were read in November 2026.
"""

from enum import StrEnum
from typing import NamedTuple


class Takes(StrEnum):
    """Which sender IDs a country takes."""

    NUMERIC = "numbers"
    """A long number, a short code or a toll-free number. Alphanumeric sender IDs are replaced or refused."""
    REGISTERED = "registered sender IDs"
    """Alphanumeric sender IDs that are registered in the country. Others are replaced, marked or blocked."""


class Country(NamedTuple):
    """What a country takes, and the names of the ``SOURCES`` that say so."""

    takes: Takes
    sources: tuple[str, ...]


SOURCES = {
    "mitto": "https://www.mitto.ch/glossary/sender-id/",
    "aws": "https://docs.aws.amazon.com/end-user-messaging/latest/userguide/nx-supported-countries.html",
    "aws-registration": "https://docs.aws.amazon.com/end-user-messaging/latest/userguide/nx-reg-type-sender.html",
    "aws-es": "https://docs.aws.amazon.com/end-user-messaging/latest/userguide/nx-country-reg-es.html",
    "clicksend-my": "https://help.clicksend.com/article/97cskdj6x3-malaysia",
    "clicksend-sa": "https://help.clicksend.com/article/f2sfjgelmt-saudi-arabia",
    "irish-times": "https://irishtimes.com/business/2025/06/05/comreg-plans-overhaul-of-sms-text-message-system-to-help-block-scammers",
    "openmarket-be": "https://www.openmarket.com/docs/Content/globalcoverage/country/belgium.htm",
    "plivo": "https://plivo.com/docs/faq/messaging/messaging-compliance",
    "pushtech": "https://help.pushtech.com/hc/en-us/articles/15407493751954",
    "ringring": "https://support.ringring.be/hc/en-us/articles/16766145938973",
    "telnyx": "https://developers.telnyx.com/docs/messaging/messages/alphanumeric-sender-id",
    "unifonic-kw": "https://docs.unifonic.com/articles/products-documentation/kuwait-sender-id-registration-requirements/",
    "vonage-be": "https://help.nexmo.com/hc/en-us/articles/204017293",
    "vonage-mx": "https://help.nexmo.com/hc/en-us/articles/204017253",
    "vonage-us": "https://api.support.vonage.com/hc/en-us/articles/204017023",
}
"""Public guides of providers and, for Ireland, a newspaper on the regulator's registry.

AWS's tables count as a source for ``NUMERIC`` only where they offer a short code or a long number and no sender ID.
"""

_AWS = Country(Takes.NUMERIC, ("aws",))
_REGISTRATION = Country(Takes.REGISTERED, ("aws-registration",))

COUNTRIES = {
    "AE": _REGISTRATION,
    "AM": Country(Takes.REGISTERED, ("pushtech",)),
    "AR": Country(Takes.NUMERIC, ("aws", "pushtech")),
    "AU": Country(Takes.REGISTERED, ("aws", "aws-registration", "pushtech")),
    "BD": Country(Takes.REGISTERED, ("aws", "pushtech", "ringring")),
    "BE": Country(Takes.NUMERIC, ("openmarket-be", "vonage-be")),
    "BR": Country(Takes.NUMERIC, ("mitto", "aws")),
    "BY": Country(Takes.REGISTERED, ("aws-registration", "pushtech", "ringring")),
    "CA": Country(Takes.NUMERIC, ("mitto", "aws", "telnyx")),
    "CL": _AWS,
    "CM": Country(Takes.REGISTERED, ("aws",)),
    "CN": _AWS,
    "CO": _AWS,
    "CR": _AWS,
    "DO": _AWS,
    "EC": _AWS,
    "EG": Country(Takes.REGISTERED, ("aws", "aws-registration")),
    "ES": Country(Takes.REGISTERED, ("aws-es",)),
    "GU": _AWS,
    "ID": Country(Takes.REGISTERED, ("aws-registration", "ringring")),
    "IE": Country(Takes.REGISTERED, ("aws-registration", "irish-times")),
    "IN": Country(Takes.REGISTERED, ("aws", "aws-registration", "plivo")),
    "JO": _REGISTRATION,
    "KE": _REGISTRATION,
    "KH": Country(Takes.REGISTERED, ("aws",)),
    "KW": Country(Takes.REGISTERED, ("aws-registration", "unifonic-kw")),
    "KZ": _REGISTRATION,
    "LK": _REGISTRATION,
    "MX": Country(Takes.REGISTERED, ("vonage-mx",)),
    "MY": Country(Takes.NUMERIC, ("clicksend-my",)),
    "NZ": _AWS,
    "PE": _AWS,
    "PH": _REGISTRATION,
    "PR": Country(Takes.NUMERIC, ("telnyx",)),
    "QA": _REGISTRATION,
    "RU": _REGISTRATION,
    "SA": Country(Takes.REGISTERED, ("aws-registration", "clicksend-sa")),
    "SG": Country(Takes.REGISTERED, ("aws-registration", "plivo")),
    "TH": _REGISTRATION,
    "TR": _REGISTRATION,
    "US": Country(Takes.NUMERIC, ("mitto", "aws", "telnyx", "vonage-us")),
    "UY": _AWS,
    "VN": _REGISTRATION,
    "ZM": _REGISTRATION,
}
"""By ISO 3166 region, in alphabetical order."""
