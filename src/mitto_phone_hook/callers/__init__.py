"""How each platform calls the hook, and how its own code reads our response: the other side of ``platforms/``, for tests of a deployment.

The hook itself imports nothing from here. One file per platform, with the name of its module in ``platforms/``.
"""

import hashlib
import json
from functools import cache
from importlib import import_module
from types import MappingProxyType

from mitto_phone_hook.callers._contract import Caller, Case, HookRequest, Message, MissingSecret, NoSuchCase, Reading, Verdict
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.platforms import NAMES

__all__ = ["Caller", "Case", "HookRequest", "MissingSecret", "NoSuchCase", "Reading", "Verdict", "all_callers", "build_call", "platform_of"]

NOBODYS_NUMBER = "+12025550"
"""Too short to be anybody's: every platform's call with it is refused, whatever the settings say."""

STALE_SECONDS = 600
"""Twice what any platform's signature may be old."""

_CODE_TEXT = "{} is your verification code."


@cache
def all_callers() -> MappingProxyType[str, Caller]:
    """Give every caller by name. A platform that calls in several ways has several, such as ``auth0-passwordless``."""
    modules = [import_module(f"{__name__}.{name}") for name in NAMES]
    return MappingProxyType({name: caller for module in modules for name, caller in module.CALLERS.items()})


def platform_of(name: str) -> str:
    """Give the platform of a caller: the name of its route and of its secrets."""
    return name.partition("-")[0]


def build_call(  # noqa: PLR0913, PLR0917 - what a call is made of
    name: str, secrets: HookSecrets, to: str, code: str, now: float, case: Case = Case.OK, *, attempt: int = 1
) -> HookRequest:
    """Build the request that a platform sends. Pure: the same arguments give the same request.

    ``to`` is an E.164 number, ``now`` is in Unix seconds. A later ``attempt`` to send the same message is signed so many seconds later.
    ``repeat`` and ``resend`` are built as ``ok``: they are more calls, not others.
    Raises ``NoSuchCase`` for what the platform never sends, ``MissingSecret`` where it cannot use any of the secrets.
    """
    caller = all_callers()[name]
    is_stale = case is Case.STALE
    message = Message(
        to=NOBODYS_NUMBER if case is Case.REFUSED_NUMBER else to,
        code=code,
        text=_CODE_TEXT.format(code),
        now=now,
        signed_at=int(now) + attempt - 1 - STALE_SECONDS * is_stale,
        is_voice=case is Case.VOICE,
        is_other_event=case is Case.OTHER_EVENT,
    )
    plain = message._replace(is_voice=False, is_other_event=False, signed_at=int(now) + attempt - 1)
    content = caller.payload(message)
    body = json.dumps(content, ensure_ascii=False).encode()
    headers = caller.sign(_forged(secrets) if case is Case.FORGED else secrets, body, message)
    if case in (Case.VOICE, Case.OTHER_EVENT) and content == caller.payload(plain):
        raise NoSuchCase("this platform never sends that")
    if is_stale and headers == caller.sign(secrets, body, plain):
        raise NoSuchCase("its calls bear no time that is signed")
    return HookRequest(f"/hooks/{platform_of(name)}", {"Content-Type": "application/json", **caller.headers, **headers}, body)


def _forged(secrets: HookSecrets) -> HookSecrets:
    """Give secrets of the same kinds that nobody has configured."""
    bearer = tuple(hashlib.sha256(b"forged " + one).hexdigest().encode() for one in secrets.bearer)
    return HookSecrets(bearer, tuple(hashlib.sha256(b"forged " + one).digest() for one in secrets.signing_keys))
