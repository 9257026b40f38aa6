"""The sender ID of a call: by the route that is called, by what the payload says, and by what the caller asks for."""

import json
from collections.abc import Callable

import pytest

from support.callers import call
from support.stage import AUTHORIZED, Stage

GB = "+447700900123"
RULES = "supabase=Supabase; auth0=AuthZero; client:abc=Client; org:acme=Org; client:abc+org:acme+GB=Most; logto+GB=Logto"
SETTINGS = {"ALLOWED_REGIONS": "GB,US", "ALLOWED_NUMBERS": "+447700900", "MITTO_SENDER_ID": "Default", "SENDER_IDS": RULES}


def sender_of(platform: str, fields: dict[str, object], path: str | None = None, **settings: str) -> str:
    stage = Stage(**(SETTINGS | settings))
    if path:
        response = stage.call(json.dumps(fields).encode(), {**AUTHORIZED, b"content-type": b"application/json"}, path=path)
    else:
        response, _ = call(platform, json.dumps(fields).encode(), stage)
    assert response.status == 200, response.body
    [request] = stage.requests
    sender: str = json.loads(request.content)["from"]
    return sender


@pytest.mark.parametrize(
    ("platform", "fields", "expected"),
    [
        ("native", {}, "Default"),
        ("auth0", {}, "AuthZero"),
        ("native", {"client_id": "abc"}, "Client"),
        ("auth0", {"client_id": "abc"}, "Client"),
        ("auth0", {"organization": "acme"}, "Org"),
        ("native", {"client_id": "abc", "organization": "acme"}, "Most"),
        ("native", {"client_id": "other", "organization": "other"}, "Default"),
    ],
)
def test_route_client_and_organization_decide(platform: str, fields: dict[str, object], expected: str) -> None:
    assert sender_of(platform, {"recipient": GB, "text": "Your code is 739105"} | fields) == expected


def test_the_root_is_auth0s_route() -> None:
    assert sender_of("", {"recipient": GB, "text": "Your code is 739105"}, path="/") == "AuthZero"


def test_a_platform_and_a_region_together_count_before_a_client() -> None:
    payload = {"code": "739105", "application": {"id": "abc"}}
    assert sender_of("logto", {"to": "447700900123", "type": "SignIn", "payload": payload}) == "Logto"
    assert sender_of("logto", {"to": "12025550110", "type": "SignIn", "payload": payload}) == "Client"


TEXT = "Your code is 739105"
ASKING: dict[str, Callable[[object], dict[str, object]]] = {
    "native": lambda sender: {"recipient": GB, "text": TEXT, "sender": sender},
    "native with a context": lambda sender: {"recipient": GB, "text": TEXT, "context": {"code": "739105", "sender": sender}},
    "descope": lambda sender: {"recipient": GB, "body": TEXT, "token": "739105", "sender": sender},
    "authentik": lambda sender: {"To": GB, "Body": "739105", "Message": TEXT, "From": sender},
}
each_asking = pytest.mark.parametrize("asking", ASKING)


@each_asking
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Acme", "Acme"),
        ("442079460100", "442079460100"),
        ("+44 20 7946 0100", "442079460100"),
        ("Default", "Default"),
        ("Evil", "Number"),
        ("acme", "Number"),
        ("Acme\u0000", "Number"),
        ("", "Number"),
        (None, "Number"),
        (442079460100, "Number"),
        ({"name": "Acme"}, "Number"),
    ],
)
def test_a_sender_id_that_the_caller_asks_for_is_used_only_if_it_is_the_operators(asking: str, asked: object, expected: str) -> None:
    # The rule that counts without a wish is "Number"; the rules of another client and of another region do not fit.
    platform = asking.split(maxsplit=1)[0]
    own = f"{platform}+GB=Number; {platform}=442079460100; GB=Acme; client:none=Evil; {platform}+001=Evil"
    assert sender_of(platform, ASKING[asking](asked), SENDER_IDS=own) == expected


def test_a_sender_id_that_the_country_does_not_take_is_not_used_whoever_asks() -> None:
    fields: dict[str, object] = {"recipient": "+12025550110", "text": TEXT, "sender": "Default"}
    assert sender_of("native", fields, SENDER_IDS="US=18005550100") == "18005550100"
    assert sender_of("native", fields | {"recipient": GB}, SENDER_IDS="US=18005550100") == "Default"
