"""``mitto-phone-hook check``: tests the settings, the store and Mitto, or a deployed function."""

import argparse
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import httpx

from mitto_phone_hook.cli import deployed, key, settings_report
from mitto_phone_hook.cli.address import (
    SECRETS_STEP,
    configured_platforms,
    has_secrets,
    hook_url,
    open_client,
    recipient_number,
    secrets_of,
    split_route,
)
from mitto_phone_hook.cli.caller import Caller, call_as_platform, credentials
from mitto_phone_hook.cli.report import Line, Mark
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.config.settings import Settings, SettingsError, load
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.platforms import ROOT
from mitto_phone_hook.routes import HEALTH_PATH, ROUTES

_NATIVE_RESPONSES = frozenset({"", ROOT, "native"})
"""The routes whose responses have the codes of outcomes; empty: ``/``."""

_HELP = """\
Print one line per finding: what is ok, what is not, and what to do about it.

Without --url it checks the settings in the environment, the store, the
connection to Mitto, and whether Mitto accepts the API key. For the key it
sends one test message, which Mitto neither delivers nor charges. Run it where
the function runs: the result depends on the network and its IP address.

With --url it checks a deployed function from outside. It needs only
HOOK_SECRETS (or HOOK_SECRETS_FILE) in the environment. It sends no SMS without
--recipient. It adds about ten lines to the function's log, with the events
unauthorized and voice_unsupported, or blocked_country. For each platform with
HOOK_SECRETS_<NAME> in the environment it calls that platform's route, too, and
compares the time with the platform's timeout: seven more lines each, with the
events unauthorized and invalid_recipient. To check one route only, put it into
the address: https://the-function/hooks/okta.

Exit status: 0 no error, 1 at least one error, 2 wrong usage.
"""


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "check",
        help="check the settings of this environment, or a deployed function",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", type=hook_url, help="check the function at this address (https; http only for loopback)")
    parser.add_argument(
        "--recipient",
        type=recipient_number,
        metavar="NUMBER",
        help="E.164 number for the test message (default: a fictional number); with --url it gets one real SMS",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Run the checks. Returns the exit status."""
    if options.url:
        _check_deployed(options.url, options.recipient, environment, terminal)
    else:
        _check_environment(options.recipient, environment, terminal)
    return terminal.finish()


def _check_environment(recipient: Recipient | None, environment: Mapping[str, str], terminal: Terminal) -> None:
    terminal.heading("Settings")
    terminal.show_all(settings_report.unknown_variable_lines(environment))
    try:
        settings = load(environment)
    except SettingsError as error:
        terminal.show_all(settings_report.problem_lines(error.problems))
        return
    terminal.show_all(settings_report.lines(settings, environment))
    terminal.heading("Store")
    _check_store(settings, environment, terminal)
    if settings.okta_issuer:
        terminal.heading("Okta")
        _check_token_keys(settings.okta_issuer, terminal)
    terminal.heading("Mitto")
    key.check_mitto(settings, recipient, terminal)


def _check_store(settings: Settings, environment: Mapping[str, str], terminal: Terminal) -> None:
    if line := settings_report.store_line(settings, environment):
        terminal.show(line)
    elif find_spec("redis") is None:
        terminal.show(Line(Mark.ERROR, "redis", "the package redis is not installed", "use deploy/bundle.py --redis, or pip install redis"))
    else:
        # The package redis is optional.
        from mitto_phone_hook.cli import store  # noqa: PLC0415 - see above

        terminal.show(settings_report.state_key_line(settings))
        terminal.pending("redis")
        terminal.show_all(store.lines(settings.store_url, when_it_fails=settings_report.when_the_store_fails(settings)))


def _check_token_keys(issuer: str, terminal: Terminal) -> None:
    if find_spec("jwt") is None:
        step = "use deploy/bundle.py --okta, or pip install 'PyJWT[crypto]'"
        terminal.show(Line(Mark.ERROR, "keys", "the package PyJWT is not installed", step))
        return
    # The package PyJWT is optional.
    from mitto_phone_hook.credentials.access_tokens import fetch_keys, keys_in, keys_url  # noqa: PLC0415 - see above

    terminal.pending("keys")
    try:
        keys = keys_in(fetch_keys(keys_url(issuer), httpx.create_ssl_context()))
    except (OSError, ValueError):
        step = "correct OKTA_ISSUER, or let the function reach it; until then every token is refused"
        terminal.show(Line(Mark.ERROR, "keys", f"{keys_url(issuer)} gives no keys", step))
    else:
        terminal.show(Line(Mark.OK, "keys", f"{keys_url(issuer)} gives {len(keys)}"))


def _check_deployed(url: str, recipient: Recipient | None, environment: Mapping[str, str], terminal: Terminal) -> None:
    base_url, path = split_route(url)
    name = ROUTES[path].secrets
    # "/" stands for all that this shell has secrets of.
    platforms = [name] if name not in _NATIVE_RESPONSES else [] if name else configured_platforms(environment)
    is_native_checked = name in _NATIVE_RESPONSES and (name or not platforms or has_secrets("", environment))
    try:
        own = {name: secrets_of(name, environment) for name in platforms}
        secrets = secrets_of(name, environment) if is_native_checked else None
    except SettingsError as error:
        terminal.heading("Secrets")
        terminal.show_all(settings_report.problem_lines(error.problems, SECRETS_STEP))
        return
    with open_client(url) as client:
        caller = Caller(client, url, base_url.rstrip("/") + HEALTH_PATH)
        health = deployed.check_health(caller, terminal)
        if health and secrets:
            deployed.check(caller, health, credentials(secrets), recipient, terminal)
        if health and own:
            deployed.check_platforms(own, partial(call_as_platform, client, base_url), terminal)
    if recipient and not secrets:
        step = f"mitto-phone-hook simulate {platforms[0]} --url {url} --to NUMBER"
        terminal.show(Line(Mark.WARNING, "message", "not sent: this platform has a payload of its own", step))
