"""The operator's settings, parsed once from a mapping into a frozen object.

Values are never printed: a problem names the variable and the rule.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mitto_phone_hook.config import rules
from mitto_phone_hook.config.table import BUDGET_SECONDS, TABLE, Setting
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.credentials.rotation import Elsewhere, RotatingSecret
from mitto_phone_hook.delivery.idempotency import GRACE_SECONDS
from mitto_phone_hook.domain.phone_number import BareDigits
from mitto_phone_hook.policy.destination import DestinationPolicy
from mitto_phone_hook.policy.limits import Limits, read_money
from mitto_phone_hook.storage.protocols import Window


class SettingsError(Exception):
    """What is wrong with the settings: one sentence a problem, each naming its variable and never a value."""

    def __init__(self, problems: list[str]) -> None:
        """Keep every problem that was found."""
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Everything that the operator decides, checked. No ``repr``: half of it is secret."""

    mitto_api_key: RotatingSecret[str]
    mitto_sender_id: str
    mitto_base_url: str
    mitto_test: bool
    hook_secrets: RotatingSecret[HookSecrets]
    hook_secrets_auth0: RotatingSecret[HookSecrets] | None
    deadline_seconds: float
    connect_timeout_seconds: float
    max_attempts: int
    max_body_bytes: int
    max_segments: int
    smart_encoding: bool
    code_lifetime_seconds: int
    duplicate_window_seconds: int
    store_url: str
    allowed_regions: frozenset[str]
    blocked_numbers: tuple[str, ...]
    allowed_numbers: tuple[str, ...]
    default_region: str | None
    bare_digits: BareDigits
    policy_mode: str
    limits: Limits
    limits_fail: str
    log_level: str

    @property
    def destination(self) -> DestinationPolicy:
        """Where messages may go."""
        return DestinationPolicy(self.allowed_regions, self.blocked_numbers)


def load(
    environment: Mapping[str, str],
    read_file: Callable[[str], str] = lambda path: Path(path).read_text(),
    in_background: Elsewhere = lambda work: work(),
    on_unavailable: Callable[[str], None] = lambda _: None,
) -> Settings:
    """Read and check all settings. Raises ``SettingsError`` with every problem at once.

    An empty variable counts as unset. ``read_file`` may raise ``OSError`` or ``ValueError``; ``elsewhere`` runs the
    regular reading of mounted secrets; ``complain`` is told the name of one that can no longer be read.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for setting in TABLE:
        try:
            values[setting.name.lower()] = (
                _read_secret(setting, environment, read_file, in_background, on_unavailable)
                if setting.is_secret
                else _parsed(setting, environment.get(setting.name) or setting.default or "")
            )
        except ValueError as error:
            problems.append(f"{setting.name} {error}")
    problems += _unknown_platforms(environment)
    budgets = _regional_budgets(environment, problems)
    prices = _prices(values.get("prices_file"), read_file, problems)
    problems += _contradictions(values, budgets)
    if problems:
        raise SettingsError(problems)
    for name, seconds in BUDGET_SECONDS.items():
        if (limit := values[name.lower()]) is not None:
            budgets.setdefault("", []).append(Window(limit, seconds))
    values["limits"] = Limits(
        windows=values["limits"],
        budgets={region: tuple(windows) for region, windows in budgets.items()},
        prices=prices,
        home_regions=values["allowed_regions"],
        exempt_numbers=frozenset(values["exempt_numbers"]),
    )
    return Settings(**{field.name: values[field.name] for field in fields(Settings)})


def _read_secret(
    setting: Setting,
    environment: Mapping[str, str],
    read_file: Callable[[str], str],
    in_background: Elsewhere,
    on_unavailable: Callable[[str], None],
) -> object:
    text, path = environment.get(setting.name), environment.get(f"{setting.name}_FILE")
    if text and path:
        raise ValueError(f"and {setting.name}_FILE are both set; keep one")
    if path:
        try:
            text = read_file(path).strip()
        except (OSError, ValueError):
            raise ValueError(f"cannot be read from the file that {setting.name}_FILE names") from None
    elif not text and setting.is_required:
        raise ValueError(f"is required (or {setting.name}_FILE)")
    elif not text:
        text = setting.default
    if text is None:
        return None
    value = _parsed(setting, text)
    read = (lambda: _parsed(setting, read_file(path).strip())) if path else None
    return RotatingSecret(value, read, in_background, lambda: on_unavailable(setting.name)) if setting.is_read_again else value


def _parsed(setting: Setting, text: str) -> Any:  # noqa: ANN401 - each setting has a type of its own
    rules.refuse_quotation_marks(text.strip())
    return setting.parse(text)


def _regional_budgets(environment: Mapping[str, str], problems: list[str]) -> dict[str, list[Window]]:
    """Read ``BUDGET_PER_DAY_<REGION>`` and its like."""
    budgets: dict[str, list[Window]] = {}
    for variable, value in sorted(environment.items()):
        name, _, region = variable.rpartition("_")
        if name not in BUDGET_SECONDS or not value:
            continue
        try:
            budgets.setdefault(rules.region(region) or "", []).append(Window(read_money(value), BUDGET_SECONDS[name]))
        except ValueError as error:
            problems.append(f"{variable} {error}")
    return budgets


def _prices(path: str | None, read_file: Callable[[str], str], problems: list[str]) -> dict[str, int]:
    if not path:
        return {}
    try:
        return rules.prices(read_file(path))
    except (OSError, UnicodeDecodeError):
        problems.append("PRICES_FILE cannot be read")
    except ValueError as error:
        problems.append(f"PRICES_FILE {error}")
    return {}


def _contradictions(values: Mapping[str, Any], budgets: Mapping[str, list[Window]]) -> list[str]:
    """Find settings that are right each for itself and wrong together; one that is wrong itself is passed over."""
    problems = []
    has_budget = bool(budgets) or any(values.get(name.lower()) is not None for name in BUDGET_SECONDS)
    if has_budget and not values.get("prices_file", True):
        problems.append("PRICES_FILE is needed by BUDGET_PER_HOUR and BUDGET_PER_DAY")
    if values.get("bare_digits") is BareDigits.NATIONAL and not values.get("default_region", True):
        problems.append("DEFAULT_REGION is needed by BARE_DIGITS=national")
    deadline = values.get("deadline_seconds", 0)
    if deadline and values.get("connect_timeout_seconds", 0) >= deadline:
        problems.append("CONNECT_TIMEOUT_SECONDS must be less than DEADLINE_SECONDS")
    if values.get("duplicate_window_seconds", deadline + GRACE_SECONDS + 1) <= deadline + GRACE_SECONDS:
        problems.append(f"DUPLICATE_WINDOW_SECONDS must be more than DEADLINE_SECONDS plus {GRACE_SECONDS:g}")
    return problems


def _unknown_platforms(environment: Mapping[str, str]) -> list[str]:
    """Find secrets for platforms without a route: they protect nothing, and their operator must hear of it."""
    known = {setting.name for setting in TABLE}
    given = {
        name.removesuffix("_FILE")
        for name, value in environment.items()
        if value and name.startswith("HOOK_SECRETS_") and name != "HOOK_SECRETS_FILE"
    }
    return [
        f"{name} names a platform that has no route here: take it out, HOOK_SECRETS_AUTH0 is the only one" for name in sorted(given - known)
    ]
