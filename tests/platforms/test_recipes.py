"""The recipes of docs/platforms.md: what each platform would send, filled in as it does it, is read as it is meant."""

import base64
import json
import re
from urllib.parse import quote_plus, urlencode

import pytest

from mitto_phone_hook.domain.message import Channel, PhoneMessage
from support.messages import parse
from support.processes import ROOT
from support.stage import SECRET, Stage

PAGE = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
NUMBER, CODE, TEXT = "+12025550110", "049217", "Your code is 049217\n\n@auth.example.org #049217"


def recipe(platform: str) -> str:
    """Give the first block of a platform's section."""
    block, *_ = re.findall(rf"^## {platform}\n.*?^```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
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


BASIC = b"Basic " + base64.b64encode(f"any:{SECRET}".encode())
CALLS = [
    pytest.param(
        "/",
        {b"authorization": f"Bearer {SECRET}".encode(), b"content-type": JSON},
        json.dumps(
            {"recipient": NUMBER, "to": NUMBER, "subject": "", "body": TEXT, "template_type": "login_code_valid", "recovery_code": None}
        ),
        id="Ory, default body",
    ),
    pytest.param("/", {b"authorization": BASIC, b"content-type": JSON}, json.dumps({"recipient": NUMBER, "body": TEXT}), id="Ory, Basic"),
    pytest.param(
        "/hooks/native",
        {b"authorization": f"Bearer {SECRET}".encode(), b"content-type": FORM},
        urlencode({"text": TEXT, "recipient": NUMBER, "sender": "Example"}),
        id="Keycloak 26.3.3",
    ),
    pytest.param(
        "/hooks/native",
        {b"authorization": BASIC, b"content-type": FORM},
        urlencode({"text": TEXT, "recipient": NUMBER}),
        id="Keycloak before",
    ),
    pytest.param(
        "/hooks/native",
        {b"authorization": f"Bearer {SECRET}".encode(), b"content-type": FORM},
        urlencode({"content": TEXT, "phoneNumber": NUMBER}),
        id="Casdoor 2.90 to 3.57",
    ),
    pytest.param(
        "/hooks/native",
        {b"x-api-key": SECRET.encode(), b"content-type": FORM},
        urlencode({"recipient": NUMBER, "text": TEXT}),
        id="WSO2, API key",
    ),
    pytest.param(
        "/hooks/native",
        {b"authorization": BASIC, b"content-type": JSON},
        json.dumps({"from": "Example", "to": NUMBER, "text": TEXT, "clientIpAddress": "203.0.113.7"}),
        id="CAS",
    ),
    pytest.param(
        "/hooks/native",
        {b"authorization": SECRET.encode(), b"content-type": JSON},
        json.dumps({"recipient": NUMBER, "message": TEXT}),
        id="the bare value of Authorization",
    ),
]


@pytest.mark.parametrize(("path", "headers", "body"), CALLS)
def test_a_call_as_a_platform_makes_it_becomes_one_sms(path: str, headers: dict[bytes, bytes], body: str) -> None:
    stage = Stage()
    assert stage.call(body.encode(), headers, path=path).status == 200
    [sent] = [json.loads(request.content) for request in stage.requests]
    assert (sent["to"], sent["text"]) == (NUMBER.removeprefix("+"), TEXT)


def test_wso2_with_json_is_what_its_placeholders_make_of_it() -> None:
    blocks = re.findall(r"^## WSO2.*?^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    filled = blocks[0].replace("{{mobile}}", json.dumps(NUMBER)).replace("{{body}}", json.dumps("Verification Code: 049217"))
    assert facts(parse(filled.encode(), JSON, None)) == (NUMBER, "Verification Code: 049217", None)
