"""Delivery reports in the forms that templates of accounts give them, and in those that nobody should send."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.mitto.reports import MAX_REPORTS, STATES, State, read_reports
from support.report_forms import ID, READABLE, UNREADABLE, filled

REFERENCE = "ghijklmnopghijklmnop"


def test_there_are_fifty_forms() -> None:
    assert len(READABLE) + len(UNREADABLE) >= 50


@pytest.mark.parametrize("form", READABLE)
def test_a_report_is_read_in_every_form(form: str) -> None:
    query, body, state = READABLE[form]
    [report], unreadable = read_reports(filled(query), filled(body))
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
