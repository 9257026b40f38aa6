"""Auth0, by three ways: the Actions of ``deploy/auth0``, an Action that posts its whole event, and the passwordless SMS gateway.

Source: ``deploy/auth0/src`` (request, response, 9 s) and Auth0's documentation of the custom phone provider and the passwordless gateway.
"""

import json

from mitto_phone_hook.callers._contract import Caller, Message, Reading, Verdict, by_status
from mitto_phone_hook.callers._credentials import signed_or_bearer, token
from mitto_phone_hook.platforms._contract import Response

_ACTION = (9, "the Actions of deploy/auth0 stop waiting; Auth0 advises less than 10 s for one call")
_REQUEST = {"ip": "198.51.100.7", "language": "en", "user_agent": "Mozilla/5.0"}


def _hook(message: Message) -> object:
    context = {
        "message_type": "voice" if message.is_voice else "sms",
        "action": "second-factor-authentication",
        "language": "en",
        "code": message.code,
        "ip": "198.51.100.7",
        "user_agent": "Mozilla/5.0",
        "client": {"client_id": "simulated", "name": "Simulated", "client_metadata": {}},
        "user": {"user_id": f"auth0|{message.message_id()[:24]}"},
        "tenant": {"id": "simulated"},
    }
    return {"recipient": message.to, "text": message.text, "context": context}


def _event(message: Message) -> object:
    notification = {
        "as_text": message.text,
        "as_voice": f"Your code is {'. '.join(message.code)}.",
        "delivery_method": "voice" if message.is_voice else "text",
        "message_type": "otp_verify",
        "recipient": message.to,
        "code": message.code,
        "locale": "en-US",
    }
    user = {"user_id": f"auth0|{message.message_id()[:24]}"}
    return {
        "notification": notification,
        "client": {"client_id": "simulated", "name": "Simulated"},
        "request": _REQUEST,
        "tenant": {"id": "simulated"},
        "user": user,
    }


def _gateway(message: Message) -> object:
    return {"recipient": message.to, "body": message.text, "sender": "Simulated"}


def _judge_hook(response: Response) -> Verdict:
    """Fail unless the function says that it accepted. An MFA Action has no way to ask for another attempt."""
    return Verdict(Reading.SUCCESS if response.status == 200 and _content(response).get("status") == "accepted" else Reading.FAILURE)  # noqa: PLR2004 - exactly this one


def _judge_provider(response: Response) -> Verdict:
    """Ask for another attempt only where it is certain that nothing was sent."""
    verdict, error = _judge_hook(response), _content(response).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    is_retried = response.status == 429 or (response.status == 503 and code == "upstream_unavailable")  # noqa: PLR2004 - as in call-hook.js
    return Verdict(Reading.REPEATED) if is_retried else verdict


def _content(response: Response) -> dict[str, object]:
    try:
        content = json.loads(response.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


CALLERS = {
    "auth0": Caller("Auth0's MFA", _hook, signed_or_bearer, _judge_hook, *_ACTION),
    "auth0-provider": Caller("Auth0's phone provider", _event, signed_or_bearer, _judge_provider, *_ACTION),
    "auth0-passwordless": Caller(
        "Auth0's SMS gateway",
        _gateway,
        token({"iss": "https://simulated.auth0.com/", "sub": "urn:Auth0:sms-gateway"}),
        by_status,
        30,
        "Auth0's documentation of the passwordless gateway",
    ),
}
