"""``docs/openapi.json``: every route in OpenAPI 3.1, made from the routes, the payload models and the platforms' own responses."""

import inspect
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, get_args, get_type_hints

from pydantic import AliasChoices
from pydantic_core import PydanticUndefined

from mitto_phone_hook import platforms
from mitto_phone_hook.callers import all_callers
from mitto_phone_hook.callers._contract import Message
from mitto_phone_hook.domain.message import Purpose
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.platforms import _fields as field
from mitto_phone_hook.platforms._contract import UNKNOWN_AS, Response
from mitto_phone_hook.platforms._native_response import HEADERS, HEALTHY, REASONS, RESPONSES, respond
from mitto_phone_hook.platforms._payload import FORM, Payload
from mitto_phone_hook.platforms.clerk import SmsCreated
from mitto_phone_hook.platforms.okta import TelephonyRequest
from mitto_phone_hook.routes import CONVERSIONS, HEALTH_PATH, REPORTS, REPORTS_PREFIX, ROUTES, Route
from support.processes import ROOT

DOCUMENT = ROOT / "docs" / "openapi.json"

Schema = dict[str, Any]

JSON = "application/json"
NUMBER, CODE = "+12025550110", "314159"
TEXT = f"{CODE} is your verification code."


class Operation(NamedTuple):
    """A route that no platform calls. Parameters stand in its path: ``/reports/{token}``."""

    method: str
    summary: str
    responses: Mapping[int, tuple[str, Response]]
    """By status: what it means, and one such response."""
    body: Schema | None = None
    """The schema of what is sent, as JSON or as a form."""
    refusals: frozenset[Outcome] = frozenset()
    """What it can refuse, in the native form; with ``unauthorized`` it needs a secret."""


OWN_ROUTES: Mapping[str, tuple[Operation, ...]] = {
    HEALTH_PATH: (
        Operation("get", "Tell whether the function is up", {200: ("It is.", HEALTHY)}),
        Operation("head", "Tell whether the function is up, without a body", {200: ("It is.", HEALTHY._replace(body=b""))}),
    ),
    CONVERSIONS.path: (
        Operation(
            "post",
            "Say that a user has entered the code (with CONVERSIONS=on)",
            {202: ("Mitto will be told.", Response(202, b'{"status":"taken","request_id":"request"}', HEADERS))},
            {
                "type": "object",
                "properties": {
                    "recipient": {"description": "The number: its last message of the last 30 minutes counts.", "type": "string"},
                    "message_id": {"description": "The id in the response to the message.", "type": "string"},
                },
                "anyOf": [{"required": ["recipient"]}, {"required": ["message_id"]}],
            },
            frozenset(
                {
                    Outcome.BODY_TOO_LARGE,
                    Outcome.UNSUPPORTED_ENCODING,
                    Outcome.UNAUTHORIZED,
                    Outcome.INVALID_JSON,
                    Outcome.INVALID_REQUEST,
                    Outcome.INVALID_RECIPIENT,
                    Outcome.INTERNAL_ERROR,
                }
            ),
        ),
    ),
    f"{REPORTS_PREFIX}{{token}}": tuple(
        Operation(
            method.lower(),
            f"Take Mitto's delivery reports, as {form}; the token is a secret of REPORT_SECRETS",
            {200: ("Taken, whatever it says.", Response(200, b'{"status":"ok"}', HEADERS))},
            refusals=frozenset({Outcome.NOT_FOUND, Outcome.INTERNAL_ERROR}),
        )
        for method, form in zip(REPORTS.methods, ("a query", "JSON or a form"), strict=True)
    ),
}
"""One row for each path without a platform."""


def _hint(model: type[Payload], name: str) -> Any:
    return get_type_hints(model, include_extras=True)[name]


_UNIX_SECONDS = {"description": "A time in Unix seconds.", "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}

TYPES: Mapping[Any, Schema] = {
    field.WrittenNumber: {
        "description": "The recipient's phone number, best as E.164: + and country code.",
        "anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}],
        "examples": [NUMBER],
    },
    field.MessageText: {"description": "The words of the SMS.", "type": "string", "examples": [TEXT]},
    field.Code: {
        "description": "The one-time code: 1 to 64 visible characters.",
        "anyOf": [{"type": "string", "maxLength": 64}, {"type": "integer", "minimum": 0}],
        "examples": [CODE],
    },
    field.MessageChannel: {
        "description": "The channel: calls for voice are refused.",
        "type": "string",
        "examples": list(field.CHANNELS),
    },
    field.MessagePurpose: {"description": "What the message is for.", "type": "string", "examples": list(field.PURPOSES)},
    field.Name: {"description": "The tenant.", "type": "string", "maxLength": 512},
    field.Description: {"description": "A name that describes the message.", "type": "string", "maxLength": 512},
    field.SenderId: {"description": "The sender ID that the caller would like.", "type": "string", "maxLength": 512},
    field.Language: {"description": "The user's language, as a BCP 47 tag.", "type": "string", "examples": ["de-CH"]},
    field.EndUserAddress: {"description": "The end user's IP address.", "type": "string", "examples": ["198.51.100.7"]},
    field.Instant: _UNIX_SECONDS,
    _hint(TelephonyRequest, "sent_at"): {"description": "A time with a zone, as in ISO 8601.", "type": "string"},
    _hint(SmsCreated, "sent_at"): {"description": "A time in Unix milliseconds.", "type": "integer", "minimum": 0},
}
"""What a caller sends for each type of field. A field that may be missing may also be null."""


class SecurityScheme(NamedTuple):
    """How a call can prove itself: a header with a signature, and what it holds."""

    header: str
    description: str


COMMON_SCHEMES: Mapping[str, Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A secret of HOOK_SECRETS. For Auth0 also a JSON Web Token signed with it.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "Any user name, and a secret of HOOK_SECRETS as the password."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A secret of HOOK_SECRETS."},
    "standardWebhooks": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "A Standard Webhooks signature made with a whsec_ key, with the headers webhook-id and webhook-timestamp.",
    },
}
"""What every platform's route accepts."""

SIGNATURES: Mapping[str, SecurityScheme] = {
    "authgear": SecurityScheme("x-authgear-body-signature", "HMAC-SHA256 of the body, in hexadecimal digits."),
    "clerk": SecurityScheme("svix-signature", "As standardWebhooks, with the headers svix-id and svix-timestamp."),
    "descope": SecurityScheme("x-descope-webhook-s256", "HMAC-SHA256 of the body, in Base64."),
    "zitadel": SecurityScheme("zitadel-signature", "The time, and HMAC-SHA256 of time and body, in hexadecimal digits."),
}
"""The platforms with a signature of their own."""

_NOT_OF_A_ROUTE = {Outcome.NOT_FOUND, Outcome.METHOD_NOT_ALLOWED}
_SETS = {"code", "status"}
"""Names in responses whose values are a closed set."""

_ABOUT = (
    "Each POST is one phone message; it becomes at most one SMS. `/` takes what `/hooks/auth0` takes, with the secrets for all platforms. "
    "Before a route is reached, a request that breaks HTTP's rules gets 400, one with a long request line 414, one with large headers "
    "431, an unknown path 404, another method 405. Fields that are not named here are ignored."
)


def document() -> str:
    """Give the whole of ``docs/openapi.json``."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shared: dict[str, Schema] = {}
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": about["name"],
            "summary": about["description"],
            "description": _ABOUT,
            "version": about["version"],
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "https://{host}", "variables": {"host": {"default": "the-function.example.com"}}}],
        "paths": {path: _post(route, shared) for path, route in ROUTES.items() if route.platform}
        | {path: {one.method: _own(path, one) for one in operations} for path, operations in OWN_ROUTES.items()},
        "components": {
            "schemas": {model.SOURCE: schema_of(model) for name in platforms.NAMES for model in models_of(name)},
            "responses": shared,
            "securitySchemes": dict(COMMON_SCHEMES)
            | {
                _scheme_of(name): {"type": "apiKey", "in": "header", "name": scheme.header, "description": scheme.description}
                for name, scheme in SIGNATURES.items()
            },
        },
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def models_of(platform: str) -> list[type[Payload]]:
    """Give the payloads that a platform's module knows."""
    return [
        found
        for found in vars(import_module(f"{platforms.__name__}.{platform}")).values()
        if inspect.isclass(found) and issubclass(found, Payload) and hasattr(found, "SOURCE")
    ]


def example_of(caller: str) -> Any:
    """Give what a platform sends, without the time of the message: an example does not grow old."""
    message = Message(NUMBER, CODE, TEXT, now=1_790_000_000, signed_at=1_790_000_000)
    payload: Any = json.loads(json.dumps(all_callers()[caller].payload(message)))
    for model in models_of(caller.partition("-")[0]):
        for place in places_of(model, "sent_at"):
            *outer, key = place.split(".")
            holder = payload
            for one in outer:
                holder = holder.get(one, {})
            holder.pop(key, None)
    return payload


def places_of(model: type[Payload], name: str) -> list[str]:
    """Give the dotted paths where a payload may have a field; none if it has no such field."""
    info = model.model_fields.get(name)
    return list(map(str, info.validation_alias.choices)) if info and isinstance(info.validation_alias, AliasChoices) else []


def schema_of(model: type[Payload]) -> Schema:
    """Give the JSON schema of a payload."""
    schema: Schema = {"description": inspect.cleandoc(model.__doc__ or "").replace("``", "`"), "type": "object"}
    alternatives: list[list[Schema]] = []
    hints = get_type_hints(model, include_extras=True)
    for name, info in model.model_fields.items():
        places = places_of(model, name)
        is_required = info.default is PydanticUndefined
        for place in places:
            _put(schema, place, _type_of(hints[name], may_be_null=not is_required or len(places) > 1))
        if is_required:
            alternatives.append([_presence(place) for place in places])
    if model.MARKER and "." not in model.MARKER:
        _put(schema, model.MARKER, {"type": "object"})
        alternatives.append([_presence(model.MARKER)])
    if not {"text", "code"} & {name for name, info in model.model_fields.items() if info.default is PydanticUndefined}:
        # A text, or a code, or a purpose for which a template has words.
        notices = [written for written, purpose in field.PURPOSES.items() if purpose is Purpose.NOTICE]
        words = [_presence(place) for name in ("text", "code") for place in places_of(model, name)]
        alternatives.append([*words, *(_presence(place, {"enum": notices}) for place in places_of(model, "purpose"))])
    if alternatives:
        schema["allOf"] = [choices[0] if len(choices) == 1 else {"anyOf": choices} for choices in alternatives]
    return schema


def _type_of(hint: Any, *, may_be_null: bool) -> Schema:
    base = TYPES.get(hint) or next(TYPES[one] for one in get_args(hint) if one in TYPES)
    if not may_be_null:
        return base
    if "anyOf" in base:
        return base | {"anyOf": [*base["anyOf"], {"type": "null"}]}
    return base | {"type": [base["type"], "null"]}


def _put(schema: Schema, place: str, value: Schema) -> None:
    """Put the schema of a field at its place. Objects on the way may be null."""
    *outer, key = place.split(".")
    for one in outer:
        schema = schema.setdefault("properties", {}).setdefault(one, {"type": ["object", "null"]})
    properties = schema.setdefault("properties", {})
    properties[key] = value | properties.get(key, {})


def _presence(place: str, value: Schema | None = None) -> Schema:
    """Give the schema that a payload with a value at this place fulfils."""
    key, _, rest = place.partition(".")
    inner = _presence(rest, value) | {"type": "object"} if rest else value
    return {"required": [key]} | ({"properties": {key: inner}} if inner else {})


def _own(path: str, one: Operation) -> Schema:
    refused = _by_status({outcome: [respond(result, "request") for result in _results(outcome)] for outcome in sorted(one.refusals)})
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"{(\w+)}", path)]
    responses = {status: {"description": meaning} | _content([response]) for status, (meaning, response) in one.responses.items()} | refused
    return (
        {
            "operationId": f"{one.method}_{path.split('/')[1]}",
            "summary": one.summary,
            "security": [{scheme: []} for scheme in COMMON_SCHEMES] if Outcome.UNAUTHORIZED in one.refusals else [],
            "responses": {str(status): response for status, response in sorted(responses.items())},
        }
        | ({"parameters": parameters} if parameters else {})
        | ({"requestBody": {"content": {media: {"schema": one.body} for media in (JSON, FORM.decode())}}} if one.body else {})
    )


def _post(route: Route, shared: dict[str, Schema]) -> Schema:
    name = route.platform or ""
    summary = (import_module(f"{platforms.__name__}.{name}").__doc__ or "").partition("\n")[0].strip()
    schemes = [*COMMON_SCHEMES, *([_scheme_of(name)] if name in SIGNATURES else [])]
    return {
        "post": {
            "operationId": f"send_{route.secrets or 'root'}",
            "summary": summary if route.secrets else f"As /hooks/{name}, with the secrets for all platforms",
            "security": [{scheme: []} for scheme in schemes],
            "requestBody": {"required": True, "content": _request(name)},
            "responses": {str(status): _share(name, status, response, shared) for status, response in _responses(name).items()},
        }
    }


def _scheme_of(platform: str) -> str:
    return f"{platform}Signature"


def _request(platform: str) -> Schema:
    models = models_of(platform)
    refs = [{"$ref": f"#/components/schemas/{model.SOURCE}"} for model in models]
    examples = {name: {"value": example_of(name)} for name in all_callers() if name.partition("-")[0] == platform}
    flat = [ref for ref, model in zip(refs, models, strict=True) if not any("." in key for key in _keys(model)) and not model.MARKER]
    content: Schema = {JSON: {"schema": _any(refs), "examples": examples}}
    return content | ({FORM.decode(): {"schema": _any(flat)}} if flat else {})


def _keys(model: type[Payload]) -> list[str]:
    """Give the first place of each field: where others have dots, a form can still have the first ones."""
    return [place for name in model.model_fields for place in places_of(model, name)[:1]]


def _any(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


@cache
def _responses(name: str) -> Mapping[int, Schema]:
    """Give every response of a platform by status, as its own code makes them from every outcome."""
    platform = platforms.load_platform(name)
    return _by_status(
        {
            outcome: [
                platform.respond(platform.as_told(result, unknown_as), "request")
                for unknown_as in (None, *UNKNOWN_AS)
                for result in _results(outcome)
            ]
            for outcome in Outcome
            if outcome not in _NOT_OF_A_ROUTE
        }
    )


def _by_status(responses: Mapping[Outcome, list[Response]]) -> dict[int, Schema]:
    found: dict[int, dict[Outcome, list[Response]]] = {}
    for outcome, several in responses.items():
        for one in several:
            found.setdefault(one.status, {}).setdefault(outcome, []).append(one)
    return {status: _response(outcomes) for status, outcomes in sorted(found.items())}


def _results(outcome: Outcome) -> Iterable[Result]:
    """Give results with and without everything that a response can tell."""
    yield Result(outcome)
    yield Result(outcome, message_id="id", segments=1, is_duplicate=True, retry_after_seconds=60)
    yield Result(outcome, "why", ("field",), position=1)
    yield Result(outcome, is_test=True)
    yield from (Result(outcome, why, ("field",)) for why in REASONS)


def _response(outcomes: Mapping[Outcome, list[Response]]) -> Schema:
    responses = [one for several in outcomes.values() for one in several]
    meaning = "\n".join(f"- `{outcome}`: {RESPONSES[outcome].message}" for outcome in outcomes)
    names = dict.fromkeys(name for one in responses for name in one.headers if name in ("retry-after", "www-authenticate"))
    headers = {
        name: {"schema": {"type": "integer", "minimum": 1} if name == "retry-after" else {"type": "string"}}
        | ({"required": True} if all(name in one.headers for one in responses) else {})
        for name in names
    }
    return {"description": meaning} | ({"headers": headers} if headers else {}) | _content(responses)


def _content(responses: Iterable[Response]) -> Schema:
    bodies: dict[str, list[bytes]] = {}
    for one in responses:
        if one.body:
            bodies.setdefault(one.headers["content-type"].partition(";")[0], []).append(one.body)
    content = {
        kind: {"schema": _shape([json.loads(body) for body in several]) if kind == JSON else {"type": "string"}}
        for kind, several in bodies.items()
    }
    return {"content": content} if content else {}


def _shape(values: list[Any], name: str = "") -> Schema:
    """Give the schema of values that were seen."""
    if all(isinstance(value, dict) for value in values):
        keys = dict.fromkeys(key for value in values for key in value)
        properties = {key: _shape([value[key] for value in values if key in value], key) for key in keys}
        required = [key for key in keys if all(key in value for value in values)]
        return {"type": "object"} | ({"properties": properties} if keys else {}) | ({"required": required} if required else {})
    if all(isinstance(value, list) for value in values):
        return {"type": "array", "items": _shape([one for value in values for one in value])}
    kinds = {bool: "boolean", int: "integer", str: "string", type(None): "null"}
    types = list(dict.fromkeys(kinds[type(value)] for value in values))
    return {"type": types[0] if len(types) == 1 else sorted(types)} | ({"enum": list(dict.fromkeys(values))} if name in _SETS else {})


def _share(platform: str, status: int, response: Schema, shared: dict[str, Schema]) -> Schema:
    """Refer to a response, which platforms with one dialect share."""
    dialect = platforms.load_platform(platform).respond.__module__.rpartition(".")[2].strip("_").removesuffix("_response")
    name = next((name for name, one in shared.items() if one == response), f"{dialect}_{status}")
    shared.setdefault(name, response)
    return {"$ref": f"#/components/responses/{name}"}
