"""From the bytes of an authenticated call to a ``PhoneMessage``, by one pydantic model per payload."""

import re
from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import PydanticUndefined, from_json

from mitto_phone_hook.domain.message import Channel, PhoneMessage, Purpose, Recipient
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.domain.phone_number import read_number
from mitto_phone_hook.domain.written_number import NOT_A_NUMBER
from mitto_phone_hook.platforms._contract import Defaults, Headers
from mitto_phone_hook.platforms._fields import PURPOSES, in_ascii_digits, says_voice
from mitto_phone_hook.sms.hidden_characters import HiddenCharacter, clean_text

FORM = b"application/x-www-form-urlencoded"

_MAX_FORM_FIELDS = 50
_SEEN = re.compile(r"[^\s\u200c\u200d]")
_EMPTY = (None, "")
_BY_RANK = itemgetter(0)


def at(*places: str, default: Any = PydanticUndefined) -> Any:  # noqa: ANN401 - as pydantic's own Field
    """Say where a payload has a field: dotted paths, the first filled one counts. Without ``default`` the field is required."""
    return Field(default, validation_alias=AliasChoices(*places))


class Payload(BaseModel):
    """What a platform sends: the fields of ``PhoneMessage`` that it has. A subclass declares their types and places."""

    # A model is built by the first call that needs it: a platform has several, and an installation often gets one of them.
    model_config = ConfigDict(
        defer_build=True, validate_by_name=True, validate_by_alias=False, loc_by_alias=False, hide_input_in_errors=True
    )

    SOURCE: ClassVar[str]
    """Name of the payload in the log."""
    MARKER: ClassVar[str | None] = None
    """The key that only this payload has; ``None`` accepts every payload."""
    WITHOUT: ClassVar[frozenset[str]] = frozenset()
    """Keys that this payload never has."""
    OBJECTS: ClassVar[frozenset[str]] = frozenset()
    """Dotted paths where a value other than an object is refused."""
    VOICE_KEYS: ClassVar[tuple[str, ...]] = ()
    """Keys whose value is ignored, unless it asks for a voice call."""

    recipient: str
    text: SecretStr | None = None
    """Without a text the code is sent in a template. A payload that has neither is refused, unless it is a notice."""
    channel: Channel = Channel.SMS
    code: SecretStr | None = None


def reader(*models: type[Payload]) -> Callable[[bytes, Headers, Defaults], PhoneMessage]:
    """Build a platform's ``read``: it uses the first of ``models`` that the keys of the payload fit.

    A body is read as JSON, whatever its Content-Type says, except for forms. ``read`` raises ``Refused`` with ``invalid_json``,
    ``invalid_request`` or ``invalid_recipient``, and with the names of the wrong fields, never their values.
    """

    def read(body: bytes, headers: Headers, defaults: Defaults) -> PhoneMessage:
        content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        raw = _read_form(body) if content_type == FORM else _read_json(body)
        if not isinstance(raw, dict):
            raise Refused(Outcome.INVALID_REQUEST, "not_an_object")
        for model in models:
            if (model.MARKER is None or raw.get(model.MARKER) is not None) and raw.keys().isdisjoint(model.WITHOUT):
                break
        values, wrong = _find(model, raw)
        missing = _missing_words(model, values, raw)
        try:
            payload = model.model_validate(values)
        except ValidationError as error:
            # Only the names of fields: everything else in this error may repeat what was sent.
            wrong += [_place(model, str(one["loc"][0]), raw) for one in error.errors(include_input=False, include_context=False)]
            if [*wrong, *missing] == [_place(model, "recipient", raw)] and _value_at(raw, wrong[0]) == "":
                raise Refused(Outcome.INVALID_RECIPIENT, NOT_A_NUMBER, tuple(wrong)) from None
        if wrong := [*dict.fromkeys([*wrong, *missing])]:
            raise Refused(Outcome.INVALID_REQUEST, "wrong_fields", tuple(wrong))
        text = _text_to_send(model, payload, raw)
        try:
            number = read_number(payload.recipient, defaults.region, defaults.bare_digits, defaults.allowed_numbers)
        except ValueError as error:
            raise Refused(Outcome.INVALID_RECIPIENT, str(error), (_place(model, "recipient", raw),)) from None
        known = {"source": model.SOURCE, "recipient": Recipient(number.e164), "region": number.region, "number_kind": number.kind}
        if any(says_voice(raw.get(key)) for key in model.VOICE_KEYS):
            known["channel"] = Channel.VOICE
        return PhoneMessage(**vars(payload) | known | {"text": SecretStr(text)})

    return read


def _find(model: type[Payload], raw: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Give the filled fields by name, and the paths where an object is expected but something else was sent."""
    paths, fields = _layout(model)
    objects: dict[str, dict[str, Any]] = {"": raw}
    wrong = []
    for path, outer, key in paths:
        value = objects[outer].get(key) if outer in objects else None
        if isinstance(value, dict):
            objects[path] = value
        elif value is not None and path in model.OBJECTS and (value != "" or path == model.MARKER):
            wrong.append(path)
    found = [
        (rank, name, value)
        for path, content in objects.items()
        if path in fields
        for key, value in content.items()
        if key in fields[path] and value not in _EMPTY
        for rank, name in fields[path][key]
    ]
    # An earlier place overwrites a later one. Pydantic itself would take the first alias that is present, even an empty one.
    found.sort(key=_BY_RANK)
    return {name: value for _, name, value in found}, wrong


@cache
def _layout(model: type[Payload]) -> tuple[list[tuple[str, str, str]], dict[str, dict[str, list[tuple[int, str]]]]]:
    """List the objects (path, outer path, key; outer ones first), and by object and key the fields found there.

    The first choice of a field has the highest rank.
    """
    fields: dict[str, dict[str, list[tuple[int, str]]]] = {}
    for name in model.model_fields:
        for rank, place in enumerate(reversed(_places(model, name))):
            path, _, key = place.rpartition(".")
            fields.setdefault(path, {}).setdefault(key, []).append((rank, name))
    paths = {*model.OBJECTS, *fields}
    paths |= {path[:index] for path in paths for index, character in enumerate(path) if character == "."}
    return [(path, *path.rpartition(".")[::2]) for path in sorted(paths - {""})], fields


def _places(model: type[Payload], name: str) -> list[str]:
    alias = model.model_fields[name].validation_alias
    return list(map(str, alias.choices)) if isinstance(alias, AliasChoices) else []


def _place(model: type[Payload], name: str, raw: dict[str, Any]) -> str:
    """Name the place of a field: the first filled one, else the first one."""
    places = _places(model, name)
    return next((place for place in places if _value_at(raw, place) not in _EMPTY), places[0])


def _value_at(raw: object, path: str) -> object:
    for key in path.split("."):
        raw = raw.get(key) if isinstance(raw, dict) else None
    return raw


def _read_json(body: bytes) -> object:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        # The parser's own message quotes the body.
        raise Refused(Outcome.INVALID_JSON, "not_json") from None


def _read_form(body: bytes) -> object:
    if body.lstrip().startswith(b"{"):
        # This is JSON: curl announces a form by default.
        raise Refused(Outcome.INVALID_JSON, "not_a_form")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS))
    except ValueError:
        raise Refused(Outcome.INVALID_JSON, "not_a_form") from None


def _missing_words(model: type[Payload], values: dict[str, Any], raw: dict[str, Any]) -> list[str]:
    """Name the place of the text, else of the code, where a payload has neither and is no notice, for which a template has words."""
    if not values.keys().isdisjoint(("text", "code")) or PURPOSES.get(str(values.get("purpose"))) is Purpose.NOTICE:
        return []
    return [_place(model, "text" if _places(model, "text") else "code", raw)]


def _text_to_send(model: type[Payload], payload: Payload, raw: dict[str, Any]) -> str:
    """Clean the text; empty where a template has to say it.

    Raises ``Refused`` for characters that nobody sees, and for a code that is not the one in the text.
    """
    code = payload.code.get_secret_value() if payload.code else ""
    if payload.text is None:
        return ""
    try:
        text = clean_text(payload.text.get_secret_value(), code)
    except HiddenCharacter as hidden:
        place = _place(model, "text", raw)
        raise Refused(Outcome.INVALID_REQUEST, "hidden_character", (place,), position=hidden.position) from None
    if not _SEEN.search(text):
        raise Refused(Outcome.INVALID_REQUEST, "wrong_fields", (_place(model, "text", raw),))
    # An ASCII code may stand in the text in groups or in words. Other digits are a code only if the text has them, too.
    if not code.isascii() and _signs(code) not in _signs(text):
        raise Refused(Outcome.INVALID_REQUEST, "wrong_fields", (_place(model, "code", raw),))
    return text


def _signs(text: str) -> str:
    """Give letters and digits only, digits of all scripts alike."""
    return "".join(filter(str.isalnum, in_ascii_digits(text)))
