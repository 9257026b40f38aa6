"""Logto: the HTTP SMS connector. It hands over a code without a text.

Source: logto-io/logto, ``packages/connectors/connector-http-sms`` (request), ``toolkit/connector-kit/src/types/passwordless.ts``
(payload). It takes every 2xx for success and passes the body of all other responses on to the client.
"""

import math

from mitto_phone_hook.domain.message import Purpose
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms._contract import Platform
from mitto_phone_hook.platforms._end_user_response import respond
from mitto_phone_hook.platforms._payload import Payload, at, reader
from mitto_phone_hook.platforms._signatures import authenticate


class ConnectorCall(Payload):
    """What the connector sends. Its test button sends the same with the type ``Generic``."""

    SOURCE = "logto"
    OBJECTS = frozenset({"payload"})

    recipient: field.WrittenNumber = at("to")
    code: field.Code = at("payload.code")
    purpose: field.MessagePurpose = at("type", default=Purpose.OTHER)
    locale: field.Language = at("payload.locale", default=None)
    client_id: field.Description = at("payload.application.id", default=None)
    organization: field.Description = at("payload.organization.id", default=None)
    client_ip: field.EndUserAddress = at("ip", default=None)


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(ConnectorCall),
    respond=respond,
    unknown_counts_as_accepted=True,
    timeout_seconds=math.inf,  # none: DEADLINE_SECONDS decides
    digits_are_international=True,  # it stores numbers without +
)
