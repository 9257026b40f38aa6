"""What the numbering plans say of numbers all over the world, and what follows from it.

The numbers are libphonenumber's own examples, written down here as facts of its data: a release that changes its
mind about one of them shows.
"""

import pytest
from pydantic import SecretStr

from mitto_phone_hook.domain.message import Channel, PhoneMessage, Recipient
from mitto_phone_hook.domain.numbering_plan import NumberKind
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.policy.destination import DestinationPolicy

EVERYWHERE = DestinationPolicy(frozenset({"*"}), ())

NUMBERS = [
    ("+41781234567", "CH", "MOBILE", None),
    ("+4915123456789", "DE", "MOBILE", None),
    ("+447400123456", "GB", "MOBILE", None),
    ("+33612345678", "FR", "MOBILE", None),
    ("+43664123456", "AT", "MOBILE", None),
    ("+393123456789", "IT", "MOBILE", None),
    ("+34612345678", "ES", "MOBILE", None),
    ("+48512345678", "PL", "MOBILE", None),
    ("+31612345678", "NL", "MOBILE", None),
    ("+46701234567", "SE", "MOBILE", None),
    ("+918123456789", "IN", "MOBILE", None),
    ("+5511961234567", "BR", "MOBILE", None),
    ("+2348021234567", "NG", "MOBILE", None),
    ("+62812345678", "ID", "MOBILE", None),
    ("+639051234567", "PH", "MOBILE", None),
    ("+447797712345", "JE", "MOBILE", None),
    ("+77710009998", "KZ", "MOBILE", None),
    ("+79123456789", "RU", "MOBILE", None),
    ("+380501234567", "UA", "MOBILE", None),
    ("+27711234567", "ZA", "MOBILE", None),
    ("+905012345678", "TR", "MOBILE", None),
    ("+971501234567", "AE", "MOBILE", None),
    ("+819012345678", "JP", "MOBILE", None),
    ("+8613123456789", "CN", "MOBILE", None),
    ("+61412345678", "AU", "MOBILE", None),
    ("+41212345678", "CH", "FIXED_LINE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+4930123456", "DE", "FIXED_LINE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+441212345678", "GB", "FIXED_LINE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+33123456789", "FR", "FIXED_LINE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+2524012345", "SO", "FIXED_LINE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+2342033123456", "NG", "FIXED_LINE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+12015550123", "US", "FIXED_LINE_OR_MOBILE", None),
    ("+15062345678", "CA", "FIXED_LINE_OR_MOBILE", None),
    ("+18765230123", "JM", "FIXED_LINE_OR_MOBILE", None),
    ("+18092345678", "DO", "FIXED_LINE_OR_MOBILE", None),
    ("+522001234567", "MX", "FIXED_LINE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+41900123456", "CH", "PREMIUM_RATE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+499001234567", "DE", "PREMIUM_RATE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+449012345678", "GB", "PREMIUM_RATE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+19002345678", "US", "PREMIUM_RATE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+33891123456", "FR", "PREMIUM_RATE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+37190123456", "LV", "PREMIUM_RATE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+41840123456", "CH", "SHARED_COST", Outcome.BLOCKED_NUMBER_TYPE),
    ("+4918012345", "DE", "SHARED_COST", Outcome.BLOCKED_NUMBER_TYPE),
    ("+33884012345", "FR", "SHARED_COST", Outcome.BLOCKED_NUMBER_TYPE),
    ("+41800123456", "CH", "TOLL_FREE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+18002345678", "US", "TOLL_FREE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+448001234567", "GB", "TOLL_FREE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+498001234567890", "DE", "TOLL_FREE", Outcome.BLOCKED_NUMBER_TYPE),
    ("+445612345678", "GB", "VOIP", Outcome.BLOCKED_NUMBER_TYPE),
    ("+33912345678", "FR", "VOIP", Outcome.BLOCKED_NUMBER_TYPE),
    ("+420910123456", "CZ", "VOIP", Outcome.BLOCKED_NUMBER_TYPE),
    ("+815012345678", "JP", "VOIP", Outcome.BLOCKED_NUMBER_TYPE),
    ("+447640123456", "GB", "PAGER", Outcome.BLOCKED_NUMBER_TYPE),
    ("+41740123456", "CH", "PAGER", Outcome.BLOCKED_NUMBER_TYPE),
    ("+4916412345", "DE", "PAGER", Outcome.BLOCKED_NUMBER_TYPE),
    ("+447012345678", "GB", "PERSONAL_NUMBER", Outcome.BLOCKED_NUMBER_TYPE),
    ("+41878123456", "CH", "PERSONAL_NUMBER", Outcome.BLOCKED_NUMBER_TYPE),
    ("+15002345678", "US", "PERSONAL_NUMBER", Outcome.BLOCKED_NUMBER_TYPE),
    ("+4970012345678", "DE", "PERSONAL_NUMBER", Outcome.BLOCKED_NUMBER_TYPE),
    ("+41581234567", "CH", "UAN", Outcome.BLOCKED_NUMBER_TYPE),
    ("+4918500123456", "DE", "UAN", Outcome.BLOCKED_NUMBER_TYPE),
    ("+445512345678", "GB", "UAN", Outcome.BLOCKED_NUMBER_TYPE),
    ("+881612345678", "001", "MOBILE", Outcome.BLOCKED_COUNTRY),
    ("+870301234567", "001", "MOBILE", Outcome.BLOCKED_COUNTRY),
    ("+8821612345678", "001", "VOIP", Outcome.BLOCKED_COUNTRY),
    ("+979123456789", "001", "PREMIUM_RATE", Outcome.BLOCKED_COUNTRY),
    ("+80012345678", "001", "TOLL_FREE", Outcome.BLOCKED_COUNTRY),
    ("+80812345678", "001", "SHARED_COST", Outcome.BLOCKED_COUNTRY),
]

NOT_NUMBERS = [
    "+33700000000",  # unassigned in France
    "+41000000000",
    "+8835100123456",
    "+999123456789",
    "+21099999999",
    "+1555123456",
    "+4470",
    "+61040000000",
    "+1202555010",
    "+12025550100000",
]


def message(written: str) -> PhoneMessage:
    number = read_number(written, None)
    return PhoneMessage(
        source="test",
        recipient=Recipient(number.e164),
        region=number.region,
        number_kind=number.kind,
        channel=Channel.SMS,
        text=SecretStr("x"),
    )


@pytest.mark.parametrize(("number", "region", "kind", "verdict"), NUMBERS)
def test_a_number_is_known_by_region_and_kind_and_only_handsets_get_messages(
    number: str, region: str, kind: str, verdict: Outcome | None
) -> None:
    read = read_number(number, None)
    assert (read.region, read.kind) == (region, NumberKind[kind])
    assert EVERYWHERE.verdict(message(number)) is verdict


def test_the_table_is_wide_enough_to_be_a_check() -> None:
    assert len(NUMBERS) >= 60
    assert len({region for _, region, _, _ in NUMBERS}) >= 25
    assert {kind for _, _, kind, _ in NUMBERS} >= {
        "MOBILE",
        "FIXED_LINE",
        "FIXED_LINE_OR_MOBILE",
        "PREMIUM_RATE",
        "SHARED_COST",
        "TOLL_FREE",
        "VOIP",
        "PAGER",
        "PERSONAL_NUMBER",
        "UAN",
    }


@pytest.mark.parametrize("written", NOT_NUMBERS)
def test_what_no_plan_has_assigned_is_no_number(written: str) -> None:
    with pytest.raises(ValueError, match=r"^no_such_number$"):
        read_number(written, None)


@pytest.mark.parametrize("number", ["+12015550123", "+15062345678", "+18765230123"])
def test_north_america_never_says_mobile_which_is_a_known_blur(number: str) -> None:
    """Its plan does not tell landline from handset: both pass, Mitto refuses the landline."""
    assert read_number(number, None).kind is NumberKind.FIXED_LINE_OR_MOBILE
