"""Supabase Auth: the hook "Send SMS". It hands over a code without a text.

Source: supabase/auth, ``internal/hooks/hookshttp/hookshttp.go`` (request, timeout, statuses), ``hookserrors.go`` (the error object) and
``v0hooks.go`` (payload).
"""

from pydantic_core import to_json

from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms._contract import Platform, Response
from mitto_phone_hook.platforms._end_user_response import COUNTS_AS_SENT, sentence
from mitto_phone_hook.platforms._native_response import HEADERS, RESPONSES
from mitto_phone_hook.platforms._payload import Payload, at, reader
from mitto_phone_hook.platforms._signatures import authenticate


class SmsHook(Payload):
    """What the hook sends. In a change of the number, ``user.phone`` is the old one: ``sms.phone`` counts wherever it is sent."""

    SOURCE = "supabase"
    OBJECTS = frozenset({"sms", "user"})

    recipient: field.WrittenNumber = at("sms.phone", "user.phone")
    code: field.Code = at("sms.otp")
    locale: field.Language = at("user.user_metadata.locale", "user.user_metadata.language", "user.user_metadata.lang", default=None)
    client_ip: field.EndUserAddress = at("metadata.ip_address", default=None)


def respond(result: Result, _request_id: str) -> Response:
    """Respond with 200 also for failures: Supabase reads an error only there, and shows its message to the app.

    There is never a ``Retry-After``: Supabase would call again at once.
    """
    status = RESPONSES[result.outcome].status
    if result.outcome is Outcome.UNAUTHORIZED:
        return Response(status, b"{}", dict(HEADERS))
    content = {} if result.outcome in COUNTS_AS_SENT else {"error": {"http_code": status, "message": sentence(result.outcome)}}
    return Response(200, to_json(content), dict(HEADERS))


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(SmsHook),
    respond=respond,
    timeout_seconds=4,  # Supabase waits 5 s for all its attempts
    digits_are_international=True,  # it stores numbers without +
)
