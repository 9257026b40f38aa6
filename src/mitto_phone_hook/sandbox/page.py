"""Explains the fake Mitto in plain text, for ``GET /`` and ``--help``."""

from collections.abc import Iterable

from mitto_phone_hook.sandbox.faults import FAULTS
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS
from mitto_phone_hook.sandbox.reports import FORMS, PLANS, SECONDS

_CONTROL = (
    ("POST /sms.json, /sms", "Mitto's API: send a message"),
    ("GET /inbox", "the messages, and the number of requests, connections and test messages"),
    ("DELETE /inbox", "delete the messages and reset the counters"),
    ("POST /script", '{"faults": ["503_1", "ok"], "recipient": "12025550143"} queues faults; recipient is optional;'),
    ("", '{"default": "500"} is the fault of every request; {"default": null} ends that'),
    ("", '{"reports": ["undelivered"]} queues delivery reports, {"default_report": "never"} is for every message,'),
    ("", f'{{"report_form": "json"}} is how they are sent: {", ".join(FORMS)}'),
    ("DELETE /script", "delete the queued faults and reports, and the defaults"),
    ("GET /faults", "the tables below as JSON"),
)


def columns(rows: Iterable[tuple[str, ...]]) -> str:
    """Return the rows as aligned columns."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table)


def tables() -> str:
    """Return the tables of faults, magic numbers and delivery reports."""
    faults = (
        (row.name if row.seconds is None else f"{name}[:{row.seconds:g}]", "sent" if row.is_sent else "", row.description)
        for name, row in FAULTS.items()
    )
    reports = ((f"{name}[:{SECONDS:g}]" if row.statuses else name, row.description) for name, row in PLANS.items())
    numbers = (("+" + msisdn, name) for msisdn, name in MAGIC_NUMBERS.items())
    return (
        f"faults ('sent': the message goes into the inbox anyway; [:N]: seconds, optional):\n{columns(faults)}\n\n"
        f"magic numbers (recipients that cause a fault without a script):\n{columns(numbers)}\n\n"
        f"delivery reports, to the callback of each message, on this machine only ([:N]: seconds, optional):\n{columns(reports)}\n"
    )


def page() -> str:
    """Return the page for a browser."""
    return f"This is a fake Mitto: it sends nothing.\n\n{columns(_CONTROL)}\n\n{tables()}"
