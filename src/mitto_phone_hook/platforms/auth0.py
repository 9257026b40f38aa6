"""Auth0: the events of both Actions; its sample Actions and its passwordless SMS gateway send the native payload.

Source: Auth0's documentation of the Actions ``send-phone-message`` and ``custom-phone-provider`` and of the passwordless SMS
gateway, and its sample Actions.
"""

import base64
import hmac
import re
from functools import partial
from typing import Any

from mitto_phone_hook.domain import strict_json
from mitto_phone_hook.domain.message import Channel, Purpose
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms._contract import Platform
from mitto_phone_hook.platforms._native_payload import FlatCall, HookCall
from mitto_phone_hook.platforms._native_response import respond
from mitto_phone_hook.platforms._payload import Payload, at, reader
from mitto_phone_hook.platforms._signatures import authenticate, is_any

TOKEN_LEEWAY_SECONDS = 60
"""How much the times of a JSON Web Token may differ from our clock."""

_TOKEN = re.compile(rb"(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]{43})")


class _Event(Payload):
    """The fields that have the same places in the events of both Actions."""

    OBJECTS = frozenset({"client", "request", "tenant", "user"})

    client_id: field.Description = at("client.client_id", default=None)
    organization: field.Description = at("organization.id", default=None)
    tenant: field.Name | None = at("tenant.id", default=None)
    client_ip: field.EndUserAddress = at("request.ip", default=None)


class MfaEvent(_Event):
    """The event of ``send-phone-message``."""

    SOURCE = "auth0_event_mfa"
    MARKER = "message_options"
    OBJECTS = _Event.OBJECTS | {"message_options"}

    recipient: field.WrittenNumber = at("message_options.recipient")
    text: field.MessageText = at("message_options.text")
    channel: field.MessageChannel = at("message_options.message_type", default=Channel.SMS)
    code: field.Code | None = at("message_options.code", default=None)
    purpose: field.MessagePurpose = at("message_options.action", default=Purpose.OTHER)
    locale: field.Language = at("request.language", default=None)


class ProviderEvent(_Event):
    """The event of ``custom-phone-provider``."""

    SOURCE = "auth0_event_provider"
    MARKER = "notification"
    OBJECTS = _Event.OBJECTS | {"notification"}

    recipient: field.WrittenNumber = at("notification.recipient")
    text: field.MessageText = at("notification.as_text")
    channel: field.MessageChannel = at("notification.delivery_method", default=Channel.SMS)
    code: field.Code | None = at("notification.code", default=None)
    purpose: field.MessagePurpose = at("notification.message_type", default=Purpose.OTHER)
    locale: field.Language = at("notification.locale", "request.language", default=None)


def _is_token(bearer: bytes, secrets: tuple[bytes, ...], now: float) -> bool:
    """Whether the value is a valid JSON Web Token, signed with a secret. The gateway can send nothing else.

    Source: RFC 7515 and 7519. The algorithm is exactly HS256. ``exp``, ``nbf`` and ``iat`` are optional, as Auth0 documents none of
    them. ``sub`` and ``aud`` are not compared: only who knows the secret can choose them.
    """
    found = _TOKEN.fullmatch(bearer)
    if found is None:
        return False
    signed, header, claims, signature = found.groups()
    expected = tuple(base64.urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=") for secret in secrets)
    if not is_any(signature, expected):
        return False
    try:
        head, times = _json_object(header), _json_object(claims)
    except ValueError:
        return False
    if head.get("alg") != "HS256" or "crit" in head:
        return False
    return (
        all(type(times[name]) is int for name in ("exp", "nbf", "iat") if name in times)
        and times.get("exp", now) >= now - TOKEN_LEEWAY_SECONDS
        and max(times.get("nbf", now), times.get("iat", now)) <= now + TOKEN_LEEWAY_SECONDS
    )


def _json_object(part: bytes) -> dict[str, Any]:
    found = strict_json.parse(base64.urlsafe_b64decode(part + b"=="))
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error for all that is not as it must be
    return found


PLATFORM = Platform(
    authenticate=partial(authenticate, is_token=_is_token),
    read=reader(ProviderEvent, MfaEvent, HookCall, FlatCall),
    respond=respond,
    timeout_seconds=20,  # for one run of a trigger: Auth0's documentation of Actions
)
