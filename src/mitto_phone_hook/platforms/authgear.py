"""Authgear: the custom SMS gateway, called as a webhook.

Source: authgear/authgear-server, ``pkg/lib/infra/sms/custom/client.go`` (request and response), ``pkg/lib/hook/hook_web.go``
(signature) and ``docs/specs/sms_gateway.md`` (codes).
"""

from pydantic_core import to_json

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms import _signatures
from mitto_phone_hook.platforms._contract import Headers, Platform, Response
from mitto_phone_hook.platforms._end_user_response import COUNTS_AS_SENT
from mitto_phone_hook.platforms._hex_signatures import is_signed
from mitto_phone_hook.platforms._native_response import HEADERS, RESPONSES
from mitto_phone_hook.platforms._payload import Payload, at, reader

_HEADER = b"x-authgear-body-signature"

_BAD_NUMBER = (400, "invalid_phone_number")
_REJECTED = (500, "delivery_rejected")

CODES = {
    Outcome.INVALID_RECIPIENT: _BAD_NUMBER,
    Outcome.BLOCKED_COUNTRY: _BAD_NUMBER,
    Outcome.BLOCKED_NUMBER_TYPE: _BAD_NUMBER,
    Outcome.BLOCKED_RECIPIENT: _BAD_NUMBER,
    Outcome.RATE_LIMITED: (429, "rate_limited"),
    Outcome.UPSTREAM_AUTH: (500, "authentication_failed"),
    Outcome.UPSTREAM_UNAVAILABLE: (500, "timeout"),
    Outcome.OUTCOME_UNKNOWN: (500, "timeout"),
    Outcome.UPSTREAM_REJECTED: _REJECTED,
    Outcome.TEXT_TOO_LONG: _REJECTED,
    Outcome.CODE_EXPIRED: _REJECTED,
    Outcome.INTERNAL_ERROR: _REJECTED,
}
"""Status and Authgear's code. All other failures are ``unsupported_request`` with the native status."""


class GatewayCall(Payload):
    """What the gateway sends; a link to reset a password has no code."""

    SOURCE = "authgear"
    OBJECTS = frozenset({"template_variables"})

    recipient: field.WrittenNumber = at("to")
    text: field.MessageText = at("body")
    code: field.Code | None = at("template_variables.code", default=None)
    locale: field.Language = at("language_tag", default=None)
    client_id: field.Description = at("template_variables.client_id", default=None)
    tenant: field.Name | None = at("app_id", default=None)


def authenticate(headers: Headers, body: bytes, secrets: HookSecrets, now: float) -> float | None:
    """Accept Authgear's signature, which has no time, or a plain secret where there is no signature."""
    signature = headers.get(_HEADER)
    if signature is None:
        return _signatures.authenticate(headers, body, secrets, now)
    if not is_signed(body, [signature], secrets.bearer):
        raise Refused(Outcome.UNAUTHORIZED, "wrong_signature")
    return None


def respond(result: Result, _request_id: str) -> Response:
    """Respond with a code in each body: Authgear takes an object without ``"code": "ok"`` for a failure, also with 200."""
    outcome = result.outcome
    if outcome in COUNTS_AS_SENT:
        status, code = 200, "ok"
    else:
        status, code = CODES.get(outcome, (RESPONSES[outcome].status, "unsupported_request"))
    if outcome is Outcome.UNAUTHORIZED:
        return Response(status, b"", {name: value for name, value in HEADERS.items() if name != "content-type"})
    return Response(status, to_json({"code": code}), dict(HEADERS))


PLATFORM = Platform(
    authenticate=authenticate,
    read=reader(GatewayCall),
    respond=respond,
    unknown_counts_as_accepted=True,
    timeout_seconds=60,  # by default; its operator can set 1 to 60 s
)
