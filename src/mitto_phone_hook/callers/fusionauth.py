"""FusionAuth. Source: FusionAuth's documentation of the Generic Messenger; ``SMSMessage`` in FusionAuth/fusionauth-client-builder."""

import math

from mitto_phone_hook.callers._contract import Caller, Message, by_status
from mitto_phone_hook.callers._credentials import basic


def _payload(message: Message) -> object:
    kind = {"type": "Voice", "message": message.text} if message.is_voice else {"type": "SMS", "textMessage": message.text}
    return {"code": message.code, "phoneNumber": message.to, "userId": message.message_id(), **kind}


CALLERS = {"fusionauth": Caller("FusionAuth", _payload, basic("fusionauth"), by_status, math.inf, "as you set it in the messenger")}
