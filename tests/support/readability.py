"""How easy a page is to read: its prose, and the Flesch reading ease of it."""

import re

_NO_PROSE = re.compile(r"^(?:[|#!<].*|.*```.*)$", re.MULTILINE)
"""Tables, headings, pictures, comments and what is left of blocks."""

_SILENT_END = re.compile(r"(?:[^laeiouy]es|(?<![td])ed|[^l]e)$")


def prose(page: str) -> str:
    """Give the sentences of a page in Markdown: of links their text, of code nothing."""
    text = re.sub(r"^ *```.*?^ *```", "", page, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", _NO_PROSE.sub("", text))
    return re.sub(r"[*_]{1,2}|^ *(?:[-*]|\d+\.) ", "", re.sub(r"`[^`]*`", "", text), flags=re.MULTILINE)


def reading_ease(text: str) -> float:
    """Give the Flesch reading ease: 206.835 - 1.015 words per sentence - 84.6 syllables per word; 60 to 70 is plain English.

    Source: R. Flesch, A new readability yardstick, Journal of Applied Psychology 32 (1948). Syllables are estimated from vowels.
    """
    sentences = [sentence for sentence in re.split(r"[.!?]+\s|\n\s*\n", text) if re.search(r"\w", sentence)]
    words = re.findall(r"[A-Za-z']+", text)
    return 206.835 - 1.015 * len(words) / len(sentences) - 84.6 * sum(map(_syllables, words)) / len(words)


def _syllables(word: str) -> int:
    spoken = _SILENT_END.sub("", word.lower()) or word.lower()
    return max(1, len(re.findall(r"[aeiouy]+", spoken)))
