"""Authgear. Source: authgear/authgear-server, ``pkg/lib/infra/sms/custom/client.go`` and ``pkg/lib/hook/hook_web.go``."""

import json

from mitto_phone_hook.callers._contract import Caller, Message, Reading, Verdict, by_status
from mitto_phone_hook.callers._credentials import hex_signature
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.platforms._contract import Response


def _payload(message: Message) -> object:
    variables = {"app_name": "Simulated", "client_id": "simulated", "code": message.code, "host": "auth.example.org", "phone": message.to}
    return {
        "to": message.to,
        "body": message.text,
        "app_id": "simulated",
        "template_name": "verification_sms.txt",
        "language_tag": "en",
        "template_variables": variables,
    }


def _sign(secrets: HookSecrets, body: bytes, _message: Message) -> dict[str, str]:
    return {"x-authgear-body-signature": hex_signature(body, secrets)}


def _judge(response: Response) -> Verdict:
    """Look for the code in a JSON object; without an object the status decides. Each code has an error of its own for the user."""
    try:
        content = json.loads(response.body)
    except ValueError:
        return by_status(response)
    if not isinstance(content, dict):
        return by_status(response)
    code = content.get("code")
    return Verdict(Reading.SUCCESS) if code == "ok" else Verdict(Reading.FAILURE, f"{code}")


CALLERS = {"authgear": Caller("Authgear", _payload, _sign, _judge, 60, "its default; you can set 1 to 60 s")}
