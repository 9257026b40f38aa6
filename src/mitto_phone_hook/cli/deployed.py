"""``mitto-phone-hook check --url``: a deployed function, checked from outside. No I/O except the caller's."""

import math
import secrets
import ssl
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import httpx

from mitto_phone_hook.callers import Case, HookRequest, MissingSecret, all_callers, build_call
from mitto_phone_hook.cli.caller import Caller, Credential, HookResponse, MakeHeaders, no_credentials, wrong_credentials
from mitto_phone_hook.cli.key import FICTIONAL_RECIPIENT
from mitto_phone_hook.cli.platforms import MITTO_SECONDS, Platform, in_time, waiting
from mitto_phone_hook.cli.report import Line, Mark, counted, milliseconds
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.platforms._signatures import TOLERANCE_SECONDS

WARM_CALLS = 5

_UNAUTHORIZED = 401

AUTHENTICATED = frozenset({Outcome.VOICE_UNSUPPORTED, Outcome.BLOCKED_COUNTRY, Outcome.BLOCKED_NUMBER_TYPE, Outcome.BLOCKED_RECIPIENT})
"""The codes that a voice call gets after its credentials were accepted. The last three: the fictional number is American."""

_FUNCTION_URL = "use the URL of the function itself, with the path / or /hooks/ and the name of your platform"
_NEARER_STEP = "deploy it nearer to the platform, or give it more CPU; see duration_ms in its log"
_NOT_STARTED = "did it start? Its last log lines name every wrong setting"
EVERYBODY_STEP = "stop the function now; does a proxy in front of it add the secret to every call?"
UNEXPECTED_STATUSES: Mapping[int, tuple[str, str]] = {
    401: ("refused before it reaches the function (401)", "is there a proxy or gateway in front? It must pass the credentials on"),
    403: ("the cloud requires a login of its own (403)", "allow unauthenticated calls; on Cloud Run: --no-invoker-iam-check"),
    404: ("nothing is at this path (404)", _FUNCTION_URL),
    405: ("this path does not accept POST (405)", _FUNCTION_URL),
    429: ("the cloud refuses so many calls (429)", "wait a minute; allow more instances"),
    500: ("the function has a bug (500)", "find internal_error in its log"),
    502: ("a proxy gets no response from the function (502)", _NOT_STARTED),
    503: ("no instance is running (503)", _NOT_STARTED),
}
"""The meaning of statuses that no check expects, and what to do."""

MESSAGE_STEPS: Mapping[str, str] = {
    Outcome.RATE_LIMITED: "a limit of the function: wait, or add the number to EXEMPT_NUMBERS",
    Outcome.BLOCKED_COUNTRY: "its country is not in ALLOWED_REGIONS",
    Outcome.UPSTREAM_AUTH: "API key, egress IP or sender ID: run mitto-phone-hook check where the function runs",
    Outcome.UPSTREAM_UNAVAILABLE: "the function cannot reach Mitto: check egress rules, DNS and Mitto's status page",
    Outcome.OUTCOME_UNKNOWN: "perhaps sent: look at the handset and at Mitto's log before you try again",
}
"""What to do when the message is not accepted. docs/operations.md has all other codes."""

_SEE_LOGS = "look at the logs of the function and of the cloud"
_SEE_OPERATIONS = "docs/operations.md says what to do"
CONNECTION_FAILURES: Mapping[type[httpx.TransportError], tuple[str, str]] = {
    httpx.ConnectTimeout: ("cannot connect in time", "is the address right? Does a firewall block it?"),
    httpx.TimeoutException: ("no response in time", _SEE_LOGS),
    httpx.ConnectError: ("cannot connect", "is the address right? Is the function running? On this machine: mitto-phone-hook run"),
    httpx.TransportError: ("the connection broke", _SEE_LOGS),
}
"""Why there is no response, and what to do. The first type that matches counts."""


class Unreachable(Exception):  # noqa: N818 - a finding, not an error
    """There is no response. The line says why."""

    def __init__(self, line: Line) -> None:
        """Take the line to show."""
        super().__init__(line.text)
        self.line = line


Send = Callable[[HookRequest], tuple[Response, float]]
"""Sends what a platform sends. Returns the response, and how long it took in seconds. Raises ``httpx.TransportError``."""


def check_health(caller: Caller, terminal: Terminal) -> HookResponse | None:
    """Call ``/health``, and show the finding. Returns the response, or ``None`` where something else than the function responds."""
    terminal.heading("Function")
    try:
        health = _call("health", terminal, caller.health)
    except Unreachable as error:
        terminal.show(error.line)
        return None
    terminal.show(health_line(health))
    return health if health.code == "ok" else None


def check(caller: Caller, health: HookResponse, credentials: list[Credential], recipient: Recipient | None, terminal: Terminal) -> None:
    """Run all checks of a route with the native response, and print each finding as soon as it is known."""
    try:
        accepted = _check_access(caller, credentials, terminal)
        if accepted:
            terminal.heading("Latency")
            _check_latency(caller, accepted, health, terminal)
        if accepted and recipient:
            terminal.heading("Message")
            _check_message(caller, accepted, recipient, terminal)
    except Unreachable as error:
        terminal.show(error.line)


def check_platforms(platforms: Mapping[str, HookSecrets], send: Send, terminal: Terminal) -> None:
    """Call the route of each platform as that platform does, without sending an SMS, and compare the time with its timeout."""
    terminal.heading("Platforms")
    for name, own in platforms.items():
        terminal.pending(name)
        try:
            terminal.show(_platform_line(name, own, send))
        except httpx.TransportError as error:
            terminal.show(Line(Mark.ERROR, name, *cause_of(error)))
            return


def _platform_line(name: str, own: HookSecrets, send: Send) -> Line:
    """Call with a forged secret, then with the right one and a number that nobody has."""

    def call(case: Case) -> tuple[Response, float]:
        code = f"{secrets.randbelow(1_000_000):06d}"
        return send(build_call(name, own, FICTIONAL_RECIPIENT, code, time.time(), case))

    try:
        forged, _ = call(Case.FORGED)
    except MissingSecret as missing:
        return Line(Mark.ERROR, name, f"{all_callers()[name].title} cannot use any of its secrets", f"it needs {missing}")
    # What does not refuse a forged call gets no right secret.
    calls = [call(Case.REFUSED_NUMBER) for _ in range(WARM_CALLS + 1)] if forged.status == _UNAUTHORIZED else [(forged, 0.0)] * 2
    return platform_line(name, forged.status, [response.status for response, _ in calls], [seconds for _, seconds in calls])


def platform_line(name: str, forged_status: int, statuses: Sequence[int], seconds: Sequence[float]) -> Line:
    """Judge the responses that a platform gets, and their times. The first call is the slowest: it may start an instance."""
    platform, (first, warm) = waiting(all_callers()[name]), (seconds[0], statistics.median(seconds[1:]))
    if forged_status != _UNAUTHORIZED:
        other = (f"a forged call got {forged_status}, not 401", EVERYBODY_STEP)
        return Line(Mark.ERROR, name, *UNEXPECTED_STATUSES.get(forged_status, other))
    if _UNAUTHORIZED in statuses:
        step = f"is it in HOOK_SECRETS_{name.upper()} of the function? After a change of a mounted file, try again in 10 s"
        return Line(Mark.ERROR, name, "refused: the function does not know its secret", step)
    times = f"{milliseconds(warm)}, first call {milliseconds(first)}"
    if math.isinf(platform.timeout_seconds):
        return Line(Mark.OK, name, f"{times}; its timeout: {platform.source}")
    limit = f"{platform.name} waits {platform.timeout_seconds:g} s"
    if in_time(warm, [platform])[1]:
        return Line(Mark.WARNING, name, f"{times}; with {MITTO_SECONDS:g} s for Mitto too late: {limit}", _NEARER_STEP)
    if in_time(first, [platform])[1]:
        return Line(Mark.WARNING, name, f"{times}; the first is too late: {limit}", "keep one instance warm (min instances 1)")
    return Line(Mark.OK, name, f"{times}; in time, if Mitto takes at most {MITTO_SECONDS:g} s: {limit}")


def _check_access(caller: Caller, credentials: list[Credential], terminal: Terminal) -> Credential | None:
    """Call without a secret, with a wrong one, and with every right one. Returns the first one that is accepted."""

    def voice_call(topic: str, make_headers: MakeHeaders) -> HookResponse:
        return _call(topic, terminal, partial(caller.post, voice_payload(), make_headers))

    for topic, make_headers in (("no secret", no_credentials), ("wrong secret", wrong_credentials)):
        terminal.show(refusal_line(topic, voice_call(topic, make_headers)))
    accepted = []
    for credential in credentials:
        line = acceptance_line(credential.name, voice_call(credential.name, credential.make_headers))
        terminal.show(line)
        if line.mark is Mark.OK:
            accepted.append(credential)
    return accepted[0] if accepted else None


def _check_latency(caller: Caller, credential: Credential, first: HookResponse, terminal: Terminal) -> None:
    calls = [_call("latency", terminal, partial(caller.post, voice_payload(), credential.make_headers)) for _ in range(WARM_CALLS)]
    terminal.show_all(latency_lines(first.seconds, statistics.median(call.seconds for call in calls)))


def _check_message(caller: Caller, credential: Credential, recipient: Recipient, terminal: Terminal) -> None:
    """Send one real message, then the same message again."""
    code = f"{secrets.randbelow(1_000_000):06d}"
    text = f"{code} comes from mitto-phone-hook check. Nobody needs this code."
    payload = {"recipient": recipient.get_secret_value(), "text": text, "context": {"message_type": "sms", "code": code}}
    send = partial(caller.post, payload, credential.make_headers)
    first = _call("message", terminal, send)
    terminal.show(message_line(first, str(recipient)))
    if first.code == Outcome.ACCEPTED:
        terminal.show(repeat_line(first, _call("repeat", terminal, send)))


def voice_payload() -> dict[str, Any]:
    """Return a payload that never becomes an SMS: it asks for a voice call to a fictional number."""
    return {"recipient": FICTIONAL_RECIPIENT, "text": "mitto-phone-hook check", "context": {"message_type": "voice", "code": "000000"}}


def health_line(response: HookResponse) -> Line:
    """Judge the response of ``/health``."""
    if response.code == "ok":
        return Line(Mark.OK, "health", "ok")
    if response.status // 100 == 3:  # noqa: PLR2004 - redirections
        return Line(
            Mark.ERROR, "health", f"redirects ({response.status})", "use the URL that it redirects to: platforms follow no redirects"
        )
    other = (f"something else responds ({response.status})", "is this the URL of the function?")
    return Line(Mark.ERROR, "health", *UNEXPECTED_STATUSES.get(response.status, other))


def refusal_line(topic: str, response: HookResponse) -> Line:
    """Judge the response to a call without a right secret."""
    if response.code == Outcome.UNAUTHORIZED:
        return Line(Mark.OK, topic, "refused (401)")
    if response.code in (*AUTHENTICATED, Outcome.ACCEPTED):
        return Line(Mark.ERROR, topic, "accepted: everybody can send SMS at your cost", EVERYBODY_STEP)
    other = (f"expected 401, but got {response.status}", "is there a proxy or gateway in front of the function?")
    return Line(Mark.ERROR, topic, *UNEXPECTED_STATUSES.get(response.status, other))


def acceptance_line(topic: str, response: HookResponse) -> Line:
    """Judge the response to a voice call with a right secret."""
    if response.code in AUTHENTICATED:
        return Line(Mark.OK, topic, f"accepted; the voice call itself is refused, as expected ({response.status} {response.code})")
    if response.code == Outcome.UNAUTHORIZED:
        if abs(response.clock_ahead_seconds) > TOLERANCE_SECONDS and topic.startswith("signing"):
            direction = "ahead of" if response.clock_ahead_seconds > 0 else "behind"
            text = f"refused: its clock is {abs(response.clock_ahead_seconds):.0f} s {direction} ours"
            return Line(Mark.ERROR, topic, text, "correct the clocks; they may differ by 5 minutes at most")
        step = "is it in HOOK_SECRETS (on /hooks/auth0: HOOK_SECRETS_AUTH0, and so on)? After a change of a mounted file, try again in 10 s"
        return Line(Mark.ERROR, topic, "refused: the function does not know it", step)
    other = (f"unexpected: {response.status} {response.code}".rstrip(), _SEE_OPERATIONS)
    return Line(Mark.ERROR, topic, *UNEXPECTED_STATUSES.get(response.status, other))


def latency_lines(first: float, warm: float) -> Iterator[Line]:
    """Compare the time of two calls, in seconds and without Mitto, with the timeouts of the platforms that call ``/``."""
    yield Line(Mark.OK, "first call", f"{milliseconds(first)}, with its connection, and maybe a cold start")
    yield Line(Mark.OK, "warm", f"{milliseconds(warm)}, median of {WARM_CALLS} on one connection")
    met, missed = in_time(warm)
    if missed:
        yield Line(Mark.WARNING, "timeouts", f"missed even when warm: {_named(missed)}", _NEARER_STEP)
        return
    met, missed = in_time(first)
    if missed:
        text = f"missed by the first call: {_named(missed)}"
        yield Line(Mark.WARNING, "timeouts", text, "for these, keep one instance warm (min instances 1)", [f"met: {_named(met)}"])
        return
    yield Line(Mark.OK, "timeouts", f"met, if Mitto takes at most {MITTO_SECONDS:g} s: {_named(met)}")


def _named(platforms: list[Platform]) -> str:
    return ", ".join(f"{platform.name} {platform.timeout_seconds:g} s" for platform in platforms) or "none"


def message_line(response: HookResponse, recipient: str) -> Line:
    """Judge the response to a real message. ``recipient`` is masked."""
    if response.code == Outcome.ACCEPTED:
        facts = [counted(response.segments, "segment"), milliseconds(response.seconds)]
        facts += [response.message_id] if response.message_id else []
        return Line(Mark.OK, "message", f"to {recipient}: accepted by Mitto", more=[", ".join(facts)])
    step = MESSAGE_STEPS.get(response.code, _SEE_OPERATIONS)
    return Line(Mark.ERROR, "message", f"to {recipient}: {response.status} {response.code}".rstrip(), step)


def repeat_line(first: HookResponse, repeat: HookResponse) -> Line:
    """Judge the response to the same message again."""
    if repeat.code == Outcome.ACCEPTED and repeat.is_duplicate and repeat.message_id == first.message_id:
        return Line(Mark.OK, "repeat", "recognised: no second SMS")
    if repeat.code == Outcome.ACCEPTED:
        return Line(
            Mark.ERROR, "repeat", "not recognised: two SMS were sent", "several instances need a shared store: STORE_URL=redis://..."
        )
    return Line(Mark.WARNING, "repeat", f"{repeat.status} {repeat.code}".rstrip(), _SEE_OPERATIONS)


def _call(topic: str, terminal: Terminal, call: Callable[[], HookResponse]) -> HookResponse:
    terminal.pending(topic)
    try:
        return call()
    except httpx.TransportError as error:
        raise Unreachable(Line(Mark.ERROR, topic, *cause_of(error))) from None


def cause_of(error: httpx.TransportError) -> tuple[str, str]:
    """Say why there is no response, and what to do."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted", "platforms refuse it, too: install a public certificate"
        if isinstance(cause, ssl.SSLError):
            return "the port does not use TLS", "use the port for https"
        cause = cause.__cause__ or cause.__context__
    return next(finding for kind, finding in CONNECTION_FAILURES.items() if isinstance(error, kind))
