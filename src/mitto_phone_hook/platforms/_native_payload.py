"""The native payload: flat fields, or the fields of Auth0's Hook with its ``context``."""

from typing import ClassVar

from mitto_phone_hook.domain.message import Channel, Purpose
from mitto_phone_hook.platforms._fields import (
    AnyObject,
    Code,
    Description,
    EndUserAddress,
    Instant,
    JsonObject,
    Language,
    MessageChannel,
    MessagePurpose,
    MessageText,
    Name,
    WrittenNumber,
)
from mitto_phone_hook.platforms._payload import Payload, at


class FlatCall(Payload):
    """Flat fields, as JSON or as a form: Auth0's sample Actions and its passwordless gateway, and whoever chooses the names."""

    SOURCE: ClassVar[str] = "flat"

    request: JsonObject = at("req", default=None)
    recipient: WrittenNumber = at("recipient", "to", "phoneNumber")
    text: MessageText = at("text", "body")
    channel: MessageChannel = at("message_type", default=Channel.SMS)
    code: Code | None = at("code", default=None)
    purpose: MessagePurpose = at("action", default=Purpose.OTHER)
    locale: Language = at("language", "locale", default=None)
    client_id: Description = at("client_id", default=None)
    organization: Description = at("organization", "organization_id", default=None)
    tenant: Name | None = at("tenant", default=None)
    client_ip: EndUserAddress = at("ip", "req.ip", default=None)
    expires_at: Instant | None = at("expires_at", default=None)
    sent_at: Instant | None = at("sent_at", default=None)


class HookCall(FlatCall):
    """The fields of Auth0's Hook.

    A caller that adds a ``context`` of its own may have left the rest outside it: an expiry or a call for voice is read there, too.
    """

    SOURCE: ClassVar[str] = "auth0_hook"
    MARKER: ClassVar[str] = "context"

    context: JsonObject = at("context")
    context_client: JsonObject = at("context.client", default=None)
    context_organization: AnyObject = at("context.organization", default=None)
    context_request: JsonObject = at("context.request", default=None)
    context_tenant: JsonObject = at("context.tenant", default=None)
    context_user: JsonObject = at("context.user", default=None)
    channel: MessageChannel = at("context.message_type", "message_type", default=Channel.SMS)
    code: Code | None = at("context.code", "code", default=None)
    purpose: MessagePurpose = at("context.action", "action", default=Purpose.OTHER)
    locale: Language = at("context.language", "context.locale", "language", "locale", default=None)
    client_id: Description = at("context.client.client_id", "context.client_id", "client_id", default=None)
    organization: Description = at("context.organization.id", "context.organization_id", "organization", "organization_id", default=None)
    tenant: Name | None = at("context.tenant.id", "tenant", default=None)
    client_ip: EndUserAddress = at("context.ip", "context.request.ip", "ip", "req.ip", default=None)
    expires_at: Instant | None = at("context.expires_at", "expires_at", default=None)
    sent_at: Instant | None = at("context.sent_at", "sent_at", default=None)
