"""Fifty forms of delivery reports: those that templates of accounts give them, and those that nobody should send."""

from mitto_phone_hook.mitto.reports import State

ID = "9a0b6a4e-2f43-4c0d-9d53-5b1f6a0e7c11"

READABLE = {
    "query": (b"msgid=%s&status=DELIVERED", b"", State.DELIVERED),
    "query, lower case": (b"msgid=%s&status=delivered", b"", State.DELIVERED),
    "query, Id": (b"Id=%s&Status=Delivered", b"", State.DELIVERED),
    "query, id": (b"id=%s&status=UNDELIVERED&errorcode=1", b"", State.UNDELIVERED),
    "query, messageId": (b"messageId=%s&deliveryStatus=EXPIRED", b"", State.EXPIRED),
    "query, MESSAGEID": (b"MESSAGEID=%s&DELIVERYSTATUS=Rejected", b"", State.REJECTED),
    "query, message_id": (b"message_id=%s&delivery_status=FAILED", b"", State.UNDELIVERED),
    "query, escaped": (b"msgid=%s&status=DELIVERE%%44", b"", State.DELIVERED),
    "query, plus": (b"msgid=+%s+&status=+BUFFERED", b"", State.BUFFERED),
    "query, unknown status": (b"msgid=%s&status=PARKED", b"", State.UNKNOWN_STATUS),
    "query, unknown fields": (b"msgid=%s&status=SENT&price=0.1&receiver=12025550110&x=1", b"", State.BUFFERED),
    "query, empty status first": (b"msgid=%s&status=&deliveryStatus=DELIVERED", b"", State.DELIVERED),
    "query, field without a value": (b"flag&msgid=%s&status=DELIVERED", b"", State.DELIVERED),
    "form": (b"", b"msgid=%s&status=DELIVERED&errorcode=0", State.DELIVERED),
    "form, line break behind": (b"", b"msgid=%s&status=DELIVERED\r\n", State.DELIVERED),
    "form, byte order mark": (b"", b"\xef\xbb\xbfmsgid=%s&status=DELIVERED", State.DELIVERED),
    "form, not UTF-8": (b"", b"msgid=%s&status=DELIVERED&text=\xfc%%FC", State.DELIVERED),
    "form over a query": (b"msgid=other&status=SENT", b"msgid=%s&status=DELIVERED", State.DELIVERED),
    "JSON": (b"", b'{"msgid":"%s","status":"DELIVERED"}', State.DELIVERED),
    "JSON, white space": (b"", b'\n\t {"msgid":"%s","status":"DELIVERED"} \n', State.DELIVERED),
    "JSON, byte order mark": (b"", b'\xef\xbb\xbf{"msgid":"%s","status":"DELIVERED"}', State.DELIVERED),
    "JSON, deliveryStatus": (b"", b'{"messageId":"%s","deliveryStatus":"Undelivered","errorCode":12}', State.UNDELIVERED),
    "JSON, Id": (b"", b'{"Id":"%s","Status":"Expired"}', State.EXPIRED),
    "JSON, null beside": (b"", b'{"msgid":null,"id":"%s","status":"REJECTED","errorcode":null}', State.REJECTED),
    "JSON, escapes": (b"", b'{"msgid":"%s","status":"\\u0044ELIVERED"}', State.DELIVERED),
    "JSON, unknown status": (b"", b'{"msgid":"%s","status":"Seen"}', State.UNKNOWN_STATUS),
    "JSON, number as status": (b"", b'{"msgid":"%s","status":7}', State.UNKNOWN_STATUS),
    "JSON, nested beside": (b"", b'{"msgid":"%s","status":"SENT","more":{"deep":[1,2,{"x":null}]}}', State.BUFFERED),
    "JSON array": (b"", b'[{"msgid":"%s","status":"DELIVERED"}]', State.DELIVERED),
    "JSON, id with hostile characters": (b"", b'{"msgid":"<%s>\\n","status":"DELIVERED"}', State.DELIVERED),
}  # fmt: skip
"""Query, body and what the report says. ``%s`` is the id."""

UNREADABLE = {
    "nothing": (b"", b"", 1),
    "no status": (b"msgid=1", b"", 1),
    "no id": (b"status=DELIVERED", b"", 1),
    "only separators": (b"&&&==&", b"", 1),
    "text": (b"", b"delivered!", 1),
    "XML": (b"", b"<dlr><msgid>1</msgid></dlr>", 1),
    "half of a JSON object": (b"", b'{"msgid":"1","status":', 1),
    "JSON in UTF-16": (b"", '{"msgid":"1","status":"DELIVERED"}'.encode("utf-16"), 1),
    "a JSON string": (b"", b'"DELIVERED"', 1),
    "an array of texts": (b"", b'["DELIVERED", 1, null]', 3),
    "an empty array": (b"", b"[]", 0),
    "deep arrays": (b"", b"[" * 60_000, 1),
    "deep objects": (b"", b'{"a":' * 10_000, 1),
    "a thousand fields": (b"", b"&".join(b"a%d=1" % number for number in range(1000)), 1),
    "a number of 5,000 digits as id": (b"", b'{"msgid":' + b"9" * 5000 + b',"status":"DELIVERED"}', 1),
    "values of wrong types": (b"", b'{"msgid":["1"],"status":{"a":1}}', 1),
    "true as id": (b"", b'{"msgid":true,"status":"DELIVERED"}', 1),
    "NaN": (b"", b'{"msgid":NaN,"status":"DELIVERED"}', 1),
    "zero bytes": (b"", b"\0" * 100, 1),
    "1 MiB": (b"", b"x" * 2**20, 1),
    "1 MiB of brackets": (b"", b"[{}," * 2**18, 1),
}  # fmt: skip


def filled(text: bytes) -> bytes:
    """Put the id into a form."""
    return text % ID.encode() if b"%s" in text else text
