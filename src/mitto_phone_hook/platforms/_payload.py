"""From the bytes of an authenticated call to a ``PhoneMessage``, by one pydantic model per payload."""

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, from_json

from mitto_phone_hook.domain.message import Channel, PhoneMessage, Purpose, Recipient
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.domain.phone_number import Number, read_number
from mitto_phone_hook.domain.written_number import NOT_A_NUMBER
from mitto_phone_hook.platforms._contract import Defaults, Headers

FORM = b"application/x-www-form-urlencoded"

_MAX_FORM_FIELDS = 50
_EMPTY = (None, "")


def at(*places: str, default: Any = PydanticUndefined) -> Any:  # noqa: ANN401 - as pydantic's own Field
    """Declare where a payload has a field: dotted paths, of which the first that is filled counts. Without ``default`` it is required."""
    return Field(default, validation_alias=AliasChoices(*(AliasPath(*place.split(".")) if "." in place else place for place in places)))


class Payload(BaseModel):
    """What a platform sends; a subclass says where. Nothing of a payload is ever shown."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    SOURCE: ClassVar[str]
    """Name of the payload in the log."""
    MARKER: ClassVar[str | None] = None
    """The key by which the payload is recognised; ``None`` takes whatever is left."""
    OBJECTS: ClassVar[tuple[str, ...]] = ()
    """Dotted paths of the objects that hold fields, the outer ones first: those declared as objects."""

    _HOLDERS: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    """The same, each with the path of the object around it and its key there."""

    recipient: str
    text: SecretStr
    channel: Channel = Channel.SMS
    code: SecretStr | None = None
    purpose: Purpose = Purpose.OTHER
    locale: str | None = None
    client_id: str | None = None
    organization: str | None = None
    tenant: str | None = None
    client_ip: IPv4Address | IPv6Address | None = None
    expires_at: datetime | None = None
    sent_at: datetime | None = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Find the objects among the fields."""
        cls.OBJECTS = tuple(sorted(_places(field)[0] for field in cls.model_fields.values() if field.annotation == dict[str, Any] | None))
        cls._HOLDERS = tuple((path, *path.rpartition(".")[::2]) for path in cls.OBJECTS)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_empty(cls, payload: dict[str, Any]) -> dict[str, Any]:
        """Pydantic takes the first alias that is present; callers fill in one of several and leave the others empty."""
        filled = {"": _filled(payload)}
        for path, outer, key in cls._HOLDERS:
            if outer in filled and isinstance(value := filled[outer].get(key), dict):
                filled[path] = filled[outer][key] = _filled(value)
        return filled[""]

    def message(self, number: Number) -> PhoneMessage:
        """Give the message; ``number`` is what ``recipient`` has been read as."""
        return PhoneMessage(
            source=self.SOURCE,
            recipient=Recipient(number.e164),
            region=number.region,
            number_kind=number.kind,
            channel=self.channel,
            text=self.text,
            code=self.code,
            purpose=self.purpose,
            locale=self.locale,
            client_id=self.client_id,
            organization=self.organization,
            tenant=self.tenant,
            client_ip=self.client_ip,
            expires_at=self.expires_at,
            sent_at=self.sent_at,
        )


def reader(*models: type[Payload]) -> Callable[[bytes, Headers, Defaults], PhoneMessage]:
    """Give a platform's ``read``: the first of ``models`` whose marker is filled reads the payload.

    JSON is read whatever the Content-Type says, except for forms. It raises ``Refused`` with ``invalid_json``,
    ``invalid_request`` or ``invalid_recipient``, with the names of the fields at fault and never their values.
    """

    def read(body: bytes, headers: Headers, defaults: Defaults) -> PhoneMessage:
        content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        raw = _read_form(body) if content_type == FORM else _read_json(body)
        if not isinstance(raw, dict):
            raise Refused(Outcome.INVALID_REQUEST, "not_an_object")
        model = next(model for model in models if model.MARKER is None or raw.get(model.MARKER) is not None)
        try:
            payload = model.model_validate(raw)
        except ValidationError as error:
            fields = _fields_at_fault(model, error)
            if len(fields) == 1 and fields[0] in _places(model.model_fields["recipient"]) and _value_at(raw, fields[0]) == "":
                raise Refused(Outcome.INVALID_RECIPIENT, NOT_A_NUMBER, fields) from None
            raise Refused(Outcome.INVALID_REQUEST, "wrong_fields", fields) from None
        try:
            number = read_number(payload.recipient, *defaults)
        except ValueError as error:
            raise Refused(Outcome.INVALID_RECIPIENT, str(error), (_place_of_recipient(model, raw),)) from None
        return payload.message(number)

    return read


def _read_json(body: bytes) -> object:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        # The parser's own sentence quotes the body.
        raise Refused(Outcome.INVALID_JSON, "not_json") from None


def _read_form(body: bytes) -> object:
    if body.lstrip().startswith(b"{"):
        # curl announces a form where nobody says what it is.
        raise Refused(Outcome.INVALID_JSON, "not_a_form")
    try:
        text = body.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except ValueError:
        raise Refused(Outcome.INVALID_JSON, "not_a_form") from None
    return dict(pairs)


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    held = values.values()
    # Most callers leave nothing empty; comparing all at once is faster than looking at each.
    return (
        {key: value for key, value in values.items() if value is not None and value != ""} if None in held or "" in held else dict(values)
    )


def _fields_at_fault(model: type[Payload], error: ValidationError) -> tuple[str, ...]:
    """Name the fields by their paths in the payload, objects first. Nothing else of pydantic's error is safe to repeat."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(sorted(dict.fromkeys(".".join(map(str, one["loc"])) for one in found), key=lambda place: place not in model.OBJECTS))


def _places(field: FieldInfo) -> list[str]:
    """Give the dotted paths of a field."""
    choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()
    return [".".join(map(str, choice.path)) if isinstance(choice, AliasPath) else choice for choice in choices]


def _place_of_recipient(model: type[Payload], raw: dict[str, Any]) -> str:
    """Name the place from which the recipient was read."""
    places = _places(model.model_fields["recipient"])
    return next((place for place in places if _value_at(raw, place) not in _EMPTY), places[0])


def _value_at(raw: object, place: str) -> object:
    for key in place.split("."):
        raw = raw.get(key) if isinstance(raw, dict) else None
    return raw
