"""A platform whose administrator shapes the request, or your own code. Source: docs/native.md."""

import math

from mitto_phone_hook.callers._contract import Caller, Message, by_status
from mitto_phone_hook.callers._credentials import signed_or_bearer


def _payload(message: Message) -> object:
    channel = {"message_type": "voice"} if message.is_voice else {}
    return {"recipient": message.to, "text": message.text, "code": message.code, "language": "en", **channel}


CALLERS = {"native": Caller("Your own code", _payload, signed_or_bearer, by_status, math.inf, "as you set it")}
