"""The settings in words, for the operator. Pure: a mapping in, findings out. No finding contains a secret."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from mitto_phone_hook.cli.report import Line, Mark, counted
from mitto_phone_hook.config.rules import CLOSED, MEMORY, OBSERVE
from mitto_phone_hook.config.settings import Settings, renamed
from mitto_phone_hook.config.unknown_variables import unknown
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.phone_number import BareDigits
from mitto_phone_hook.domain.territories import TERRITORIES
from mitto_phone_hook.policy.destination import ANY_REGION, INTERNATIONAL_NETWORKS
from mitto_phone_hook.policy.limits import MICRO, NAMES, UNITS, Limits
from mitto_phone_hook.sms.languages import fallbacks
from mitto_phone_hook.sms.segments import encode
from mitto_phone_hook.sms.sender_countries import COUNTRIES, Takes
from mitto_phone_hook.sms.template_file import SAMPLE
from mitto_phone_hook.sms.templates import built_in, fill
from mitto_phone_hook.storage.protocols import Window

RULE_DESCRIPTIONS = {
    "recipient": "to one number",
    "prefix": "to one block abroad",
    "ip": "for one IP address",
    "region": "to one unlisted country",
    "total": "in total, in segments",
}
"""What each rule in ``LIMITS`` counts."""

ACTION_TIMEOUT_SECONDS = 9.0
"""How long the Actions of ``deploy/auth0`` wait."""

DOES_NOT_START = "the function does not start with these settings; docs/configuration.md explains each of them"

_RULE_COLUMNS = max(map(len, RULE_DESCRIPTIONS.values())) + 2
_FEW_CHARACTERS = 8
_SENDER_STEPS = {
    Takes.NUMERIC: "get a number from Mitto and name it: SENDER_IDS='US=18005550100'; docs/senders.md has the rest",
    Takes.REGISTERED: "let Mitto register yours, then name it: SENDER_IDS='IN=Acme'; docs/senders.md has the rest",
}
_LONGEST_RESEND_SECONDS = 60


def problem_lines(problems: Sequence[str], next_step: str = DOES_NOT_START) -> Iterator[Line]:
    """Report wrong settings. Each problem starts with the name of its variable, then the rule. The last line gets ``next_step``."""
    for number, problem in enumerate(problems, 1):
        variable, _, rule = problem.partition(" ")
        is_last = number == len(problems)
        yield Line(Mark.ERROR, variable, rule, next_step if is_last else "")


def unknown_variable_lines(environment: Mapping[str, str]) -> Iterator[Line]:
    """Report variables that look like a setting but are not one."""
    for variable, successor in renamed(environment).items():
        yield Line(Mark.WARNING, variable, "is the old name of a setting", f"rename it to {successor}")
    for variable, step in unknown(environment).items():
        yield Line(Mark.WARNING, variable, "is no setting, nothing reads it", step)


def lines(settings: Settings, environment: Mapping[str, str]) -> Iterator[Line]:
    """Report the settings, in the order in which a message meets them."""
    yield Line(Mark.OK, "Mitto API key", f"set{_source('MITTO_API_KEY', environment)}")
    for platform, secrets in settings.hook_secrets.items():
        topic, variable = (f"{platform}'s secrets", f"HOOK_SECRETS_{platform.upper()}") if platform else ("hook secrets", "HOOK_SECRETS")
        yield from _secrets_lines(topic, secrets.current(0), _source(variable, environment))
    yield _sender_line(settings)
    yield from _senders_lines(settings)
    yield from _unused_senders_lines(settings)
    yield from _texts_lines(settings)
    if settings.mitto_test:
        yield Line(Mark.WARNING, "test mode", "on: Mitto delivers nothing", "for real messages: MITTO_TEST=false")
    yield _regions_line(settings.allowed_regions)
    yield from _territories_lines(settings.allowed_regions)
    if settings.blocked_numbers:
        yield Line(Mark.OK, "blocked", f"{counted(len(settings.blocked_numbers), 'number')}, in full or by their first digits")
    if settings.allowed_numbers:
        text = f"{counted(len(settings.allowed_numbers), 'number')}, in full or by their first digits: they count as mobile"
        yield Line(Mark.OK, "allowed", text)
    yield Line(Mark.OK, "default region", settings.default_region or "none: numbers without a country code are refused")
    yield _bare_digits_line(settings.bare_digits)
    yield _policy_line(settings.policy_mode)
    yield _limits_line(settings.quotas)
    yield _budget_line(settings.quotas)
    yield _deadline_line(settings)
    if settings.log_level not in ("DEBUG", "INFO"):
        text = f"{settings.log_level}: accepted messages are not logged"
        yield Line(Mark.WARNING, "log", text, "set LOG_LEVEL=INFO: dashboards and alerts need these lines")
    yield _repeats_line(settings.resend_after_seconds)
    yield from _follow_up_lines(settings, environment)


def _follow_up_lines(settings: Settings, environment: Mapping[str, str]) -> Iterator[Line]:
    if settings.report_secrets:
        address = "each message carries the address" if settings.public_url else "at the address that Mitto has for the account"
        yield Line(Mark.OK, "delivery reports", f"{address}, secret set{_source('REPORT_SECRETS', environment)}")
    if settings.conversions:
        yield Line(Mark.OK, "conversions", "POST /conversions tells Mitto which codes were used")
    if settings.test_numbers:
        text = f"{counted(len(settings.test_numbers), 'number')} without any SMS, answered as accepted"
        yield Line(Mark.WARNING, "test numbers", text, "TEST_NUMBERS must have no number of a user")


def _repeats_line(seconds: int) -> Line:
    if not seconds:
        return Line(
            Mark.WARNING, "repeated calls", "each one is sent", "remove RESEND_AFTER_SECONDS=0, or callers that repeat a call cause two SMS"
        )
    text = f"the same message is not sent twice in {_duration(seconds)}"
    if seconds > _LONGEST_RESEND_SECONDS:
        return Line(
            Mark.WARNING,
            "repeated calls",
            text,
            f"users who ask again wait that long: set RESEND_AFTER_SECONDS to {_LONGEST_RESEND_SECONDS} or less",
        )
    return Line(Mark.OK, "repeated calls", text)


def store_line(settings: Settings, environment: Mapping[str, str]) -> Line | None:
    """Explain the memory store. ``None``: the store is Redis."""
    if settings.store_url != MEMORY:
        return None
    if (workers := environment.get("WORKERS") or "1") != "1":
        text = f"WORKERS={workers}: these processes share nothing, and each has limits of its own"
        return Line(Mark.ERROR, "memory", text, "use one worker (leave WORKERS unset), or set STORE_URL=redis://...")
    text = "each instance knows only its own messages and limits: exact with one instance"
    several = "with several, a repeated call may send a second SMS, and each instance has limits of its own"
    return Line(Mark.WARNING, "memory", text, "for several instances, set STORE_URL=redis://...", [several])


def state_key_line(settings: Settings) -> Line:
    """Say which secret keys the hashes in Redis, and which change makes the function forget them."""
    if settings.state_secret:
        return Line(Mark.OK, "state key", "from STATE_SECRET: a new API key does not change it")
    text = "from MITTO_API_KEY: a new API key makes the function forget earlier messages and counts"
    return Line(Mark.OK, "state key", text, more=["to keep them, set STATE_SECRET: mitto-phone-hook secret --bearer makes one"])


def when_the_store_fails(settings: Settings) -> str:
    """Say what happens to messages while Redis fails."""
    if settings.limits_fail == CLOSED:
        return "while Redis fails, nothing is sent (LIMITS_FAIL=closed)"
    return "while Redis fails, messages are sent, and each instance counts alone"


def money(micros: int) -> str:
    """Format millionths of the operator's currency as an amount."""
    return f"{(Decimal(micros) / MICRO).normalize():f}"


def _source(name: str, environment: Mapping[str, str]) -> str:
    return "" if environment.get(name) else f", from the file in {name}_FILE"


def _secrets_lines(topic: str, secrets: HookSecrets, source: str) -> Iterator[Line]:
    kinds = [(len(secrets.signing_keys), "signing key"), (len(secrets.bearer), "bearer secret")]
    yield Line(Mark.OK, topic, ", ".join(counted(number, kind) for number, kind in kinds if number) + source)
    weak = sum(len(set(one)) < _FEW_CHARACTERS for one in (*secrets.signing_keys, *secrets.bearer))
    if weak:
        text = f"{counted(weak, 'secret')} with few different characters: easy to guess"
        yield Line(Mark.WARNING, topic, text, "make a new one: mitto-phone-hook secret")


def _sender_line(settings: Settings) -> Line:
    sender_id = settings.mitto_sender_id
    if sender_id == Settings.model_fields["mitto_sender_id"].default:
        return Line(
            Mark.WARNING, "sender ID", f"{sender_id}, the default", "set MITTO_SENDER_ID to the sender ID that Mitto registered for you"
        )
    return Line(Mark.OK, "sender ID", sender_id, more=[f"or by {counted(len(settings.sender_ids), 'rule')}"] if settings.sender_ids else [])


def _senders_lines(settings: Settings) -> Iterator[Line]:
    """Name the countries that replace or refuse the sender IDs that their messages would get."""
    for takes in Takes:
        if regions := [region for region in settings.regions_without_sender if COUNTRIES[region].takes is takes]:
            yield Line(Mark.WARNING, "sender by country", f"{', '.join(regions)}: only {takes}", _SENDER_STEPS[takes])


def _unused_senders_lines(settings: Settings) -> Iterator[Line]:
    """Name the regions that have a sender ID but get no message."""
    allowed = settings.allowed_regions
    regions = sorted({scope.region for scope in settings.sender_ids if scope.region} - allowed)
    if regions and allowed and ANY_REGION not in allowed:
        step = "add them to ALLOWED_REGIONS, or remove them from SENDER_IDS"
        yield Line(Mark.WARNING, "unused senders", f"{', '.join(regions)}: not among the allowed regions", step)


def _texts_lines(settings: Settings) -> Iterator[Line]:
    """Name a default language without a template, and languages in which a text would be too long with the app's name."""
    languages = {language for _, _, language in {**built_in(), **settings.templates_file}}
    if languages.isdisjoint(fallbacks(settings.default_locale)):
        step = "choose a language of mitto-phone-hook text --catalogue, or write one: TEMPLATES_FILE"
        yield Line(Mark.WARNING, "DEFAULT_LOCALE", f"{settings.default_locale} has no template, so texts are in English", step)
    domains, is_smart = settings.otp_domain, settings.smart_encoding[""]
    too_long = set()
    for (caller, _, language), template in {**built_in(), **settings.templates_file}.items():
        values = SAMPLE | {"app": settings.app_name, "domain": domains.get(caller) or domains.get("", "")}
        if encode(fill(template, values), is_smart=is_smart).segments > settings.max_segments:
            too_long.add(language)
    if too_long:
        text = f"{', '.join(sorted(too_long))}: longer than MAX_SEGMENTS allows, so that a code without a text is refused"
        yield Line(Mark.WARNING, "texts", text, "shorten APP_NAME, or raise MAX_SEGMENTS: mitto-phone-hook text --catalogue")


def _regions_line(regions: frozenset[str]) -> Line:
    named = sorted(regions - {ANY_REGION})
    if ANY_REGION in regions:
        satellites = " and satellite networks" if INTERNATIONAL_NETWORKS in regions else ""
        step = "fraud mostly goes to countries that you do not serve: name yours, if you can"
        return Line(Mark.WARNING, "regions", f"every country{satellites} (*)", step)
    if not regions:
        return Line(Mark.WARNING, "regions", "every country gets messages", "set ALLOWED_REGIONS to the countries that you serve, or to *")
    return Line(Mark.OK, "regions", ", ".join(named))


def _territories_lines(regions: frozenset[str]) -> Iterator[Line]:
    """Name the territories that people count as a part of a country, and that are regions of their own."""
    if ANY_REGION in regions:
        return
    missing = {country: [one for one in TERRITORIES[country] if one not in regions] for country in sorted(regions & set(TERRITORIES))}
    if not (named := "; ".join(f"{country} without {', '.join(ones)}" for country, ones in missing.items() if ones)):
        return
    to_add = ",".join(one for ones in missing.values() for one in ones)
    yield Line(Mark.WARNING, "territories", named, f"to serve them, too, add {to_add} to ALLOWED_REGIONS")


def _bare_digits_line(mode: BareDigits) -> Line:
    if mode is BareDigits.NATIONAL:
        text = "national: a number from abroad without its + may reach a stranger at home"
        return Line(Mark.WARNING, "bare digits", text, "BARE_DIGITS=careful refuses numbers that can be both")
    if mode is BareDigits.INTERNATIONAL:
        return Line(Mark.OK, "bare digits", "international, except for numbers that begin with 0")
    return Line(Mark.OK, "bare digits", "refused if they can be a mobile at home and another one abroad")


def _policy_line(mode: str) -> Line:
    if mode == OBSERVE:
        text = "observe: nothing is refused by destination, limit or budget"
        return Line(Mark.WARNING, "policy", text, "set POLICY_MODE=enforce once would_refuse in the log looks right")
    return Line(Mark.OK, "policy", "enforce")


def _limits_line(limits: Limits) -> Line:
    if not limits.windows:
        return Line(Mark.WARNING, "limits", "off: nothing stops a flood of messages", "leave LIMITS unset to use the defaults")
    rows = [f"{RULE_DESCRIPTIONS[name]:<{_RULE_COLUMNS}}{_windows(limits.windows.get(name, ()))}" for name in NAMES]
    is_complete = all(limits.windows.get(name) for name in NAMES)
    step = "" if is_complete else "a rule that is off stops nothing; remove it from LIMITS to use its default"
    return Line(Mark.OK if is_complete else Mark.WARNING, "limits", rows[0], step, rows[1:])


def _budget_line(limits: Limits) -> Line:
    if any(window.limit == 0 for windows in limits.budgets.values() for window in windows):
        return Line(Mark.WARNING, "budgets", "one budget is 0: no message that it covers is sent", "give it an amount, or remove it")
    if limits.budgets:
        rows = [f"{region or 'in total':<{_RULE_COLUMNS}}{_windows(windows, money)}" for region, windows in sorted(limits.budgets.items())]
        return Line(Mark.OK, "budgets", rows[0], more=rows[1:])
    if limits.windows.get("total"):
        return Line(Mark.OK, "budgets", "none in money; total in LIMITS limits the cost")
    return Line(Mark.WARNING, "budgets", "none, and no total in LIMITS: nothing limits the cost", "set total in LIMITS, or set a budget")


def _deadline_line(settings: Settings) -> Line:
    times = f"{settings.deadline_seconds:g} s for a call, {settings.connect_timeout_seconds:g} s to connect"
    text = f"{times}, up to {counted(settings.max_attempts, 'attempt')}"
    if settings.deadline_seconds >= ACTION_TIMEOUT_SECONDS:
        step = f"the Auth0 Actions stop waiting after {ACTION_TIMEOUT_SECONDS:g} s; keep DEADLINE_SECONDS below that"
        return Line(Mark.WARNING, "deadline", text, step)
    return Line(Mark.OK, "deadline", text)


def _windows(windows: tuple[Window, ...], amount: Callable[[int], str] = str) -> str:
    return ", ".join(f"{amount(window.limit)} in {_duration(window.seconds)}" for window in windows) or "off"


def _duration(seconds: int) -> str:
    unit = next(unit for unit, length in sorted(UNITS.items(), key=lambda row: -row[1]) if seconds % length == 0)
    number = seconds // UNITS[unit]
    article = "an" if unit == "hour" else "a"
    return f"{article} {unit}" if number == 1 else f"{number} {unit}s"
