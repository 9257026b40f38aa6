"""The recipes of docs/platforms for the native route: what each platform would send, filled in as it does it, becomes one SMS."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import _jsonnet
import pytest
import yaml

from support.processes import BEARER, FakeMittoProcess, fake_mitto, function
from support.programs import bundled
from support.recipes import blocks, file, values
from support.stage import SECRET, Stage

FORM = "application/x-www-form-urlencoded"
NUMBER, CODE, TEXT = "+12025550110", "049217", "Your code is 049217"
TEXT_FOR_BROWSERS = f"{TEXT}\n\n@auth.example.org #{CODE}"
URL = "https://the-function/hooks/native"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def sms(body: str, content_type: str, url: str, headers: Mapping[str, str], **settings: str) -> str:
    """Send what the platform sends to the URL of its recipe, with the recipe's secret; give the text of the only SMS."""
    assert urlsplit(url).hostname == "the-function"
    stage = Stage(HOOK_SECRETS_NATIVE=SECRET, **settings)
    raw = {name.lower().encode(): value.replace("THE-SECRET", SECRET).encode() for name, value in headers.items()}
    response = stage.call(body.encode(), {b"content-type": content_type.encode(), **raw}, path=urlsplit(url).path)
    assert response.status == 200, stage.lines
    [sent] = [json.loads(request.content) for request in stage.requests]
    assert sent["to"] == NUMBER.removeprefix("+")
    text: str = sent["text"]
    return text


def sms_of_json(body: object, url: str, headers: Mapping[str, str]) -> str:
    return sms(json.dumps(body), "application/json", url, headers)


def sms_of_form(body: Mapping[str, str], url: str, headers: Mapping[str, str]) -> str:
    return sms(urlencode(body), FORM, url, headers)


def header(line: str) -> dict[str, str]:
    """Read ``Name: value``."""
    name, _, value = line.partition(": ")
    return {name: value}


ORY: dict[str, Any] = yaml.safe_load(file("ory/kratos.yaml"))["courier"]["channels"][0]["request_config"]


def _ory(template_type: str, **data: object) -> dict[str, Any]:
    """What Ory gives to a template: ory/kratos, ``courier/http_channel.go``."""
    return {"recipient": NUMBER, "subject": "", "body": f"{TEXT_FOR_BROWSERS}\n", "template_type": template_type, "template_data": data}


def _render_ory(context: Mapping[str, object]) -> dict[str, Any]:
    rendered: dict[str, Any] = json.loads(
        _jsonnet.evaluate_snippet("sms.jsonnet", file("ory/sms.jsonnet"), tla_codes={"ctx": json.dumps(context)})
    )
    return rendered


def _ory_headers() -> dict[str, str]:
    assert ORY["auth"]["config"]["in"] == "header"
    return {**ORY["headers"], ORY["auth"]["config"]["name"]: ORY["auth"]["config"]["value"]}


def test_ory_shows_the_configuration_that_is_in_the_file() -> None:
    [block] = blocks("ory", "yaml")
    assert yaml.safe_load(block) == yaml.safe_load(file("ory/kratos.yaml"))


@pytest.mark.parametrize(
    ("template_type", "name"),
    [
        ("login_code_valid", "login_code"),
        ("registration_code_valid", "registration_code"),
        ("verification_code_valid", "verification_code"),
        ("recovery_code_valid", "recovery_code"),
    ],
)
def test_ory_with_the_template(template_type: str, name: str) -> None:
    body = _render_ory(_ory(template_type, **{"to": NUMBER, name: CODE, "identity": {"traits": {"phone": NUMBER}}}))
    assert body == {"recipient": NUMBER, "text": f"{TEXT_FOR_BROWSERS}\n", "code": CODE}
    assert sms_of_json(body, ORY["url"], _ory_headers()) == f"{TEXT_FOR_BROWSERS}\n"


@pytest.mark.parametrize("data", [{}, {"verification_code": ""}, {"login_code": None}])
def test_ory_with_the_template_and_a_message_without_a_code(data: dict[str, object]) -> None:
    body = _render_ory(_ory("verifiable_address_changed", **data))
    assert set(body) == {"recipient", "text"}
    assert sms_of_json(body, ORY["url"], _ory_headers()) == f"{TEXT_FOR_BROWSERS}\n"


@pytest.mark.parametrize("headers", [None, {"Authorization": basic("any", SECRET)}], ids=["as in the file", "Basic"])
def test_ory_with_its_own_body(headers: dict[str, str] | None) -> None:
    body = {
        "body": f"{TEXT_FOR_BROWSERS}\n",
        "recipient": NUMBER,
        "recovery_code": None,
        "subject": "",
        "template_type": "login_code_valid",
        "to": NUMBER,
    }
    text = sms(json.dumps(body, indent=3) + "\n", "application/json", ORY["url"], headers or _ory_headers())
    assert text == f"{TEXT_FOR_BROWSERS}\n"


def test_pingone() -> None:
    fields, [filled] = values("pingone"), blocks("pingone", "json")
    for placeholder, value in {"to": NUMBER, "message": TEXT, "otp": CODE, "locale": "de"}.items():
        filled = filled.replace(f"${{{placeholder}}}", value)
    assert (fields["Request method"], fields["Phone number format"]) == ("POST", "FULL")
    headers = {**header(fields["Header"]), "Authorization": f"{fields['Authentication']} {fields['Token']}"}
    assert sms(filled, "application/json", fields["URL"], headers) == TEXT


def test_wso2_with_a_form() -> None:
    fields = values("wso2")
    [_, template] = blocks("wso2", "text")
    filled = template.strip().replace("{{mobile}}", urlencode({"": NUMBER})[1:]).replace("{{body}}", urlencode({"": TEXT})[1:])
    assert fields["Content Type"] == "FORM"
    assert sms(filled, FORM, fields["SMS Provider URL"], header(fields["Headers"])) == TEXT


def test_wso2_with_json_puts_quotes_around_its_values() -> None:
    fields, [template] = values("wso2"), blocks("wso2", "json")
    filled = template.replace("{{mobile}}", f'"{NUMBER}"').replace("{{body}}", f'"{TEXT}"')
    assert sms(filled, "application/json", fields["SMS Provider URL"], header(fields["Headers"])) == TEXT


def _casdoor(fields: Mapping[str, str], phone_number: str = "phoneNumber") -> dict[str, str]:
    """Source: ``HttpSmsClient`` of casdoor/casdoor. Its values are sorted by name."""
    return dict(sorted({phone_number: NUMBER, fields["Parameter"]: fields["Template code"] % CODE}.items()))


def test_casdoor() -> None:
    fields = values("casdoor")
    assert (fields["Method"], fields["Content type"]) == ("POST", FORM)
    text = sms_of_form(_casdoor(fields), fields["Endpoint"], header(fields["HTTP header"]))
    assert text == "049217 is your Example verification code."
    assert sms_of_json(_casdoor(fields), fields["Endpoint"], header(fields["HTTP header"])) == text


def test_casdoor_before_it_had_a_parameter() -> None:
    fields = values("casdoor") | {"Parameter": "content", "Template code": "%s"}
    assert sms_of_form(_casdoor(fields), fields["Endpoint"], header(fields["HTTP header"])) == CODE


def test_casdoor_as_code_is_what_the_page_says() -> None:
    fields, provider = values("casdoor"), json.loads(file("casdoor/provider.json"))
    assert provider["httpHeaders"] == header(fields["HTTP header"])
    names = {
        "category": "Category",
        "type": "Type",
        "endpoint": "Endpoint",
        "method": "Method",
        "title": "Parameter",
        "templateCode": "Template code",
    }
    assert {name: provider[name] for name in names} == {name: fields[label] for name, label in names.items()}


def _keycloak(config: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Give body and headers. Source: ``ApiSmsService.java`` of netzbegruenung/keycloak-mfa-plugins; before 26.3.3 an empty name stays."""
    token = [] if config.get("apiTokenInHeader") == "true" else [(config["apitokenattribute"], config["apitoken"])]
    fields = [(config["messageattribute"], TEXT), (config["receiverattribute"], NUMBER), (config["senderattribute"], config["senderId"])]
    authorization = basic(config["apiuser"], config["apitoken"]) if token else config["apitoken"]
    return urlencode([*token, *fields]), {"Authorization": authorization.replace("THE-SECRET", SECRET)}


KEYCLOAK: dict[str, str] = json.loads(file("keycloak/sms-2fa.json"))["config"]


def test_keycloak() -> None:
    assert (KEYCLOAK["simulation"], KEYCLOAK["urlencode"], KEYCLOAK["stripPlusPrefix"]) == ("false", "true", "false")
    body, headers = _keycloak(KEYCLOAK)
    assert SECRET not in body
    assert sms(body, FORM, KEYCLOAK["apiurl"], headers) == TEXT


def test_keycloak_before_its_plugin_had_a_header() -> None:
    config = {name: value for name, value in KEYCLOAK.items() if name != "apiTokenInHeader"} | {"apiuser": "any", "apitoken": SECRET}
    body, headers = _keycloak(config)
    assert body.startswith("=")
    assert sms(body, FORM, config["apiurl"], headers) == TEXT


def test_keycloak_as_code_is_what_the_page_says() -> None:
    names = {
        "receiverattribute": "Receiver Phone Number Attribute",
        "messageattribute": "Message Attribute",
        "senderattribute": "Sender Phone Number Attribute",
        "apitoken": "API Secret",
    }
    assert {label: KEYCLOAK[name] for name, label in names.items()} == values("keycloak")
    assert json.loads(file("keycloak/sms-2fa.json"))["alias"] == "sms-2fa"


@pytest.mark.parametrize("phone", [NUMBER, NUMBER[1:]])
def test_privacyidea_makes_numbers_of_what_looks_like_one(phone: str) -> None:
    """Source: ``HttpSMSProvider.py`` of privacyidea/privacyidea 3.14."""
    fields = values("privacyidea")
    assert (fields["HTTP_METHOD"], fields["SEND_DATA_AS_JSON"]) == ("POST", "yes")
    filled = {name: fields[name].replace("{otp}", CODE).replace("{phone}", phone) for name in ("recipient", "text")}
    body = {name: int(value) if value.isdigit() else value for name, value in filled.items()}
    assert sms_of_json(body, fields["URL"], {"Authorization": fields["Authorization"]}) == TEXT


def test_loginradius() -> None:
    fields, [template] = values("loginradius"), blocks("loginradius", "json")
    filled = template.replace("PHONE-PLACEHOLDER", NUMBER).replace("MESSAGE-PLACEHOLDER", TEXT)
    headers = {**header(fields["Header"]), "Authorization": f"Bearer {fields['Token']}"}
    assert sms(filled, "application/json", fields["URL"], headers) == TEXT


@pytest.mark.parametrize("credential", ["Basic", "a header"])
def test_cas(credential: str) -> None:
    """Source: ``RestfulSmsSender.java`` of apereo/cas."""
    rest = {name.removeprefix("cas.sms-provider.rest."): value for name, value in values("cas", "properties").items()}
    given = basic(rest["basic-auth-username"], SECRET) if credential == "Basic" else rest["headers.Authorization"]
    assert (rest["style"], rest["basic-auth-password"]) == ("REQUEST_BODY", "THE-SECRET")
    body = {"clientIpAddress": "203.0.113.7", "serverIpAddress": "192.0.2.1", "from": "Example", "to": NUMBER, "text": TEXT}
    assert sms_of_json(body, rest["url"], {"Authorization": given}) == TEXT


@pytest.mark.parametrize("credential", ["a header", "Basic"])
def test_linotp(credential: str) -> None:
    """Source: ``RestSMSProvider.py`` of LinOTP/LinOTP."""
    [block] = blocks("linotp", "json")
    config = json.loads(block)
    body = {
        config["SMS_PHONENUMBER_KEY"]: config["PAYLOAD"][config["SMS_PHONENUMBER_KEY"]].replace("<phone>", NUMBER),
        config["SMS_TEXT_KEY"]: config["PAYLOAD"][config["SMS_TEXT_KEY"]].replace("<message>", CODE),
    }
    headers = {"Authorization": basic("linotp", SECRET)} if credential == "Basic" else config["HEADERS"]
    assert sms_of_json(config["PAYLOAD"] | body, config["URL"], headers) == TEXT


@pytest.mark.parametrize("is_two_factor", [False, True])
def test_frappe(is_two_factor: bool) -> None:  # noqa: FBT001 - a value of the table
    """Source: ``sms_settings.py`` of frappe/frappe; ``twofactor.py`` puts the headers into the form, too."""
    fields = values("frappe")
    assert (fields["Use POST"], fields["Header"]) == ("yes", "yes")
    parameter = {fields["Parameter"]: fields["Value"]}
    body = {fields["Message Parameter"]: TEXT, **(parameter if is_two_factor else {}), fields["Receiver Parameter"]: NUMBER}
    assert sms_of_form(body, fields["SMS Gateway URL"], {"Accept": "text/plain, text/html, */*", **parameter}) == TEXT


def test_curity() -> None:
    fields = values("curity")
    url = f"{fields['Scheme']}://{fields['Hostname']}:{fields['Port']}{fields['Context']}"
    headers = {"Authorization": basic(fields["Username"], SECRET)}
    assert sms_of_json({"to": NUMBER, "message": TEXT}, url, headers) == TEXT


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, FakeMittoProcess]]:
    folder = tmp_path_factory.mktemp("recipes")
    with fake_mitto(folder / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "US"}
        with function(folder / "function.txt", LIMITS="off", **settings) as hook:
            yield f"http://127.0.0.1:{hook.port}/hooks/native", mitto


def _run(name: str, call: str, url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the page's ``send-sms.mjs`` under Node."""
    [module] = blocks(name, "js")
    (folder / "send-sms.mjs").write_text(module, encoding="utf-8")
    (folder / "run.mjs").write_text(f'import {{ sendSms }} from "./send-sms.mjs";\nawait sendSms({call});\n', encoding="utf-8")
    environment = os.environ | {"MITTO_HOOK_URL": url, "MITTO_HOOK_SECRET": BEARER}
    return subprocess.run(
        [bundled("node"), "run.mjs"], cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    ("name", "call", "text"),
    [
        ("better-auth", f'"{NUMBER}", "049218"', "049218 is your Example verification code."),
        ("supertokens", f'{{ phoneNumber: "{NUMBER}", userInputCode: "049219" }}', "049219 is your Example verification code."),
        (
            "supertokens",
            f'{{ phoneNumber: "{NUMBER}", urlWithLinkCode: "https://app.example.org/auth/verify#a1" }}',
            "Log in to Example: https://app.example.org/auth/verify#a1",
        ),
    ],
)
def test_a_fetch_of_your_own_server(name: str, call: str, text: str, running: tuple[str, FakeMittoProcess], tmp_path: Path) -> None:
    url, mitto = running
    mitto.clear()
    done = _run(name, call, url, tmp_path)
    assert done.returncode == 0, done.stderr
    assert [message["text"] for message in mitto.inbox()] == [text]


@pytest.mark.parametrize(
    ("name", "call"), [("better-auth", '"+1202", "049220"'), ("supertokens", '{ phoneNumber: "+1202", userInputCode: "049220" }')]
)
def test_a_fetch_of_your_own_server_fails_where_the_function_refuses(
    name: str, call: str, running: tuple[str, FakeMittoProcess], tmp_path: Path
) -> None:
    done = _run(name, call, running[0], tmp_path)
    assert done.returncode != 0
    assert "HTTP 422" in done.stderr
    assert "049220" not in done.stderr
