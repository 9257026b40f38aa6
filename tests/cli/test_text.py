"""``mitto-phone-hook text``: what is shown is what would be sent, in boxes that are straight in every script."""
# ruff: noqa: RUF001 - texts of many scripts

import io
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mitto_phone_hook.cli.columns import clusters, columns, width
from mitto_phone_hook.cli.command import run
from mitto_phone_hook.cli.report import UNICODE
from mitto_phone_hook.cli.text_facts import facts_of, message_of
from mitto_phone_hook.cli.text_view import Drawing, Terms
from mitto_phone_hook.config.settings import load
from mitto_phone_hook.sms.compose import SmsRules
from mitto_phone_hook.sms.segments import Encoding, encode, split
from mitto_phone_hook.sms.templates import built_in, text_of
from support.processes import function_environment

LAW = hypothesis_settings(max_examples=150, deadline=None)

REQUIRED = {"MITTO_API_KEY": "key-of-the-tests", "HOOK_SECRETS": "bearer-secret-of-the-tests-only"}
TYPOGRAPHIC = "It\u2019s 482913 \u2013 don\u2019t share it\u2026"
POLISH = "Twój kod to 482913. Łódź czeka."
JAPANESE = "あなたの確認コードは 482913 です。誰にも教えないでください。"
EMOJI = "Kod: 482913 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u270c\U0001f3fd \U0001f1e8\U0001f1ed \u2764\ufe0f ok"
BEAUTIFUL = {
    "ASCII": "Your code is 482913.",
    "typographic": TYPOGRAPHIC,
    "Polish": POLISH,
    "Japanese": JAPANESE,
    "Korean": "인증번호는 482913입니다. 다른 사람에게 알려주지 마세요.",
    "decomposed Korean": unicodedata.normalize("NFD", "인증번호 482913"),
    "Thai": "รหัสของคุณคือ 482913 ห้ามบอกใคร",
    "Hebrew": "קוד האימות שלך: 482913",
    "Vietnamese, decomposed": unicodedata.normalize("NFD", "Mã xác minh của bạn là 482913"),
    "emoji": EMOJI,
    "extension table": "{[~^|€\\]} " * 30,
    "lines": "Your code is 482913.\n\n@login.example.com #482913",
    "long words": "a" * 200,
    "spaces": "   482913   " * 20,
    "wide without spaces": "確認" * 90,
    "a mark at the border": "ж" * 66 + "и\u0306\u0301\u0302" + "ж" * 20,
}


def show(*arguments: str, **environment: str) -> tuple[int, str]:
    stream = io.StringIO()
    return run(["text", *arguments], environment, stream), stream.getvalue()


def as_json(*arguments: str, **environment: str) -> dict[str, Any]:
    _, shown = show("--json", *arguments, **environment)
    read: dict[str, Any] = json.loads(shown)
    return read


def boxes(shown: str) -> list[str]:
    return [line for line in shown.splitlines() if line.startswith(("  │", "  ╭", "  ├", "  ╰"))]


class TerminalStream(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class AsciiStream(io.StringIO):
    encoding = "ascii"


def on(stream: io.StringIO, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    run(["text", *arguments], environment or {"TERM": "xterm"}, stream)
    return stream.getvalue()


@pytest.mark.parametrize("text", BEAUTIFUL.values(), ids=BEAUTIFUL)
def test_every_box_is_straight_and_fits_into_80_columns(text: str) -> None:
    _, shown = show(text)
    drawn = boxes(shown)
    assert {width(line) for line in drawn} == {80}
    assert max(map(width, shown.splitlines())) <= 80


@pytest.mark.parametrize("text", BEAUTIFUL.values(), ids=BEAUTIFUL)
def test_the_segments_are_those_that_are_sent(text: str) -> None:
    read = as_json(text)
    composed = encode(unicodedata.normalize("NFC", text))
    assert read["text"] == composed.text
    assert read["encoding"] == composed.encoding.value
    assert [segment["text"] for segment in read["segments"]] == list(split(composed.text, composed.encoding))
    assert all(segment["units"] <= segment["room"] for segment in read["segments"])


def test_a_plain_text_is_shown_with_its_septets() -> None:
    status, shown = show("Your code is 482913.")
    assert status == 0
    assert re.search(r"Encoding +GSM-7 +every character is in this alphabet\n", shown)
    assert re.search(r"Segments +1\n", shown)
    assert "One segment" in shown
    assert "20 of 160 septets" in shown
    assert "Not in GSM-7" not in shown


def test_the_characters_that_force_ucs2_are_pointed_at_and_named() -> None:
    _, shown = show(POLISH)
    assert re.search(r"Encoding +UCS-2 +because of 4 characters that GSM-7 does not have\n", shown)
    assert re.search(r"Segments +1 +1 in GSM-7 without these characters\n", shown)
    lines = shown.splitlines()
    row = next(index for index, line in enumerate(lines) if "Twój" in line)
    pointed = [lines[row][column] for column, sign in enumerate(lines[row + 1]) if sign == "▲"]
    assert pointed == ["ó", "Ł", "ó", "ź"]
    assert re.search(r"▲ Ł +U\+0141  LATIN CAPITAL LETTER L WITH STROKE +×1 at 21\n", shown)
    assert re.search(r"▲ ó +U\+00F3  LATIN SMALL LETTER O WITH ACUTE +×2 at 3, 22\n", shown)


def test_a_text_in_another_script_is_not_full_of_pointers() -> None:
    _, shown = show(JAPANESE)
    assert re.search(r"Encoding +UCS-2 +because it is in a script that GSM-7 does not have\n", shown)
    assert not any(set(line) <= {" ", "│", "▲"} and "▲" in line for line in boxes(shown))
    assert re.search(r"▲ hiragana +×[0-9]+ ", shown)
    assert re.search(r"▲ other signs +×2 +。\n", shown)


def test_a_letter_of_another_script_in_a_latin_text_is_pointed_at() -> None:
    _, shown = show("Your p\u0430ypal code is 482913")
    assert re.search(r"▲ \u0430 +U\+0430  CYRILLIC SMALL LETTER A +×1 at 7\n", shown)


def test_what_smart_encoding_changes_is_pointed_at_and_can_be_switched_off() -> None:
    _, shown = show(TYPOGRAPHIC)
    assert "It's 482913 - don't share it..." in shown
    assert re.search(r"Segments +1 +instead of 1 in UCS-2\n", shown)
    assert re.search(r"△ ’ → ' +U\+2019  RIGHT SINGLE QUOTATION MARK +×2 at 3, 18\n", shown)
    assert re.search(r"△ … → \.\.\. +U\+2026  HORIZONTAL ELLIPSIS +×1 at 29\n", shown)
    _, unchanged = show(TYPOGRAPHIC, SMART_ENCODING="off")
    assert "It\u2019s" in unchanged
    assert re.search(r"Encoding +UCS-2", unchanged)
    assert "△" not in unchanged


def test_what_nobody_sees_and_is_taken_out_is_named() -> None:
    _, shown = show("Your co\u00adde is\u200b 482913")
    assert "│ Your code is 482913 " in shown
    assert "Taken out, because nobody sees it" in shown
    assert re.search(r"U\+00AD  SOFT HYPHEN +×1 at 8\n", shown)
    assert re.search(r"U\+200B  ZERO WIDTH SPACE +×1 at 14\n", shown)


def test_a_text_with_a_forbidden_character_is_refused_with_its_name() -> None:
    status, shown = show("Your code is \u202e319284")
    assert status == 1
    assert shown == "  Refused     invalid_request hidden character 14: U+202E RIGHT-TO-LEFT OVERRIDE\n"
    assert as_json("Your code is \u202e319284")["why"].startswith("hidden character 14")


def test_a_text_of_too_many_segments_is_shown_but_not_sent() -> None:
    status, shown = show("a" * 700)
    assert status == 1
    assert re.search(r"Segments +5 +not sent: MAX_SEGMENTS is 4\n", shown)
    assert as_json("a" * 700)["refused"] == "text_too_long"
    assert show("a" * 700, MAX_SEGMENTS="5")[0] == 0
    assert show("a" * 4000)[0] == 1


def prices(directory: Path, text: str = "CH,0.05\nGB,0.042\n*,0.10\n") -> str:
    path = directory / "prices.csv"
    path.write_text(text, encoding="ascii")
    return str(path)


def test_the_cost_is_that_of_the_price_file(tmp_path: Path) -> None:
    file, two = prices(tmp_path), "ж" * 80
    assert "Cost" not in show(two)[1]
    assert re.search(r"Cost +0\.1 +2 × 0\.05 to CH; 100 for 1,000 messages\n", show(two, "--region", "CH", PRICES_FILE=file)[1])
    assert re.search(r"Cost +0\.2 +2 × 0\.1 to SE; 200 for 1,000 messages\n", show(two, "--region", "se", "--prices", file)[1])
    cheapest_and_dearest = re.findall(r"Cost +(\S+) +.* to ([^;]+);", show(two, "--prices", file)[1])
    assert cheapest_and_dearest == [("0.084", "GB"), ("0.2", "all other countries")]
    assert as_json(two, "--region", "CH", PRICES_FILE=file)["costs"] == {"CH": {"price": "0.05", "message": "0.1"}}
    assert as_json(two, "--region", "SE", PRICES_FILE=file)["costs"] == {"*": {"price": "0.1", "message": "0.2"}}
    assert len(as_json(two, PRICES_FILE=file)["costs"]) == 3
    only_one = prices(tmp_path, "*,0.1")
    assert re.search(r"Cost +0\.2 +2 × 0\.1; 200 for 1,000 messages\n", show(two, PRICES_FILE=only_one)[1])


def test_the_sender_id_is_that_of_the_region() -> None:
    rules = {"MITTO_SENDER_ID": "Acme", "SENDER_IDS": "US=18005550100"}
    assert re.search(r"Sender ID +18005550100 +to US\n", show("Hello", "--region", "US", **rules)[1])
    assert re.search(r"Sender ID +Acme +to CA, which takes only numbers\n", show("Hello", "--region", "CA", **rules)[1])
    assert re.search(r"Sender ID +Acme\n", show("Hello", **rules)[1])


def test_a_file_is_read_without_the_end_of_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "sms.txt"
    path.write_bytes("\ufeffYour code is 482913.\r\n\r\n@login.example.com #482913\r\n".encode())
    assert as_json("--file", str(path))["text"] == "Your code is 482913.\n\n@login.example.com #482913"


def test_standard_input_is_a_file_too() -> None:
    command = [sys.executable, "-m", "mitto_phone_hook.cli", "text", "--json", "--file", "-"]
    ended = subprocess.run(command, input="Twój kod\n".encode(), env=function_environment(), capture_output=True, timeout=30, check=True)
    assert json.loads(ended.stdout)["text"] == "Twój kod"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["gone", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_one_sentence(content: bytes | None, tmp_path: Path) -> None:
    if content:
        (tmp_path / "sms.txt").write_bytes(content)
    assert show("--file", str(tmp_path / "sms.txt")) == (1, "The file with the text cannot be read, or is not UTF-8.\n")


def test_without_a_text_it_shows_the_template_in_the_language() -> None:
    for arguments, message in ((("--locale", "de-CH"), {"locale": "de-CH"}), ((), {})):
        expected = text_of(message_of("", code="123456", **message), load(REQUIRED | {"APP_NAME": "Acme"}).texts, 5)
        assert as_json(*arguments, APP_NAME="Acme")["text"] == expected
    assert "654321" in as_json("--code", "654321")["text"]


def test_the_lines_for_browsers_and_apps_are_shown_with_what_they_cost() -> None:
    own = {"OTP_DOMAIN": "login.example.com", "ANDROID_APP_HASH": "FA+9qCX9VSu"}
    text = "ж" * 60 + " 482913"
    assert as_json(text, **own)["text"] == text
    assert as_json(text, "--code", "482913", **own)["text"].endswith("\n@login.example.com #482913")
    _, shown = show(text, "--code", "482913", **own)
    assert re.search(r"Segments +2\n", shown)
    assert re.search(r"Autofill +added +1 in UCS-2 without the lines for browsers and apps\n", shown)
    assert "Autofill" not in show(text, **own)[1]


def test_smart_encoding_is_that_of_the_region() -> None:
    rule = "on; IN=off"
    assert as_json("Don\u2019t", "--region", "IN", SMART_ENCODING=rule)["encoding"] == "UCS-2"
    assert as_json("Don\u2019t", "--region", "CH", SMART_ENCODING=rule)["encoding"] == "GSM-7"


def test_the_catalogue_has_every_template_as_it_goes_out() -> None:
    _, shown = show("--catalogue", "--json", APP_NAME="Acme")
    rows = json.loads(shown)
    assert {("" if row["caller"] is None else row["caller"], row["template"], row["language"]) for row in rows} == set(built_in())
    for row in rows:
        assert row["segments"] == 1
        assert "{" not in row["text"]
        assert ("123456" in row["text"]) is (row["template"] != "notice")
    status, table = show("--catalogue", APP_NAME="Acme")
    assert status == 0
    assert max(map(width, table.splitlines())) <= 80
    encodings = [row["encoding"] for row in rows]
    summary = f"{len(rows)} templates, {encodings.count('GSM-7')} in GSM-7 and {encodings.count('UCS-2')} in UCS-2, each 1 segment"
    assert table.endswith(f"\n\n  {summary}\n")
    assert re.search(r"^  en +GSM-7 +1  60/160 +123456 is your Acme login code\. Do not share it$", table, re.MULTILINE)
    joined = re.sub(r"\s", "", table)
    assert [row["text"] for row in rows if re.sub(r"\s", "", row["text"]) not in joined] == []


def test_the_catalogue_has_the_operators_own_templates_too(tmp_path: Path) -> None:
    path = tmp_path / "templates.toml"
    path.write_text('[login]\nen = "{code}: {app}"\n[client.abc.login]\nrm = "{code} per {app}"\n', encoding="utf-8")
    rows = json.loads(show("--catalogue", "--json", TEMPLATES_FILE=str(path))[1])
    assert len(rows) == len(built_in()) + 1
    own = {(row["caller"], row["language"]): row["text"] for row in rows if row["template"] == "login"}
    assert (own[None, "en"], own["client:abc", "rm"]) == ("123456: Acme", "123456 per Acme")
    assert "client:abc login\n" in show("--catalogue", TEMPLATES_FILE=str(path))[1]


def test_the_catalogue_can_be_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.svg"
    assert show("--catalogue", "--svg", str(path)) == (0, "")
    assert "mitto-phone-hook text --catalogue" in path.read_text(encoding="utf-8")


def test_settings_of_no_concern_need_not_be_right_and_others_are_named(tmp_path: Path) -> None:
    assert show("Hello", STORE_URL="nonsense", LIMITS="nonsense")[0] == 0
    status, shown = show("Hello", SMART_ENCODING="maybe", PRICES_FILE=str(tmp_path / "none"))
    assert status == 1
    assert re.search(r"✗ SMART_ENCODING +must be on or off", shown)
    assert re.search(r"✗ PRICES_FILE +cannot be read", shown)


@pytest.mark.parametrize("arguments", [["--region", "UK"], ["--region", ""], ["Hello", "--file", "x"], ["--json", "--svg", "x"]])
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        show(*arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_a_terminal_gets_colours_a_pipe_none_and_an_ascii_stream_plain_signs() -> None:
    coloured, plain = on(TerminalStream(), POLISH), on(io.StringIO(), POLISH)
    assert "\x1b[1;31mŁ\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines() == plain.splitlines()
    assert "\x1b" not in on(TerminalStream(), POLISH, environment={"TERM": "xterm", "NO_COLOR": "1"})
    drawn = on(AsciiStream(), "Don\u2019t")
    assert drawn.replace("\u2019", "").isascii()
    assert "+- One segment -" in drawn
    assert re.search(r"' \u2019 -> ' +U\+2019  RIGHT SINGLE QUOTATION MARK +x1 at 4\n", drawn)


def test_a_picture_has_every_word_at_its_column(tmp_path: Path) -> None:
    path = tmp_path / "text.svg"
    assert show(POLISH, "--svg", str(path)) == (0, "")
    texts = ET.parse(path).getroot().findall("{http://www.w3.org/2000/svg}text")  # noqa: S314 - our own file
    words = {text.text: text for text in texts}
    assert {"UCS-2", "One segment", "mitto-phone-hook text", "Not in GSM-7"} <= set(words)
    forcing = [text for text in texts if text.get("class") == "b r" and text.text == "Ł"]
    assert len(forcing) == 2
    pointer = next(text for text in texts if text.text in {"▲", "▲▲"})
    assert float(pointer.get("x", "0")) in {float(text.get("x", "0")) for text in texts if text.text == "ó"}


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    assert show("Hello", "--svg", str(tmp_path / "none" / "text.svg")) == (1, "The picture cannot be written to this file.\n")


@pytest.mark.parametrize("columns", [48, 60, 79, 200])
def test_the_boxes_are_straight_on_every_terminal(columns: int) -> None:
    settings = load(REQUIRED)
    rules = SmsRules("Acme", 300, 4, settings.smart_encoding, settings.texts)
    drawn = Drawing(UNICODE._replace(width=columns)).rows(facts_of(message_of("ж" * 150), rules), Terms("Acme", 4, None, {}))
    assert {width(line) for line in boxes("\n".join(drawn))} == {min(columns, 80)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [1]),
        ("e\u0301", [1]),
        ("確", [2]),
        ("ｱ", [1]),
        ("\uff21", [2]),
        ("\U0001f510", [2]),
        ("\u2764\ufe0f", [2]),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", [2]),
        ("\u270c\U0001f3fd", [1]),
        ("\U0001f1e8\U0001f1ed", [2]),
        ("\U0001f1e8\U0001f1ed\U0001f1e6\U0001f1f9", [2, 2]),
        ("\u1112\u1161\u11ab", [2]),
        ("\u200e", [0]),
        ("\u0301", [0]),
        ("", []),
    ],
)
def test_columns_are_those_of_a_terminal(text: str, expected: list[int]) -> None:
    assert [columns(cluster) for cluster in clusters(text)] == expected


@LAW
@given(st.text(max_size=40))
def test_clusters_lose_nothing(text: str) -> None:
    assert "".join(clusters(text)) == text


PRINTABLE = st.text(
    st.one_of(st.sampled_from("aé€{ \n’–確한ж"), st.characters(blacklist_categories=["Cs", "Cc", "Cf", "Cn", "Co", "Zl", "Zp"])),
    max_size=200,
)


@LAW
@given(PRINTABLE)
def test_whatever_the_text_it_is_shown_as_it_is_sent_or_refused(text: str) -> None:
    status, shown = show("--json", "--", text, MAX_SEGMENTS="20")
    read = json.loads(shown)
    if status:
        assert read["refused"]
        return
    assert "".join(segment["text"] for segment in read["segments"]) == read["text"]
    assert bool(read["not_in_gsm7"]) is (read["encoding"] == Encoding.UCS2.value)
    _, drawn = show("--", text, MAX_SEGMENTS="20")
    assert {width(line) for line in boxes(drawn)} == {80}
