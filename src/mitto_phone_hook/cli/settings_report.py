"""The settings, as an operator wants to read them. Pure: a mapping in, findings out, and no secret in any of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from mitto_phone_hook.cli.report import Line, Mark, counted
from mitto_phone_hook.config.rules import CLOSED, MEMORY, OBSERVE
from mitto_phone_hook.config.settings import Settings
from mitto_phone_hook.config.table import TABLE
from mitto_phone_hook.config.unknown_variables import unknown
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.phone_number import BareDigits
from mitto_phone_hook.domain.territories import TERRITORIES
from mitto_phone_hook.policy.destination import ANY_REGION, INTERNATIONAL_NETWORKS
from mitto_phone_hook.policy.limits import MICRO, NAMES, UNITS, Limits
from mitto_phone_hook.storage.protocols import Window

RULES = {
    "recipient": "to one number",
    "prefix": "to one block of numbers",
    "ip": "for one user's address",
    "region": "to a country not named",
    "total": "in all, in segments",
}
"""What each name in ``LIMITS`` counts."""

ACTION_GIVES_UP_SECONDS = 9.0
"""When the Actions of ``deploy/auth0`` stop waiting."""

DOES_NOT_START = "the function does not start like this; README.md explains every setting"

_RULE_COLUMNS = 25
_FEW_CHARACTERS = 8


def problem_lines(problems: Sequence[str], next_step: str = DOES_NOT_START) -> Iterator[Line]:
    """Give what is wrong with the settings, by default of the function: each begins with its variable and says the rule."""
    for number, problem in enumerate(problems, 1):
        variable, _, rule = problem.partition(" ")
        is_last = number == len(problems)
        yield Line(Mark.WRONG, variable, rule, next_step if is_last else "")


def stray_lines(environment: Mapping[str, str]) -> Iterator[Line]:
    """Give the variables that look like a setting and are none."""
    for variable, step in unknown(environment).items():
        yield Line(Mark.LOOK, variable, "is no setting, nothing reads it", step)


def lines(settings: Settings, environment: Mapping[str, str]) -> Iterator[Line]:
    """Give what is set, in the order in which a message meets it."""
    yield Line(Mark.RIGHT, "Mitto API key", f"set{_source('MITTO_API_KEY', environment)}")
    yield from _secrets_lines("hook secrets", settings.hook_secrets.current(0), _source("HOOK_SECRETS", environment))
    if settings.hook_secrets_auth0:
        yield from _secrets_lines("auth0's secrets", settings.hook_secrets_auth0.current(0), _source("HOOK_SECRETS_AUTH0", environment))
    yield _sender_line(settings.mitto_sender_id)
    if settings.mitto_test:
        yield Line(Mark.LOOK, "test mode", "on: Mitto delivers nothing", "for real messages: MITTO_TEST=false")
    yield _regions_line(settings.allowed_regions)
    yield from _territories_lines(settings.allowed_regions)
    if settings.blocked_numbers:
        yield Line(Mark.RIGHT, "blocked", f"{counted(len(settings.blocked_numbers), 'number')}, whole or first digits")
    if settings.allowed_numbers:
        text = f"{counted(len(settings.allowed_numbers), 'number')}, whole or first digits, whatever the numbering plan says"
        yield Line(Mark.RIGHT, "let through", text)
    where = settings.default_region
    yield Line(Mark.RIGHT, "default region", where or "none: numbers without a country code are refused")
    yield _bare_digits_line(settings.bare_digits)
    yield _policy_line(settings.policy_mode)
    yield _limits_line(settings.limits)
    yield _budget_line(settings.limits)
    yield _deadline_line(settings)
    if settings.log_level not in ("DEBUG", "INFO"):
        text = f"{settings.log_level}: messages that were accepted leave no line"
        yield Line(Mark.LOOK, "log", text, "LOG_LEVEL=INFO, or dashboards and alerts see half of it")
    yield Line(Mark.RIGHT, "repeated calls", f"the same message is sent once in {_time(settings.duplicate_window_seconds)}")


def store_line(settings: Settings, environment: Mapping[str, str]) -> Line | None:
    """Say what the memory store means; ``None`` where Redis has to be asked."""
    if settings.store_url != MEMORY:
        return None
    if (workers := environment.get("WORKERS") or "1") != "1":
        text = f"WORKERS={workers}: so many processes share nothing, and every limit is a multiple"
        return Line(Mark.WRONG, "memory", text, "one worker (leave WORKERS unset), or STORE_URL=redis://...")
    text = "each instance remembers its own messages and limits: exact with one instance"
    several = "with several, a repeated call may send a second SMS, and the true limits are a multiple"
    return Line(Mark.LOOK, "memory", text, "where there can be several, share it: STORE_URL=redis://...", [several])


def when_the_store_fails(settings: Settings) -> str:
    """Say what becomes of messages without Redis."""
    if settings.limits_fail == CLOSED:
        return "while it fails, nothing is sent (LIMITS_FAIL=closed)"
    return "while it fails, messages go out and each instance counts alone"


def money(micros: int) -> str:
    """Write millionths of the operator's currency as an amount."""
    return f"{(Decimal(micros) / MICRO).normalize():f}"


def _source(name: str, environment: Mapping[str, str]) -> str:
    return "" if environment.get(name) else f", from the file that {name}_FILE names"


def _secrets_lines(topic: str, secrets: HookSecrets, source: str) -> Iterator[Line]:
    kinds = [(len(secrets.signing_keys), "signing key"), (len(secrets.bearer), "bearer secret")]
    yield Line(Mark.RIGHT, topic, ", ".join(counted(number, kind) for number, kind in kinds if number) + source)
    poor = sum(len(set(one)) < _FEW_CHARACTERS for one in (*secrets.signing_keys, *secrets.bearer))
    if poor:
        text = f"{counted(poor, 'secret')} of a few characters, repeated: easily guessed"
        yield Line(Mark.LOOK, topic, text, "make a better one: mitto-phone-hook secret")


def _sender_line(sender_id: str) -> Line:
    if sender_id == next(setting.default for setting in TABLE if setting.name == "MITTO_SENDER_ID"):
        return Line(Mark.LOOK, "sender ID", f"{sender_id}, the default", "set MITTO_SENDER_ID to the one that Mitto registered for you")
    return Line(Mark.RIGHT, "sender ID", sender_id)


def _regions_line(regions: frozenset[str]) -> Line:
    named = sorted(regions - {ANY_REGION})
    if ANY_REGION in regions:
        satellites = " and satellite networks" if INTERNATIONAL_NETWORKS in regions else ""
        step = "fraud comes from abroad: name the countries that you serve, if you can"
        return Line(Mark.LOOK, "regions", f"every country{satellites}, as asked for by *", step)
    if not regions:
        return Line(Mark.LOOK, "regions", "every country gets messages", "set ALLOWED_REGIONS to the countries that you serve, or to *")
    return Line(Mark.RIGHT, "regions", ", ".join(named))


def _territories_lines(regions: frozenset[str]) -> Iterator[Line]:
    """Say what the operator may have meant by a country's name and what its region does not hold."""
    if ANY_REGION in regions:
        return
    missing = {country: [one for one in TERRITORIES[country] if one not in regions] for country in sorted(regions & set(TERRITORIES))}
    if not (named := "; ".join(f"{country} without {', '.join(ones)}" for country, ones in missing.items() if ones)):
        return
    to_add = ",".join(one for ones in missing.values() for one in ones)
    yield Line(Mark.LOOK, "territories", named, f"they are regions of their own; to serve them, too, add {to_add} to ALLOWED_REGIONS")


def _bare_digits_line(mode: BareDigits) -> Line:
    if mode is BareDigits.NATIONAL:
        text = "national: a number from abroad without its + may go to a stranger at home"
        return Line(Mark.LOOK, "bare digits", text, "BARE_DIGITS=careful refuses what can be both")
    if mode is BareDigits.INTERNATIONAL:
        return Line(Mark.RIGHT, "bare digits", "international, but for those that begin with 0")
    return Line(Mark.RIGHT, "bare digits", "refused where they can be a handset at home and another one abroad")


def _policy_line(mode: str) -> Line:
    if mode == OBSERVE:
        text = "observed only: no destination, limit or budget refuses anything"
        return Line(Mark.LOOK, "policy", text, "when would_refuse in the log looks right: POLICY_MODE=enforce")
    return Line(Mark.RIGHT, "policy", "enforced")


def _limits_line(limits: Limits) -> Line:
    if not limits.windows:
        return Line(Mark.LOOK, "limits", "off: nothing stops a flood of messages", "leave LIMITS unset for the defaults")
    rows = [f"{RULES[name]:<{_RULE_COLUMNS}}{_windows(limits.windows.get(name, ()))}" for name in NAMES]
    is_whole = all(limits.windows.get(name) for name in NAMES)
    step = "" if is_whole else "what is off stops nobody; leave it out of LIMITS for its default"
    return Line(Mark.RIGHT if is_whole else Mark.LOOK, "limits", rows[0], step, rows[1:])


def _budget_line(limits: Limits) -> Line:
    if any(window.limit == 0 for windows in limits.budgets.values() for window in windows):
        return Line(Mark.LOOK, "budgets", "one of them is 0: what it covers never leaves", "give it an amount, or take it out")
    if limits.budgets:
        rows = [f"{region or 'in all':<{_RULE_COLUMNS}}{_windows(windows, money)}" for region, windows in sorted(limits.budgets.items())]
        return Line(Mark.RIGHT, "budgets", rows[0], more=rows[1:])
    if limits.windows.get("total"):
        return Line(Mark.RIGHT, "budgets", "none in money; the limit on all segments caps the bill")
    return Line(Mark.LOOK, "budgets", "none, and no limit on all segments: nothing caps the bill", "set total in LIMITS, or a budget")


def _deadline_line(settings: Settings) -> Line:
    times = f"{settings.deadline_seconds:g} s for a call, {settings.connect_timeout_seconds:g} s to connect"
    text = f"{times}, up to {counted(settings.max_attempts, 'attempt')}"
    if settings.deadline_seconds >= ACTION_GIVES_UP_SECONDS:
        step = f"the Auth0 Actions stop waiting after {ACTION_GIVES_UP_SECONDS:g} s; keep DEADLINE_SECONDS under that"
        return Line(Mark.LOOK, "deadline", text, step)
    return Line(Mark.RIGHT, "deadline", text)


def _windows(windows: tuple[Window, ...], amount: Callable[[int], str] = str) -> str:
    return ", ".join(f"{amount(window.limit)} in {_time(window.seconds)}" for window in windows) or "off"


def _time(seconds: int) -> str:
    unit = next(unit for unit, length in sorted(UNITS.items(), key=lambda row: -row[1]) if seconds % length == 0)
    number = seconds // UNITS[unit]
    article = "an" if unit == "hour" else "a"
    return f"{article} {unit}" if number == 1 else f"{number} {unit}s"
