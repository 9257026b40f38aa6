"""The native route for callers that hand over a code and no text, such as the Lambda function for Cognito."""

import json
from typing import Any

import pytest

from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms import auth0, native
from mitto_phone_hook.platforms._contract import Defaults

NUMBER = "+12025550110"


def _read(body: dict[str, Any], platform: Any = native.PLATFORM) -> PhoneMessage:
    message: PhoneMessage = platform.read(json.dumps(body).encode(), {}, Defaults(None, app_name="Example"))
    return message


def test_a_code_without_a_text_gets_ours() -> None:
    message = _read({"recipient": NUMBER, "code": "049217", "locale": "de_CH", "action": "enrollment"})
    assert message.text.get_secret_value() == "049217 is your Example verification code."
    assert (message.locale, message.purpose.value) == ("de-CH", "enrollment")


@pytest.mark.parametrize("key", ["text", "body", "message", "content"])
@pytest.mark.parametrize("text", ["", " ", None])
def test_an_empty_text_is_a_mistake_of_the_callers_template(key: str, text: str | None) -> None:
    with pytest.raises(Refused) as caught:
        _read({"recipient": NUMBER, "code": "049217", key: text})
    assert caught.value.result.outcome is Outcome.INVALID_REQUEST
    assert caught.value.result.fields == ((key,) if text else ("text",))


@pytest.mark.parametrize("code", [{}, {"code": None}, {"code": ""}])
def test_neither_code_nor_text_is_refused(code: dict[str, object]) -> None:
    with pytest.raises(Refused) as caught:
        _read({"recipient": NUMBER, **code})
    assert caught.value.result.outcome is Outcome.INVALID_REQUEST


def test_on_auth0s_route_the_text_is_still_required() -> None:
    with pytest.raises(Refused) as caught:
        _read({"recipient": NUMBER, "code": "049217"}, auth0.PLATFORM)
    assert caught.value.result.fields == ("text",)
