"""The fake Mitto's checks, and the handset that it draws."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest

from mitto_phone_hook.sandbox.handset import COLUMNS, draw
from mitto_phone_hook.sandbox.rules import CHECKS, RESPONSE_TEXTS, Message, Verdict, is_key, judge

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
GOOD: dict[str, object] = {"to": "12025550100", "from": "Mitto SMS", "text": "Your code is 123456"}


def judged(content: bytes | None = None, *, is_authentic: bool = True, **changes: Any) -> Verdict:
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    content = json.dumps(fields).encode() if content is None else content
    return judge(content, is_authentic=is_authentic, message_id="m-1", received_at=NOON)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (2, {"type": "gsm"}),
        (2, {"type": ""}),
        (3, {"text": ""}),
        (3, {"text": ...}),
        (4, {"text": "Grüße 🎉"}),
        (4, {"text": "ç", "type": "GSM"}),
        (4, {"text": "\x1b"}),
        (5, {"from": ""}),
        (5, {"from": ...}),
        (6, {"from": "ab"}),
        (6, {"from": "twelve chars"}),
        (6, {"from": "Caf\u00e9"}),
        (6, {"from": "Mitto-SMS"}),
        (6, {"from": "Mitto\n"}),
        (6, {"from": "123456789012345"}),
        (6, {"from": "+12025550100"}),
        (7, {"to": ""}),
        (7, {"to": ...}),
        (8, {"to": "123456"}),
        (8, {"to": "1234567890123456"}),
        (8, {"to": "++12025550100"}),
        (8, {"to": "1 202 555 0100"}),
        (8, {"to": "\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660"}),
        (8, {"to": "12025550100\n"}),
        (2, {"type": "x", "text": "", "from": "", "to": ""}),
        (0, {}),
        (0, {"to": "+12025550100"}),
        (0, {"from": "abc"}),
        (0, {"from": "elevenchars"}),
        (0, {"from": "12345678901234"}),
        (0, {"text": "Grüße 🎉", "type": "Unicode"}),
        (0, {"text": "Grüße 🎉", "type": "auto"}),
        (0, {"text": "Grüße 🎉", "type": "Binary"}),
        (0, {"text": "€{}[]", "type": "GSM"}),
        (0, {"surprise": [1]}),
    ],
    ids=str,
)
def test_code_of_a_request(code: int, changes: dict[str, Any]) -> None:
    verdict = judged(**changes)
    assert verdict.status == 200
    assert verdict.document["responseCode"] == code
    assert verdict.document["responseText"] == RESPONSE_TEXTS[code]
    assert ("id" in verdict.document) is (verdict.message is not None) is (code == 0)


def test_every_code_that_a_check_gives_has_a_text() -> None:
    assert {code for code, _ in CHECKS} == {2, 3, 4, 5, 6, 7, 8} <= RESPONSE_TEXTS.keys()


@pytest.mark.parametrize(
    "changes",
    [
        {"to": 12025550100},
        {"from": None},
        {"text": ["x"]},
        {"validity": "5"},
        {"validity": True},
        {"validity": 5.0},
        {"test": 1},
        {"type": None},
    ],
    ids=str,
)
def test_wrong_type_is_400(changes: dict[str, Any]) -> None:
    assert judged(**changes).status == 400


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b'"x"', b"[" * 100_000, b'{"to":' + b"9" * 5000 + b"}"],
    ids=lambda content: repr(content[:8]),
)
def test_other_than_a_json_object_is_400(content: bytes) -> None:
    assert judged(content).status == 400


@pytest.mark.parametrize("content", [None, b"{", b'{"to":1}'], ids=["good", "no JSON", "wrong type"])
def test_without_the_key_everything_is_401(content: bytes | None) -> None:
    verdict = judged(content, is_authentic=False)
    assert (verdict.status, verdict.message) == (401, None)


@pytest.mark.parametrize(("given", "is_right"), [(b"key", True), (b"", False), (b"kez", False), (b"\xff", False), (b"key ", False)])
def test_only_the_key_is_the_key(given: bytes, is_right: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    assert is_key(given, api_key="key") is is_right


def test_response_has_the_form_of_mitto() -> None:
    assert judged(reference="r-1", validity=5).document == {
        "id": "m-1",
        "timestamp": "2026-01-02T12:00:00.1234560Z",
        "to": "12025550100",
        "responseCode": 0,
        "responseText": "SMS sent",
        "textLength": 19,
        "messageParts": 1,
    }


def test_response_to_a_test_message_says_so() -> None:
    verdict = judged(test=True)
    assert verdict.document["test"] is True
    assert verdict.message
    assert verdict.message.test


def test_message_has_the_fields_of_the_request() -> None:
    assert judged(to="+12025550100", type="auto", validity=5, reference="r-1").message == Message(
        id="m-1",
        sender="Mitto SMS",
        to="+12025550100",
        text="Your code is 123456",
        type="auto",
        segments=1,
        validity=5,
        reference="r-1",
        test=False,
        received_at=NOON,
    )


def test_validity_is_48_hours_by_default() -> None:
    message = judged().message
    assert message
    assert (message.validity, message.reference) == (48 * 60, None)


@pytest.mark.parametrize(
    ("text", "type_", "segments", "units", "encoding"),
    [
        ("a" * 160, "GSM", 1, 160, "GSM-7"),
        ("a" * 161, "GSM", 2, 161, "GSM-7"),
        ("€" * 80, "GSM", 1, 160, "GSM-7"),
        ("a" * 160, "Unicode", 3, 160, "UCS-2"),
        ("a" * 160, "auto", 1, 160, "GSM-7"),
        ("ç" * 70, "auto", 1, 70, "UCS-2"),
        ("🎉" * 36, "Unicode", 2, 72, "UCS-2"),
        ("\ud800", "Unicode", 1, 1, "UCS-2"),
    ],
    ids=["one", "two", "extension", "forced Unicode", "auto GSM-7", "auto UCS-2", "surrogate pairs", "lone surrogate"],
)
def test_segments_follow_text_and_type(text: str, type_: str, segments: int, units: int, encoding: str) -> None:
    message = judged(text=text, type=type_).message
    assert message
    assert (message.segments, message.units, message.encoding) == (segments, units, encoding)


# The handset.


def drawn(text: str, **changes: Any) -> str:
    message = judged(text=text, **{"type": "auto", **changes}).message
    assert message
    return draw(message)


def cells(line: str) -> int:
    return sum(
        0 if unicodedata.combining(character) or character in "\u200d\ufe0f" else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in line
    )


def test_handset_shows_sender_recipient_text_and_cost() -> None:
    assert drawn("Your code is 123456\n\n@example.org #123456", validity=5).splitlines() == [
        "╭─ Mitto SMS → 12025550100 ─╮",
        "│ Your code is 123456       │",
        "│                           │",
        "│ @example.org #123456      │",
        "╰───────────────────────────╯",
        "  1 segment · GSM-7 · 41 of 160 septets · valid 5 min",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "one two three four five six seven eight nine ten eleven twelve",
        "x" * 100,
        "验证码是123456\uff0c请勿泄露给任何人。" * 4,
        "🎉" * 30,
        "e\u0301" * 60,
        "👩\u200d👩\u200d👧 family",
        " " * 50,
        "a\n\nb\n",
        "word " * 30 + "y" * 50,
        "x" * 44 + " y",
        "x" * 43 + "界",
    ],
    ids=["words", "long word", "wide", "emoji", "combining", "joined", "spaces", "empty lines", "mixed", "exact row", "wide at the edge"],
)
def test_bubble_is_a_rectangle_with_every_word(text: str) -> None:
    lines = drawn(text).splitlines()[:-1]
    assert len({cells(line) for line in lines}) == 1
    assert cells(lines[0]) <= COLUMNS + 4
    shown = "".join(line.removeprefix("│ ").removesuffix(" │") for line in lines[1:-1])
    assert "".join(shown.split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\x07b", "a\rb", "a\u202eb", "a\ud800b", "a\x9bb", "a\u2028b", "a\ue000b"], ids=ascii)
def test_characters_that_control_a_terminal_are_replaced(text: str) -> None:
    lines = drawn(text, type="Unicode").splitlines()
    assert len(lines) == 4
    assert "a\ufffd" in lines[1]
    assert text[1] not in "".join(lines)


def test_long_text_in_ucs2_says_what_it_costs() -> None:
    assert drawn("ç" * 71).splitlines()[-1] == "  2 segments · UCS-2 · 71 of 134 UTF-16 units · valid 48 h"


def test_crlf_is_one_line_break() -> None:
    assert len(drawn("a\r\nb").splitlines()) == 5
