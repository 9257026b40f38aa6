"""``mitto-phone-hook check --url``: a deployed function, seen from outside. What each answer means; no I/O but the caller's."""

import secrets
import ssl
import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import httpx

from mitto_phone_hook.cli.caller import Answer, Caller, Credential, nothing, wrong
from mitto_phone_hook.cli.key import FICTIONAL_RECIPIENT
from mitto_phone_hook.cli.platforms import MITTO_SECONDS, Platform, in_time
from mitto_phone_hook.cli.report import Line, Mark, counted, milliseconds
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms._signatures import TOLERANCE_SECONDS

WARM_CALLS = 5

PROVING = frozenset({Outcome.VOICE_UNSUPPORTED, Outcome.BLOCKED_COUNTRY, Outcome.BLOCKED_NUMBER_TYPE, Outcome.BLOCKED_RECIPIENT})
"""What a call for voice gets from a function that knows the caller. The last three: the fictional number is American."""

STATUSES: Mapping[int, tuple[str, str]] = {
    401: ("something before the function refuses (401)", "what stands before it? It must let the platform's own credentials through"),
    403: ("the platform wants a login of its own (403)", "let everybody call it; on Cloud Run: --no-invoker-iam-check"),
    404: ("nothing is at this path (404)", "give the URL of the function itself, path / or /hooks/auth0"),
    405: ("this path takes no POST (405)", "give the URL of the function itself, path / or /hooks/auth0"),
    429: ("too many calls for the platform (429)", "wait a minute; raise the number of instances"),
    500: ("the function has a bug (500)", "its log line internal_error says where"),
    502: ("a proxy gets no answer from the function (502)", "did it start? Its last log lines name every setting that is wrong"),
    503: ("no instance is there (503)", "did it start? Its last log lines name every setting that is wrong"),
}
"""What statuses mean that no check expects."""

MESSAGE_STEPS: Mapping[str, str] = {
    Outcome.RATE_LIMITED: "a limit of the function: wait, or put the number into EXEMPT_NUMBERS",
    Outcome.BLOCKED_COUNTRY: "its country is not in ALLOWED_REGIONS",
    Outcome.UPSTREAM_AUTH: "API key, egress IP or sender ID: run mitto-phone-hook check where the function runs",
    Outcome.UPSTREAM_UNAVAILABLE: "the function cannot reach Mitto: egress rules, DNS, Mitto's status page",
    Outcome.OUTCOME_UNKNOWN: "perhaps sent: look at the handset and at Mitto's log before another try",
}
"""What to do when the message does not leave; all other outcomes are in the operations page."""

_LOG = "what do its log and the platform's say?"
FAULTS: Mapping[type[httpx.TransportError], tuple[str, str]] = {
    httpx.ConnectTimeout: ("no connection in time", "is the address right, and does a firewall stand between?"),
    httpx.TimeoutException: ("no answer in time", _LOG),
    httpx.ConnectError: ("no connection", "is the address right, and is it deployed?"),
    httpx.TransportError: ("the connection broke", _LOG),
}
"""Why no answer came; the first kind that fits counts."""

_LOOK_UP = "docs/operations.md says what to do"


class Unreachable(Exception):  # noqa: N818 - a finding, not an error
    """No answer at all; the line says why."""

    def __init__(self, line: Line) -> None:
        """Take what is to be shown."""
        super().__init__(line.text)
        self.line = line


def check(caller: Caller, known: list[Credential], recipient: Recipient | None, terminal: Terminal) -> None:
    """Look at everything, and show each finding as soon as it is known."""
    terminal.heading("Function")
    try:
        first = _reached("health", terminal, caller.health)
        terminal.show(health_line(first))
        passing = _check_access(caller, known, terminal) if first.code == "ok" else None
        if passing:
            terminal.heading("Latency")
            _check_latency(caller, passing, first, terminal)
        if passing and recipient:
            terminal.heading("Message")
            _check_message(caller, passing, recipient, terminal)
    except Unreachable as end:
        terminal.show(end.line)


def _check_access(caller: Caller, known: list[Credential], terminal: Terminal) -> Credential | None:
    """Knock with nothing, with something wrong, and with every secret; give the first one that opens."""
    for topic, prove in (("no secret", nothing), ("wrong secret", wrong)):
        terminal.show(refusal_line(topic, _reached(topic, terminal, partial(caller.post, voice(), prove))))
    passing = []
    for credential in known:
        line = passing_line(credential.name, _reached(credential.name, terminal, partial(caller.post, voice(), credential.prove)))
        terminal.show(line)
        if line.mark is Mark.RIGHT:
            passing.append(credential)
    return passing[0] if passing else None


def _check_latency(caller: Caller, credential: Credential, first: Answer, terminal: Terminal) -> None:
    calls = [_reached("latency", terminal, partial(caller.post, voice(), credential.prove)) for _ in range(WARM_CALLS)]
    terminal.show_all(latency_lines(first.seconds, statistics.median(call.seconds for call in calls)))


def _check_message(caller: Caller, credential: Credential, recipient: Recipient, terminal: Terminal) -> None:
    """Send one real message, and the same again."""
    code = f"{secrets.randbelow(1_000_000):06d}"
    text = f"{code} comes from mitto-phone-hook check. Nobody needs this code."
    payload = {"recipient": recipient.get_secret_value(), "text": text, "context": {"message_type": "sms", "code": code}}
    send = partial(caller.post, payload, credential.prove)
    first = _reached("message", terminal, send)
    terminal.show(message_line(first, str(recipient)))
    if first.code == Outcome.ACCEPTED:
        terminal.show(repeat_line(first, _reached("the same again", terminal, send)))


def voice() -> dict[str, Any]:
    """Give a payload that passes authentication and can never become an SMS: a call is asked for, to a number of nobody."""
    return {"recipient": FICTIONAL_RECIPIENT, "text": "mitto-phone-hook check", "context": {"message_type": "voice", "code": "000000"}}


def health_line(answer: Answer) -> Line:
    """Judge the answer of ``/health``."""
    if answer.code == "ok":
        return Line(Mark.RIGHT, "health", "lives")
    if answer.status // 100 == 3:  # noqa: PLR2004 - redirections
        return Line(
            Mark.WRONG, "health", f"leads elsewhere ({answer.status})", "give the address that it leads to: platforms do not follow"
        )
    text, step = STATUSES.get(answer.status, (f"something else answers ({answer.status})", "is this the URL of the function?"))
    return Line(Mark.WRONG, "health", text, step)


def refusal_line(topic: str, answer: Answer) -> Line:
    """Judge what a call gets that proves nothing."""
    if answer.code == Outcome.UNAUTHORIZED:
        return Line(Mark.RIGHT, topic, "refused (401)")
    if answer.code in (*PROVING, Outcome.ACCEPTED):
        return Line(
            Mark.WRONG, topic, "let in: everybody can send at your cost", "stop it now, and see what stands between you and the function"
        )
    text, step = STATUSES.get(answer.status, (f"not refused with 401 but with {answer.status}", "what stands before the function?"))
    return Line(Mark.WRONG, topic, text, step)


def passing_line(topic: str, answer: Answer) -> Line:
    """Judge what a call gets that proves who it is, and asks for what costs nothing."""
    if answer.code in PROVING:
        return Line(Mark.RIGHT, topic, f"accepted; the test itself is refused, as it should be ({answer.status} {answer.code})")
    if answer.code == Outcome.UNAUTHORIZED:
        if abs(answer.clock_ahead_seconds) > TOLERANCE_SECONDS and topic.startswith("signing"):
            direction = "ahead of" if answer.clock_ahead_seconds > 0 else "behind"
            text = f"refused: its clock is {abs(answer.clock_ahead_seconds):.0f} s {direction} ours"
            return Line(Mark.WRONG, topic, text, "set the clocks right; 5 minutes are tolerated")
        step = "is it in the function's HOOK_SECRETS (on /hooks/auth0: HOOK_SECRETS_AUTH0)? A mounted file was looked at: try again in 10 s"
        return Line(Mark.WRONG, topic, "refused: the function does not know it", step)
    text, step = STATUSES.get(answer.status, (f"not as expected: {answer.status} {answer.code}".rstrip(), _LOOK_UP))
    return Line(Mark.WRONG, topic, text, step)


def latency_lines(first: float, warm: float) -> Iterator[Line]:
    """Compare the seconds of two calls, in which Mitto had no part, with what the platforms wait."""
    yield Line(Mark.RIGHT, "first call", f"{milliseconds(first)}, with its connection, and maybe a cold start")
    yield Line(Mark.RIGHT, "warm", f"{milliseconds(warm)}, median of {WARM_CALLS} on one connection")
    kept, missed = in_time(warm)
    if missed:
        step = "put it nearer, give it more CPU, look at duration_ms in its log"
        yield Line(Mark.LOOK, "time limits", f"missed even when warm: {_named(missed)}", step)
        return
    kept, missed = in_time(first)
    if missed:
        text = f"missed by the first call: {_named(missed)}"
        yield Line(Mark.LOOK, "time limits", text, "for these keep an instance warm (min instances 1)", [f"kept: {_named(kept)}"])
        return
    yield Line(Mark.RIGHT, "time limits", f"kept, if Mitto takes no more than {MITTO_SECONDS:g} s: {_named(kept)}")


def _named(platforms: list[Platform]) -> str:
    return ", ".join(f"{platform.name} {platform.seconds:g} s" for platform in platforms) or "none"


def message_line(answer: Answer, to: str) -> Line:
    """Judge the answer to a real message; ``to`` is masked."""
    if answer.code == Outcome.ACCEPTED:
        facts = [counted(answer.segments, "segment"), milliseconds(answer.seconds), *([answer.message_id] if answer.message_id else [])]
        return Line(Mark.RIGHT, "message", f"Mitto took it, to {to}", more=[", ".join(facts)])
    step = MESSAGE_STEPS.get(answer.code, _LOOK_UP)
    return Line(Mark.WRONG, "message", f"to {to}: {answer.status} {answer.code}".rstrip(), step)


def repeat_line(first: Answer, again: Answer) -> Line:
    """Judge the answer to the same message once more."""
    if again.code == Outcome.ACCEPTED and again.is_duplicate and again.message_id == first.message_id:
        return Line(Mark.RIGHT, "the same again", "known: no second SMS")
    if again.code == Outcome.ACCEPTED:
        return Line(
            Mark.WRONG, "the same again", "not known: two SMS left", "with several instances they must share: STORE_URL=redis://..."
        )
    return Line(Mark.LOOK, "the same again", f"{again.status} {again.code}".rstrip(), _LOOK_UP)


def _reached(topic: str, terminal: Terminal, call: Callable[[], Answer]) -> Answer:
    terminal.pending(topic)
    try:
        return call()
    except httpx.TransportError as fault:
        text, step = _cause(fault)
        raise Unreachable(Line(Mark.WRONG, topic, text, step)) from None


def _cause(fault: httpx.TransportError) -> tuple[str, str]:
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted", "platforms will refuse it, too: give it a public one"
        if isinstance(cause, ssl.SSLError):
            return "something is there and speaks no TLS", "give the port that speaks https"
        cause = cause.__cause__ or cause.__context__
    return next(words for kind, words in FAULTS.items() if isinstance(fault, kind))
