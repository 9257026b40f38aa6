"""``mitto-phone-hook secret``: a new secret for the callers of the hook."""

import argparse
import base64
import secrets
from collections.abc import Mapping
from typing import Any

from mitto_phone_hook.cli.terminal import Terminal

_SECRET_BYTES = 32

_HELP = """\
Make a secret that authenticates the identity platform to the function.

On a terminal it shows both forms and their use. In a pipe it prints only the two secrets, one per line, the signing
key first. HOOK_SECRETS takes this output as it is. --signing and --bearer print one form only:

  HOOK_SECRETS=$(mitto-phone-hook secret --signing)
"""


def add_to(parsers: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the subcommand."""
    parser = parsers.add_parser(
        "secret", help="make a secret for HOOK_SECRETS", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--signing", action="store_true", help="only a signing key, for callers that sign (Standard Webhooks)")
    form.add_argument("--bearer", action="store_true", help="only a bearer secret, for callers that cannot sign")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _: Mapping[str, str], terminal: Terminal) -> int:
    """Print new secrets."""
    if options.signing or options.bearer:
        terminal.write(f"{signing_key() if options.signing else bearer_secret()}\n")
    elif terminal.is_terminal:
        terminal.write(_explained(signing_key(), bearer_secret()))
    else:
        terminal.write(f"{signing_key()}\n{bearer_secret()}\n")
    return 0


def signing_key() -> str:
    """Make a key in the form of the Standard Webhooks specification."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def bearer_secret() -> str:
    """Make a bearer secret of letters and digits only, so that no shell, URL or double click cuts it."""
    return secrets.token_hex(_SECRET_BYTES)


def _explained(key: str, bearer: str) -> str:
    return f"""\
For callers that sign, such as the Actions of deploy/auth0 (the secret itself is never sent):

  {key}

For callers that can only send "Authorization: Bearer ...":

  {bearer}

Put one or both into HOOK_SECRETS of the function, and one of them into the caller. Supabase needs the key as v1,whsec_...
"""
