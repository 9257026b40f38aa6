"""ZITADEL. Source: zitadel/zitadel, ``channels/webhook/channel.go``, ``pkg/actions/signing.go``, ``types/user_phone.go``."""

from mitto_phone_hook.callers._contract import Caller, Message, Reading, by_queue
from mitto_phone_hook.callers._credentials import hex_signature
from mitto_phone_hook.credentials.hook_secrets import HookSecrets


def _payload(message: Message) -> object:
    user = {"userID": message.message_id()[:18], "orgID": "simulated", "userName": "simulated", "lastPhone": message.to}
    return {
        "contextInfo": {
            "eventType": "user.human.mfa.otp.sms.code.added",
            "provider": {"id": "simulated", "description": "mitto"},
            "recipientPhoneNumber": message.to,
        },
        "templateData": {"title": "Verify One-Time Password", "subject": "Verify One-Time Password", "text": message.text},
        "args": {"code": message.code, "oTP": message.code, "expiry": 300_000_000_000, "domain": "login.example.org", **user},
    }


def _sign(secrets: HookSecrets, body: bytes, message: Message) -> dict[str, str]:
    signature = hex_signature(f"{message.signed_at}.".encode() + body, secrets)
    return {"ZITADEL-Signature": f"t={message.signed_at},v1={signature}"}


CALLERS = {
    "zitadel": Caller("ZITADEL", _payload, _sign, by_queue, 5, "zitadel, webhook/channel.go", when_late=Reading.REPEATED),
}
