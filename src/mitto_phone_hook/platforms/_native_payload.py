"""The native payload: flat fields, or the fields of Auth0's Hook with its ``context``."""

from mitto_phone_hook.domain.message import Channel, Purpose
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms._payload import Payload, at


class FlatCall(Payload):
    """Flat fields, as JSON or as a form: Auth0's sample Actions and passwordless gateway, and callers that choose the names."""

    SOURCE = "flat"
    OBJECTS = frozenset({"req"})
    VOICE_KEYS = ("type", "delivery_method")

    recipient: field.WrittenNumber = at("recipient", "to", "phoneNumber")
    text: field.MessageText | None = at("text", "body", "message", "content", default=None)
    channel: field.MessageChannel = at("message_type", default=Channel.SMS)
    code: field.Code | None = at("code", default=None)
    purpose: field.MessagePurpose = at("action", default=Purpose.OTHER)
    locale: field.Language = at("language", "locale", default=None)
    client_id: field.Description = at("client_id", default=None)
    organization: field.Description = at("organization", "organization_id", default=None)
    tenant: field.Name | None = at("tenant", default=None)
    sender_id: field.SenderId = at("sender", default=None)
    client_ip: field.EndUserAddress = at("ip", "req.ip", "clientIpAddress", default=None)
    expires_at: field.Instant | None = at("expires_at", default=None)
    sent_at: field.Instant | None = at("sent_at", default=None)


class HookCall(FlatCall):
    """The fields of Auth0's Hook, which always has a text. A caller with a ``context`` may have the other fields next to it."""

    SOURCE = "auth0_hook"
    MARKER = "context"
    OBJECTS = FlatCall.OBJECTS | {"context", "context.client", "context.request", "context.tenant", "context.user"}

    text: field.MessageText = at("text", "body", "message", "content")
    channel: field.MessageChannel = at("context.message_type", "message_type", default=Channel.SMS)
    code: field.Code | None = at("context.code", "code", default=None)
    purpose: field.MessagePurpose = at("context.action", "action", default=Purpose.OTHER)
    locale: field.Language = at("context.language", "context.locale", "language", "locale", default=None)
    client_id: field.Description = at("context.client.client_id", "context.client_id", "client_id", default=None)
    organization: field.Description = at(
        "context.organization.id", "context.organization_id", "organization", "organization_id", default=None
    )
    tenant: field.Name | None = at("context.tenant.id", "tenant", default=None)
    sender_id: field.SenderId = at("context.sender", "sender", default=None)
    client_ip: field.EndUserAddress = at("context.ip", "context.request.ip", "ip", "req.ip", default=None)
    expires_at: field.Instant | None = at("context.expires_at", "expires_at", default=None)
    sent_at: field.Instant | None = at("context.sent_at", "sent_at", default=None)
