"""The operator's settings: one model, whose fields are the variables, read once from a mapping.

No value is ever printed: a problem names the variable and the rule.
"""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from types import EllipsisType
from typing import Annotated, Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from mitto_phone_hook.config import limit_rules, rules, sender_rules, text_rules
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.credentials.rotation import RotatingSecret, RunInBackground
from mitto_phone_hook.domain.phone_number import BareDigits
from mitto_phone_hook.domain.read_by import ReadBy
from mitto_phone_hook.platforms import NAMES, load_platform
from mitto_phone_hook.platforms._contract import FAILED, UNKNOWN_AS
from mitto_phone_hook.policy.destination import ANY_REGION, DestinationPolicy
from mitto_phone_hook.policy.limits import BUDGETS, Limits
from mitto_phone_hook.sms.sender_countries import COUNTRIES
from mitto_phone_hook.sms.sender_ids import Scope, SenderIds
from mitto_phone_hook.sms.templates import Catalogue, TextRules
from mitto_phone_hook.storage.protocols import Window

T = TypeVar("T")

MAX_DEADLINE_SECONDS = 25
"""A server that is told to stop gives running calls 30 s, then ends them without a response."""

MAX_SEGMENTS = 20
"""The most that MAX_SEGMENTS can allow."""


RENAMED = {"DUPLICATE_WINDOW_SECONDS": "RESEND_AFTER_SECONDS"}
"""Settings of the version before, with their new names. The old names still work, with a warning."""


class SettingsError(Exception):
    """All that is wrong with the settings: one sentence per problem, which names its variable and never a value."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the sentences."""
        super().__init__("\n".join(problems))
        self.problems = problems


class _Source(NamedTuple):
    """Where the text of one variable comes from: the variable itself, or the file that ``<variable>_FILE`` names."""

    read: Callable[[], str]
    is_file: bool
    run_in_background: RunInBackground
    on_unavailable: Callable[[], None]


def _setting(default: str | EllipsisType | None, meaning: str, *, is_secret: bool = False, is_family: bool = False) -> Any:  # noqa: ANN401 - as pydantic's own Field
    """Declare a variable: its default text (``...``: required, ``None``: unset) and what it means.

    A secret may come from a file. A family is a variable and its special cases: ``HOOK_SECRETS`` and ``HOOK_SECRETS_AUTH0``.
    """
    extra: dict[str, Any] = {"is_required": default is ..., "is_secret": is_secret, "is_family": is_family}
    return Field({} if is_family else default, repr=False, description=meaning, json_schema_extra=extra)


def _parsed(parse: Callable[[str], T], source: _Source) -> T:
    text = source.read()
    rules.refuse_quotation_marks(text.strip())
    return parse(text)


def _read(parse: Callable[[str], object]) -> ReadBy:
    return ReadBy(partial(_parsed, parse))


def _rotating(parse: Callable[[str], object]) -> ReadBy:
    """Read a secret that is read again while the function runs, where it comes from a file."""

    def validate(source: _Source) -> object:
        read = partial(_parsed, parse, source)
        return RotatingSecret(read(), read if source.is_file else None, source.run_in_background, source.on_unavailable)

    return ReadBy(validate)


def _prices(source: _Source, info: ValidationInfo) -> dict[str, int]:
    path = _parsed(str, source)
    try:
        return limit_rules.prices((info.context or {})["read_file"](path)) if path else {}
    except (OSError, UnicodeDecodeError):
        raise ValueError("cannot be read") from None


def _sender_ids(source: _Source, info: ValidationInfo) -> dict[Scope, str]:
    return sender_rules.sender_ids(_parsed(str, source), (info.context or {})["platforms"])


def _regions_without_sender(senders: SenderIds, allowed: frozenset[str]) -> list[str]:
    is_any = not allowed or ANY_REGION in allowed
    return [region for region in COUNTRIES if (is_any or region in allowed) and not senders.is_usable_in(region)]


def _templates(source: _Source, info: ValidationInfo) -> Catalogue:
    path = _parsed(str, source)
    if not path:
        return {}
    try:
        text = (info.context or {})["read_file"](path)
    except (OSError, UnicodeDecodeError):
        raise ValueError("cannot be read") from None
    smart_encoding = info.data.get("smart_encoding") or {"": True}
    domains, max_segments = info.data.get("otp_domain") or {}, info.data.get("max_segments") or MAX_SEGMENTS
    return text_rules.templates(text, domains, is_smart=smart_encoding[""], max_segments=max_segments)


_Platform = Annotated[str, BeforeValidator(rules.platform)]
_Region = Annotated[str, BeforeValidator(lambda text: rules.region(text) or "")]
_Secrets = Annotated[RotatingSecret[HookSecrets], _rotating(rules.hook_secrets)]
_UnknownAs = Annotated[str, _read(rules.word(*UNKNOWN_AS))]
_Money = Annotated[int, _read(limit_rules.money)]
_ReportSecrets = Annotated[RotatingSecret[tuple[bytes, ...]], _rotating(rules.report_secrets)]


class Settings(BaseModel):
    """Everything that the operator decides, checked. It prints no value, because half of them are secret.

    The name of a field in capitals is the variable. The fields also make the tables in the documentation, ``.env.example``,
    the report of ``mitto-phone-hook check`` and the search for unknown variables.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    mitto_api_key: Annotated[RotatingSecret[str], _rotating(rules.api_key)] = _setting(..., "Mitto's API key", is_secret=True)
    hook_secrets: dict[_Platform, _Secrets] = _setting(
        ...,
        "who may call: bearer secrets (24 characters or more) and `whsec_…` signing keys, separated by white space or a vertical bar; "
        "`HOOK_SECRETS_AUTH0` replaces them on `/hooks/auth0`, and so on for each platform",
        is_secret=True,
        is_family=True,
    )
    mitto_sender_id: Annotated[str, _read(rules.sender_id)] = _setting(
        "Mitto SMS", "sender ID that the handset shows: 3 to 11 letters, digits and inner spaces, or 3 to 14 digits"
    )
    sender_ids: Annotated[dict[Scope, str], ReadBy(_sender_ids, takes_info=True)] = _setting(
        "",
        "other sender IDs, by country, application (`client:`), organization (`org:`) and platform: "
        "`US=18005550100; client:abc123=Acme; org:acme+supabase+CH=Acme`; the most specific rule counts",
    )
    mitto_base_url: Annotated[str, _read(rules.base_url)] = _setting(
        "https://rest.mittoapi.com", "address of Mitto's API; `http://` only for loopback"
    )
    mitto_test: Annotated[bool, _read(rules.boolean)] = _setting("false", "`true`: Mitto checks messages, but neither delivers nor charges")
    deadline_seconds: Annotated[float, _read(rules.seconds(0.5, MAX_DEADLINE_SECONDS))] = _setting("8", "total time for one hook call")
    connect_timeout_seconds: Annotated[float, _read(rules.seconds(0.05, 30))] = _setting("1", "time to open one connection to Mitto")
    max_attempts: Annotated[int, _read(rules.whole(1, 10))] = _setting("3", "attempts per message, only while nothing has been sent")
    max_body_bytes: Annotated[int, _read(rules.whole(1024, 1048576))] = _setting("65536", "largest request body")
    max_segments: Annotated[int, _read(rules.whole(1, MAX_SEGMENTS))] = _setting("4", "longest text in segments, the unit of cost")
    smart_encoding: Annotated[Mapping[str, bool], _read(text_rules.smart_encoding)] = _setting(
        "on", "replaces typographic characters if that makes the text GSM-7; by country: `on; IN=off`"
    )
    templates: Annotated[str, _read(rules.word("code_only", text_rules.ALWAYS))] = _setting(
        "code_only", "whose texts are made from templates: of callers that give only a code; `always`: of all that give a code"
    )
    app_name: Annotated[str, _read(rules.app_name)] = _setting(
        "", "the application in the built-in templates: `314159 is your APP_NAME login code.`"
    )
    default_locale: Annotated[str, _read(text_rules.locale)] = _setting(
        "en", "language of templates for callers that give none, or one without a template: `de` or `pt-BR`"
    )
    otp_domain: Annotated[Mapping[str, str], _read(text_rules.domains)] = _setting(
        "",
        "host name of the website that asks for the code: browsers then fill it in, from a last line `@OTP_DOMAIN #314159`; by client "
        "or organization: `login.example.com; client:abc123=id.example.org; org:acme=acme.example.com`",
    )
    android_app_hash: Annotated[Mapping[str, str], _read(text_rules.app_hashes)] = _setting(
        "", "hash of the Android app, which then fills the code in (SMS Retriever); by client or organization as in OTP_DOMAIN"
    )
    templates_file: Annotated[Catalogue, ReadBy(_templates, takes_info=True)] = _setting(
        "", "TOML file with templates of your own, which come before the built-in ones: docs/texts.md"
    )
    code_lifetime_seconds: Annotated[int, _read(rules.whole(30, 86400))] = _setting("300", "how long a code without `expires_at` is valid")
    resend_after_seconds: Annotated[int, _read(rules.whole(0, 86400))] = _setting(
        "30", "the same code and text to the same recipient is sent again only after this time, and then counts; `0`: at once"
    )
    unknown_as: dict[_Platform, _UnknownAs] = _setting(
        None,
        "what a platform is told of a message that was possibly sent: `accepted` or `failed`; without it native and Auth0 get `failed`, "
        "all others `accepted`; `UNKNOWN_AS_NATIVE`: on `/hooks/native`, and so on; Clerk, Okta and ZITADEL are always told `accepted`, "
        "because a failure makes them call again or send the message themselves",
        is_family=True,
    )
    store_url: Annotated[str, _read(rules.store_url)] = _setting(
        rules.MEMORY,
        "where sent messages and counts are kept; `redis://…` or `rediss://…` shares them between instances (needs the package `redis`)",
        is_secret=True,
    )
    state_secret: Annotated[str, _read(rules.state_secret)] | None = _setting(
        None,
        "key of the hashes in the shared store (24 characters or more); without it MITTO_API_KEY is used, "
        "and a new API key forgets earlier messages and counts",
        is_secret=True,
    )
    allowed_regions: Annotated[frozenset[str], _read(rules.regions)] = _setting(
        "", "countries that get messages: `CH,DE,GB`; empty: all, with a warning; `*`: all; `*,001`: satellite networks, too"
    )
    strict_senders: Annotated[bool, _read(rules.boolean)] = _setting(
        "off", "`on`: no start where an allowed country takes no sender ID that its messages would get"
    )
    blocked_numbers: Annotated[tuple[str, ...], _read(rules.number_prefixes)] = _setting(
        "", "numbers, or first digits of numbers, that get no message: `+4179,+18765550123`"
    )
    allowed_numbers: Annotated[tuple[str, ...], _read(rules.number_prefixes)] = _setting(
        "", "numbers, or first digits of numbers, that count as mobile, whatever the numbering plan says: `+99981`"
    )
    default_region: Annotated[str | None, _read(rules.region)] = _setting("", "country of numbers without country code; empty: refuse them")
    bare_digits: Annotated[BareDigits, _read(rules.bare_digits)] = _setting(
        "careful",
        "numbers without `+` and `00`: `careful` refuses those that can be a mobile at home and another one abroad; `international`: "
        "for callers that remove the `+`; `national`",
    )
    policy_mode: Annotated[str, _read(rules.word("enforce", rules.OBSERVE))] = _setting(
        "enforce", "`observe`: destinations, limits and budgets refuse nothing; the log says what they would refuse"
    )
    limits: Annotated[Mapping[str, tuple[Window, ...]], _read(limit_rules.windows)] = _setting(
        limit_rules.DEFAULTS, "how many messages (`total`: segments) may be sent; a name replaces its default; `off` for one or for all"
    )
    limits_fail: Annotated[str, _read(rules.word("open", rules.CLOSED))] = _setting("open", "`closed`: nothing is sent while Redis fails")
    exempt_numbers: Annotated[tuple[str, ...], _read(rules.numbers)] = _setting(
        "", "E.164 numbers without limits per recipient, block and IP address; all other rules and budgets hold"
    )
    budget_per_hour: dict[_Region, _Money] = _setting(
        None, "money that may be spent in any hour, at the prices in PRICES_FILE; `BUDGET_PER_HOUR_CH`: in one region", is_family=True
    )
    budget_per_day: dict[_Region, _Money] = _setting(
        None, "money that may be spent in any day, at the prices in PRICES_FILE; `BUDGET_PER_DAY_CH`: in one region", is_family=True
    )
    prices_file: Annotated[dict[str, int], ReadBy(_prices, takes_info=True)] = _setting(
        "", "CSV file with the price of a segment, in any currency: lines `region,price`, and `*,price` for all other regions"
    )
    okta_issuer: Annotated[str, _read(rules.okta_issuer)] = _setting(
        "",
        "issuer of the OAuth 2.0 access tokens on `/hooks/okta`: `https://example.okta.com/oauth2/default`; empty: only secrets "
        "(needs the package `PyJWT[crypto]`)",
    )
    okta_audience: Annotated[str, _read(rules.token_value)] = _setting("", "audience that these tokens must have")
    okta_scope: Annotated[str, _read(rules.token_value)] = _setting(
        "", "scope that these tokens must have: one that only the hook is granted"
    )
    report_secrets: _ReportSecrets | None = _setting(
        None,
        "secrets in the path of delivery reports, `/reports/<secret>`: 24 or more letters, digits, hyphens and underscores; several are "
        "separated by white space or a vertical bar, and the first one is given to Mitto",
        is_secret=True,
    )
    public_url: Annotated[str, _read(rules.public_url)] = _setting(
        "", "address of this function as Mitto reaches it; each message then says where its delivery reports go (needs REPORT_SECRETS)"
    )
    conversions: Annotated[bool, _read(rules.boolean)] = _setting(
        "off", "`on`: `POST /conversions` tells Mitto which codes were used; Mitto has to enable it for the account"
    )
    test_numbers: Annotated[Mapping[str, str], _read(rules.test_numbers)] = _setting(
        "",
        "numbers that never get an SMS, each with its code: `+15005550006=123456`; their messages are answered as accepted",
        is_secret=True,
    )
    log_level: Annotated[str, _read(rules.log_level)] = _setting("INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`")

    @field_validator("unknown_as")
    @classmethod
    def _costs_no_second_sms(cls, value: dict[str, str]) -> dict[str, str]:
        """Refuse a failure for a platform that would do something about it."""
        for name in NAMES:
            if value.get(name) == FAILED and load_platform(name).failures_repeat:
                raise ValueError(f"cannot be {FAILED} for {name}: after a failure it calls again, or sends the message itself")
        return value

    @field_validator("connect_timeout_seconds", "bare_digits", "prices_file", "okta_audience", "okta_scope", "public_url")
    @classmethod
    def _agrees_with_others(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - fields of several types
        """Compare with the fields above. One that is wrong itself is missing there."""
        deadline = info.data.get("deadline_seconds")
        if info.field_name == "connect_timeout_seconds" and deadline and value >= deadline:
            raise ValueError("must be less than DEADLINE_SECONDS")
        if value is BareDigits.NATIONAL and not info.data.get("default_region", True):
            raise ValueError("national needs DEFAULT_REGION")
        if info.field_name == "prices_file" and not value and (info.data.get("budget_per_hour") or info.data.get("budget_per_day")):
            raise ValueError("is needed by BUDGET_PER_HOUR and BUDGET_PER_DAY")
        if (info.field_name or "").startswith("okta_") and bool(value) != bool(info.data.get("okta_issuer", value)):
            raise ValueError("and OKTA_ISSUER need each other")
        if info.field_name == "public_url" and value and not info.data.get("report_secrets", True):
            raise ValueError("needs REPORT_SECRETS")
        return value

    @field_validator("strict_senders")
    @classmethod
    def _every_region_has_a_sender(cls, is_strict: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic passes it so
        default, own, allowed = (info.data.get(name) for name in ("mitto_sender_id", "sender_ids", "allowed_regions"))
        if is_strict and default and own is not None and allowed is not None:
            regions = _regions_without_sender(SenderIds(default, own), allowed)
            if regions:
                raise ValueError(f"is on, and SENDER_IDS names none for {', '.join(regions)}: docs/senders.md says what they take")
        return is_strict

    @property
    def destination(self) -> DestinationPolicy:
        """Where messages may go."""
        return DestinationPolicy(self.allowed_regions, self.blocked_numbers)

    @property
    def texts(self) -> TextRules:
        """What messages say."""
        return TextRules(
            self.app_name,
            self.templates == text_rules.ALWAYS,
            self.default_locale,
            self.templates_file,
            self.otp_domain,
            self.android_app_hash,
        )

    @cached_property
    def senders(self) -> SenderIds:
        """Which sender ID a message gets."""
        return SenderIds(self.mitto_sender_id, self.sender_ids)

    @property
    def regions_without_sender(self) -> list[str]:
        """The allowed regions that take no sender ID that their messages would get."""
        return _regions_without_sender(self.senders, self.allowed_regions)

    @cached_property
    def quotas(self) -> Limits:
        """How many messages may be sent, and for how much money."""
        budgets: dict[str, tuple[Window, ...]] = {}
        for seconds, name in BUDGETS.items():
            for region, limit in getattr(self, name.lower()).items():
                budgets[region] = (*budgets.get(region, ()), Window(limit, seconds))
        exempt = frozenset(self.exempt_numbers)
        return Limits(self.limits, budgets, self.prices_file, home_regions=self.allowed_regions, exempt_numbers=exempt)

    @property
    def callback(self) -> Callable[[float], str] | None:
        """What gives the URL for a message's reports at a time in seconds of a monotonic clock; ``None`` without PUBLIC_URL."""
        url, secrets = self.public_url, self.report_secrets
        if not url or secrets is None:
            return None
        return lambda now: f"{url}/reports/{secrets.current(now)[0].decode()}"

    def unknown_as_of(self, platform: str) -> str | None:
        """Say how the platform is told an unknown outcome; ``None``: as the platform wants it."""
        return self.unknown_as.get(platform) or self.unknown_as.get("")

    def secrets_of(self, platform: str) -> RotatingSecret[HookSecrets]:
        """Give the secrets of a platform's route: its own, else those for all."""
        return self.hook_secrets.get(platform) or self.hook_secrets[""]


class Variable(NamedTuple):
    """What the documentation says about one variable; see ``_setting``."""

    name: str
    default: str | None
    meaning: str
    is_required: bool
    is_secret: bool
    is_family: bool


def variables() -> list[Variable]:
    """Give all variables, in the order of the documentation."""
    return [
        Variable(
            name.upper(),
            field.default if isinstance(field.default, str) else None,
            field.description or "",
            **cast("Any", field.json_schema_extra),
        )
        for name, field in Settings.model_fields.items()
    ]


def renamed(environment: Mapping[str, str]) -> dict[str, str]:
    """Find settings of the version before, each with its new name."""
    return {old: new for old, new in RENAMED.items() if environment.get(old)}


def load(
    environment: Mapping[str, str],
    read_file: Callable[[str], str] = lambda path: Path(path).read_text(encoding="utf-8"),
    run_in_background: RunInBackground = lambda work: work(),
    on_unavailable: Callable[[str], None] = lambda _: None,
    platforms: tuple[str, ...] = NAMES,
) -> Settings:
    """Read and check all settings. Raises ``SettingsError`` with every problem at once.

    An empty variable counts as unset. ``read_file`` may raise ``OSError`` or ``ValueError``. ``run_in_background`` runs the
    regular reading of secrets that come from files; ``on_unavailable`` gets the name of one that can no longer be read.
    ``platforms`` are those whose secrets may be set.
    """

    def source(name: str, variable: Variable) -> _Source:
        text, path = environment.get(name), environment.get(f"{name}_FILE") if variable.is_secret else None

        def read() -> str:
            if not path:
                if not text and variable.is_required:
                    raise ValueError(f"is required (or {name}_FILE): mitto-phone-hook init writes a file with it")
                return text or variable.default or ""
            if text:
                raise ValueError(f"and {name}_FILE are both set; keep one")
            try:
                return read_file(path).strip()
            except (OSError, ValueError):
                raise ValueError(f"cannot be read from the file that {name}_FILE names") from None

        return _Source(read, bool(path), run_in_background, lambda: on_unavailable(name))

    environment = {**{new: environment[old] for old, new in renamed(environment).items() if not environment.get(new)}, **environment}
    values: dict[str, Any] = {}
    given = {name for name, text in environment.items() if text}
    given_or_in_file = {name.removesuffix("_FILE") for name in given}
    for variable in variables():
        names = _names(variable, given_or_in_file if variable.is_secret else given)
        sources = {key: source(name, variable) for key, name in names.items()}
        if sources:
            values[variable.name.lower()] = sources if variable.is_family else sources[""]
    try:
        return Settings.model_validate(values, context={"read_file": read_file, "platforms": platforms})
    except ValidationError as error:
        raise SettingsError(_problems(error)) from None


def _names(variable: Variable, given: set[str]) -> dict[str, str]:
    """Give the names to look at: the variable's own and those of its special cases, each by its special part."""
    names = [variable.name] if variable.is_required or variable.default is not None or variable.name in given else []
    if variable.is_family:
        names += sorted(name for name in given if name.startswith(f"{variable.name}_"))
    return {name[len(variable.name) + 1 :]: name for name in names}


def _problems(error: ValidationError) -> list[str]:
    """Give one sentence for each variable that is wrong, or for each fault in a file that has several."""
    problems: dict[str, list[str]] = {}
    for one in error.errors(include_url=False, include_input=False):
        name, *keys = map(str, one["loc"])
        variable = f"{name}_{keys[0]}".upper() if keys and keys[0] else name.upper()
        # Where the name of a special case is wrong, its value does not matter.
        if keys[1:] or variable not in problems:
            problems[variable] = [f"{variable} {fault}" for fault in one["ctx"]["error"].args]
    return [*chain.from_iterable(problems.values())]
