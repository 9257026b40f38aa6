"""The faults on demand: how an SMS provider, or the network in front of it, can fail.

Each row says whether the SMS is sent anyway. Where a client cannot know, it is sent. This is the worst case: Mitto has
sent the SMS, but the response is lost. Then a wrong second attempt shows as a second message in the inbox.
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
    normal,
    normal_keep_alive,
    raw,
    resets,
    rewritten,
    status,
)
from mitto_phone_hook.sandbox.rules import RESPONSE_TEXTS
from mitto_phone_hook.sandbox.wire import HTML, PLAIN, http_head

_SENT, _NOT_SENT = True, False

_FORGED_ID = 'x"\r\nX-Forged: yes\n{"severity":"CRITICAL","message":"forged"}\x1b[31m'
_OTHER_HOST = "Location: http://elsewhere.invalid/sms.json"
_BUSY = b'{"message":"Too busy"}'
_PAGE = b"<!DOCTYPE html><title>Mitto</title><p>All is well."


def _refusal(code: int) -> dict[str, object]:
    return {"responseCode": code, "responseText": RESPONSE_TEXTS.get(code, "Unknown error")}


def _response_code(code: int) -> Fault:
    return Fault(
        f"code_{code}",
        f"HTTP 200, responseCode {code}: {_refusal(code)['responseText']}",
        _SENT if code == 1 else _NOT_SENT,  # an internal error may happen after the sending
        changed(lambda document: {name: document[name] for name in ("timestamp", "to") if name in document} | _refusal(code)),
    )


# fmt: off
_TABLE = (
    Fault("ok", "Mitto's normal response, then the connection closes", _SENT, normal),
    *map(_response_code, (*(code for code in RESPONSE_TEXTS if code), 99)),
    # Mitto, or a gateway, refuses.
    Fault("400", "HTTP 400 in plain text", _NOT_SENT, status(400, b"Bad Request", media=PLAIN)),
    Fault("400_code_8", "HTTP 400 with Mitto's JSON, responseCode 8", _NOT_SENT,
          status(400, json.dumps(_refusal(8)).encode())),
    Fault("401", "HTTP 401: wrong key", _NOT_SENT, status(401, b'{"message":"Authentication failed"}')),
    Fault("403", "HTTP 403: address not allowed", _NOT_SENT, status(403, b"Forbidden", media=PLAIN)),
    Fault("404", "HTTP 404: wrong base URL", _NOT_SENT, status(404, b"Not Found", media=PLAIN)),
    Fault("429", "HTTP 429 without Retry-After", _NOT_SENT, status(429, _BUSY)),
    Fault("429_1", "HTTP 429, Retry-After: 1", _NOT_SENT, status(429, _BUSY, "Retry-After: 1")),
    Fault("429_3600", "HTTP 429, Retry-After: 3600", _NOT_SENT, status(429, _BUSY, "Retry-After: 3600")),
    Fault("429_date", "HTTP 429, Retry-After with a date", _NOT_SENT, status(429, _BUSY, "Retry-After: Fri, 31 Dec 2049 23:59:59 GMT")),
    Fault("503", "HTTP 503 without Retry-After", _NOT_SENT, status(503, _BUSY)),
    Fault("503_0", "HTTP 503, Retry-After: 0", _NOT_SENT, status(503, _BUSY, "Retry-After: 0")),
    Fault("503_1", "HTTP 503, Retry-After: 1", _NOT_SENT, status(503, _BUSY, "Retry-After: 1")),
    Fault("302", "HTTP 302 to another host", _NOT_SENT, status(302, b"", _OTHER_HOST)),
    Fault("308", "HTTP 308 to another host", _NOT_SENT, status(308, b"", _OTHER_HOST)),
    # The status does not say whether the SMS was sent.
    Fault("408", "HTTP 408: a gateway timed out", _SENT, status(408, b"Request Timeout", media=PLAIN)),
    Fault("500", "HTTP 500 in plain text", _SENT, status(500, b"Internal Server Error", media=PLAIN)),
    Fault("502", "HTTP 502 with an HTML page", _SENT, status(502, _PAGE, media=HTML)),
    Fault("504", "HTTP 504 with an HTML page", _SENT, status(504, _PAGE, media=HTML)),
    # A success without a valid body.
    Fault("204", "HTTP 204", _SENT, lambda _: (http_head(204, "Connection: close"),)),
    Fault("202_empty", "HTTP 202 without a body", _SENT, status(202)),
    Fault("empty200", "HTTP 200 without a body", _SENT, status(200)),
    Fault("html200", "HTTP 200 with an HTML page", _SENT, status(200, _PAGE, media=HTML)),
    Fault("json_array", "Mitto's JSON inside an array", _SENT, changed(lambda document: [document])),
    Fault("json_null", "JSON null", _SENT, status(200, b"null")),
    Fault("no_code", "no responseCode", _SENT,
          changed(lambda document: {name: value for name, value in document.items() if name != "responseCode"})),
    Fault("code_bool", "responseCode false", _SENT, changed(lambda document: {**document, "responseCode": False})),
    Fault("code_string", 'responseCode "0"', _SENT, changed(lambda document: {**document, "responseCode": "0"})),
    Fault("code_float", "responseCode 0.0", _SENT, changed(lambda document: {**document, "responseCode": 0.0})),
    Fault("code_huge", "responseCode with 5000 digits", _SENT, rewritten(b'"responseCode": 0', b'"responseCode": ' + b"9" * 5000)),
    Fault("bad_utf8", "responseText that is not UTF-8", _SENT, rewritten(b"SMS sent", b"SMS \xff\xfe sent")),
    # Broken HTTP.
    Fault("bad_chunk", "a chunk size that is not a number", _SENT,
          raw(lambda body: http_head(200, "Transfer-Encoding: chunked", "Connection: close") + b"ZZ\r\n" + body + b"\r\n0\r\n\r\n")),
    Fault("dup_cl", "two different Content-Lengths", _SENT,
          raw(lambda body: http_head(200, f"Content-Length: {len(body)}", f"Content-Length: {len(body) + 5}", "Connection: close") + body)),
    Fault("truncate", "a body 100 bytes shorter than its Content-Length", _SENT,
          raw(lambda body: http_head(200, f"Content-Length: {len(body) + 100}", "Connection: close") + body)),
    Fault("http09", "bytes that are not HTTP", _SENT, raw(lambda body: b"<p>" + body)),
    Fault("http10", "HTTP/1.0, the body ends with the connection", _SENT, raw(lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body)),
    Fault("switching_101", "HTTP 101, then another protocol", _SENT,
          raw(lambda _: http_head(101, "Connection: Upgrade", "Upgrade: websocket") + b"\x81\x02ok")),
    Fault("early_hints", "HTTP 103, then ok", _SENT, after(http_head(103, "Link: </style.css>; rel=preload"))),
    Fault("continue_flood", "1000 times HTTP 100, then ok", _SENT, after(http_head(100) * 1000)),
    # The connection dies or stalls.
    Fault("close_before_read", "RST before the request is read", _NOT_SENT, ending=resets, is_before_read=True),
    Fault("hang_before_read", "reads nothing, sends nothing", _NOT_SENT, lambda _: (b"",), seconds=LIMIT_SECONDS, is_before_read=True),
    Fault("reset_after_request", "RST after the request was read", _SENT, ending=resets),
    Fault("close_after_request", "FIN after the request was read", _SENT),
    Fault("close_after_answer", "ok, then closes without Connection: close", _SENT, normal_keep_alive),
    Fault("hang", "reads everything, sends nothing", _SENT, ending=hangs, seconds=LIMIT_SECONDS),
    Fault("slow", "ok, late", _SENT, normal, seconds=1.2),
    Fault("drip_headers", "ok, byte by byte", _SENT, dripped_whole, seconds=0.4),
    Fault("drip_body", "ok, the body byte by byte", _SENT, dripped_body, seconds=0.4),
    # Too much.
    Fault("big_body", "ok, then 100 MB of spaces", _SENT, big_body),
    Fault("big_headers", "100 MB of headers, then ok", _SENT, big_headers),
    Fault("gzip_bomb", "100 kB of gzip that decompress to 100 MiB", _SENT, gzip_bomb),
    # The id.
    Fault("id_injection", "an id with line breaks, quotes, JSON and 10 kB more", _SENT,
          changed(lambda document: {**document, "id": _FORGED_ID + "A" * 10_000})),
    Fault("id_injection_small", "an id with line breaks, quotes and JSON", _SENT, changed(lambda document: {**document, "id": _FORGED_ID})),
    Fault("id_missing", "no id", _SENT, changed(lambda document: {name: value for name, value in document.items() if name != "id"})),
    Fault("id_number", "an id that is a number", _SENT, changed(lambda document: {**document, "id": 12345})),
)
# fmt: on

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _TABLE}
"""Every fault by name."""


class UnknownFaultError(ValueError):
    """An unknown name, or invalid seconds."""

    def __init__(self, name: object) -> None:
        """List the valid names."""
        super().__init__(
            f"unknown fault {name!r}; known: {', '.join(FAULTS)}; seconds after a colon are allowed for: {', '.join(_timed())}"
        )


def fault(name: object) -> Fault:
    """Return the fault of that name; ``slow:2.5`` sets its seconds. Raises UnknownFaultError."""
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
