"""Every setting: the variable, its default, how it is read, what it means. README and ``.env.example`` are written from this table."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mitto_phone_hook.config import rules
from mitto_phone_hook.domain.phone_number import BareDigits
from mitto_phone_hook.policy.limits import BUDGETS, DEFAULTS, read_limits


class Setting(NamedTuple):
    """One row of the table: the variable, its default (``None``: required, or unset), how it is read, what it means."""

    name: str
    default: str | None
    parse: Callable[[str], Any]
    meaning: str
    is_secret: bool = False
    """Secrets may also come from the file that ``<name>_FILE`` names."""
    is_read_again: bool = False
    """Secrets that can be rotated while the function runs; they become ``RotatingSecret``."""
    is_required: bool = False


MAX_DEADLINE_SECONDS = 25
"""The server below gives calls 30 s to end when it is told to stop, then kills them without an answer."""

TABLE = (
    Setting("MITTO_API_KEY", None, rules.api_key, "Mitto's API key", is_secret=True, is_read_again=True, is_required=True),
    Setting(
        "HOOK_SECRETS",
        None,
        rules.hook_secrets,
        "who may call: bearer secrets (24 characters or more) and `whsec_…` signing keys, separated by white space or a vertical bar",
        is_secret=True,
        is_read_again=True,
        is_required=True,
    ),
    Setting(
        "HOOK_SECRETS_AUTH0",
        None,
        rules.hook_secrets,
        "the only secrets accepted on `/hooks/auth0`, where set",
        is_secret=True,
        is_read_again=True,
    ),
    Setting("MITTO_SENDER_ID", "Mitto SMS", rules.sender_id, "sender ID that the handset shows"),
    Setting("MITTO_BASE_URL", "https://rest.mittoapi.com", rules.base_url, "Mitto's API; `http://` only for loopback"),
    Setting("MITTO_TEST", "false", rules.boolean, "`true`: Mitto checks every message, delivers and charges none"),
    Setting("DEADLINE_SECONDS", "8", rules.seconds(0.5, MAX_DEADLINE_SECONDS), "total time for one hook call, Mitto included"),
    Setting("CONNECT_TIMEOUT_SECONDS", "1", rules.seconds(0.05, 30), "time for one connection to Mitto"),
    Setting("MAX_ATTEMPTS", "3", rules.whole(1, 10), "attempts at one message, only while nothing has been sent"),
    Setting("MAX_BODY_BYTES", "65536", rules.whole(1024, 1048576), "largest body that is read"),
    Setting("MAX_SEGMENTS", "4", rules.whole(1, 20), "longest text, in segments, the unit of cost"),
    Setting("SMART_ENCODING", "on", rules.boolean, "typographic signs become their GSM-7 equals where that makes the whole text GSM-7"),
    Setting(
        "CODE_LIFETIME_SECONDS",
        "300",
        rules.whole(30, 86400),
        "how long a code is good for, in seconds, where the call has no `expires_at`",
    ),
    Setting(
        "DUPLICATE_WINDOW_SECONDS",
        "600",
        rules.whole(1, 86400),
        "the same code and text for the same recipient are sent once in this time; a signed call can be replayed for 600",
    ),
    Setting(
        "STORE_URL",
        rules.MEMORY,
        rules.store_url,
        "where that is remembered; `redis://…` or `rediss://…` shares it between instances (with the package `redis`)",
        is_secret=True,
    ),
    Setting(
        "ALLOWED_REGIONS",
        "",
        rules.regions,
        "countries that get messages: `CH,DE,GB`; empty = all, with a warning; `*` = all, `*,001` = satellite networks, too",
    ),
    Setting("BLOCKED_NUMBERS", "", rules.numbers, "numbers, or their first digits, that get none: `+4179,+18765550123`"),
    Setting(
        "ALLOWED_NUMBERS",
        "",
        rules.numbers,
        "numbers, or their first digits, that count as mobile, whatever the numbering plan says: `+99981`",
    ),
    Setting("DEFAULT_REGION", "", rules.region, "country of numbers written without a country code; empty = refuse them"),
    Setting(
        "BARE_DIGITS",
        BareDigits.CAREFUL,
        rules.bare_digits,
        "numbers without `+` and `00`: `careful` refuses those that can be a handset at home and another one abroad; `international`, "
        "for callers that strip the `+`; `national`",
    ),
    Setting(
        "POLICY_MODE",
        "enforce",
        rules.word("enforce", rules.OBSERVE),
        "`observe`: nothing is refused by destination, limit or budget; the log says what would be",
    ),
    Setting(
        "LIMITS",
        DEFAULTS,
        read_limits,
        "how many messages (`total`: segments) may leave; each name overrides its default, `off` for one or for all",
    ),
    Setting("LIMITS_FAIL", "open", rules.word("open", rules.CLOSED), "`closed`: nothing leaves while the shared limits cannot be asked"),
    Setting(
        "EXEMPT_NUMBERS",
        "",
        rules.whole_numbers,
        "E.164 numbers that no limit counts, for tests and VIPs; destination rules hold for them, too",
    ),
    Setting("PRICES_FILE", "", rules.as_is, "CSV file `region,price` of a segment, with a line `*,price` for all others, in any currency"),
    Setting(
        "BUDGET_PER_HOUR", "", rules.budget, "money that may be spent in any hour, by PRICES_FILE; `BUDGET_PER_HOUR_CH` for one region"
    ),
    Setting("BUDGET_PER_DAY", "", rules.budget, "money that may be spent in any day, by PRICES_FILE; `BUDGET_PER_DAY_CH` for one region"),
    Setting("LOG_LEVEL", "INFO", rules.log_level, "`DEBUG`, `INFO`, `WARNING` or `ERROR`"),
)
"""Every setting, in the order of the documentation."""


BUDGET_SECONDS = {name: seconds for seconds, name in BUDGETS.items()}
