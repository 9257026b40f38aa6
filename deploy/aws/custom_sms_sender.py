"""Cognito's custom SMS sender: decrypts the code of an event and hands the message to the function's native route.

Cognito invokes this trigger asynchronously and reads no result, so an exception is told to Lambda, which invokes the same event again.
It is raised only where certainly nothing was sent. Nothing here prints a code, a text, a number or a secret.

Source: Amazon Cognito Developer Guide, "Custom SMS sender Lambda trigger" and "Customizing user pool workflows with Lambda triggers";
AWS Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation"; Standard Webhooks, version 1.
"""

# ruff: noqa: INP001 - Lambda loads a file, not a package

import base64
import functools
import hashlib
import hmac
import html
import http.client
import json
import os
import re
import time
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient, StrictAwsKmsMasterKeyProvider
from aws_encryption_sdk.key_providers.base import MasterKeyProvider
from botocore.config import Config

CONNECT_SECONDS = 3.0
RESPONSE_SECONDS = 10.0
"""Longer than the function's DEADLINE_SECONDS (8), so that it says how the message ended. Nobody waits: Cognito does not."""

SECRET_SECONDS = 300
"""How long a secret from Secrets Manager is kept, so that a rotation needs no deployment."""

PREFIX = "CustomSMSSender_"
TEMPORARY_PASSWORD = "AdminCreateUser"  # noqa: S105 - the name of an event
ACTIONS = {
    "SignUp": "enrollment",
    "ResendCode": "enrollment",
    "VerifyUserAttribute": "enrollment",
    "UpdateUserAttribute": "enrollment",
    "ForgotPassword": "change_password",
    "Authentication": "authentication",
}
"""Cognito's reasons for a code, as the native route calls them. The other two are a temporary password and a notice."""

POSSIBLY_SENT = frozenset({"outcome_unknown", "in_progress", "internal_error"})
"""The function's codes after which the SMS may have left."""

REFUSED = frozenset({400, 413, 415, 422})
"""The function refuses this message, and would refuse it again."""

AWS_LIMITS = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})
"""KMS and Secrets Manager take at most 6 s each, so that all fits into the Lambda function's time limit."""

_DAY = 86400
_OUR_CODE = re.compile(r"[a-z_]{1,40}")
_CLIENT = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)


class NotSent(Exception):  # noqa: N818 - what it says is not always an error
    """Certainly no SMS left, and a later attempt can succeed."""


def handler(event: dict[str, Any], _context: object) -> None:
    """Take one event of Cognito. Raises ``NotSent``, or an error of KMS or Secrets Manager, if nothing was sent."""
    forward(event, _kms_keys(), _secret(int(time.time() // SECRET_SECONDS)), os.environ["HOOK_URL"])


def forward(event: dict[str, Any], keys: MasterKeyProvider, secret: str, url: str) -> str:
    """Send one event's message through the function at ``url`` and give the outcome.

    ``keys`` decrypt the code; ``secret`` is the function's ``whsec_`` key. Raises ``NotSent``, or an error of the Encryption SDK for a
    code that cannot be decrypted.
    """
    source = str(event["triggerSource"])
    ciphertext = event["request"].get("code")
    if not source.startswith(PREFIX) or not ciphertext:
        return _log("skipped", source)
    plaintext, _ = _CLIENT.decrypt(source=base64.b64decode(ciphertext), key_provider=keys)
    body = json.dumps(native_body(event, plaintext.decode(), time.time())).encode()
    # The ciphertext is new for each message and the same whenever Lambda repeats the event.
    message_id = "cognito-" + hashlib.sha256(ciphertext.encode()).hexdigest()[:40]
    response = _post(url, body, _signed(body, message_id, secret, int(time.time())))
    if response is None:
        return _log("unknown", source)
    status, content = response
    error = content["error"] if isinstance(content.get("error"), dict) else content
    code = error["code"] if _OUR_CODE.fullmatch(str(error.get("code"))) else ""
    facts = {"status": status, "code": code, "request_id": error.get("request_id")}
    if status == http.HTTPStatus.OK:
        # What is not the function's response comes from another server, such as the one that HOOK_URL names by mistake.
        return _log("accepted" if content.get("status") == "accepted" else "unknown", source, facts)
    # A server's error without a code of ours comes from something in between: it does not know what the function did.
    if code in POSSIBLY_SENT or (not code and status >= http.HTTPStatus.INTERNAL_SERVER_ERROR):
        return _log("unknown", source, facts)
    if code and status in REFUSED:
        return _log("refused", source, facts)
    _log("not_sent", source, facts)
    raise NotSent(f"HTTP {status} {code}".strip())


def native_body(event: dict[str, Any], secret: str, now: float) -> dict[str, object]:
    """Write the body for the native route. ``secret`` is the code or the temporary password; ``now`` is in Unix seconds.

    The same event gives the same body, because the function refuses an id that comes again with another body.
    """
    source = event["triggerSource"].removeprefix(PREFIX)
    attributes = event["request"].get("userAttributes") or {}
    body: dict[str, object] = {
        "recipient": attributes.get("phone_number", ""),
        "action": ACTIONS.get(source, "other"),
        "locale": attributes.get("locale"),
        "client_id": (event.get("callerContext") or {}).get("clientId"),
        "tenant": event.get("userPoolId"),
    }
    if source != TEMPORARY_PASSWORD:
        return body | {"code": secret}
    template = os.environ.get("TEMPORARY_PASSWORD_TEXT") or "Your temporary password is {password}"
    return body | {
        "text": template.format(username=event.get("userName", ""), password=html.unescape(secret)),
        # A password is valid for days. Mitto tries for 48 hours at most, which this always allows; whole days keep the body the same.
        "expires_at": (int(now) // _DAY + 3) * _DAY,
    }


def _signed(body: bytes, message_id: str, secret: str, timestamp: int) -> dict[str, str]:
    found = re.search(r"whsec_(\S+)", secret)
    if not found:
        raise NotSent("the secret has no key that begins with whsec_")
    key = base64.b64decode(found[1])
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
    """Post the body. Gives status and JSON; ``None`` if no response came. Raises ``NotSent`` if nothing was sent to the function."""
    to = urlsplit(url)
    if to.scheme != "https" and to.hostname not in {"127.0.0.1", "localhost"}:
        raise NotSent("HOOK_URL must begin with https://")
    connect = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
    connection = connect(to.hostname or "", to.port, timeout=CONNECT_SECONDS)
    try:
        try:
            connection.connect()
        except OSError as error:
            raise NotSent(f"no connection to the function: {type(error).__name__}") from None
        connection.sock.settimeout(RESPONSE_SECONDS)
        connection.request("POST", to.path or "/", body, headers)
        response = connection.getresponse()
        content = response.read(65536)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        parsed = json.loads(content)
    except ValueError:
        parsed = None
    return response.status, parsed if isinstance(parsed, dict) else {}


def _log(outcome: str, source: str, facts: dict[str, object] | None = None) -> str:
    print(json.dumps({"event": "cognito_sms", "outcome": outcome, "trigger": source, **(facts or {})}))  # noqa: T201 - Lambda's log
    return outcome


@functools.cache
def _kms_keys() -> MasterKeyProvider:
    session = botocore.session.Session()
    session.set_default_client_config(AWS_LIMITS)
    return StrictAwsKmsMasterKeyProvider(key_ids=[os.environ["KMS_KEY_ARN"]], botocore_session=session)


@functools.lru_cache(maxsize=1)
def _secret(_period: int) -> str:
    """Give ``HOOK_SECRET``, or the value of the secret ``HOOK_SECRET_ARN``, which is read again in each period."""
    if "HOOK_SECRET_ARN" not in os.environ:
        return os.environ["HOOK_SECRET"]
    secrets = boto3.client("secretsmanager", config=AWS_LIMITS)
    return str(secrets.get_secret_value(SecretId=os.environ["HOOK_SECRET_ARN"])["SecretString"])
