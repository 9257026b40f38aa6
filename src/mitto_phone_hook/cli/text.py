"""``mitto-phone-hook text``: how a text goes out, and what it costs."""

import argparse
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitto_phone_hook.cli.catalogue import catalogue_rows, entries
from mitto_phone_hook.cli.report import BOLD, COLOURS, UNICODE, Mark
from mitto_phone_hook.cli.settings_report import money, problem_lines
from mitto_phone_hook.cli.svg import picture
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.cli.text_facts import Facts, Found, facts_of, message_of, name_of, units
from mitto_phone_hook.cli.text_view import MAX_COLUMNS, Drawing, Terms
from mitto_phone_hook.config import rules
from mitto_phone_hook.config.settings import Settings, SettingsError, load
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.sms.compose import SmsRules
from mitto_phone_hook.sms.hidden_characters import HiddenCharacter
from mitto_phone_hook.sms.sender_countries import COUNTRIES
from mitto_phone_hook.sms.sender_ids import Scope

EXAMPLE_CODE = "123456"

_COMMAND = "mitto-phone-hook text"
_SETTINGS = (
    *("APP_NAME", "TEMPLATES", "TEMPLATES_FILE", "DEFAULT_LOCALE", "OTP_DOMAIN", "ANDROID_APP_HASH"),
    *("SMART_ENCODING", "MAX_SEGMENTS", "CODE_LIFETIME_SECONDS", "MITTO_SENDER_ID", "SENDER_IDS", "PRICES_FILE"),
)
"""The settings that change what is shown. Others need not be right, or there, for this command."""

_HELP = """\
Show how a text goes out: its encoding, its segments with their borders, the characters that force UCS-2, what smart encoding
changes, and what it costs. It sends nothing. Without a text it shows the template for a code that comes without a text.

It uses these settings of the environment: APP_NAME, TEMPLATES, TEMPLATES_FILE, DEFAULT_LOCALE, OTP_DOMAIN, ANDROID_APP_HASH,
SMART_ENCODING, MAX_SEGMENTS, CODE_LIFETIME_SECONDS, MITTO_SENDER_ID, SENDER_IDS, PRICES_FILE.
"""


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "text", help="how a text goes out, and what it costs", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    text = parser.add_mutually_exclusive_group()
    text.add_argument("text", nargs="?", metavar="TEXT", help="the text of an SMS")
    text.add_argument("--file", metavar="FILE", help="read the text from a file in UTF-8; - for standard input")
    text.add_argument("--catalogue", action="store_true", help="show all templates: the built-in ones, and those of TEMPLATES_FILE")
    parser.add_argument("--code", metavar="CODE", help="the code in the text, for the lines that browsers and apps read")
    parser.add_argument("--region", type=_region, metavar="REGION", help="ISO 3166 region of the recipient, for price and sender ID: GB")
    parser.add_argument("--locale", metavar="TAG", help="language of the recipient, as a BCP 47 tag: pt-BR")
    parser.add_argument("--prices", metavar="FILE", help="price file, instead of PRICES_FILE")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--svg", metavar="FILE", help="draw it into an SVG file")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Show one text. Returns 1 if it would not be sent, or if a setting or a file is wrong."""
    try:
        settings = _settings(environment, options.prices)
        text = _text(options)
    except SettingsError as error:
        terminal.show_all(problem_lines(error.problems, "correct it, or leave it out"))
        return 1
    except (OSError, UnicodeDecodeError):
        terminal.write("The file with the text cannot be read, or is not UTF-8.\n")
        return 1
    region, senders = options.region, settings.senders
    sender_id = senders.choose(Scope(region=region))
    only = COUNTRIES[region].takes if region in COUNTRIES and not senders.is_usable_in(region) else ""
    terms = Terms(sender_id, settings.max_segments, region, settings.prices_file, only)
    sms_rules = SmsRules(sender_id, settings.code_lifetime_seconds, settings.max_segments, settings.smart_encoding, settings.texts)
    if options.catalogue:
        return _show_catalogue(sms_rules, options, terminal)
    code = options.code if text else options.code or EXAMPLE_CODE
    try:
        facts = facts_of(message_of(text, region or "", options.locale, code), sms_rules)
    except HiddenCharacter as hidden:
        return _refuse(Outcome.INVALID_REQUEST, _hidden(text, hidden.position), options, terminal)
    except Refused as refusal:
        return _refuse(refusal.result.outcome, f"{refusal.result.why}", options, terminal)
    is_shown = _show(facts, terms, options, terminal)
    return int(not is_shown or facts.sent.segments > settings.max_segments)


def _show(facts: Facts, terms: Terms, options: argparse.Namespace, terminal: Terminal) -> bool:
    """Whether it could be shown."""
    if options.json:
        terminal.write(json.dumps(_as_json(facts, terms), ensure_ascii=False, indent=2) + "\n")
    elif options.svg:
        drawing = Drawing(UNICODE._replace(is_coloured=True, width=MAX_COLUMNS))
        return _is_written(picture([drawing.prompt(_COMMAND), "", *drawing.rows(facts, terms)], _COMMAND), options.svg, terminal)
    else:
        for row in Drawing(terminal.style).rows(facts, terms):
            terminal.write(f"{row}\n")
    return True


def _settings(environment: Mapping[str, str], prices: str | None) -> Settings:
    own = {name: environment[name] for name in _SETTINGS if name in environment}
    own |= {"PRICES_FILE": prices} if prices else {}
    # This command calls nobody and serves nobody.
    return load({"MITTO_API_KEY": "-", "HOOK_SECRETS": "-" * 24} | own)


def _text(options: argparse.Namespace) -> str:
    if options.text is not None:
        return str(options.text)
    if options.file:
        raw = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        # An editor ends the last line, and the SMS does not.
        return io.StringIO(raw.decode("utf-8-sig"), newline=None).read().removesuffix("\n")
    return ""


def _show_catalogue(sms_rules: SmsRules, options: argparse.Namespace, terminal: Terminal) -> int:
    found = list(entries(sms_rules, EXAMPLE_CODE, options.region or ""))
    if options.json:
        terminal.write(json.dumps([entry.as_json() for entry in found], ensure_ascii=False, indent=2) + "\n")
        return 0
    drawing = Drawing(UNICODE._replace(is_coloured=True, width=MAX_COLUMNS) if options.svg else terminal.style)
    rows = list(catalogue_rows(found, drawing))
    if options.svg:
        command = f"{_COMMAND} --catalogue"
        return int(not _is_written(picture([drawing.prompt(command), "", *rows], command), options.svg, terminal))
    terminal.write("".join(f"{row}\n" for row in rows))
    return 0


def _is_written(drawn: str, path: str, terminal: Terminal) -> bool:
    try:
        Path(path).write_text(drawn, encoding="utf-8")
    except OSError:
        terminal.write("The picture cannot be written to this file.\n")
        return False
    return True


def _refuse(outcome: Outcome, why: str, options: argparse.Namespace, terminal: Terminal) -> int:
    if options.json:
        terminal.write(json.dumps({"refused": outcome.value, "why": why}, indent=2) + "\n")
    else:
        drawing = Drawing(terminal.style)
        terminal.write(drawing.label("Refused", outcome.value, why, f"{BOLD};{COLOURS[Mark.ERROR]}") + "\n")
    return 1


def _hidden(text: str, position: int) -> str:
    character = text[position - 1]
    return f"hidden character {position}: U+{ord(character):04X} {name_of(character)}"


def _as_json(facts: Facts, terms: Terms) -> dict[str, object]:
    number = facts.sent.segments
    costs = {
        region or "*": {"price": money(price), "message": money(number * price)}
        for region, price in sorted(terms.prices.items())
        if terms.region is None or region == (terms.region if terms.region in terms.prices else "")
    }
    return {
        "refused": Outcome.TEXT_TOO_LONG.value if number > terms.max_segments else None,
        "text": facts.sent.text,
        "encoding": facts.sent.encoding.value,
        "segments": [{"text": segment, "units": units(segment, facts)[0], "room": units(segment, facts)[1]} for segment in facts.segments],
        "not_in_gsm7": list(map(_found_as_json, facts.forcing)),
        "replaced": list(map(_found_as_json, facts.replaced)),
        "removed": list(map(_found_as_json, facts.removed)),
        "region": terms.region,
        "sender_id": terms.sender_id,
        "costs": costs,
    }


def _found_as_json(found: Found) -> dict[str, object]:
    positions = [place + 1 for place in found.positions]
    named = {"character": found.character, "code_point": f"U+{ord(found.character):04X}", "name": name_of(found.character)}
    return {**named, "positions": positions, **({"replacement": found.replacement} if found.replacement else {})}


def _region(text: str) -> str:
    try:
        region = rules.region(text)
    except ValueError:
        region = None
    if region is None:
        raise argparse.ArgumentTypeError("must be one ISO 3166 region such as GB")
    return region
