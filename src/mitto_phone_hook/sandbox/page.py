"""The fake Mitto explained in plain text: for ``GET /`` and ``--help``."""

from collections.abc import Iterable

from mitto_phone_hook.sandbox.faults import FAULTS
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS

_CONTROL = (
    ("POST /sms.json, /sms", "Mitto's API: send a message"),
    ("GET /inbox", "the messages, and how many requests, connections and test messages there were"),
    ("DELETE /inbox", "forget them and begin to count at zero"),
    ("POST /script", '{"faults": ["503_1", "ok"], "recipient": "12025550143"} queues faults, the recipient is optional;'),
    ("", '{"default": "500"} answers every request so, {"default": null} ends that'),
    ("DELETE /script", "forget the faults that are to come, and the default"),
    ("GET /faults", "the tables below as JSON"),
)


def columns(rows: Iterable[tuple[str, ...]]) -> str:
    """Return the rows with their cells aligned."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table)


def tables() -> str:
    """Return the faults and the magic numbers; the times of some faults can be chosen."""
    faults = (
        (row.name if row.seconds is None else f"{name}[:{row.seconds:g}]", "sent" if row.is_kept else "", row.description)
        for name, row in FAULTS.items()
    )
    numbers = (("+" + msisdn, name) for msisdn, name in MAGIC_NUMBERS.items())
    return (
        f"faults ('sent': the SMS leaves all the same; [:N]: seconds that may follow the name):\n{columns(faults)}\n\n"
        f"magic numbers (recipients that bring a fault without a script):\n{columns(numbers)}\n"
    )


def page() -> str:
    """Return everything that somebody with a browser needs to know."""
    return f"This is a fake Mitto: nothing leaves it.\n\n{columns(_CONTROL)}\n\n{tables()}"
