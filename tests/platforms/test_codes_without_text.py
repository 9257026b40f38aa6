"""A platform that hands over only a code gets a template; one that calls for something else gets no SMS."""

import json
import string
from typing import ClassVar

import pytest

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms._contract import Defaults
from mitto_phone_hook.platforms._fields import Code, MessageText, WrittenNumber
from mitto_phone_hook.platforms._native_response import respond
from mitto_phone_hook.platforms._payload import Payload, at, reader
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import Encoding
from support.messages import decide
from support.stage import ENVIRONMENT


class CodeCall(Payload):
    SOURCE: ClassVar[str] = "code"
    recipient: WrittenNumber = at("to")
    text: MessageText | None = at("text", default=None)
    code: Code | None = at("code", default=None)


READ = reader(CodeCall)


def sms_of(app_name: str = "", **fields: object) -> Sms:
    body = json.dumps({"to": "+12025550110"} | fields).encode()
    return decide(READ(body, {}, Defaults()), load(ENVIRONMENT | {"APP_NAME": app_name}), signed_at=None, now=1_800_000_000)


def text_of(app_name: str = "", **fields: object) -> str:
    return sms_of(app_name, **fields).encoded.text


def test_a_code_without_a_text_is_sent_in_a_sentence() -> None:
    assert text_of(code="049217") == "049217 is your verification code. Do not share it with anyone."
    assert text_of("Acme & Co.", code=49217) == "49217 is your Acme & Co. verification code. Do not share it with anyone."


def test_a_text_of_the_platform_is_kept() -> None:
    assert text_of("Acme", code="049217", text="Ihr Code: 049217") == "Ihr Code: 049217"
    assert text_of("Acme", text="Your password was changed") == "Your password was changed"


@pytest.mark.parametrize("fields", [{}, {"code": "", "text": ""}])
def test_neither_text_nor_code_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        text_of(**fields)
    assert caught.value.result[:3] == (Outcome.INVALID_REQUEST, "wrong_fields", ("text",))


@pytest.mark.parametrize("code", ["1234", "049217", string.ascii_letters[:20], "AB12-CD34"])
@pytest.mark.parametrize("app_name", ["", "A", "A" * 30, "Fisher's Shop, Bern & Basel!"])
def test_the_sentence_is_one_segment_of_gsm_7(code: str, app_name: str) -> None:
    encoded = sms_of(app_name, code=code).encoded
    assert (encoded.segments, encoded.encoding) == (1, Encoding.GSM7)


def test_a_call_that_needs_no_sms_is_no_error_in_the_native_dialect() -> None:
    response = respond(Refused(Outcome.IGNORED).result, "request-1")
    content = json.loads(response.body)
    assert (response.status, content["status"], content["request_id"]) == (200, "ignored", "request-1")
    assert "error" not in content
