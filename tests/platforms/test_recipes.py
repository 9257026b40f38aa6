"""The recipes of docs/platforms.md: what each platform would send, filled in as it does it, is read as it is meant."""

import json
import re
from urllib.parse import quote_plus, urlencode

import pytest

from mitto_phone_hook.domain.message import Channel, PhoneMessage
from support.messages import parse
from support.processes import ROOT

PAGE = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
NUMBER, CODE, TEXT = "+12025550110", "049217", "Your code is 049217\n\n@auth.example.org #049217"


def recipe(platform: str) -> str:
    """Give the block of a platform's section."""
    [block] = re.findall(rf"^## {platform}\n.*?^```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(block)


def names(platform: str) -> dict[str, str]:
    """Give a block of ``name = value`` lines."""
    return dict(re.findall(r"^(\w+) += (.+)$", recipe(platform), re.MULTILINE))


def facts(message: PhoneMessage) -> tuple[str, str, str | None]:
    return (
        message.recipient.get_secret_value(),
        message.text.get_secret_value(),
        message.code.get_secret_value() if message.code else None,
    )


def test_ory_is_understood_with_its_default_body() -> None:
    body = {
        "body": f"{TEXT}\n",
        "recipient": NUMBER,
        "recovery_code": None,
        "subject": "",
        "template_type": "login_code_valid",
        "to": NUMBER,
    }
    message = parse(json.dumps(body, indent=3).encode() + b"\n", JSON, None)
    assert (facts(message), message.source) == ((NUMBER, f"{TEXT}\n", None), "flat")


@pytest.mark.parametrize("kind", ["login", "registration", "verification", "recovery"])
def test_ory_may_pass_its_type_of_template_on(kind: str) -> None:
    context = {"source": "ory", "message_type": f"{kind}_code_valid", "code": CODE, "locale": None}
    message = parse(json.dumps({"recipient": NUMBER, "text": TEXT, "context": context}).encode(), JSON, None)
    assert (facts(message), message.channel) == ((NUMBER, TEXT, CODE), Channel.SMS)


def test_pingone() -> None:
    filled = recipe("PingOne")
    for placeholder, value in {"to": NUMBER, "message": "Your passcode is 049217", "otp": CODE, "locale": "de"}.items():
        filled = filled.replace(f"${{{placeholder}}}", value)
    message = parse(filled.encode(), JSON, None)
    assert (facts(message), message.locale) == ((NUMBER, "Your passcode is 049217", CODE), "de")


def test_wso2() -> None:
    filled = (
        recipe("WSO2 Identity Server and Asgardeo").strip().replace("{{mobile}}", quote_plus(NUMBER)).replace("{{body}}", quote_plus(TEXT))
    )
    assert facts(parse(filled.encode(), FORM, None)) == (NUMBER, TEXT, None)


def test_keycloak() -> None:
    fields = names("Keycloak")
    body = {fields["messageattribute"]: TEXT, fields["receiverattribute"]: NUMBER, fields["senderattribute"]: "Example"}
    assert facts(parse(urlencode(body).encode(), FORM, None)) == (NUMBER, TEXT, None)


def test_casdoor() -> None:
    body = urlencode({names("Casdoor")["Parameter"]: "Your code is 049217", "phoneNumber": NUMBER})
    assert facts(parse(body.encode(), FORM, None)) == (NUMBER, "Your code is 049217", None)


@pytest.mark.parametrize("phone", [NUMBER, NUMBER[1:]])
def test_privacyidea_makes_numbers_of_what_looks_like_one(phone: str) -> None:
    filled = {name: value.format(phone=phone, otp=CODE) for name, value in names("privacyIDEA").items()}
    body = {name: int(value) if value.isdigit() else value for name, value in filled.items()}
    assert facts(parse(json.dumps(body).encode(), JSON, None)) == (NUMBER, "Your code is 049217", None)
