"""Descope. Source: Descope's documentation of the connector "Generic SMS Gateway"; what it makes of a response is not documented."""

import math

from mitto_phone_hook.callers._contract import Caller, Message, by_status
from mitto_phone_hook.callers._credentials import bearer


def _payload(message: Message) -> object:
    return {"recipient": message.to, "body": message.text, "sender": "Simulated", "token": message.code}


CALLERS = {"descope": Caller("Descope", _payload, bearer, by_status, math.inf, "not documented")}
