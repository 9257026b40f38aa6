"""The shapes in which Auth0, and callers whose admin shapes the request, hand over a phone message.

Source: Auth0's documentation of the Send Phone Message Hook, of the Actions ``send-phone-message`` and
``custom-phone-provider``, of the passwordless SMS gateway, and its sample Actions; Casdoor's and Ory Kratos' source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mitto_phone_hook.domain.message import Channel, Purpose


class Place(NamedTuple):
    """A key in an object of the payload; ``holder`` is the object's dotted path, empty for the payload itself."""

    holder: str
    key: str

    @property
    def dotted(self) -> str:
        """The path as replies and logs name it."""
        return f"{self.holder}.{self.key}" if self.holder else self.key


@dataclass(frozen=True)
class Shape:
    """Where one caller puts what; of several places the first that is filled counts."""

    source: str
    marker: str | None
    """The key by which the shape is recognised; the first shape whose marker is filled is taken."""
    objects: tuple[Place, ...]
    """What must be an object where it is present at all."""
    places: Mapping[str, tuple[Place, ...]]

    @cached_property
    def holders(self) -> tuple[tuple[Place, str], ...]:
        """Every object in which to look, with its dotted path, the outer ones first."""
        paths = {place.dotted for place in self.objects} | {place.holder for places in self.places.values() for place in places}
        return tuple((_place(path), path) for path in sorted(paths - {""}))


def _place(dotted: str) -> Place:
    holder, _, key = dotted.rpartition(".")
    return Place(holder, key)


def _all(dotted: str) -> tuple[Place, ...]:
    return tuple(map(_place, dotted.split()))


def _places(**dotted: str) -> dict[str, tuple[Place, ...]]:
    return {field: _all(places) for field, places in dotted.items()}


def _before(others: Mapping[str, tuple[Place, ...]], **dotted: str) -> dict[str, tuple[Place, ...]]:
    """Give places that come before those of ``others``."""
    return {**others, **{field: (*places, *others.get(field, ())) for field, places in _places(**dotted).items()}}


FLAT = Shape(
    source="flat",
    marker=None,
    objects=_all("req"),
    places=_places(
        recipient="recipient to phoneNumber",
        text="text body",
        channel="message_type",
        code="code",
        purpose_raw="action",
        locale="language locale",
        client_id="client_id",
        client_name="client_name",
        organization="organization organization_id",
        user_id="user_id",
        tenant="tenant",
        client_ip="ip req.ip",
        sender_hint="from sender",
        expires_at="expires_at",
        sent_at="sent_at",
    ),
)

HOOK = Shape(
    source="auth0_hook",
    marker="context",
    objects=_all("context context.client context.request context.tenant context.user"),
    places=_before(
        FLAT.places,
        channel="context.message_type",
        code="context.code",
        purpose_raw="context.action",
        locale="context.language context.locale",
        client_id="context.client.client_id context.client_id",
        client_name="context.client.name context.name",
        organization="context.organization.id context.organization_id",
        user_id="context.user.user_id",
        tenant="context.tenant.id",
        client_ip="context.ip context.request.ip",
        sender_hint="context.from context.sender",
        expires_at="context.expires_at",
        sent_at="context.sent_at",
    ),
)
"""Whoever adds a ``context`` of their own may have left the rest outside it: an expiry or a call for voice is read there, too."""

_EVENT = {
    "client_id": "client.client_id",
    "client_name": "client.name",
    "organization": "organization.id",
    "user_id": "user.user_id",
    "tenant": "tenant.id",
    "client_ip": "request.ip",
}
"""What the events of both Actions have in the same places."""

_EVENT_OBJECTS = _all("client request tenant user")

MFA_EVENT = Shape(
    source="auth0_event_mfa",
    marker="message_options",
    objects=(*_all("message_options"), *_EVENT_OBJECTS),
    places=_places(
        recipient="message_options.recipient",
        text="message_options.text",
        channel="message_options.message_type",
        code="message_options.code",
        purpose_raw="message_options.action",
        locale="request.language",
        **_EVENT,
    ),
)

PROVIDER_EVENT = Shape(
    source="auth0_event_provider",
    marker="notification",
    objects=(*_all("notification"), *_EVENT_OBJECTS),
    places=_places(
        recipient="notification.recipient",
        text="notification.as_text",
        channel="notification.delivery_method",
        code="notification.code",
        purpose_raw="notification.message_type",
        locale="notification.locale request.language",
        **_EVENT,
        sender_hint="notification.from",
    ),
)

NATIVE_SHAPES = (PROVIDER_EVENT, MFA_EVENT, HOOK, FLAT)
"""Tried in this order. ``FLAT`` covers both sample Actions, the passwordless gateway, and forms."""

CHANNELS = {
    None: Channel.SMS,
    "": Channel.SMS,
    "sms": Channel.SMS,
    "text": Channel.SMS,
    "voice": Channel.VOICE,
    "call": Channel.VOICE,
    # Ory's types of templates for SMS, for which its courier has this channel.
    "login_code_valid": Channel.SMS,
    "registration_code_valid": Channel.SMS,
    "verification_code_valid": Channel.SMS,
    "recovery_code_valid": Channel.SMS,
}
"""What callers write for the channel. An unknown word is refused: it may mean a call."""

PURPOSES = {
    "authentication": Purpose.AUTHENTICATION,
    "second-factor-authentication": Purpose.AUTHENTICATION,
    "second-factor-authenticator": Purpose.AUTHENTICATION,
    "otp_verify": Purpose.AUTHENTICATION,
    "enrollment": Purpose.ENROLLMENT,
    "otp_enroll": Purpose.ENROLLMENT,
    "change_password": Purpose.PASSWORD_RESET,
    "blocked_account": Purpose.NOTICE,
    "password_breach": Purpose.NOTICE,
}
"""What callers write for the purpose; anything else is ``Purpose.OTHER``."""
