"""``mitto-phone-hook key``: whether Mitto accepts the API key, with one test message. Mitto neither delivers nor charges it."""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from mitto_phone_hook.cli import probe
from mitto_phone_hook.cli.address import recipient_number
from mitto_phone_hook.cli.report import Line, Mark, milliseconds
from mitto_phone_hook.cli.settings_report import problem_lines
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.config.settings import Settings, SettingsError, load
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.response_codes import MittoResult
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import encode
from mitto_phone_hook.sms.sender_ids import Scope

FICTIONAL_RECIPIENT = "+12025550110"
"""Reserved for fiction by the North American numbering plan: nobody gets the message, even if Mitto ignores the test flag."""

_SETTINGS = ("MITTO_API_KEY", "MITTO_API_KEY_FILE", "MITTO_BASE_URL", "MITTO_SENDER_ID", "SENDER_IDS", "CONNECT_TIMEOUT_SECONDS")
"""The settings that the command uses. Others need not be right, or there."""

_HELP = """\
Ask Mitto whether it accepts the API key in MITTO_API_KEY, with one test message, which Mitto neither delivers nor charges.
It needs no other setting: try a new key with it before the function gets that key. Run it where the function runs: Mitto may
accept a key only from IP addresses that it knows. The command check tests all settings, and the key with them.
"""

_TEXT = "A test message of mitto-phone-hook check."
_REFERENCE = "mitto-phone-hook-check"

_KEY_ACCEPTED = Line(Mark.OK, "API key", "accepted by Mitto")
_OWN_RECIPIENT = "try again with a number of your own, in a country that you serve: --recipient"
_TRY_LATER = "look at Mitto's status page, and check again in a minute"

BY_WHY: Mapping[str, Sequence[Line]] = {
    "accepted": (_KEY_ACCEPTED, Line(Mark.OK, "test message", "accepted; not delivered, not charged")),
    "http_401": (
        Line(Mark.ERROR, "API key", "refused (401)", "compare it with Mitto's dashboard; if it is the same, check the egress IP"),
    ),
    "http_403": (
        Line(
            Mark.ERROR, "API key", "refused from this address (403)", "ask Mitto to register the egress IP, or to remove the IP restriction"
        ),
    ),
    **dict.fromkeys(
        ("mitto_code_5", "mitto_code_6"),
        (
            _KEY_ACCEPTED,
            Line(
                Mark.ERROR,
                "sender ID",
                "refused for this recipient's country",
                "ask Mitto to register it there, or name another one for this country in SENDER_IDS",
            ),
        ),
    ),
    **dict.fromkeys(
        ("mitto_code_7", "mitto_code_8"),
        (_KEY_ACCEPTED, Line(Mark.WARNING, "test message", "the recipient is refused, but the key is accepted", _OWN_RECIPIENT)),
    ),
    "http_404": (Line(Mark.ERROR, "API key", "no SMS API at this address (404)", "correct MITTO_BASE_URL"),),
    "http_429": (Line(Mark.ERROR, "API key", "unknown: too many calls for Mitto (429)", _TRY_LATER),),
    "tls_not_trusted": (
        Line(Mark.ERROR, "API key", "not sent: the certificate is not trusted", "does a proxy decrypt TLS here? See SSL_CERT_FILE"),
    ),
}
"""What each result means, by the ``why`` that the log shows for it. All other results: ``BY_OUTCOME``."""

BY_OUTCOME: Mapping[Outcome, Line] = {
    Outcome.UPSTREAM_AUTH: Line(Mark.ERROR, "API key", "Mitto refuses this function", "see docs/operations.md, upstream_auth"),
    Outcome.UPSTREAM_REJECTED: Line(Mark.WARNING, "test message", "refused by Mitto", "see docs/operations.md, upstream_rejected"),
    Outcome.INVALID_RECIPIENT: Line(Mark.WARNING, "test message", "the recipient is refused", _OWN_RECIPIENT),
    Outcome.UPSTREAM_UNAVAILABLE: Line(Mark.ERROR, "API key", "unknown: Mitto cannot be reached", _TRY_LATER),
    Outcome.OUTCOME_UNKNOWN: Line(Mark.ERROR, "API key", "unknown: no valid response from Mitto", _TRY_LATER),
}


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "key", help="ask Mitto whether it accepts the API key", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    said = "E.164 number for the test message (default: a fictional number)"
    parser.add_argument("--recipient", type=recipient_number, metavar="NUMBER", help=said)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Check the connection and the key. Returns the exit status."""
    terminal.heading("Mitto")
    own = {name: environment.get(name, "") for name in _SETTINGS}
    try:
        # The key needs no callers.
        settings = load({**own, "HOOK_SECRETS": "-" * 24})
    except SettingsError as error:
        terminal.show_all(problem_lines(error.problems, "put it into the environment, or name a file with --env"))
    else:
        check_mitto(settings, options.recipient, terminal)
    return terminal.finish()


def check_mitto(settings: Settings, recipient: Recipient | None, terminal: Terminal) -> None:
    """Check name, connection, key and egress address, and show each finding. ``None`` for the fictional recipient."""
    url = httpx.URL(settings.mitto_base_url)
    is_accepted = False
    try:
        terminal.pending("name")
        terminal.show(probe.resolve(url))
        terminal.pending("connection")
        terminal.show(probe.connect(url, timeout_seconds=settings.connect_timeout_seconds))
        is_accepted = _check_key(settings, recipient, terminal)
    except probe.ProbeFailed as error:
        terminal.show(error.line)
    # Also after a failure: Mitto may ignore IP addresses that it does not know.
    if local := probe.local_address(url):
        terminal.show(probe.egress_line(local, is_accepted=is_accepted))


def _check_key(settings: Settings, recipient: Recipient | None, terminal: Terminal) -> bool:
    """Whether Mitto accepted the key."""
    terminal.pending("API key")
    started = time.perf_counter()
    result = asyncio.run(send_test_message(settings, recipient or Recipient(FICTIONAL_RECIPIENT)))
    lines = result_lines(result, is_fictional=recipient is None)
    if result.outcome is Outcome.ACCEPTED:
        lines[-1] = lines[-1]._replace(text=f"{lines[-1].text}, in {milliseconds(time.perf_counter() - started)}")
    terminal.show(*lines)
    return is_key_accepted(lines)


def result_lines(result: MittoResult, *, is_fictional: bool) -> list[Line]:
    """Explain Mitto's result for the test message. ``is_fictional``: it went to ``FICTIONAL_RECIPIENT``."""
    lines = list(BY_WHY.get(result.why, ()))
    if not lines:
        line = BY_OUTCOME[result.outcome]
        return [line._replace(text=f"{line.text} ({result.why})")]
    if is_fictional and result.why in ("mitto_code_5", "mitto_code_6"):
        lines[1] = lines[1]._replace(
            mark=Mark.WARNING,
            text="refused for the fictional American recipient; sender IDs are registered by country",
            next_step=_OWN_RECIPIENT,
        )
    if is_fictional and result.why in ("mitto_code_7", "mitto_code_8"):
        lines[1] = Line(Mark.OK, "test message", "its fictional recipient is refused; the key is accepted")
    return lines


async def send_test_message(settings: Settings, recipient: Recipient) -> MittoResult:
    """Send one test message within ``DEADLINE_SECONDS``."""
    origin = httpx.URL(settings.mitto_base_url)
    transport = OneOriginTransport(origin, httpx.create_ssl_context() if origin.scheme == "https" else None)
    mitto = Mitto(
        transport,
        settings.mitto_api_key,
        base_url=settings.mitto_base_url,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        is_test=True,
    )
    region = read_number(recipient.get_secret_value(), None).region
    sms = Sms(recipient, settings.senders.choose(Scope(region=region)), encode(_TEXT, is_smart=False), validity_minutes=1)
    until = asyncio.get_running_loop().time() + settings.deadline_seconds
    try:
        return await mitto.send(sms, reference=_REFERENCE, until=until)
    finally:
        await transport.aclose()


def is_key_accepted(lines: Sequence[Line]) -> bool:
    """Whether Mitto accepted the key, and so our address, too."""
    return lines[0] == _KEY_ACCEPTED
