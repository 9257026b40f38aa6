"""Descope: the connector "Generic SMS Gateway".

Source: Descope's documentation of the connector. It does not document which response it expects, how long it waits and whether it calls
again; every 2xx is taken for success, as usual.
"""

import math

from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms._contract import Platform
from mitto_phone_hook.platforms._native_response import respond_without_unknown
from mitto_phone_hook.platforms._payload import Payload, at, reader
from mitto_phone_hook.platforms._signatures import authenticate


class ConnectorCall(Payload):
    """What the connector sends."""

    SOURCE = "descope"

    recipient: field.WrittenNumber = at("recipient")
    text: field.MessageText = at("body")
    code: field.Code | None = at("token", default=None)
    sender_id: field.SenderId = at("sender", default=None)


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(ConnectorCall),
    respond=respond_without_unknown,
    timeout_seconds=math.inf,  # not documented: DEADLINE_SECONDS decides
)
