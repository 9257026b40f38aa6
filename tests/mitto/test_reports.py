"""Delivery reports in the forms that templates of accounts give them, and in those that nobody should send."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.mitto.reports import MAX_REPORTS, STATES, State, read_reports

ID = "9a0b6a4e-2f43-4c0d-9d53-5b1f6a0e7c11"
REFERENCE = "ghijklmnopghijklmnop"

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


def test_there_are_fifty_forms() -> None:
    assert len(READABLE) + len(UNREADABLE) >= 50


@pytest.mark.parametrize("form", READABLE)
def test_a_report_is_read_in_every_form(form: str) -> None:
    query, body, state = READABLE[form]
    [report], unreadable = read_reports(query % ID.encode() if query.count(b"%s") else query, body % ID.encode() if body else b"")
    assert (report.message_id, report.state, unreadable) == (ID, state, 0)


@pytest.mark.parametrize("form", UNREADABLE)
def test_what_is_no_report_is_counted_and_raises_nothing(form: str) -> None:
    query, body, number = UNREADABLE[form]
    started = time.process_time()
    assert read_reports(query, body) == ([], number)
    assert time.process_time() - started < 0.5


def test_statuses_are_read_in_any_case_and_unknown_ones_are_kept_as_they_are() -> None:
    for status, state in STATES.items():
        for written in (status, status.upper(), status.title()):
            [report], _ = read_reports(f"msgid=1&status={written}".encode(), b"")
            assert (report.state, report.status) == (state, written)
    [report], _ = read_reports(b"msgid=1&status=Held%20by_operator-2", b"")
    assert (report.state, report.status) == (State.UNKNOWN_STATUS, "Held by_operator-2")


@pytest.mark.parametrize("status", ["12025550110", "code 314159", "x" * 21, "bearer-secret-of-the-tests-0001", "<script>", "1 2 3 4", "ü"])
def test_a_status_that_may_hold_a_number_a_code_or_a_secret_is_not_kept(status: str) -> None:
    [report], _ = read_reports(b"", json.dumps({"msgid": "1", "status": status}).encode())
    assert (report.state, report.status) == (State.UNKNOWN_STATUS, "other")


@pytest.mark.parametrize(
    ("written", "error"),
    [("0", None), ("000", None), ("", None), ("12", "12"), ("9999", "9999"), ("314159", "other"), ("E1", "other")],
)
def test_an_error_code_is_kept_where_it_is_one(written: str, error: str | None) -> None:
    [report], _ = read_reports(f"msgid=1&status=FAILED&errorcode={written}".encode(), b"")
    assert report.error == error


def test_the_network_is_country_and_network_code() -> None:
    [report], _ = read_reports(b"msgid=1&status=FAILED&mcc=228&mnc=01", b"")
    assert report.network == "228-01"
    [report], _ = read_reports(b"msgid=1&status=FAILED&mcc=2280&mnc=01", b"")
    assert report.network is None


def test_only_a_reference_of_ours_is_taken() -> None:
    [report], _ = read_reports(f"status=FAILED&reference={REFERENCE}".encode(), b"")
    assert (report.message_id, report.request_id) == (None, REFERENCE)
    assert read_reports(b"status=FAILED&reference=12025550110", b"") == ([], 1)


def test_an_array_has_many_reports_and_a_bound() -> None:
    many = json.dumps([{"msgid": str(number), "status": "SENT"} for number in range(MAX_REPORTS + 5)]).encode()
    reports, unreadable = read_reports(b"", many)
    assert ([report.message_id for report in reports], unreadable) == ([str(number) for number in range(MAX_REPORTS)], 5)


def test_a_receiver_prints_masked() -> None:
    [report], _ = read_reports(b"msgid=1&status=FAILED&receiver=12025550110", b"")
    assert "2025550110" not in repr(report)


@given(query=st.binary(max_size=200), body=st.binary(max_size=200) | st.from_regex(rb'[{\["a-z:,\]}]{0,60}'))
def test_whatever_comes_nothing_is_raised(query: bytes, body: bytes) -> None:
    reports, unreadable = read_reports(query, body)
    assert len(reports) + unreadable >= 0
