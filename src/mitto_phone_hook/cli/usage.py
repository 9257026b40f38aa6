"""Mitto's usage by country: what Mitto counted and charged, from a file.

Source: Mitto's API documentation, "Retrieve API Usage Information": ``POST {base}/usage/bycountry`` with ``startDate``, ``endDate`` and
``accountName`` gives ``country`` (ISO 3166-1 alpha-3), ``messagesCount`` and ``cost``, all as texts. Whether a long message counts once or
by its segments is not documented. The same columns may come as CSV, from a portal or an invoice.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from mitto_phone_hook.cli.country_codes import REGION_BY_ALPHA_3
from mitto_phone_hook.config.rules import KNOWN_REGIONS
from mitto_phone_hook.domain.strict_json import parse
from mitto_phone_hook.policy.limits import MICRO

MAX_BYTES = 4 * 1024 * 1024
_COUNT = re.compile("[0-9]{1,12}")
_COST = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_COLUMNS = {"country": "country", "messages": "messages", "messagescount": "messages", "cost": "cost"}
"""Our name of a column by Mitto's and by a person's, in small letters."""


class Usage(NamedTuple):
    """What Mitto counted and charged in one country."""

    messages: int
    cost: int
    """In millionths of the account's currency."""


def read_usage(content: bytes) -> Mapping[str, Usage]:
    """Read usage by ISO 3166 region from JSON or CSV; rows of one country are added.

    Raises ``ValueError`` with the number of the wrong row, never its content.
    """
    if len(content) > MAX_BYTES:
        raise ValueError("is too large for usage by country")
    text = content.removeprefix(b"\xef\xbb\xbf").strip()
    rows = _from_json(text) if text.startswith((b"[", b"{")) else _from_csv(text)
    usage: dict[str, Usage] = {}
    for number, row in enumerate(rows, 1):
        region = _region(row.get("country", ""))
        if not region or not _COUNT.fullmatch(row.get("messages", "")) or not _COST.fullmatch(row.get("cost", "")):
            raise ValueError(f"must have country (ISO 3166), messages and cost in each row; row {number} has not")
        before = usage.get(region, Usage(0, 0))
        usage[region] = Usage(before.messages + int(row["messages"]), before.cost + int(Decimal(row["cost"]) * MICRO))
    if not usage:
        raise ValueError("has no rows")
    return usage


def _from_json(text: bytes) -> Iterator[dict[str, str]]:
    try:
        read = parse(text)
    except ValueError:
        raise ValueError("is not valid JSON") from None
    if isinstance(read, dict) and not any(name.lower() == "country" for name in read):
        # A list with a name of its own.
        read = next((value for value in read.values() if isinstance(value, list)), [])
    for row in read if isinstance(read, list) else [read]:
        yield _named((name, _text(value)) for name, value in row.items()) if isinstance(row, dict) else {}


def _from_csv(text: bytes) -> Iterator[dict[str, str]]:
    lines = text.decode("utf-8", "replace").splitlines()
    separator = ";" if lines and ";" in lines[0] else ","
    head, *rows = csv.reader(lines, delimiter=separator) if lines else [[]]
    for row in rows:
        if any(cell.strip() for cell in row):
            yield _named(zip(head, row, strict=False))


def _named(cells: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {_COLUMNS[name]: cell.strip() for raw, cell in cells if (name := raw.strip().lower().replace("_", "")) in _COLUMNS}


def _text(value: object) -> str:
    # An integer may have more digits than Python wants to write.
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < MICRO**2):
        return f"{Decimal(repr(value)):f}"
    return value if isinstance(value, str) else ""


def _region(text: str) -> str:
    code = text.upper() if text.isascii() else ""
    return REGION_BY_ALPHA_3.get(code, code if code in KNOWN_REGIONS and code != "*" else "")
