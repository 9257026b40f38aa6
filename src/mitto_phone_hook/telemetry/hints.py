"""What an operator does now about a call that failed: one sentence in its log line."""

from collections.abc import Mapping

from mitto_phone_hook.domain.outcome import Outcome

_COMPARE = "compare the secret at the platform with HOOK_SECRETS_<PLATFORM> of this route, or with HOOK_SECRETS where that is not set"
_CLOCKS = "set the clocks of the caller and of this machine by NTP"
_SENDER = "ask Mitto to register this sender ID for the region, or name another one in SENDER_IDS"
_CALLER = "correct the template or mapping at the platform"

HINTS: Mapping[str, str] = {
    # The caller is not known.
    "no_credentials": "enter one of the function's secrets at the platform; some such calls are scanners",
    "wrong_secret": _COMPARE,
    "wrong_signature": f"{_COMPARE}; does a proxy change the body?",
    "clock_or_replay": f"{_CLOCKS}: they differ by more than 5 minutes",
    "signing_key_sent_as_bearer": "a whsec_ key signs and is never sent: give the platform a secret of mitto-phone-hook secret --bearer",
    "not_a_bearer": "send Authorization: Bearer and the secret, or Basic with the secret as password",
    "repeated_header": "send each header that authenticates once; does a proxy add one?",
    "replayed_id": "give each message a webhook-id of its own, and repeat a call with the same body",
    "unknown_key": "does OKTA_ISSUER name the server that issues the tokens, and can this machine reach its keys? See check",
    "token_expired": _CLOCKS,
    "token_not_yet_valid": _CLOCKS,
    "wrong_issuer": "compare OKTA_ISSUER with the authorization server of the hook",
    "wrong_audience": "compare OKTA_AUDIENCE with the authorization server of the hook",
    "wrong_scope": "compare OKTA_SCOPE with the scope that the hook asks for",
    "wrong_token": "let the authorization server sign with RS256, with an expiry; otherwise the token is forged",
    "token_of_a_user": "let the hook get its token by client credentials, not in a user's name",
    # The call cannot be read.
    "not_json": "escape quotation marks and line breaks in the template; a form needs Content-Type: application/x-www-form-urlencoded",
    "not_a_form": "send Content-Type: application/json with JSON",
    "incomplete_body": "the caller ended the call, or was too slow",
    "length_mismatch": "does a proxy change the body without its Content-Length?",
    "not_an_object": "send a JSON object, with the fields at its top",
    "wrong_fields": _CALLER,
    "hidden_character": f"{_CALLER}: a character was pasted that nobody sees",
    "multipart": "send JSON or a URL-encoded form",
    "compressed": "send the body uncompressed",
    Outcome.NOT_FOUND: "use / or /hooks/ with the name of the platform; many such calls are scanners",
    Outcome.METHOD_NOT_ALLOWED: "send POST",
    # The recipient.
    "no_country_code": "write numbers with + and country code, or set DEFAULT_REGION where all are in one country",
    "ambiguous_number": "write numbers with + and country code, or set BARE_DIGITS",
    Outcome.BLOCKED_COUNTRY: "add the region to ALLOWED_REGIONS if you serve it",
    # Mitto.
    "http_401": "compare MITTO_API_KEY with Mitto's dashboard",
    "http_403": "ask Mitto to register the egress IP: mitto-phone-hook check shows it",
    "mitto_code_5": _SENDER,
    "mitto_code_6": _SENDER,
    "tls_not_trusted": "does a proxy decrypt TLS? Put its certificate authority into SSL_CERT_FILE; if not, somebody listens",
    "cannot_connect": "check MITTO_BASE_URL, DNS and egress rules: mitto-phone-hook check",
    "connect_timeout": "check egress rules and NAT ports; Mitto may also ignore IP addresses that it does not know",
}
"""By ``why``, or by outcome where that says it all. docs/operations.md explains those that need more than a sentence."""
