"""Characters that nobody sees: which of them a text keeps, which are taken out of it, and which it is refused for.

Source: The Unicode Standard 15.0, chapters 9, 12, 13 and 23; UAX #9 (bidirectional text); UTS #51 (emoji); UTS #37 (variants of
ideographs). The tests hold the rules against the translations of Django, in about a hundred languages.
"""

import re
from functools import cache
from unicodedata import normalize

MAX_CHARACTERS = 20 * 160
"""The most characters that 20 segments hold, which is the most that MAX_SEGMENTS allows."""

_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
# Soft hyphen, zero width space, word joiner, byte order mark: where a line may break, or nothing at all.
_MEANINGLESS = "\u00ad\u200b\u2060\ufeff"
_JOINERS = "\u200c\u200d"
_OVERRIDES = "\u202d\u202e"
_ISOLATE_END = "\u2069"
_ISOLATES = dict.fromkeys("\u2066\u2067\u2068", _ISOLATE_END)
_EMBEDDINGS = dict.fromkeys("\u202a\u202b", "\u202c")
_LINE_BREAKS = {0x2028: "\n", 0x2029: "\n"}
_EMOJI_SELECTOR = "\ufe0f"
_NON_JOINER = "\u200c"
_LEFT_TO_RIGHT_MARK = "\u200e"
_RIGHT_TO_LEFT_MARKS = "\u061c\u200f"

# Controls, fillers, invisible operators, annotations, tags, noncharacters.
_NEVER = (
    _CONTROLS
    + "\x80-\x9f\u034f\u115f\u1160\u17b4\u17b5\u2061-\u2065\u206a-\u206f\u2800\u3164\uffa0"
    + "\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff"
    + "\U0001bca0-\U0001bca3\U00013430-\U0001343f\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
)

# Latin (full width, too), Greek, Cyrillic and Armenian letters with their accents: no joiner and no selector belongs to them.
_ALPHABETIC = "A-Za-z\u00c0-\u058f\u1e00-\u1fff\u2126\u212a\u212b\uff21-\uff3a\uff41-\uff5a"
_IDEOGRAPHS = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MONGOLIAN = "\u1807\u1820-\u18aa"

# Accents and strokes, Arabic number signs, and frames but for the keycap's.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0600-\u0605\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20e2\u20e4-\u20ff"
    "\u2de0-\u2dff\u3099\u309a\ua66f-\ua672\ua674-\ua67d\ufe20-\ufe2f"
)
# Whatever turns the direction of a text round, joins, or selects a form: between two digits of any script it can only deceive.
_BETWEEN_DIGITS = f"{_JOINERS}{_LEFT_TO_RIGHT_MARK}{_RIGHT_TO_LEFT_MARKS}\u202a-\u202e\u2066-\u2069\u2d7f\ufe00-\ufe0f\U00016fe4"
_SELECTORS = "\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"

# The flag of a part of a country: a black flag, the part's code in tags, and the tag that ends it.
_FLAG = "\U0001f3f4(?:[\U000e0061-\U000e007a]{2}|[\U000e0030-\U000e0039]{3})[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,4}\U000e007f"

_FORGERIES = (
    f"[{_NEVER}]",
    # With only punctuation behind it, an override turns nothing round.
    f"[{_OVERRIDES}](?![!-/:-@\u2010-\u2027]+\\Z)",
    # Here a joiner only splits a word or a number.
    f"(?<=[0-9{_ALPHABETIC}])[{_JOINERS}]+(?=[0-9{_ALPHABETIC}])",
    f"(?<=\\d)[{_BETWEEN_DIGITS}]+(?=\\d)",
    # An accent makes another sign of a digit; the frame of a keycap does not.
    f"(?<=\\d)[{_JOINERS}\ufe0f\u20e3]*[{_MARKS}]",
    # Selectors choose among the forms of a symbol, an ideograph or a Mongolian letter; of a digit only in a keycap.
    f"(?:\\A|(?<=[\x00-\x7f{_ALPHABETIC}{_JOINERS}\ufe00-\ufe0f]))[\ufe00-\ufe0f](?!(?<=[0-9#*]\ufe0f)\u20e3)",
    f"(?<![{_IDEOGRAPHS}])[\U000e0100-\U000e01ef]",
    f"(?<![{_MONGOLIAN}])[\u180b-\u180d\u180f]",
    f"(?<![{_MONGOLIAN}\u180b-\u180d\u180f])\u180e",
)

# A text without any of these needs no closer look.
_SUSPECT = re.compile(
    f"[{_NEVER}{_MEANINGLESS}{_JOINERS}{_LEFT_TO_RIGHT_MARK}{_RIGHT_TO_LEFT_MARKS}\u202a-\u202e\u2066-\u2069\u2d7f\U00016fe4{_MARKS}{_SELECTORS}]"
)
_CONTROL = re.compile(f"[{_CONTROLS}]")
_OVERRIDE = f"[{_OVERRIDES}]"
_DIRECTED = "[\u202a-\u202c\u2066-\u2069]"
_WORD = f"[\\dA-Za-z{_MEANINGLESS}{_LEFT_TO_RIGHT_MARK}]+"
_SPLIT = f"(?<=\\d)[{_MEANINGLESS}{_LEFT_TO_RIGHT_MARK}]+(?=\\d)"
_RIGHT_TO_LEFT_LETTERS = (
    "\u0590-\u061b\u061d-\u065f\u066a-\u06ef\u06fa-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
)
_RIGHT_TO_LEFT = f"[{_RIGHT_TO_LEFT_LETTERS}\u0660-\u0669\u06f0-\u06f9]"
# Digits that are turned to the right-to-left direction without a letter of such a script: their groups change places.
_NO_LETTER = f"[^{_RIGHT_TO_LEFT_LETTERS}\u2069\u202c]*"
_TURNED_DIGITS = f"[\u2067\u202b](?={_NO_LETTER}\\d{_NO_LETTER}(?:[\u2069\u202c]|\\Z))"
# First for a text that runs right to left, then for one that runs left to right.
_REMOVED = f"[{_MEANINGLESS}]", f"[{_MEANINGLESS}{_LEFT_TO_RIGHT_MARK}\u202a-\u202c\u2066-\u2069]"
# What an editor or a keyboard left behind, but not between two digits. First the selector of an emoji form where no emoji is. Then, in
# a text that runs right to left, the non-joiner of a Persian keyboard between two Latin words.
_STRAY_SELECTOR = (
    f"(?:\\A|(?<=[\x00-/:-\x7f{_ALPHABETIC}{_JOINERS}\ufe00-\ufe0f])|(?<=\\d)(?!{_EMOJI_SELECTOR}+\\d))"
    f"{_EMOJI_SELECTOR}+(?![{_EMOJI_SELECTOR}\u20e3])"
)
_STRAY_NON_JOINER = f"(?<=[0-9{_ALPHABETIC}]){_NON_JOINER}+(?=[{_ALPHABETIC}])|(?<=[{_ALPHABETIC}]){_NON_JOINER}+(?=[0-9])"
_STRAY = f"{_STRAY_SELECTOR}|{_STRAY_NON_JOINER}", _STRAY_SELECTOR
_PAIRS = _ISOLATES, _ISOLATES | _EMBEDDINGS


class HiddenCharacter(ValueError):  # noqa: N818 - it says what was found
    """A text holds a character that nobody sees and that no script needs where it stands."""

    def __init__(self, position: int) -> None:
        """Take the character's number in the text, counted from 1; a letter and its accent are one character."""
        super().__init__("hidden_character")
        self.position = position


def clean_text(text: str, code: str = "") -> str:
    """Give ``text`` as it is sent: in NFC, and without characters that mean nothing. Raises ``HiddenCharacter``.

    Separators of lines and paragraphs become line breaks. Soft hyphens, zero width spaces, word joiners and byte order marks are
    taken out; so are, from a text that runs left to right, left-to-right marks and balanced embeddings and isolates, from one that
    runs right to left, non-joiners between Latin words, and from both, selectors of an emoji form where no emoji is. What a script
    needs stays where the script needs it: joiners, selectors, the tags of flags, and the direction marks, embeddings and balanced
    isolates of a text that has letters written right to left. Refused is what could show a person something else than what is
    written. Between two digits that holds for every hidden character, unless without it they are the ``code``.
    """
    if len(text) > MAX_CHARACTERS:
        # No SMS is that long: it is refused for its segments, and a closer look could take seconds.
        return text
    if text.isascii():
        if not text.isprintable() and (found := _CONTROL.search(text)):
            raise HiddenCharacter(found.start() + 1)
        return text
    text = normalize("NFC", text).translate(_LINE_BREAKS)
    if not _SUSPECT.search(text):
        return text
    runs_left_to_right = _pattern(_RIGHT_TO_LEFT).search(text) is None
    removed = _pattern(_REMOVED[runs_left_to_right])
    for word in _pattern(_WORD).finditer(text):
        if (split := _pattern(_SPLIT).search(text, word.start(), word.end())) and removed.sub("", word[0]) != code:
            raise HiddenCharacter(split.start() + 1)
    with_strays = removed.sub("", text)
    stray = _pattern(_STRAY[runs_left_to_right])
    kept = stray.sub("", with_strays)
    for found in _forgeries(runs_left_to_right=runs_left_to_right).finditer(kept):
        if found["forgery"]:
            raise HiddenCharacter(_positions(text, removed, stray)[found.start()])
    if code not in with_strays and code in kept:
        raise HiddenCharacter(_positions(text, removed, stray)[kept.index(code)] + 1)
    _check_pairs(text, _PAIRS[runs_left_to_right])
    return normalize("NFC", _pattern(_OVERRIDE).sub("", kept))


@cache
def _forgeries(*, runs_left_to_right: bool) -> re.Pattern[str]:
    """Give the pattern whose group ``forgery`` is what a text is refused for."""
    forgeries = (*_FORGERIES, f"[{_RIGHT_TO_LEFT_MARKS}]" if runs_left_to_right else _TURNED_DIGITS)
    return re.compile(f"{_FLAG}|(?P<forgery>{'|'.join(forgeries)})")


@cache
def _pattern(expression: str) -> re.Pattern[str]:
    """Compile an expression when a text needs a closer look: few do, and compiling takes milliseconds."""
    return re.compile(expression)


def _check_pairs(text: str, ends: dict[str, str]) -> None:
    """Raise ``HiddenCharacter`` for a beginning or an end that has no partner; ``ends`` gives the end of each beginning."""
    open_ones: list[tuple[int, str]] = []
    for found in _pattern(_DIRECTED).finditer(text):
        if found[0] in ends:
            open_ones.append((found.start() + 1, ends[found[0]]))
        elif found[0] in ends.values() and (not open_ones or open_ones.pop()[1] != found[0]):
            raise HiddenCharacter(found.start() + 1)
    # An embedding in front of everything ends with the text.
    if never_ended := [position for position, end in open_ones if position > 1 or end == _ISOLATE_END]:
        raise HiddenCharacter(never_ended[0])


def _positions(text: str, removed: re.Pattern[str], stray: re.Pattern[str]) -> list[int]:
    """Give the number in ``text``, from 1, of each character that is left of it."""
    stays = [number for number, character in enumerate(text, 1) if not removed.match(character)]
    strays = {index for found in stray.finditer(removed.sub("", text)) for index in range(*found.span())}
    return [number for index, number in enumerate(stays) if index not in strays]
