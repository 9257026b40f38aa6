"""FusionAuth: the Generic Messenger.

Source: FusionAuth's documentation of the Generic Messenger, and ``SMSMessage`` in FusionAuth/fusionauth-client-builder. It takes every
2xx for success.
"""

import math

from mitto_phone_hook.domain.message import Channel
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms._contract import Platform
from mitto_phone_hook.platforms._native_response import respond
from mitto_phone_hook.platforms._payload import Payload, at, reader
from mitto_phone_hook.platforms._signatures import authenticate


class MessengerCall(Payload):
    """What the messenger sends. A message of the type ``Voice`` has its text in ``message``; it is refused."""

    SOURCE = "fusionauth"

    recipient: field.WrittenNumber = at("phoneNumber")
    text: field.MessageText = at("textMessage", "message")
    channel: field.MessageChannel = at("type", default=Channel.SMS)
    code: field.Code | None = at("code", default=None)


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(MessengerCall),
    respond=respond,
    unknown_counts_as_accepted=True,
    timeout_seconds=math.inf,  # as its operator sets it: DEADLINE_SECONDS decides
)
