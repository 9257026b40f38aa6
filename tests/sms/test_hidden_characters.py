"""Texts that real people read go out, and a text that shows something else than what it says does not."""

# ruff: noqa: RUF001 - the digits and letters of several scripts are what is tested

import gettext
import importlib.util
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitto_phone_hook.sms.hidden_characters import HiddenCharacter, clean_text

TRANSLATED = ("django", "allauth")
MEANINGLESS = "\u00ad\u200b\u2060\ufeff"
DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"


def translations() -> list[tuple[str, str]]:
    """Give language and text of every translated string of the packages."""
    found = set()
    for package in TRANSLATED:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        for file in Path(spec.submodule_search_locations[0]).rglob("LC_MESSAGES/*.mo"):
            with file.open("rb") as opened:
                catalogue: dict[object, str] = gettext.GNUTranslations(opened)._catalog  # type: ignore[attr-defined] # noqa: SLF001 - the library gives strings one by one, by the name of each
            found |= {(file.parts[-3], text) for original, text in catalogue.items() if original and text}
    return sorted(found)


def without(characters: str, text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, characters)))


def refused_at(text: str, code: str = "") -> int:
    with pytest.raises(HiddenCharacter) as caught:
        clean_text(text, code)
    return caught.value.position


def test_what_translators_have_written_is_sent_as_they_wrote_it() -> None:
    texts = translations()
    sent: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    for language, text in texts:
        try:
            cleaned = clean_text(text)
        except HiddenCharacter:
            refused[language] += 1
            continue
        sent[language] += 1
        runs_right_to_left = not {"R", "AL"}.isdisjoint(map(unicodedata.bidirectional, without(DIRECTIONS, text)))
        # Some strings have no letter of their language: "{}th", which nobody has translated.
        removed = MEANINGLESS if runs_right_to_left else MEANINGLESS + DIRECTIONS + "\u202e"
        changed[language] += cleaned != unicodedata.normalize("NFC", without(removed, text))
    assert not refused
    assert not +changed
    assert sent.total() >= 80_000
    assert len([language for language, number in sent.items() if number >= 100]) >= 80
    assert sent["ml"] >= 600
    assert sent["ckb"] >= 700


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        pytest.param("Bestätigungs\u00adcode", "Bestätigungscode", id="soft hyphen"),
        pytest.param("\ufeffVotre code", "Votre code", id="byte order mark in front"),
        pytest.param("Votre\ufeff code", "Votre code", id="byte order mark inside"),
        pytest.param("Code\u2060 730165\u2060.", "Code 730165.", id="word joiners"),
        pytest.param("រហស្ស\u200bលេខ", "រហស្សលេខ", id="Khmer with its breaks"),
        pytest.param("ကုဒ်\u200bနံပါတ်", "ကုဒ်နံပါတ်", id="Burmese with its breaks"),
        pytest.param("Faoi \u200b\u200bmhíchumas", "Faoi mhíchumas", id="left by an editor"),
        pytest.param("Code \u2068730166\u2069.", "Code 730166.", id="isolated"),
        pytest.param("\u2068Code \u2066730166\u2069\u2069.", "Code 730166.", id="isolated twice"),
        pytest.param("Code \u202a730166\u202c.", "Code 730166.", id="embedded"),
        pytest.param("+\u206841\u2069\u2068791234567\u2069", "+41791234567", id="values side by side"),
        pytest.param("\u202bCode 730166", "Code 730166", id="embedding of the whole text"),
        pytest.param("\u200eÖzbekçe\u200e 730166\u200e", "Özbekçe 730166", id="left-to-right marks"),
        pytest.param("Voila\u0300 le ve\u0301rifie\u0301", "Voilà le vérifié", id="French, decomposed"),
        pytest.param("ma\u0303\u0301 xa\u0301c", "m\u00e3\u0301 xác", id="accents of which only one composes"),
        pytest.param("e\u200b\u0301", "é", id="composed when what stood between is gone"),
        pytest.param("\u202e…", "…", id="override with nothing to turn round"),
        pytest.param("Hello!\u2028Code 730166\u2029Bye", "Hello!\nCode 730166\nBye", id="separators of lines and paragraphs"),
        pytest.param("730\u2028166", "730\n166", id="a line break that everybody sees"),
        pytest.param("\ufe0fCode", "Code", id="selector of nothing"),
        pytest.param("Code \ufe0f730166\ufe0f.", "Code 730166.", id="selectors beside a code"),
        pytest.param("⚠\ufe0f\ufe0f Code", "⚠\ufe0f Code", id="two selectors"),
        pytest.param("❤\u200d\ufe0f", "❤\u200d", id="selector of a joiner"),
        pytest.param("Ça\ufe0f va\u200b\ufe0f", "Ça va", id="selectors behind letters"),
        pytest.param("کد Google\u200cPlay برای SMS\u200c2", "کد GooglePlay برای SMS2", id="non-joiners between Latin words in Persian"),
    ],
)
def test_what_means_nothing_is_taken_out_and_letters_are_composed(text: str, sent: str) -> None:
    assert clean_text(text) == sent


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Your code:\r\n\t730154 [x]\n\n@login.example.com #730154", id="ASCII"),
        pytest.param("ഓർമ്മിക്കാന\u0d4d\u200d.", id="Malayalam, joiner before a full stop"),
        pytest.param("ക\u0d4d\u200d", id="Malayalam, joiner at the end"),
        pytest.param("\u200dআজ", id="Bengali, joiner at the start"),
        pytest.param("ಕೋಡ\u0ccd\u200c 730160", id="Kannada, non-joiner before a space"),
        pytest.param("కోడ\u0c4d\u200c, 730161", id="Telugu, non-joiner before a comma"),
        pytest.param("कोड\u094d\u200d730162", id="Hindi, joiner before a digit"),
        pytest.param("නිය\u0dca\u200dය", id="Sinhala"),
        pytest.param("पशुहरु\u200cको", id="Nepali, non-joiner in a word"),
        pytest.param("ئە\u200c بۆ", id="Sorani, non-joiner before a space"),
        pytest.param("برنامه API\u200cها و SMS\u200cها", id="Persian behind Latin"),
        pytest.param("کد 8\u200cرقمی", id="Persian behind a digit"),
        pytest.param("می\u200cخواهیم", id="Persian in a word"),
        pytest.param("אני \u2068730167\u2069.", id="Hebrew with the code isolated"),
        pytest.param("טלפון \u202a+972 3 000 0001\u202c", id="Hebrew with a number embedded"),
        pytest.param("\u202b%(num)d ڕۆژ", id="Sorani embedded as a whole"),
        pytest.param("تم تغيير كلمة المرور \u202a(مجددا)", id="Arabic with an embedding that never ends"),
        pytest.param("رمزك 730169\u061c %", id="Arabic letter mark"),
        pytest.param("\u200fرمز 730169\u200f", id="Arabic with right-to-left marks"),
        pytest.param("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 730171", id="flag of England"),
        pytest.param("🏴\U000e0075\U000e0073\U000e0074\U000e0078\U000e007f", id="flag of Texas"),
        pytest.param("Press 1\u20e3 or 2\ufe0f\u20e3, #\u20e3 *\ufe0f\u20e3", id="keycaps"),
        pytest.param("👩🏽\u200d💻 👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 🏃\u200d♂\ufe0f", id="joined emoji"),
        pytest.param("☎\ufe0e ❤\ufe0f ©\ufe0f", id="forms of symbols"),
        pytest.param("葛\U000e0100城 辻\U000e0101", id="forms of ideographs in Japanese names"),
        pytest.param("ᠠ\u180b ᠨ\u180eᠠ ᠨ\u180b\u180eᠠ", id="forms of Mongolian letters"),
        pytest.param("ĳ é ñ Å Ω ﬁ ①", id="what only compatibility would change"),
    ],
)
def test_what_a_script_needs_is_kept(text: str) -> None:
    assert clean_text(text) == text


HIDDEN_EVERYWHERE = [
    *map(chr, (0x00, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F, 0x85, 0x9B)),
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180e\u202d\u202e\u2061\u2062\u2063\u2064\u2065\u206a\u206f\u2800\u3164\uffa0",
    *"\ufdd0\ufdef\ufff0\ufff9\ufffb\ufffe\uffff\U0001fffe\U0010ffff",
    *"\U0001bca0\U00013430\U0001d159\U0001d173\U000e0001\U000e0020\U000e0041\U000e007f\U000e01f0\U000e0fff",
    *"\u2066\u2067\u2068\u2069",
]
"""Controls, fillers, operators, noncharacters, tags, selectors of no letter before them, and halves of pairs."""


@pytest.mark.parametrize("hidden", HIDDEN_EVERYWHERE, ids=lambda hidden: f"{ord(hidden):04x}")
@pytest.mark.parametrize("script", ["code 12{}34", "رمز{}شما", "코드{}는", "ça{} code", "{}code", "code{}"])
def test_what_no_script_needs_is_refused_wherever_it_stands(script: str, hidden: str) -> None:
    assert refused_at(script.format(hidden)) == script.index("{") + 1


@pytest.mark.parametrize(
    ("text", "position"),
    [
        pytest.param("Your code is 730\u200d175", 17, id="joiner in a code"),
        pytest.param("Your code is 730\u200c175", 17, id="non-joiner in a code"),
        pytest.param("12\u200c\u200d34", 3, id="two joiners in a number"),
        pytest.param("12\u200b\u200d34", 4, id="joiner beside a space of no width"),
        pytest.param("رمز 730\u200d175", 8, id="joiner in a code in Arabic"),
        pytest.param("رمز 730\u200e175", 8, id="left-to-right mark in a code in Arabic"),
        pytest.param("רמז 730\u200f175", 8, id="right-to-left mark in a code in Hebrew"),
        pytest.param("رمز 730\u061c175", 8, id="letter mark in a code in Arabic"),
        pytest.param("pay\u200cpal code", 4, id="non-joiner in a Latin word"),
        pytest.param("pay\u200dpal code", 4, id="joiner in a Latin word"),
        pytest.param("PIN\u200d730175", 4, id="joiner between a letter and a digit"),
        pytest.param("Bestä\u200dtigung", 6, id="joiner behind a letter with an accent"),
        pytest.param("Besta\u0308\u200dtigung", 6, id="the same, decomposed: letter and accent count as one"),
        pytest.param("ключ\u200dи", 5, id="joiner in a Cyrillic word"),
        pytest.param("Your\u00ad co\u00adde is 730\u200d175", 19, id="counted with what would be taken out"),
        pytest.param("Code 12\u200b34", 8, id="space of no width in a number"),
        pytest.param("Code 12\u00ad34", 8, id="soft hyphen in a number"),
        pytest.param("Code 12\u200e34", 8, id="left-to-right mark in a number"),
        pytest.param("code 730175\u200f", 12, id="right-to-left mark in a Latin text"),
        pytest.param("code\u061c 730175", 5, id="Arabic letter mark in a Latin text"),
        pytest.param("验证码\u200f 730175", 4, id="right-to-left mark in a Chinese text"),
        pytest.param("Your code is \u202e671037\u202c", 14, id="override that turns a code round"),
        pytest.param("Your code is \u202d671037\u202c", 14, id="override from left to right"),
        pytest.param("رمزك \u202e671037\u202c", 6, id="override in Arabic"),
        pytest.param("Your code is \u2067730177", 14, id="isolate that never ends"),
        pytest.param("Your code is 730177\u2069", 20, id="end of no isolate"),
        pytest.param("Your code is \u202a730177", 14, id="embedding that never ends"),
        pytest.param("Your code is 730177\u202c", 20, id="end of no embedding"),
        pytest.param("Code \u2068730\u202a177\u2069\u202c", 14, id="isolate and embedding across each other"),
        pytest.param("Code \u202a730177\u2069", 13, id="embedding that ends as an isolate"),
        pytest.param("رمزك \u2067730177", 6, id="isolate that never ends, in Arabic"),
        pytest.param("رمزك 730177\u2069", 12, id="end of no isolate, in Arabic"),
        pytest.param("a\U000e0067\U000e0062\U000e007f", 2, id="tags behind a letter"),
        pytest.param("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067", 2, id="flag whose tags never end"),
        pytest.param("🏴\U000e0067\U000e007f", 2, id="flag of no country"),
        pytest.param("🏴" + "\U000e0061" * 12 + "\U000e007f", 2, id="flag with a message in it"),
        pytest.param("😀\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 2, id="tags behind another emoji"),
        pytest.param("12\ufe0e34", 3, id="selector in a number"),
        pytest.param("12\ufe0f34", 3, id="selector of an emoji form in a number"),
        pytest.param("12\ufe0f\ufe0f34", 3, id="two of them in a number"),
        pytest.param("12\ufe0f\u200b34", 3, id="one beside a space of no width in a number"),
        pytest.param("12\ufe0f\u200d34", 4, id="one beside a joiner in a number"),
        pytest.param("pay\ufe0f\u200cpal", 5, id="one beside a non-joiner in a Latin word"),
        pytest.param("a\ufe0e", 2, id="selector of a text form behind a letter"),
        pytest.param("کد ۷۳\ufe0f۹۱۰۵", 6, id="selector between Persian digits"),
        pytest.param("کد 730\u200c175", 7, id="non-joiner in a code in Persian"),
        pytest.param("کد pay\u200dpal", 7, id="joiner in a Latin word in Persian"),
        pytest.param("a\ufe0f\u20e3", 2, id="letter as an emoji keycap"),
        pytest.param("é\ufe00", 2, id="selector behind a letter with an accent"),
        pytest.param("code \U000e0100", 6, id="selector of an ideograph behind a space"),
        pytest.param("12\u0338", 3, id="stroke through a digit"),
        pytest.param("12\u200d\u0301", 3, id="accent of a digit behind a joiner"),
        pytest.param("1\u20e3\u0301", 2, id="accent of a keycap"),
        pytest.param("1\u200b\u0301", 3, id="accent of a digit behind a space of no width"),
        pytest.param("12\u0600", 3, id="Arabic number sign over digits"),
        pytest.param("1\u20dd", 2, id="digit in a circle"),
    ],
)
def test_what_shows_something_else_than_what_it_says_is_refused_by_its_place(text: str, position: int) -> None:
    assert refused_at(text) == position


def test_the_code_may_be_split_by_what_is_taken_out_and_nothing_else_may() -> None:
    assert clean_text("Code 730\u200b175.", "730175") == "Code 730175."
    assert clean_text("Code 7\u00ad3\u20600175, again: 730\ufeff175", "730175") == "Code 730175, again: 730175"
    assert refused_at("Code 730\u200b1751", "730175") == 9
    assert refused_at("Code 730\u200b175", "7301750") == 9
    assert refused_at("Code 730\u200d175", "730175") == 9
    assert refused_at("Code 730\ufe0f175", "730175") == 9
    assert refused_at("\ufe0fCode A\ufe0fBC", "ABC") == 8
    assert refused_at("کد AB\u200cCD", "ABCD") == 5


SUSPECTS = st.text(
    st.sampled_from("a1éאن나 \n#e" + "\u0301\u0338\u20e3\u212a\u0915\u094d\u845b\u1828🏴❤")
    | st.sampled_from(MEANINGLESS + DIRECTIONS + "\u200c\u200d\u202d\u202e\ufe0f\ufe0e\u180b\u180e\U000e0100\U000e0067\U000e007f…"),
    max_size=12,
)


@settings(max_examples=2000)
@given(SUSPECTS | st.text(max_size=20))
def test_a_text_that_was_cleaned_is_clean(text: str) -> None:
    try:
        cleaned = clean_text(text)
    except HiddenCharacter:
        assert 1 <= refused_at(text) <= len(unicodedata.normalize("NFC", text))
        return
    assert clean_text(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not set(cleaned) & set(MEANINGLESS + "\u202d\u202e")


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Cn", "Co", "Mn", "Me"]), max_size=40).filter(
        lambda text: "\u3164" not in text
    )
)
def test_letters_and_signs_that_are_seen_are_never_refused(text: str) -> None:
    fillers = "\u115f\u1160\u2800\u3164\uffa0\u2028\u2029"
    text = without(fillers, text)
    assert clean_text(text) == unicodedata.normalize("NFC", text)


def test_a_refusal_holds_nothing_of_the_text() -> None:
    with pytest.raises(HiddenCharacter) as caught:
        clean_text("canary \x00")
    assert "canary" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("קוד 739\u2067105\u2069", id="an isolate between digits"),
        pytest.param("קוד 739\u2066\u2069105", id="an empty isolate between digits"),
        pytest.param("Your code is \u2067739\u2067105\u2069\u2069 א", id="nested isolates"),
        pytest.param("Your code is \u2067739 105\u2069 א", id="groups of digits turned round"),
        pytest.param("Your code is \u202b739 105\u202c א", id="groups of digits embedded"),
        pytest.param("رمز 739\u200f\u202a\u202c105", id="marks and an empty embedding"),
        pytest.param("کد ۷۳۹\u200f۱۰۵", id="a mark between Persian digits"),
        pytest.param("رمز ٧٣٩\u200f١٠٥", id="a mark between Arabic digits"),
        pytest.param("کد ۷۳\u200c۹۱۰۵", id="a joiner between Persian digits"),
        pytest.param("कोड ७३\u200d९१०५", id="a joiner between Devanagari digits"),
        pytest.param("コード ７３\u200d９１０５", id="a joiner between full-width digits"),
        pytest.param("ｐａｙ\u200cｐａｌ", id="a joiner in a full-width word"),
        pytest.param("code 73\u2d7f9105", id="a Tifinagh joiner between digits"),
        pytest.param("code 7\u04893", id="a Cyrillic sign on a digit"),
        pytest.param("code 7\ufe263", id="a half mark on a digit"),
        pytest.param("code 7\u1dcb3", id="a rare accent on a digit"),
    ],
)
def test_digits_cannot_change_places_or_be_split_in_any_script(text: str) -> None:
    with pytest.raises(HiddenCharacter):
        clean_text(text, "739105")


def test_a_text_that_no_sms_can_hold_gets_no_closer_look() -> None:
    marks = "a" + "".join(mark * 16000 for mark in "\u0345\u0315\u0300\u0316")
    assert clean_text(marks) is marks
