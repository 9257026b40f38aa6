"""A code without words arrives in the language of the user, whatever platform calls, at a Mitto that checks the alphabet."""

import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.hook import Hook
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.request import Call
from mitto_phone_hook.sandbox import FakeMitto
from support.stage import AUTHORIZED, ENVIRONMENT, Stage, pieces

CODE = "049217"
NUMBER = "+12025550110"
WORDS = {
    "en-GB": "verification code",
    "de-CH": "Bestätigungscode",
    "pt_BR": "código de verificação",
    "pl": "kod weryfikacyjny",
    "tr-TR": "Doğrulama",
    "ar-EG": "رمز التحقق",
    "iw": "קוד האימות",
    "hi": "सत्यापन कोड",
    "th": "รหัสยืนยัน",
    "ja-JP": "確認コード",
    "zh-CN": "验证码",
    "zh-TW": "驗證碼",
    "nb-NO": "verification code",
}


def body_of(platform: str, locale: str) -> bytes:
    fields: dict[str, object] = {
        "supabase": {"user": {"phone": NUMBER, "user_metadata": {"language": locale}}, "sms": {"otp": CODE}},
        "logto": {"to": NUMBER, "type": "Generic", "payload": {"code": CODE, "locale": locale}},
        "native": {"to": NUMBER, "code": CODE, "locale": locale},
        "form": {"to": NUMBER, "code": CODE, "language": locale},
    }
    return urlencode(fields["form"]).encode() if platform == "form" else json.dumps(fields[platform]).encode()  # type: ignore[arg-type] # a dict


@pytest.fixture
async def mitto() -> AsyncIterator[FakeMitto]:
    async with FakeMitto(api_key="key-of-the-tests") as fake:
        yield fake


@pytest.mark.parametrize("platform", ["supabase", "logto", "native", "form"])
async def test_a_code_arrives_in_the_language_of_the_user(platform: str, mitto: FakeMitto) -> None:
    stage = Stage()
    transport = OneOriginTransport(httpx.URL(mitto.url))
    client = Mitto(transport, RotatingSecret("key-of-the-tests"), base_url=mitto.url, connect_timeout_seconds=5, is_test=False)
    settings = load(ENVIRONMENT | {"APP_NAME": "Acme", "LIMITS": "off", "RESEND_AFTER_SECONDS": "0"})
    hook = Hook(settings, client, stage.stores, stage.lines.append)
    kind = b"application/x-www-form-urlencoded" if platform == "form" else b"application/json"
    path = "/hooks/native" if platform == "form" else f"/hooks/{platform}"
    for locale in WORDS:
        response = await hook.respond(Call("POST", path, {**AUTHORIZED, b"content-type": kind}, pieces(body_of(platform, locale))))
        assert response.status == 200, response.body
    assert len(mitto.inbox) == len(WORDS)
    for message, words in zip(mitto.inbox, WORDS.values(), strict=True):
        assert words in message.text
        assert CODE in message.text
        assert "Acme" in message.text
        assert message.segments == 1
    await transport.aclose()
