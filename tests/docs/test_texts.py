"""The page on texts shows what the function sends."""

import re

from mitto_phone_hook.domain.message import Purpose
from mitto_phone_hook.sms.autofill import Autofill
from mitto_phone_hook.sms.segments import encode
from mitto_phone_hook.sms.template_file import read
from mitto_phone_hook.sms.templates import NAMES, built_in, fill
from support.processes import ROOT

PAGE = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8")
VALUES = {"code": "314159", "app": "Acme", "minutes": "5", "domain": ""}


def text_of(name: str, language: str) -> str:
    return fill(built_in()["", name, language.lower()], VALUES)


def test_every_text_of_a_login_is_shown_with_its_length() -> None:
    rows = re.findall(r"\| `([a-zA-Z-]+)` \| [^|]+ \| ([^|]+) \| ((?:GSM-7|UCS-2), \d+) \|", PAGE)
    assert {tag.lower() for tag, _, _ in rows} == {language for _, _, language in built_in()}
    for tag, text, length in rows:
        encoded = encode(text_of("login", tag))
        assert (text, length) == (encoded.text, f"{encoded.encoding.value}, {len(encoded.text)}")
        assert encoded.segments == 1


def test_every_template_is_shown_with_its_purposes() -> None:
    rows = re.findall(r"\| `([a-z_]+)` \| ([^|]+) \| ([^|{]+) \|\n", PAGE.partition("| Tag |")[0])
    shown = {Purpose(purpose): name for name, purposes, _ in rows for purpose in re.findall(r"`([a-z_]+)`", purposes)}
    assert shown == NAMES
    for name, _, text in rows:
        assert text == text_of(name, "en")


def test_the_example_of_a_file_is_a_right_one() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(read(example, {"": "login.example.com"})) == 4


def test_the_lines_for_handsets_are_shown_as_they_are_sent() -> None:
    [shown] = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    autofill = Autofill("login.example.com", "FA+9qCX9VSu")
    assert autofill.add_to(text_of("login", "en"), "314159") == shown
    assert autofill.added_segments(text_of("login", "en"), "314159") == 0
