"""JSON without repeated names. Of a repeated name two readers may take two different values, so it can be trusted by none."""

import json
from typing import Any, NoReturn


def parse(raw: bytes) -> object:
    """Parse JSON in UTF-8. Raises ``ValueError`` also for a repeated name at any depth, NaN, infinity and too deep nesting."""
    try:
        return json.loads(raw.decode(), object_pairs_hook=_object, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a repeated name")
    return found


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("not a number of JSON")
