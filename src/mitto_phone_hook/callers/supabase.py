"""Supabase Auth. Source: supabase/auth, ``internal/hooks/hookshttp/hookshttp.go`` and ``hookserrors.go``, ``internal/hooks/v0hooks``."""

import json

from mitto_phone_hook.callers._contract import Caller, Message, Reading, Verdict
from mitto_phone_hook.callers._credentials import signed
from mitto_phone_hook.platforms._contract import Response

_JSON_STATUSES = (200, 202)
_RETRIED = (429, 503)
_NO_CONTENT = 204


def _payload(message: Message) -> object:
    uuid = message.message_id()
    return {
        "metadata": {"uuid": uuid, "time": message.time, "name": "send-sms", "ip_address": "198.51.100.7"},
        "user": {
            "id": uuid,
            "aud": "authenticated",
            "role": "authenticated",
            "email": "",
            "phone": message.digits,
            "app_metadata": {"provider": "phone", "providers": ["phone"]},
            "user_metadata": {},
            "identities": None,
            "created_at": message.time,
            "updated_at": message.time,
            "is_anonymous": False,
        },
        "sms": {"otp": message.code, "phone": message.digits},
    }


def _judge(response: Response) -> Verdict:
    """Look for an error inside a JSON object with 200 or 202; every other status but 204 is one error for the app."""
    if response.status in _RETRIED and "retry-after" in response.headers:
        return Verdict(Reading.REPEATED_AT_ONCE)
    if response.status == _NO_CONTENT:
        return Verdict(Reading.SUCCESS)
    media = response.headers.get("content-type", "").partition(";")[0].strip()
    if response.status not in _JSON_STATUSES or media != "application/json":
        return Verdict(Reading.FAILURE)
    try:
        error = json.loads(response.body).get("error")
    except (ValueError, AttributeError):
        return Verdict(Reading.FAILURE)
    shown = str(error.get("message") or "") if isinstance(error, dict) else ""
    return Verdict(Reading.FAILURE, shown) if shown else Verdict(Reading.SUCCESS)


CALLERS = {
    "supabase": Caller(
        "Supabase",
        _payload,
        signed(),
        _judge,
        5,
        "supabase/auth, hookshttp.go: for all its attempts",
        headers={"Accept-Encoding": "identity"},
    )
}
