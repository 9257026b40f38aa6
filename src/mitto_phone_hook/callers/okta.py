"""Okta. Source: okta/okta-management-openapi-spec, ``CreateTelephonyInlineHook``; Okta's guide to the telephony inline hook."""

import json

from mitto_phone_hook.callers._contract import Caller, Message, Reading, Verdict
from mitto_phone_hook.callers._credentials import bearer
from mitto_phone_hook.platforms._contract import Response

_OK = 200


def _payload(message: Message) -> object:
    channel = "CALL" if message.is_voice else "SMS"
    profile = {
        "msgTemplate": None if message.is_voice else message.text,
        "phoneNumber": message.to,
        "deliveryChannel": channel,
        "otpCode": message.code,
        "locale": "EN-US",
    }
    request = {"id": message.attempt_id(), "method": "POST", "url": {"value": "/idp/idx/challenge"}, "ipAddress": "198.51.100.7"}
    return {
        "eventId": message.attempt_id(),
        "eventTime": message.time,
        "eventType": "com.okta.telephony.provider",
        "eventTypeVersion": "1.0",
        "contentType": "application/json",
        "cloudEventVersion": "0.1",
        "source": "https://example.okta.com/api/v1/inlineHooks/simulated",
        "requestType": "com.okta.user.telephony.mfa-verification",
        "data": {
            "context": {"request": request},
            "userProfile": {"firstName": "Simulated", "lastName": "User", "login": "user@example.org", "userId": "simulated"},
            "messageProfile": profile,
        },
    }


def _judge(response: Response) -> Verdict:
    """Send the message itself unless the response is 200 with a command that says ``SUCCESSFUL`` or ``PENDING``."""
    try:
        [command] = json.loads(response.body)["commands"]
        [value] = command["value"]
        is_sent = command["type"] == "com.okta.telephony.action" and value["status"] in ("SUCCESSFUL", "PENDING")
    except (ValueError, KeyError, TypeError):
        is_sent = False
    is_json = response.headers.get("content-type", "").startswith("application/json")
    return Verdict(Reading.SUCCESS if response.status == _OK and is_json and is_sent else Reading.SENT_BY_PLATFORM)


CALLERS = {
    "okta": Caller(
        "Okta",
        _payload,
        bearer,
        _judge,
        3,
        "Okta's documentation of inline hooks",
        when_late=Reading.SENT_BY_PLATFORM,
        headers={"Accept": "application/json"},
    )
}
