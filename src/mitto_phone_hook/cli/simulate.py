"""``mitto-phone-hook simulate``: calls a function as a platform does, and judges the response as the platform's own code does."""

import argparse
import json
import secrets as random_numbers
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import httpx
import phonenumbers

from mitto_phone_hook.callers import Caller, Case, HookRequest, MissingSecret, NoSuchCase, Reading, all_callers, build_call, platform_of
from mitto_phone_hook.cli.address import (
    hook_url,
    is_loopback,
    open_client,
    recipient_number,
    secrets_of,
    secrets_step,
    secrets_variable,
    split_route,
)
from mitto_phone_hook.cli.caller import call_as_platform, read_response
from mitto_phone_hook.cli.deployed import EVERYBODY_STEP, MESSAGE_STEPS, UNEXPECTED_STATUSES, cause_of
from mitto_phone_hook.cli.key import FICTIONAL_RECIPIENT
from mitto_phone_hook.cli.report import Line, Mark, milliseconds
from mitto_phone_hook.cli.settings_report import problem_lines
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.config import rules
from mitto_phone_hook.config.settings import SettingsError
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.platforms import load_platform
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.policy.destination import ANY_REGION

DEFAULT_URL = "http://127.0.0.1:8080"
"""Where ``mitto-phone-hook run`` listens."""
ALL = "all"

_UNAUTHORIZED = 401

_HELP = """\
Call a function as an identity platform does: with its payload, its headers and its signature, made with the secret in
HOOK_SECRETS_<NAME> or HOOK_SECRETS. Then judge the response as the platform's own code does: accepted, failed, retried,
shown to the user, or sent by the platform's own provider.

Cases:
  ok              a message with a code
  repeat          the same call again, and the platform's next attempt to send the message: one SMS
  resend          the user asks for another code: two SMS
  voice           a phone call, which Mitto cannot make
  other-event     an event that needs no SMS
  refused-number  a number that nobody has
  forged          made with a wrong secret
  stale           signed 10 minutes ago
  all             each of them: two SMS

The cases ok, repeat, resend and all send real SMS; a function that is not on this machine needs --to for them.

Exit status: 0 the platform does what the case expects, 1 it does not, 2 wrong usage.
"""


class Step(NamedTuple):
    """One call, and the outcome that the function must come to."""

    topic: str
    case: Case
    expected: Outcome
    number: int = 0
    """Which code of the run it carries."""
    attempt: int = 1
    is_again: bool = False
    """Whether the message was sent before, so that no SMS must leave."""


_OK = Step("ok", Case.OK, Outcome.ACCEPTED)
_REPEATS = (
    _OK._replace(topic="same call", is_again=True),
    _OK._replace(topic="next attempt", attempt=2, is_again=True),
)
_ANOTHER_CODE = _OK._replace(topic="another code", number=1)
_WITHOUT_SMS = (
    Step("forged", Case.FORGED, Outcome.UNAUTHORIZED),
    Step("stale", Case.STALE, Outcome.UNAUTHORIZED),
    Step("voice", Case.VOICE, Outcome.VOICE_UNSUPPORTED),
    Step("other event", Case.OTHER_EVENT, Outcome.IGNORED),
    Step("refused number", Case.REFUSED_NUMBER, Outcome.INVALID_RECIPIENT),
)

STEPS: Mapping[str, tuple[Step, ...]] = {
    Case.OK: (_OK,),
    Case.REPEAT: (_OK, *_REPEATS),
    Case.RESEND: (_OK, _ANOTHER_CODE),
    **{step.case: (step,) for step in _WITHOUT_SMS},
    ALL: (*_WITHOUT_SMS, _OK, *_REPEATS, _ANOTHER_CODE),
}
"""The calls of each case."""

_SEE_LOG = "find the call in the function's log: its event says why (docs/operations.md)"
_LATE_STEP = "deploy it nearer to the platform, keep one instance warm; see duration_ms in its log"
_SECOND_SMS_STEP = "several instances need a shared store: STORE_URL=redis://..."


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "simulate",
        help="call a function as an identity platform does",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("platform", choices=all_callers(), metavar="PLATFORM", help=f"one of {', '.join(all_callers())}")
    parser.add_argument(
        "--url",
        type=hook_url,
        help=f"address of the function, with or without the route (default: a PUBLIC_URL on this machine, else {DEFAULT_URL})",
    )
    parser.add_argument("--to", type=recipient_number, metavar="NUMBER", help="E.164 number of your own (on this machine: a fictional one)")
    parser.add_argument("--case", choices=STEPS, default=Case.OK.value, metavar="NAME", help="see above (default: %(default)s)")
    parser.set_defaults(run=run, refuse_usage=parser.error)


def run(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Run the calls of one case. Returns the exit status."""
    steps = STEPS[options.case]
    own = environment.get("PUBLIC_URL", "")
    url = options.url or (own if is_loopback(own) else DEFAULT_URL)
    if not options.to and not is_loopback(url) and any(step.expected is Outcome.ACCEPTED for step in steps):
        options.refuse_usage("--to is required: this case sends a real SMS")
    platform, (base_url, _) = platform_of(options.platform), split_route(url)
    terminal.heading(f"{all_callers()[options.platform].title} calls {base_url.rstrip('/')}/hooks/{platform}")
    try:
        secrets = secrets_of(platform, environment)
    except SettingsError as error:
        terminal.show_all(problem_lines(error.problems, secrets_step(platform, environment)))
        return terminal.finish()
    recipient = options.to or Recipient(_default_recipient(environment))
    build = partial(build_call, options.platform, secrets, recipient.get_secret_value())
    try:
        how = f"{_credential(build('000000', time.time()))} from {secrets_variable(platform, environment)}"
        terminal.show(Line(Mark.OK, "authentication", how))
        with open_client(url) as client:
            marks = set()
            for line in _results(options.platform, steps, _Function(client, base_url), build, terminal):
                terminal.show(line)
                marks.add(line.mark)
    except MissingSecret as missing:
        text = f"{secrets_variable(platform, environment)} has none that this platform can use"
        terminal.show(Line(Mark.ERROR, "secret", text, f"it needs {missing}: mitto-phone-hook secret"))
    else:
        sent = len({step.number for step in steps if step.expected is Outcome.ACCEPTED})
        if sent and marks == {Mark.OK}:
            terminal.write(f"\n{recipient} must get {sent} SMS, and not more.\n")
    return terminal.finish()


class _Function(NamedTuple):
    """The function that is called."""

    client: httpx.Client
    base_url: str


def _credential(request: HookRequest) -> str:
    """Say how a call proves who makes it."""
    value = {name.lower(): value for name, value in request.headers.items()}.get("authorization")
    return "signed by a key" if value is None else f"{value.partition(' ')[0]} secret" if " " in value else "bare secret"


def _default_recipient(environment: Mapping[str, str]) -> str:
    """Give a fictional number: of a country that gets messages, where the settings are for a fake Mitto."""
    try:
        regions = rules.regions(environment.get("ALLOWED_REGIONS", ""))
    except ValueError:
        return FICTIONAL_RECIPIENT
    if not regions or regions & {ANY_REGION, "US"} or not is_loopback(environment.get("MITTO_BASE_URL", "")):
        return FICTIONAL_RECIPIENT
    # Only few countries reserve numbers for fiction. These are the library's examples, and no SMS leaves.
    examples = (phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE) for region in sorted(regions))
    number = next((example for example in examples if example), None)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if number else FICTIONAL_RECIPIENT


def _results(name: str, steps: tuple[Step, ...], function: _Function, build: Any, terminal: Terminal) -> Iterator[Line]:  # noqa: ANN401 - a partial function
    caller, now = all_callers()[name], time.time()
    codes = [f"{random_numbers.randbelow(1_000_000):06d}" for _ in steps]
    for step in steps:
        try:
            request: HookRequest = build(codes[step.number], now, step.case, attempt=step.attempt)
        except NoSuchCase as nothing:
            yield Line(Mark.OK, step.topic, f"nothing to test: {nothing}")
            continue
        terminal.pending(step.topic)
        try:
            response, seconds = call_as_platform(function.client, function.base_url, request)
        except httpx.TransportError as error:
            text, next_step = cause_of(error)
            yield Line(Mark.ERROR, step.topic, f"{text}: {caller.when_late}", next_step)
            return
        yield result_line(name, step, response, seconds)


def result_line(name: str, step: Step, response: Response, seconds: float) -> Line:
    """Judge a response as the platform's own code does, and compare it with what the case expects."""
    caller, facts = all_callers()[name], f"({response.status}, {milliseconds(seconds)})"
    if seconds > caller.waits_seconds:
        text = f"too late, {caller.title} waits {caller.waits_seconds:g} s: {caller.when_late} {facts}"
        return Line(Mark.ERROR, step.topic, text, _LATE_STEP)
    verdict = caller.judge(response)
    if _is_expected(caller, name, step, response):
        if step.is_again and _is_second_sms(response):
            return Line(Mark.ERROR, step.topic, f"{verdict} {facts}, but a second SMS was sent", _SECOND_SMS_STEP)
        expected = "" if step.expected is Outcome.ACCEPTED else "as expected: "
        return Line(Mark.OK, step.topic, f"{expected}{verdict} {facts}")
    return Line(Mark.ERROR, step.topic, f"{verdict} {facts}", _next_step(platform_of(name), step, response, verdict.reading))


def expected_reading(name: str, outcome: Outcome) -> Reading:
    """Give what the platform makes of the response that this version of the function has for an outcome."""
    response = load_platform(platform_of(name)).respond(Result(outcome), "simulated")
    return all_callers()[name].judge(response).reading


def _is_expected(caller: Caller, name: str, step: Step, response: Response) -> bool:
    is_refused = response.status == _UNAUTHORIZED
    return caller.judge(response).reading is expected_reading(name, step.expected) and is_refused == (step.expected is Outcome.UNAUTHORIZED)


def _is_second_sms(response: Response) -> bool:
    """Whether the response says that this call was sent for itself. Only the native response says it."""
    try:
        content = json.loads(response.body)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("duplicate") is False


def _next_step(platform: str, step: Step, response: Response, reading: Reading) -> str:
    if step.expected is Outcome.UNAUTHORIZED:
        return EVERYBODY_STEP if reading is Reading.SUCCESS else _SEE_LOG
    if response.status == _UNAUTHORIZED:
        return f"is this secret in HOOK_SECRETS_{platform.upper()}, or HOOK_SECRETS, of the function? Do the clocks agree?"
    code = read_response(response.status, response.body, "", 0, 0).code
    if code or response.status < 400:  # noqa: PLR2004 - errors begin there
        return MESSAGE_STEPS.get(code, _SEE_LOG)
    return UNEXPECTED_STATUSES.get(response.status, ("", _SEE_LOG))[1]
