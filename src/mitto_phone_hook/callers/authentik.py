"""authentik. Source: goauthentik/authentik, ``authentik/stages/authenticator_sms/models.py`` and ``authentik/lib/utils/http.py``."""

from mitto_phone_hook.callers._contract import Caller, Message, by_status_and_shown
from mitto_phone_hook.callers._credentials import basic


def _payload(message: Message) -> object:
    text = f"Use this code to authenticate in authentik: {message.code}"
    return {"From": "Simulated", "To": message.to, "Body": message.code, "Message": text}


CALLERS = {
    "authentik": Caller(
        "authentik",
        _payload,
        basic("authentik"),
        by_status_and_shown,
        30,
        "default of its setting http_timeout",
        headers={"User-Agent": "authentik@simulated"},
    )
}
