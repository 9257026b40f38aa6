"""What a text costs: the alphabet, the boundaries of segments, and that no text loses anything on its way."""

import asyncio
import random
import sys
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest
from gsm0338 import Codec  # type: ignore[import-untyped] # it has no types
from hypothesis import given, settings
from hypothesis import strategies as st

from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.sandbox import FakeMitto
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.gsm7 import BASIC, ESCAPE, EXTENSION, SEPTETS, is_gsm7
from mitto_phone_hook.sms.segments import GSM7_EQUALS, UNITS_IN_EACH, UNITS_IN_ONE, Encoding, as_ucs2, encode, split

LAW = settings(max_examples=150, deadline=None)
CODEC = Codec()

GSM7_TEXT = st.text(st.sampled_from([*SEPTETS]), max_size=400)
TYPOGRAPHIC_TEXT = st.text(st.sampled_from([*SEPTETS, *map(chr, GSM7_EQUALS)]), max_size=200)
ANY_TEXT = st.text(max_size=300) | st.text(st.sampled_from("aж😀€\n"), max_size=300)


def is_carried(text: str) -> bool:
    """Whether the codec, which knows nothing of ours, carries the text in seven bits; it takes a bare escape for a character."""
    try:
        CODEC.encode(text)
    except UnicodeEncodeError:
        return False
    return ESCAPE not in text


def units(part: str, encoding: Encoding) -> int:
    """Measure a part with codecs that are not ours."""
    return len(CODEC.encode(part)[0]) if encoding is Encoding.GSM7 else len(part.encode("utf-16-be")) // 2


def test_both_tables_agree_with_the_codec_on_every_code_point_of_unicode() -> None:
    ours = {character: bytes([value]) for value, character in enumerate(BASIC)}
    ours |= {character: bytes([BASIC.index(ESCAPE), value]) for character, value in EXTENSION.items()}
    theirs = {}
    costs = {}
    for character in map(chr, range(sys.maxunicode + 1)):
        octets = CODEC.encode(character, "ignore")[0]
        if octets:
            theirs[character] = octets
        if is_gsm7(character):
            costs[character] = len(octets)
    assert ours == theirs
    assert costs == SEPTETS
    assert len(costs) == 127 + 10


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        pytest.param("", Encoding.GSM7, 1, id="an empty text is one segment"),
        pytest.param("a" * 153, Encoding.GSM7, 1, id="153 septets"),
        pytest.param("a" * 160, Encoding.GSM7, 1, id="160 septets fill one"),
        pytest.param("a" * 161, Encoding.GSM7, 2, id="161 septets"),
        pytest.param("a" * 306, Encoding.GSM7, 2, id="306 septets fill two"),
        pytest.param("a" * 307, Encoding.GSM7, 3, id="307 septets"),
        pytest.param("a" * 459, Encoding.GSM7, 3, id="459 septets fill three"),
        pytest.param("€" * 80, Encoding.GSM7, 1, id="80 extension characters fill one"),
        pytest.param("€" * 81, Encoding.GSM7, 2, id="81 extension characters"),
        pytest.param("a" * 158 + "[", Encoding.GSM7, 1, id="extension character as septets 159 and 160"),
        pytest.param("a" * 159 + "[", Encoding.GSM7, 2, id="extension character as septets 160 and 161"),
        pytest.param("a" * 152 + "~" + "a" * 152, Encoding.GSM7, 3, id="an escape across a boundary costs a septet, here a segment"),
        pytest.param("a" * 151 + "~" + "a" * 153, Encoding.GSM7, 2, id="an escape before a boundary costs nothing"),
        pytest.param("ж" * 67, Encoding.UCS2, 1, id="67 units"),
        pytest.param("ж" * 70, Encoding.UCS2, 1, id="70 units fill one"),
        pytest.param("ж" * 71, Encoding.UCS2, 2, id="71 units"),
        pytest.param("ж" * 134, Encoding.UCS2, 2, id="134 units fill two"),
        pytest.param("ж" * 135, Encoding.UCS2, 3, id="135 units"),
        pytest.param("a" * 70 + "ж", Encoding.UCS2, 2, id="one foreign letter more than halves the room"),
        pytest.param("😀" * 35, Encoding.UCS2, 1, id="35 surrogate pairs fill one"),
        pytest.param("😀" * 36, Encoding.UCS2, 2, id="36 surrogate pairs"),
        pytest.param("ж" * 69 + "😀", Encoding.UCS2, 2, id="a pair as units 70 and 71"),
        pytest.param("ж" * 66 + "😀" + "ж" * 66, Encoding.UCS2, 3, id="a pair across a boundary costs a unit, here a segment"),
        pytest.param("\uffff" * 70, Encoding.UCS2, 1, id="the last character of one unit"),
        pytest.param("\U00010000" * 35 + "a", Encoding.UCS2, 2, id="the first character of two units"),
        pytest.param("ж" * 65 + "😀" + "ж" * 67, Encoding.UCS2, 2, id="a pair before a boundary costs nothing"),
    ],
)
def test_a_text_costs_the_segments_of_the_standard(text: str, encoding: Encoding, segments: int) -> None:
    encoded = encode(text)
    assert (encoded.text, encoded.encoding, encoded.segments) == (text, encoding, segments)


def test_an_extension_character_that_does_not_fit_begins_the_next_segment() -> None:
    assert [*split("a" * 152 + "€" + "a" * 6, Encoding.GSM7)] == ["a" * 152 + "€" + "a" * 6]
    assert [*split("a" * 152 + "€" + "a" * 100, Encoding.GSM7)] == ["a" * 152, "€" + "a" * 100]


def test_a_surrogate_pair_that_does_not_fit_begins_the_next_segment() -> None:
    assert [*split("ж" * 66 + "😀" + "ж" * 9, Encoding.UCS2)] == ["ж" * 66, "😀" + "ж" * 9]


def test_as_ucs2_carries_a_gsm7_text_at_its_ucs2_price() -> None:
    encoded = as_ucs2("a" * 71)
    assert (encoded.text, encoded.encoding, encoded.segments) == ("a" * 71, Encoding.UCS2, 2)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        pytest.param("It\u2019s \u2018you\u2019", "It's 'you'", id="single quotes"),
        pytest.param("\u201eCode\u201c \u201cCode\u201d \u00abCode\u00bb", '"Code" "Code" "Code"', id="double quotes"),
        pytest.param("5\u201310 min \u2014 now", "5-10 min - now", id="dashes"),
        pytest.param("non\u2011breaking", "non-breaking", id="non-breaking hyphen"),
        pytest.param("wait\u2026", "wait...", id="ellipsis"),
        pytest.param("code\u00a0:\u202f123\u2009456\tx", "code : 123 456 x", id="odd spaces and tab"),
    ],
)
def test_typography_becomes_its_gsm7_equal_where_the_whole_text_then_fits_seven_bits(written: str, sent: str) -> None:
    encoded = encode(written)
    assert (encoded.text, encoded.encoding) == (sent, Encoding.GSM7)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("It\u2019s жизнь\u2026", id="Cyrillic"),
        pytest.param("gar\u00e7on\u2019s code", id="small c with cedilla is a letter of its own"),
        pytest.param("Guillem\u00e9 \u2013 \u00e1\u00ed\u00f3\u00fa", id="Spanish accents"),
        pytest.param("\u0151\u0171 \u2018x\u2019", id="Hungarian"),
        pytest.param("caf\u0065\u0301 \u2013 combining", id="combining accent"),
        pytest.param("ok\u2026 😀", id="emoji"),
    ],
)
def test_nothing_is_touched_where_letters_keep_the_text_out_of_seven_bits(text: str) -> None:
    encoded = encode(text)
    assert (encoded.text, encoded.encoding) == (text, Encoding.UCS2)


def test_only_signs_have_a_stand_in_and_each_stand_in_is_gsm7() -> None:
    for point, equal in GSM7_EQUALS.items():
        assert not chr(point).isalnum()
        assert not is_carried(chr(point))
        assert is_carried(equal)


def test_without_smart_encoding_typography_is_sent_as_written() -> None:
    encoded = encode("It\u2019s 123456", is_smart=False)
    assert (encoded.text, encoded.encoding) == ("It\u2019s 123456", Encoding.UCS2)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        pytest.param(
            "It\u2019s 123456\n\n@login.example.com #123456", "It's 123456\n\n@login.example.com #123456", id="the words above may change"
        ),
        pytest.param("It\u2019s\r\n@example.com #Ab1", "It's\r\n@example.com #Ab1", id="carriage return before it"),
        pytest.param("@example.com #1\u20132\nNo\u2026", "@example.com #1-2\nNo...", id="only the last line counts"),
    ],
)
def test_the_line_that_browsers_read_stays_while_the_words_above_become_gsm7(written: str, sent: str) -> None:
    encoded = encode(written)
    assert (encoded.text, encoded.encoding) == (sent, Encoding.GSM7)


@pytest.mark.parametrize("sign", ["\u2010", "\u2013", "\u2019", "\u2026"])
def test_a_typographic_sign_in_the_line_that_browsers_read_is_sent_byte_for_byte(sign: str) -> None:
    text = f"It\u2019s your code\n@example.com #12{sign}34"
    encoded = encode(text)
    assert (encoded.text, encoded.encoding) == (text, Encoding.UCS2)


def test_the_printed_form_of_an_encoded_text_holds_no_word_of_it() -> None:
    encoded = encode("Your code is 123456")
    assert "123456" not in f"{encoded} {encoded!r} {[encoded]}"
    assert "Your" not in repr(encoded)


@LAW
@given(ANY_TEXT | GSM7_TEXT)
def test_splitting_loses_nothing_and_every_part_fits(text: str) -> None:
    encoding = encode(text, is_smart=False).encoding
    parts = [*split(text, encoding)]
    room = UNITS_IN_ONE if len(parts) == 1 else UNITS_IN_EACH
    assert "".join(parts) == text
    assert all(units(part, encoding) <= room[encoding] for part in parts)
    assert len(parts) == encode(text, is_smart=False).segments


@LAW
@given(st.text(st.sampled_from("ж😀"), min_size=60, max_size=300))
def test_no_part_holds_half_a_surrogate_pair(text: str) -> None:
    for part in split(text, Encoding.UCS2):
        octets = part.encode("utf-16-be")  # raises on half a pair
        assert octets.decode("utf-16-be") == part
        assert part


@LAW
@given(GSM7_TEXT.filter(lambda text: len(text) > 80))
def test_no_part_is_shorter_than_it_has_to_be(text: str) -> None:
    parts = [*split(text, Encoding.GSM7)]
    for part, following in pairwise(parts):
        assert units(part + following[0], Encoding.GSM7) > 153


@LAW
@given(ANY_TEXT | TYPOGRAPHIC_TEXT)
def test_the_encoding_is_gsm7_exactly_where_every_character_is(text: str) -> None:
    plain, smart = encode(text, is_smart=False), encode(text)
    assert (plain.encoding is Encoding.GSM7) == is_carried(text)
    assert (smart.encoding is Encoding.GSM7) == is_carried(smart.text)


@LAW
@given(ANY_TEXT | TYPOGRAPHIC_TEXT)
def test_smart_encoding_changes_all_or_nothing_and_never_a_letter_or_digit(text: str) -> None:
    encoded = encode(text)
    assert [c for c in encoded.text if c.isalnum()] == [c for c in text if c.isalnum()]
    assert encoded.text == text or encoded.encoding is Encoding.GSM7


@LAW
@given(GSM7_TEXT)
def test_a_text_that_already_is_gsm7_is_sent_as_it_is(text: str) -> None:
    assert encode(text).text == text


SCRIPTS = {
    "ASCII": (0x20, 0x7E),
    "Latin-1": (0xA1, 0xFF),
    "Latin Extended": (0x100, 0x24F),
    "Greek": (0x391, 0x3A9),
    "Cyrillic": (0x410, 0x44F),
    "Armenian": (0x531, 0x556),
    "Hebrew": (0x5D0, 0x5EA),
    "Arabic": (0x621, 0x64A),
    "Devanagari": (0x905, 0x939),
    "Bengali": (0x985, 0x9B9),
    "Tamil": (0xB85, 0xBB9),
    "Thai": (0xE01, 0xE3A),
    "Georgian": (0x10D0, 0x10FA),
    "Hangul": (0xAC00, 0xD7A3),
    "Ethiopic": (0x1200, 0x1248),
    "Khmer": (0x1780, 0x17A2),
    "Hiragana": (0x3041, 0x3096),
    "Han": (0x4E00, 0x9FFF),
    "typography": (0x2010, 0x203A),
    "emoji": (0x1F600, 0x1F64F),
}


def texts_in(script: str, strange: str = "") -> Iterator[str]:
    """Give 250 texts with letters of a script among everything that a template holds."""
    first, last = SCRIPTS[script]
    source = random.Random(script)  # noqa: S311 - the same texts on every run, nothing secret
    for _ in range(250):
        letters = [chr(source.randint(first, last)) for _ in range(source.randint(1, 5))]
        filling = source.choices(f"code {strange if source.random() < 0.1 else ''}\u2019\u2026 1234\n€[", k=source.randint(0, 180))
        characters = letters + filling
        source.shuffle(characters)
        yield "".join(characters)


@pytest.mark.parametrize("script", SCRIPTS)
def test_gsm7_is_never_declared_for_a_text_that_the_alphabet_lacks(script: str) -> None:
    for text in texts_in(script, strange=ESCAPE):
        encoded = encode(text)
        assert (encoded.encoding is Encoding.GSM7) == is_carried(encoded.text), ascii(text)


async def test_mitto_rejects_none_of_5000_texts_in_20_scripts() -> None:
    async with FakeMitto(api_key="key-of-the-tests") as fake:
        transport = OneOriginTransport(httpx.URL(fake.url))
        mitto = Mitto(transport, RotatingSecret("key-of-the-tests"), base_url=fake.url, connect_timeout_seconds=5, is_test=False)
        texts = [text for script in SCRIPTS for text in texts_in(script)]
        for text in texts:
            sms = Sms(Recipient("+12025550110"), "Mitto SMS", encode(text), 5)
            answer = await mitto.send(sms, reference="r", until=asyncio.get_running_loop().time() + 5)
            assert answer.outcome is Outcome.ACCEPTED, (answer.why, ascii(text))
        assert len(fake.inbox) == len(texts) == 5000
        await transport.aclose()


@LAW
@given(st.text(max_size=200) | TYPOGRAPHIC_TEXT, st.text(max_size=100) | TYPOGRAPHIC_TEXT, st.booleans())
def test_a_longer_text_never_costs_fewer_segments(text: str, more: str, is_smart: bool) -> None:  # noqa: FBT001 - given by Hypothesis
    # What follows the line of WebOTP makes it an ordinary line, which may become GSM-7.
    text, more = text.replace("@", ""), more.replace("@", "")
    assert encode(text + more, is_smart=is_smart).segments >= encode(text, is_smart=is_smart).segments


@LAW
@given(ANY_TEXT | TYPOGRAPHIC_TEXT)
def test_smart_encoding_costs_no_segment_more_and_changes_nothing_the_second_time(text: str) -> None:
    smart = encode(text)
    assert smart.segments <= encode(text, is_smart=False).segments
    assert encode(smart.text) == smart


def test_smart_encoding_never_costs_a_segment_more() -> None:
    text = "\u2026" * 70
    assert encode(text) == encode(text, is_smart=False)


@pytest.mark.parametrize("line", ["@acme.example #12\u201334", "@acme.example #12\u201334 @frame.example"])
def test_a_text_that_is_only_the_line_of_webotp_is_left_alone(line: str) -> None:
    assert encode(line).text == line
