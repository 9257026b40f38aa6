"""The lines that let a handset fill the code in: where they stand, when they are added, and that nothing changes them."""

import re

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mitto_phone_hook.sms.autofill import Autofill
from mitto_phone_hook.sms.segments import Encoding, encode

LAW = hypothesis_settings(max_examples=200, deadline=None)

DOMAIN, APP_HASH, CODE = "login.example.com", "FA+9qCX9VSu", "049217"
LINE = f"@{DOMAIN} #{CODE}"
BOTH = Autofill(DOMAIN, APP_HASH)
WORDS = "Code\u2019 049217\n@#é\u2013"


@pytest.mark.parametrize(
    ("autofill", "text", "sent"),
    [
        pytest.param(Autofill(), "Code 049217", "Code 049217", id="nothing is set"),
        pytest.param(Autofill(DOMAIN), "Code 049217", f"Code 049217\n\n{LINE}", id="the domain"),
        pytest.param(Autofill("", APP_HASH), "Code 049217", f"Code 049217\n\n{APP_HASH}", id="the hash"),
        pytest.param(BOTH, "Code 049217", f"Code 049217\n\n{APP_HASH}\n{LINE}", id="both: the line of the browsers is the last"),
        pytest.param(BOTH, "Code 049217\n", f"Code 049217\n\n{APP_HASH}\n{LINE}", id="a line break at the end"),
        pytest.param(Autofill(DOMAIN), f"Code 049217\n\n{LINE}\n", f"Code 049217\n\n{LINE}\n", id="it is there"),
        pytest.param(Autofill(DOMAIN), "Code 049217\n@other.example #049217", "Code 049217\n@other.example #049217", id="another domain"),
        pytest.param(BOTH, f"Code 049217\n\n{LINE}", f"Code 049217\n\n{APP_HASH}\n{LINE}", id="the hash goes above the line"),
        pytest.param(
            BOTH,
            f"Code 049217\n{APP_HASH}\n@a.example #049217 @b.example",
            f"Code 049217\n{APP_HASH}\n@a.example #049217 @b.example",
            id="both are there, for an embedded page",
        ),
        pytest.param(Autofill(DOMAIN), f"Code 049217, {LINE}", f"Code 049217, {LINE}\n\n{LINE}", id="within a line it does not count"),
    ],
)
def test_what_a_text_lacks_is_added(autofill: Autofill, text: str, sent: str) -> None:
    assert autofill.add_to(text, CODE) == sent


@pytest.mark.parametrize("code", ["", "049 217", "٠٤٩٢١٧"])
def test_a_code_that_no_browser_can_read_gets_no_line(code: str) -> None:
    assert BOTH.add_to("Your password was changed", code) == "Your password was changed"


@LAW
@given(st.text(WORDS, max_size=200), st.text("0123456789", min_size=4, max_size=10))
def test_the_last_line_is_exact_and_smart_encoding_leaves_it(text: str, code: str) -> None:
    sent = encode(Autofill(DOMAIN, APP_HASH).add_to(text, code)).text
    *_, above, last = ("", *sent.rstrip().split("\n"))
    assert re.fullmatch(r"@\S+ #\S+(?: @\S+)?", last)
    assert APP_HASH in sent
    if last == f"@{DOMAIN} #{code}":
        assert above in {APP_HASH, ""} or APP_HASH in text


@LAW
@given(st.text(WORDS, max_size=200))
def test_what_has_both_lines_stays(text: str) -> None:
    once = BOTH.add_to(text, CODE)
    assert BOTH.add_to(once, CODE) == once


def test_the_segments_that_the_lines_cost_are_known() -> None:
    assert BOTH.added_segments("Code 049217", CODE) == 0
    assert BOTH.added_segments("x" * 140, CODE) == 1
    assert BOTH.added_segments("Код 049217", CODE) == 0
    assert BOTH.added_segments("Код 049217 для входа в личный кабинет", CODE) == 1
    assert BOTH.added_segments("x" * 140, "") == 0


def test_the_lines_alone_never_make_a_text_ucs2() -> None:
    assert encode(BOTH.add_to("It\u2019s 049217", CODE)).encoding is Encoding.GSM7
