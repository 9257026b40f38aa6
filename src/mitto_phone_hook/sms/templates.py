"""The text of a message: the caller's own, or a template in the user's language."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mitto_phone_hook.domain.message import PhoneMessage, Purpose
from mitto_phone_hook.sms.autofill import Autofill
from mitto_phone_hook.sms.languages import fallbacks

Catalogue = Mapping[tuple[str, str, str], str]
"""Templates by caller (``client:…``, ``org:…``, or empty for all), purpose and language tag in lower case."""

NAMES = {
    Purpose.AUTHENTICATION: "login",
    Purpose.SIGN_UP: "sign_up",
    Purpose.PASSWORD_RESET: "recovery",
    Purpose.ENROLLMENT: "verification",
    Purpose.VERIFICATION: "verification",
    Purpose.OTHER: "verification",
    Purpose.MFA: "mfa",
    Purpose.NOTICE: "notice",
}
"""The template of each purpose."""

NOTICE = NAMES[Purpose.NOTICE]
DEFAULT_LANGUAGE = "en"
"""The built-in catalogue has every template in this language."""

PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
PLACEHOLDERS = frozenset({"code", "app", "minutes", "domain"})

# Without a name of the app, its brackets or its colon go, too.
_APP = re.compile(r"[\[(【]\{app\}[\])】] ?|\{app\}(?: ?[:\uff1a])? ?")


class TextRules(NamedTuple):
    """The operator's settings for what a message says."""

    app_name: str
    replaces_texts: bool
    """Whether a template also replaces the caller's text where the code is known."""
    default_language: str
    """BCP 47 tag for callers that give none, or one without a template."""
    own: Catalogue
    """The operator's templates; they come before the built-in ones in the same language."""
    domains: Mapping[str, str]
    """Host name of the website by caller; the empty caller stands for all others."""
    app_hashes: Mapping[str, str]
    """Hash of the Android app by caller, likewise."""

    def autofill_of(self, message: PhoneMessage) -> Autofill:
        """Give what is added to the texts of this caller."""
        return Autofill(*(_first(of_caller, callers_of(message)) for of_caller in (self.domains, self.app_hashes)))


def text_of(message: PhoneMessage, rules: TextRules, minutes: int) -> str:
    """Give the words of ``message``, without the lines for handsets. ``minutes``: how long the code is still valid.

    A template is used for a caller that gives only a code, or nothing but that it is a notice. The user's language counts more
    than the caller: a text for all callers in that language comes before a text for this one in another.
    """
    text = message.text.get_secret_value()
    is_replaced = rules.replaces_texts and message.code and message.purpose is not Purpose.NOTICE
    if text and not is_replaced:
        return text
    code = message.code.get_secret_value() if message.code else ""
    # A notice has no place for a code.
    purpose = Purpose.OTHER if code and message.purpose is Purpose.NOTICE else message.purpose
    template = find(rules.own, callers_of(message), NAMES[purpose], message.locale or "", rules.default_language)
    domain = rules.autofill_of(message).domain
    return fill(template, {"code": code, "app": rules.app_name, "minutes": str(minutes), "domain": domain})


def callers_of(message: PhoneMessage) -> tuple[str, str, str]:
    """Name the caller, most specific first, as settings and catalogues do."""
    return f"client:{message.client_id or ''}", f"org:{message.organization or ''}", ""


def find(own: Catalogue, callers: tuple[str, ...], name: str, locale: str, default: str) -> str:
    """Give the template ``name`` for a caller and a language. There always is one."""
    return next(_found(own, callers, name, chain(fallbacks(locale), fallbacks(default), (DEFAULT_LANGUAGE,))))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put ``values`` into the placeholders, in one pass: a value that looks like a placeholder stays as it is."""
    if not values["app"]:
        template = _APP.sub("", template).strip()
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


@cache
def built_in() -> Catalogue:
    """Read the built-in catalogue. Done when the first template is needed: most callers bring texts of their own."""
    from mitto_phone_hook.sms.template_file import read_unchecked  # noqa: PLC0415 - imports the reader of TOML

    return read_unchecked(Path(__file__).with_name("templates.toml").read_text(encoding="utf-8"))


def _found(own: Catalogue, callers: tuple[str, ...], name: str, languages: Iterable[str]) -> Iterator[str]:
    for language in languages:
        for caller in callers:
            if template := own.get((caller, name, language)):
                yield template
        if template := built_in().get(("", name, language)):
            yield template


def _first(values: Mapping[str, str], callers: tuple[str, ...]) -> str:
    return next((values[caller] for caller in callers if caller in values), "")
