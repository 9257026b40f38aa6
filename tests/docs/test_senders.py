"""The page about sender IDs says what the table of countries says, and its rules are rules."""

import re

from mitto_phone_hook.config.sender_rules import sender_ids
from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.sms.sender_countries import COUNTRIES, Takes
from support import documents

PAGE = (documents.ROOT / "docs" / "senders.md").read_text(encoding="utf-8")


def test_the_page_lists_every_country_of_the_table() -> None:
    for takes in Takes:
        [row] = re.findall(rf"^\| {takes} \| ([A-Z, ]+) \|", PAGE, re.MULTILINE)
        assert row.split(", ") == [region for region, country in COUNTRIES.items() if country.takes is takes]


def test_the_countries_in_detail_are_in_the_table() -> None:
    detailed = PAGE.partition("Some of them in detail")[2].partition("Not in the table")[0]
    named = {region for row in re.findall(r"^\| ([A-Z]{2}(?:, [A-Z]{2})*) \|", detailed, re.MULTILINE) for region in row.split(", ")}
    assert len(named) > 8
    assert named <= set(COUNTRIES)


def test_the_rules_of_the_page_are_read() -> None:
    [example] = re.findall(r"^SENDER_IDS='(.*)'$", PAGE, re.MULTILINE)
    assert len(sender_ids(example, NAMES)) == len(example.split(";"))


def test_the_picture_is_what_the_command_draws() -> None:
    assert documents.PICTURE.read_text(encoding="utf-8") == documents.picture(), "run: make docs"
    assert "](pictures/text.svg)" in PAGE
