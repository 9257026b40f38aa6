"""Every case from the field gives what is expected of it, through the whole hook."""

import pytest

from support.field_cases import FieldCase, FieldStage, field_cases

KINDS = ("text", "number", "authentication", "words", "resend", "limit")


@pytest.mark.parametrize("case", field_cases(*KINDS), ids=lambda case: case.name)
async def test_a_case_from_the_field_gives_what_is_expected(case: FieldCase) -> None:
    stage = FieldStage(case)
    for call, expect in zip(case.calls, case.expect, strict=True):
        told = await stage.play(call)
        # Where the case does not say it: what is refused sends nothing.
        expected = ({"sms": 0} if 400 <= expect["status"] < 500 else {}) | expect
        assert {name: told[name] for name in expected} == expected


def test_each_kind_that_is_played_has_cases() -> None:
    assert {case.kind for case in field_cases()} >= set(KINDS)
