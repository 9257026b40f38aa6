"""Logto. Source: logto-io/logto, ``packages/connectors/connector-http-sms`` and ``toolkit/connector-kit/src/types/passwordless.ts``."""

import math

from mitto_phone_hook.callers._contract import Caller, Message, by_status_and_shown
from mitto_phone_hook.callers._credentials import bearer


def _payload(message: Message) -> object:
    payload = {"code": message.code, "locale": "en", "uiLocales": "en", "application": {"id": "simulated", "name": "Simulated"}}
    return {"to": message.digits, "type": "SignIn", "payload": payload, "ip": "198.51.100.7"}


CALLERS = {"logto": Caller("Logto", _payload, bearer, by_status_and_shown, math.inf, "connector-http-sms sets no limit")}
