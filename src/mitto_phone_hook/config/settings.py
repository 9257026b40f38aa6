"""The operator's settings: one model, whose fields are the variables, read once from a mapping.

Values are never printed: a problem names the variable and the rule.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, ValidationInfo, field_validator

from mitto_phone_hook.config import limit_rules, rules
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.credentials.rotation import RotatingSecret, RunInBackground
from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.limits import BUDGETS, Limits
from mitto_phone_hook.storage.protocols import Window

T = TypeVar("T")

MAX_DEADLINE_SECONDS = 25
"""The server below gives calls 30 s to end when it is told to stop, then kills them without an answer."""


RENAMED = {"DUPLICATE_WINDOW_SECONDS": "RESEND_AFTER_SECONDS"}
"""Settings of the version before, and those that took their places. They are still understood, with a warning."""


class SettingsError(Exception):
    """What is wrong with the settings: one sentence a problem, each naming its variable and never a value."""

    def __init__(self, problems: list[str]) -> None:
        """Keep every problem that was found."""
        super().__init__("\n".join(problems))
        self.problems = problems


class _Given(NamedTuple):
    """The text of one variable, or of the file that ``<variable>_FILE`` names."""

    text: str = ""
    problem: str = ""
    read_again: Callable[[], str] | None = None
    run_in_background: RunInBackground = lambda work: work()
    on_unavailable: Callable[[], None] = lambda: None


def _setting(default: str | None, meaning: str, *, is_required: bool = False, is_secret: bool = False, is_family: bool = False) -> Any:  # noqa: ANN401 - as pydantic's own Field
    """Declare a variable: its default text (``None``: unset), what it means, whether a file may hold it.

    A family is a variable and its special cases: ``HOOK_SECRETS`` and ``HOOK_SECRETS_AUTH0``.
    """
    extra: dict[str, Any] = {"is_required": is_required, "is_secret": is_secret, "is_family": is_family}
    return (
        Field(default_factory=dict, description=meaning, json_schema_extra=extra)
        if is_family
        else Field(default, description=meaning, json_schema_extra=extra)
    )


def _parsed(parse: Callable[[str], T], given: _Given | str) -> T:
    if isinstance(given, str):
        return parse(given)
    if given.problem:
        raise ValueError(given.problem)
    rules.refuse_quotation_marks(given.text.strip())
    return parse(given.text)


def _read(parse: Callable[[str], object]) -> PlainValidator:
    """Read the text of a variable; one without a default may be missing."""
    return PlainValidator(lambda given: None if given is None else _parsed(parse, given))


def _read_rotating(parse: Callable[[str], object]) -> PlainValidator:
    """Read a secret that may be replaced while the function runs, where it comes from a file."""

    def validate(given: _Given | None) -> object:
        if given is None:
            raise ValueError(_REQUIRED)
        read = given.read_again
        again = (lambda: _parsed(parse, _Given(read()))) if read else None
        return RotatingSecret(_parsed(parse, given), again, given.run_in_background, given.on_unavailable)

    return PlainValidator(validate)


def _prices(given: _Given | str, info: ValidationInfo) -> dict[str, int]:
    path = _parsed(str, given)
    if not path:
        return {}
    try:
        text = (info.context or {})["read_file"](path)
    except (OSError, UnicodeDecodeError):
        raise ValueError("cannot be read") from None
    return limit_rules.prices(text)


_REQUIRED = "is required (or {}_FILE)"

_Platform = Annotated[str, BeforeValidator(rules.platform)]
_Region = Annotated[str, BeforeValidator(lambda text: rules.region(text) or "")]
_Secrets = Annotated[RotatingSecret[HookSecrets], _read_rotating(rules.hook_secrets)]
_Money = Annotated[int, _read(limit_rules.money)]


class Settings(BaseModel):
    """Everything that the operator decides, checked. No ``repr``: half of it is secret.

    The name of a field in capitals is the variable. The tables in the documentation, ``.env.example``, the report of
    ``mitto-phone-hook check`` and the search for unknown variables are made from these fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=True, hide_input_in_errors=True)

    mitto_api_key: Annotated[RotatingSecret[str], _read_rotating(rules.api_key)] = _setting(
        None, "Mitto's API key", is_required=True, is_secret=True
    )
    hook_secrets: dict[_Platform, _Secrets] = _setting(
        None,
        "who may call: bearer secrets (24 characters or more) and `whsec_…` signing keys, separated by white space or a vertical bar; "
        "`HOOK_SECRETS_AUTH0`: the only secrets accepted on `/hooks/auth0`, likewise for each platform",
        is_required=True,
        is_secret=True,
        is_family=True,
    )
    mitto_sender_id: Annotated[str, _read(rules.sender_id)] = _setting("Mitto SMS", "sender ID that the handset shows")
    mitto_base_url: Annotated[str, _read(rules.base_url)] = _setting(
        "https://rest.mittoapi.com", "Mitto's API; `http://` only for loopback"
    )
    mitto_test: Annotated[bool, _read(rules.boolean)] = _setting("false", "`true`: Mitto checks every message, delivers and charges none")
    deadline_seconds: Annotated[float, _read(rules.seconds(0.5, MAX_DEADLINE_SECONDS))] = _setting(
        "8", "total time for one hook call, Mitto included"
    )
    connect_timeout_seconds: Annotated[float, _read(rules.seconds(0.05, 30))] = _setting("1", "time for one connection to Mitto")
    max_attempts: Annotated[int, _read(rules.whole(1, 10))] = _setting("3", "attempts at one message, only while nothing has been sent")
    max_body_bytes: Annotated[int, _read(rules.whole(1024, 1048576))] = _setting("65536", "largest body that is read")
    max_segments: Annotated[int, _read(rules.whole(1, 20))] = _setting("4", "longest text, in segments, the unit of cost")
    smart_encoding: Annotated[bool, _read(rules.boolean)] = _setting(
        "on", "typographic signs become their GSM-7 equals where that makes the whole text GSM-7"
    )
    code_lifetime_seconds: Annotated[int, _read(rules.whole(30, 86400))] = _setting(
        "300", "how long a code is good for, in seconds, where the call has no `expires_at`"
    )
    resend_after_seconds: Annotated[int, _read(rules.whole(0, 86400))] = _setting(
        "30",
        "the same code and text for the same recipient again in less than this gets the first result and no SMS; later the user has asked "
        "again, and it is sent and counted; `0` sends each",
    )
    store_url: Annotated[str, _read(rules.store_url)] = _setting(
        rules.MEMORY,
        "where that is remembered; `redis://…` or `rediss://…` shares it between instances (with the package `redis`)",
        is_secret=True,
    )
    state_secret: Annotated[str | None, _read(rules.state_secret)] = _setting(
        None,
        "keys the hashes in the shared store (24 characters or more); without it they are keyed by MITTO_API_KEY, "
        "and a new key forgets the messages and counts of before",
        is_secret=True,
    )
    allowed_regions: Annotated[frozenset[str], _read(rules.regions)] = _setting(
        "", "countries that get messages: `CH,DE,GB`; empty = all, with a warning; `*` = all, `*,001` = satellite networks, too"
    )
    blocked_numbers: Annotated[tuple[str, ...], _read(rules.numbers)] = _setting(
        "", "numbers, or their first digits, that get none: `+4179,+18765550123`"
    )
    default_region: Annotated[str | None, _read(rules.region)] = _setting(
        "", "country of numbers written without a country code; empty = refuse them"
    )
    policy_mode: Annotated[str, _read(rules.word("enforce", rules.OBSERVE))] = _setting(
        "enforce", "`observe`: nothing is refused by destination, limit or budget; the log says what would be"
    )
    limits: Annotated[Mapping[str, tuple[Window, ...]], _read(limit_rules.windows)] = _setting(
        limit_rules.DEFAULTS, "how many messages (`total`: segments) may leave; each name overrides its default, `off` for one or for all"
    )
    limits_fail: Annotated[str, _read(rules.word("open", rules.CLOSED))] = _setting(
        "open", "`closed`: nothing leaves while the shared limits cannot be asked"
    )
    exempt_numbers: Annotated[tuple[str, ...], _read(rules.whole_numbers)] = _setting(
        "", "E.164 numbers that no limit counts, for tests and VIPs; destination rules hold for them, too"
    )
    budget_per_hour: dict[_Region, _Money] = _setting(
        None, "money that may be spent in any hour, by PRICES_FILE; `BUDGET_PER_HOUR_CH` for one region", is_family=True
    )
    budget_per_day: dict[_Region, _Money] = _setting(
        None, "money that may be spent in any day, by PRICES_FILE; `BUDGET_PER_DAY_CH` for one region", is_family=True
    )
    prices_file: Annotated[dict[str, int], PlainValidator(_prices)] = _setting(
        "", "CSV file `region,price` of a segment, with a line `*,price` for all others, in any currency"
    )
    log_level: Annotated[str, _read(rules.log_level)] = _setting("INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`")

    @field_validator("hook_secrets")
    @classmethod
    def _there_are_secrets(cls, secrets: dict[str, object]) -> dict[str, object]:
        if "" not in secrets:
            raise ValueError(_REQUIRED)
        return secrets

    @field_validator("connect_timeout_seconds")
    @classmethod
    def _connects_before_the_deadline(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds >= info.data.get("deadline_seconds", seconds + 1):
            raise ValueError("must be less than DEADLINE_SECONDS")
        return seconds

    @field_validator("prices_file")
    @classmethod
    def _budgets_have_prices(cls, prices: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        if not prices and (info.data.get("budget_per_hour") or info.data.get("budget_per_day")):
            raise ValueError("is needed by BUDGET_PER_HOUR and BUDGET_PER_DAY")
        return prices

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show nothing."""
        return iter(())

    @property
    def destination(self) -> DestinationPolicy:
        """Where messages may go."""
        return DestinationPolicy(self.allowed_regions, self.blocked_numbers)

    @cached_property
    def quotas(self) -> Limits:
        """How many messages may leave, and for how much money."""
        budgets: dict[str, list[Window]] = {}
        for seconds, name in BUDGETS.items():
            for region, limit in getattr(self, name.lower()).items():
                budgets.setdefault(region, []).append(Window(limit, seconds))
        return Limits(
            windows=self.limits,
            budgets={region: tuple(windows) for region, windows in budgets.items()},
            prices=self.prices_file,
            home_regions=self.allowed_regions,
            exempt_numbers=frozenset(self.exempt_numbers),
        )

    def secrets_of(self, platform: str) -> RotatingSecret[HookSecrets]:
        """Give the secrets that open a platform's route: its own, else those for all."""
        return self.hook_secrets.get(platform) or self.hook_secrets[""]


class Variable(NamedTuple):
    """What the documentation says of one variable."""

    name: str
    default: str
    meaning: str
    is_required: bool
    is_secret: bool
    """It may also come from the file that ``<name>_FILE`` names."""
    is_family: bool
    """A name behind it, after an underscore, is a special case."""


def variables() -> list[Variable]:
    """Give all variables, in the order of the documentation."""
    return [
        Variable(
            name.upper(),
            field.default if isinstance(field.default, str) else "",
            field.description or "",
            **cast("Any", field.json_schema_extra),
        )
        for name, field in Settings.model_fields.items()
    ]


def renamed(environment: Mapping[str, str]) -> dict[str, str]:
    """Find settings of the version before, each with the one that took its place."""
    return {old: new for old, new in RENAMED.items() if environment.get(old)}


def load(
    environment: Mapping[str, str],
    read_file: Callable[[str], str] = lambda path: Path(path).read_text(),
    run_in_background: RunInBackground = lambda work: work(),
    on_unavailable: Callable[[str], None] = lambda _: None,
    platforms: tuple[str, ...] = NAMES,
) -> Settings:
    """Read and check all settings. Raises ``SettingsError`` with every problem at once.

    An empty variable counts as unset. ``read_file`` may raise ``OSError`` or ``ValueError``. ``run_in_background`` runs the
    regular reading of secrets that come from files; ``on_unavailable`` gets the name of one that can no longer be read.
    ``platforms`` are those whose secrets may be set.
    """

    def given(name: str, *, is_secret: bool) -> _Given | None:
        text, path = environment.get(name), environment.get(f"{name}_FILE") if is_secret else None
        if not path:
            return _Given(text) if text else None
        if text:
            return _Given(problem=f"and {name}_FILE are both set; keep one")
        try:
            text = read_file(path).strip()
        except (OSError, ValueError):
            return _Given(problem=f"cannot be read from the file that {name}_FILE names")
        return _Given(text, "", lambda: read_file(path).strip(), run_in_background, lambda: on_unavailable(name))

    environment = {**{new: environment[old] for old, new in renamed(environment).items() if not environment.get(new)}, **environment}
    values: dict[str, Any] = {}
    for variable in variables():
        value: Any = given(variable.name, is_secret=variable.is_secret)
        if variable.is_family:
            members = {key: given(name, is_secret=variable.is_secret) for key, name in _members(variable, environment)}
            value = {key: member for key, member in {"": value, **members}.items() if member is not None}
        if value is not None:
            values[variable.name.lower()] = value
    try:
        return Settings.model_validate(values, context={"read_file": read_file, "platforms": platforms})
    except ValidationError as error:
        raise SettingsError(_problems(error)) from None


def _members(variable: Variable, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Find the special cases of a variable, each with its own variable's name."""
    for name in sorted({name.removesuffix("_FILE") if variable.is_secret else name for name, value in environment.items() if value}):
        if name.startswith(f"{variable.name}_"):
            yield name.removeprefix(f"{variable.name}_"), name


def _problems(error: ValidationError) -> list[str]:
    """Give one sentence for each variable that is wrong."""
    problems: dict[str, str] = {}
    for one in error.errors(include_url=False, include_input=False):
        name, *keys = map(str, one["loc"])
        variable = f"{name}_{keys[0]}".upper() if keys and keys[0] else name.upper()
        rule = str(one["ctx"]["error"]).replace("{}", variable)
        # Where the name of a special case is wrong, its value does not matter.
        if keys[1:] or variable not in problems:
            problems[variable] = f"{variable} {rule}"
    return list(problems.values())
