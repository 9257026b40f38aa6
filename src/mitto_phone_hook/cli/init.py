"""``mitto-phone-hook init``: writes the first file of settings, with new secrets, and says what comes next."""

import argparse
import getpass
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mitto_phone_hook.callers import MissingSecret, all_callers, build_call
from mitto_phone_hook.cli.key import FICTIONAL_RECIPIENT
from mitto_phone_hook.cli.secret import bearer_secret, signing_key
from mitto_phone_hook.cli.simulate import DEFAULT_URL
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.config import rules
from mitto_phone_hook.config.settings import SettingsError, load
from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.policy.destination import ANY_REGION
from mitto_phone_hook.sandbox.__main__ import DEFAULT_KEY, DEFAULT_PORT
from mitto_phone_hook.sandbox.program import program

_HELP = """\
Write a file of settings, which only you can read. It asks for the platform, Mitto's API key (what you type is not shown), the
countries that get messages, the sender ID and the name of your application, makes the secrets, and says what to do next.

Each question has an option. With --yes nothing is asked: what has no option gets its default. The API key is no option, because
others on the machine could see it there: it is taken from MITTO_API_KEY. Without a key the file is for the fake Mitto.

Exit status: 0 the file is written, 1 it is not, 2 wrong usage.
"""

_NATIVE = "native"


class Question(NamedTuple):
    """One question, the setting that it is about, and the rule that checks the response."""

    option: str
    setting: str
    text: str
    default: str
    check: Callable[[str], object]


def _platform(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"must be one of {', '.join(NAMES)}")
    return name


def _optional_key(text: str) -> str:
    return rules.api_key(text) if text else ""


PLATFORM = Question(
    "platform",
    "the platform",
    "Who calls, such as auth0 or okta (native: any other)",
    _NATIVE,
    _platform,
)
KEY = Question("", "MITTO_API_KEY", "Mitto's API key (not shown; empty: none yet, use the fake Mitto)", "", _optional_key)
QUESTIONS = (
    Question("regions", "ALLOWED_REGIONS", "Countries that get messages, such as CH,DE (* for all)", ANY_REGION, rules.regions),
    Question("sender-id", "MITTO_SENDER_ID", "Sender ID that Mitto has registered for you", "Mitto SMS", rules.sender_id),
    Question("app-name", "APP_NAME", "Name of your application in built-in texts (may be empty)", "", rules.app_name),
)
"""Those whose response is a setting as it stands."""


class Paste(NamedTuple):
    """What the administrator of a platform enters there."""

    field: str
    """The platform's own name for it."""
    form: str = "{}"
    """How the secret is written there."""
    is_made_there: bool = False
    """Whether the platform makes the secret, so that ours is only for tests."""
    caller: str | None = None
    """How it calls today, where it has several ways."""


PASTES: Mapping[str, Paste] = {
    "native": Paste("Authorization", "Bearer {}"),
    "auth0": Paste("HOOK_SECRET", caller="auth0-provider"),
    "supabase": Paste("GOTRUE_HOOK_SEND_SMS_SECRETS", "v1,{}"),
    "zitadel": Paste("signingKey", is_made_there=True),
    "authgear": Paste("secret", is_made_there=True),
    "logto": Paste("Authorization Header", "Bearer {}"),
    "authentik": Paste("API Auth Username"),
    "fusionauth": Paste("Authentication password"),
    "clerk": Paste("signing secret", is_made_there=True),
    "descope": Paste("Token"),
    "okta": Paste("Authentication secret", "Bearer {}"),
}
"""By platform, from its page in ``docs/platforms``."""


class _GivenUp(Exception):  # noqa: N818 - the person decided so
    """Nobody responds any more, or a response cannot be used. The text says why."""


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "init",
        help="write a file of settings, with new secrets",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--file", default=".env", metavar="FILE", help="the file to write (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace a file that exists, and with it its secrets")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument("--platform", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    for question in QUESTIONS:
        parser.add_argument(f"--{question.option}", metavar="VALUE", help=f"{question.setting}; default: {question.default or 'empty'}")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> int:
    """Ask, write, and say what comes next. Returns the exit status."""
    file = Path(options.file)
    if file.exists() and not options.force:
        terminal.write(f"{file} exists: nothing is changed. --file names another one, --force replaces it and its secrets.\n")
        return 1
    if not options.yes and not sys.stdin.isatty():
        terminal.write("Nobody can be asked here: use --yes, with an option for each value that is not its default.\n")
        return 1
    try:
        platform, values = _settings(options, environment, terminal)
        load(values)
    except _GivenUp as reason:
        terminal.write(f"{reason}\nNothing was written.\n")
        return 1
    except SettingsError as error:
        terminal.write("".join(f"{problem}\n" for problem in error.problems) + "Nothing was written.\n")
        return 1
    try:
        _write(file, values)
    except OSError as error:
        terminal.write(f"{file} cannot be written ({os.strerror(error.errno or 0)}); --file names another one.\n")
        return 1
    terminal.write(f"\n{file} is written, for your eyes only: it has the secrets. Never commit it.\n\n{next_steps(platform, file, values)}")
    return 0


def _settings(options: argparse.Namespace, environment: Mapping[str, str], terminal: Terminal) -> tuple[str, dict[str, str]]:
    """Give the platform, and the settings for it."""
    given = {PLATFORM: options.platform, KEY: environment.get("MITTO_API_KEY") or None}
    given |= {question: getattr(options, question.option.replace("-", "_")) for question in QUESTIONS}
    replies = {question: _reply(question, value, terminal, is_asked=value is None and not options.yes) for question, value in given.items()}
    platform, key = replies.pop(PLATFORM), replies.pop(KEY)
    values = {"MITTO_API_KEY": key or DEFAULT_KEY}
    if not key:
        values |= {"MITTO_BASE_URL": f"http://127.0.0.1:{DEFAULT_PORT}", "PUBLIC_URL": DEFAULT_URL}
    values |= {"REPORT_SECRETS": bearer_secret()}
    values |= {"HOOK_SECRETS": f"{signing_key()} {bearer_secret()}"}
    if platform != _NATIVE:
        values[f"HOOK_SECRETS_{platform.upper()}"] = _new_secret(platform)
    return platform, values | {question.setting: reply for question, reply in replies.items() if reply}


def _reply(question: Question, value: str | None, terminal: Terminal, *, is_asked: bool) -> str:
    """Give a valid response: from the option, from the person, or the default. Raises ``_GivenUp``."""
    while True:
        text = _asked(question, terminal) if is_asked else question.default if value is None else value
        try:
            rules.refuse_quotation_marks(text)
            question.check(text)
        except ValueError as rule:
            if not is_asked:
                raise _GivenUp(f"{question.setting} {rule}") from None
            terminal.write(f"  {question.setting} {rule}\n")
        else:
            return text


def _asked(question: Question, terminal: Terminal) -> str:
    default = f" [{question.default}]" if question.default else ""
    prompt = f"{question.text}{default}: "
    try:
        if question is KEY:
            return getpass.getpass(prompt).strip()
        terminal.write(prompt)
        return input().strip() or question.default
    except (EOFError, UnicodeDecodeError):
        raise _GivenUp("\nNobody responds.") from None


def _new_secret(platform: str) -> str:
    """Make a secret of the kind that the platform uses, which its own way to call says."""
    key = signing_key()
    secrets = load({"MITTO_API_KEY": "-", "HOOK_SECRETS": key}).secrets_of("").current(0)
    try:
        build_call(platform, secrets, FICTIONAL_RECIPIENT, "000000", 0)
    except MissingSecret:
        return bearer_secret()
    return key


def _write(file: Path, values: Mapping[str, str]) -> None:
    """Write the whole file or nothing. Raises ``OSError``."""
    head = (
        "# Settings of mitto-phone-hook, for mitto-phone-hook --env and docker run --env-file. It has secrets: never commit it.\n"
        "# All other settings: .env.example in the repository, or docs/configuration.md.\n"
    )
    # Its mode is 600 from the start.
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".mitto-phone-hook-", text=True)
    try:
        with open(descriptor, "w", encoding="utf-8") as output:  # noqa: PTH123 - a descriptor, not a path
            output.write(head + "".join(f"{setting}={value}\n" for setting, value in values.items()))
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def next_steps(platform: str, file: Path, values: Mapping[str, str]) -> str:
    """Say what to do next, with commands that work as they stand."""
    path, command = shlex.quote(str(file)), program()
    caller = PASTES[platform].caller or platform
    is_fake, title = "MITTO_BASE_URL" in values, all_callers()[caller].title
    to = "" if is_fake else " --to NUMBER-OF-YOURS"
    paste, variable = PASTES[platform], "HOOK_SECRETS" if platform == _NATIVE else f"HOOK_SECRETS_{platform.upper()}"
    steps = [
        ("In another terminal, the fake Mitto:", f"{command} sandbox")
        if is_fake
        else ("Does Mitto accept it all?", f"{command} check --env {path}"),
        ("Start the function:", f"{command} run --env {path}"),
        (f"In another terminal, call it as {title} does:", f"{command} simulate {caller} --env {path}{to}"),
    ]
    lines = [f"{number}. {text}\n\n     {command}\n\n" for number, (text, command) in enumerate(steps, 1)]
    shown = f"its {paste.field}" if paste.is_made_there else f"{paste.field} = {paste.form.format(f'<the secret in {variable}>')}"
    address = f"https://YOUR-FUNCTION/hooks/{platform}"
    if paste.is_made_there:
        lines.append(
            f"{len(steps) + 1}. Deploy it. At {title}, enter {address}, and put {shown} into {variable} instead of the secret there.\n"
        )
    else:
        lines.append(f"{len(steps) + 1}. Deploy it. At {title}, enter:\n\n     {address}\n     {shown}\n")
    page = "docs/native.md" if platform == _NATIVE else f"docs/platforms/{platform}.md"
    lines.append(f"   The rest: {page} in the repository\n")
    lines.append(
        f"\nWhen Mitto has given you a key: put it into MITTO_API_KEY of {path}, and delete the line MITTO_BASE_URL.\n" if is_fake else ""
    )
    lines.append("\nOnce you know the function's https address, write it into PUBLIC_URL, for delivery reports.\n")
    return "".join(lines)
