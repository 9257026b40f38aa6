"""Which languages serve a user, from the tag that the caller gives.

Sources: RFC 4647, section 3.4 (lookup); CLDR's ``parentLocales`` (Chinese in Traditional characters, Portuguese of Portugal);
ISO 639 (old codes, which Java and Android still write).
"""

from collections.abc import Iterator

_OLD_CODES = {"iw": "he", "in": "id"}
_VARIANTS = {
    "zh": ("zh-hant", frozenset({"hant", "tw", "hk", "mo"})),
    "pt": ("pt-pt", frozenset({"pt", "ao", "ch", "cv", "fr", "gq", "gw", "lu", "mo", "mz", "st", "tl"})),
}
"""Languages with two written forms: the second form, and the scripts and regions that read it."""


def fallbacks(tag: str) -> Iterator[str]:
    """Yield ``tag`` in lower case, then what it falls back to, most specific first: ``zh-hant-tw``, ``zh-hant``, ``zh``."""
    language, *rest = tag.lower().replace("_", "-").split("-")
    language = _OLD_CODES.get(language, language)
    for end in range(len(rest), 0, -1):
        yield "-".join((language, *rest[:end]))
    if language in _VARIANTS and rest and rest[0] in _VARIANTS[language][1]:
        yield _VARIANTS[language][0]
    yield language
