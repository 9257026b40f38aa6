"""The faults on demand: how an SMS provider, or the network before it, can answer.

Each row says whether the SMS leaves all the same. Where a client cannot know, it does: the worst case is that Mitto
sent it and the answer got lost, and only then a second try shows as a second message in the inbox.
"""

import dataclasses
import json
from collections.abc import Mapping

from mitto_phone_hook.sandbox.behaviours import (
    LIMIT_SECONDS,
    Fault,
    after,
    big_body,
    big_headers,
    changed,
    dripped_body,
    dripped_whole,
    gzip_bomb,
    hangs,
    natural,
    natural_alive,
    raw,
    resets,
    rewritten,
    status,
)
from mitto_phone_hook.sandbox.rules import RESPONSE_TEXTS
from mitto_phone_hook.sandbox.wire import HTML, PLAIN, http_head

_KEPT = True
_LOST = False

_FORGED_ID = 'x"\r\nX-Forged: yes\n{"severity":"CRITICAL","message":"forged"}\x1b[31m'
_ELSEWHERE = "Location: http://elsewhere.invalid/sms.json"
_BUSY = b'{"message":"Too busy"}'
_PAGE = b"<!DOCTYPE html><title>Mitto</title><p>All is well."


def _refusal(code: int) -> dict[str, object]:
    return {"responseCode": code, "responseText": RESPONSE_TEXTS.get(code, "Unknown error")}


def _answers_code(code: int) -> Fault:
    return Fault(
        f"code_{code}",
        f"HTTP 200, responseCode {code}: {_refusal(code)['responseText']}",
        _KEPT if code == 1 else _LOST,  # an internal error may have come after the sending
        changed(lambda document: {name: document[name] for name in ("timestamp", "to") if name in document} | _refusal(code)),
    )


# fmt: off
_TABLE = (
    Fault("ok", "what Mitto answers to this request, then the connection closes", _KEPT, natural),
    *map(_answers_code, (*(code for code in RESPONSE_TEXTS if code), 99)),
    # Mitto, or a gateway, says no.
    Fault("400", "HTTP 400 in plain text", _LOST, status(400, b"Bad Request", media=PLAIN)),
    Fault("400_code_8", "HTTP 400 with Mitto's JSON, responseCode 8", _LOST,
          status(400, json.dumps(_refusal(8)).encode())),
    Fault("401", "HTTP 401: wrong key", _LOST, status(401, b'{"message":"Authentication failed"}')),
    Fault("403", "HTTP 403: address not allowed", _LOST, status(403, b"Forbidden", media=PLAIN)),
    Fault("404", "HTTP 404: wrong base URL", _LOST, status(404, b"Not Found", media=PLAIN)),
    Fault("429", "HTTP 429 without Retry-After", _LOST, status(429, _BUSY)),
    Fault("429_1", "HTTP 429, Retry-After: 1", _LOST, status(429, _BUSY, "Retry-After: 1")),
    Fault("429_3600", "HTTP 429, Retry-After: 3600", _LOST, status(429, _BUSY, "Retry-After: 3600")),
    Fault("429_date", "HTTP 429, Retry-After with a date", _LOST, status(429, _BUSY, "Retry-After: Fri, 31 Dec 2049 23:59:59 GMT")),
    Fault("503", "HTTP 503 without Retry-After", _LOST, status(503, _BUSY)),
    Fault("503_0", "HTTP 503, Retry-After: 0", _LOST, status(503, _BUSY, "Retry-After: 0")),
    Fault("503_1", "HTTP 503, Retry-After: 1", _LOST, status(503, _BUSY, "Retry-After: 1")),
    Fault("302", "HTTP 302 to another host", _LOST, status(302, b"", _ELSEWHERE)),
    Fault("308", "HTTP 308 to another host", _LOST, status(308, b"", _ELSEWHERE)),
    # Nobody can tell from the status.
    Fault("408", "HTTP 408: a gateway lost patience", _KEPT, status(408, b"Request Timeout", media=PLAIN)),
    Fault("500", "HTTP 500 in plain text", _KEPT, status(500, b"Internal Server Error", media=PLAIN)),
    Fault("502", "HTTP 502 with a page", _KEPT, status(502, _PAGE, media=HTML)),
    Fault("504", "HTTP 504 with a page", _KEPT, status(504, _PAGE, media=HTML)),
    # A success that says nothing, or nothing trustworthy.
    Fault("204", "HTTP 204", _KEPT, lambda _: (http_head(204, "Connection: close"),)),
    Fault("202_empty", "HTTP 202 without a body", _KEPT, status(202)),
    Fault("empty200", "HTTP 200 without a body", _KEPT, status(200)),
    Fault("html200", "HTTP 200 with a page", _KEPT, status(200, _PAGE, media=HTML)),
    Fault("json_array", "the answer inside a JSON array", _KEPT, changed(lambda document: [document])),
    Fault("json_null", "JSON null", _KEPT, status(200, b"null")),
    Fault("no_code", "no responseCode", _KEPT,
          changed(lambda document: {name: value for name, value in document.items() if name != "responseCode"})),
    Fault("code_bool", "responseCode false", _KEPT, changed(lambda document: {**document, "responseCode": False})),
    Fault("code_string", 'responseCode "0"', _KEPT, changed(lambda document: {**document, "responseCode": "0"})),
    Fault("code_float", "responseCode 0.0", _KEPT, changed(lambda document: {**document, "responseCode": 0.0})),
    Fault("code_huge", "responseCode with 5000 digits", _KEPT, rewritten(b'"responseCode": 0', b'"responseCode": ' + b"9" * 5000)),
    Fault("bad_utf8", "responseText that is not UTF-8", _KEPT, rewritten(b"SMS sent", b"SMS \xff\xfe sent")),
    # Broken HTTP.
    Fault("bad_chunk", "a chunk size that is no number", _KEPT,
          raw(lambda body: http_head(200, "Transfer-Encoding: chunked", "Connection: close") + b"ZZ\r\n" + body + b"\r\n0\r\n\r\n")),
    Fault("dup_cl", "two Content-Lengths that differ", _KEPT,
          raw(lambda body: http_head(200, f"Content-Length: {len(body)}", f"Content-Length: {len(body) + 5}", "Connection: close") + body)),
    Fault("truncate", "100 bytes less than Content-Length says", _KEPT,
          raw(lambda body: http_head(200, f"Content-Length: {len(body) + 100}", "Connection: close") + body)),
    Fault("http09", "bytes that are no HTTP", _KEPT, raw(lambda body: b"<p>" + body)),
    Fault("http10", "HTTP/1.0, the end of the connection ends the body", _KEPT, raw(lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body)),
    Fault("switching_101", "HTTP 101, then another protocol", _KEPT,
          raw(lambda _: http_head(101, "Connection: Upgrade", "Upgrade: websocket") + b"\x81\x02ok")),
    Fault("early_hints", "HTTP 103, then ok", _KEPT, after(http_head(103, "Link: </style.css>; rel=preload"))),
    Fault("continue_flood", "1000 times HTTP 100, then ok", _KEPT, after(http_head(100) * 1000)),
    # The connection dies or stalls.
    Fault("close_before_read", "RST before the request is read", _LOST, ending=resets, is_before_read=True),
    Fault("hang_before_read", "reads nothing, answers nothing", _LOST, lambda _: (b"",), seconds=LIMIT_SECONDS, is_before_read=True),
    Fault("reset_after_request", "RST when the request is read", _KEPT, ending=resets),
    Fault("close_after_request", "FIN when the request is read", _KEPT),
    Fault("close_after_answer", "ok, then closes although it said that it would not", _KEPT, natural_alive),
    Fault("hang", "reads everything, answers nothing", _KEPT, ending=hangs, seconds=LIMIT_SECONDS),
    Fault("slow", "ok, late", _KEPT, natural, seconds=1.2),
    Fault("drip_headers", "ok, byte by byte", _KEPT, dripped_whole, seconds=0.4),
    Fault("drip_body", "ok, the body byte by byte", _KEPT, dripped_body, seconds=0.4),
    # Too much.
    Fault("big_body", "ok, then 100 MB of spaces", _KEPT, big_body),
    Fault("big_headers", "100 MB of headers, then ok", _KEPT, big_headers),
    Fault("gzip_bomb", "100 kB of gzip that become 100 MiB", _KEPT, gzip_bomb),
    # The id.
    Fault("id_injection", "an id with line breaks, quotes, JSON and 10 kB more", _KEPT,
          changed(lambda document: {**document, "id": _FORGED_ID + "A" * 10_000})),
    Fault("id_injection_small", "an id with line breaks, quotes and JSON", _KEPT, changed(lambda document: {**document, "id": _FORGED_ID})),
    Fault("id_missing", "no id", _KEPT, changed(lambda document: {name: value for name, value in document.items() if name != "id"})),
    Fault("id_number", "an id that is a number", _KEPT, changed(lambda document: {**document, "id": 12345})),
)
# fmt: on

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _TABLE}
"""Every fault by name."""


class UnknownFaultError(ValueError):
    """A name that is not in the table, or seconds that cannot be."""

    def __init__(self, name: object) -> None:
        """Name the valid ones."""
        super().__init__(f"unknown fault {name!r}; known: {', '.join(FAULTS)}; seconds may follow a colon for: {', '.join(_timed())}")


def fault(name: object) -> Fault:
    """Return the fault of that name; ``slow:2.5`` chooses its seconds. Raises UnknownFaultError."""
    known, colon, seconds = name.partition(":") if isinstance(name, str) else ("", "", "")
    found = FAULTS.get(known)
    if not found or (colon and known not in _timed()):
        raise UnknownFaultError(name)
    return dataclasses.replace(found, seconds=_seconds(seconds, name)) if colon else found


def _timed() -> list[str]:
    return [name for name, row in FAULTS.items() if row.seconds is not None]


def _seconds(text: str, name: object) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise UnknownFaultError(name) from None
    if not 0 <= seconds <= LIMIT_SECONDS:
        raise UnknownFaultError(name)
    return seconds
