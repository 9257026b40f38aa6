"""What Mitto's answers mean. The expected tables are written from its documentation, not from our code."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.response_codes import RESPONSE_CODES, MittoResult, read_result
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import encode

ACCEPTED = Outcome.ACCEPTED
REJECTED = Outcome.UPSTREAM_REJECTED
CONFIGURATION = Outcome.UPSTREAM_AUTH
RECIPIENT = Outcome.INVALID_RECIPIENT
NOT_SENT = Outcome.UPSTREAM_UNAVAILABLE
UNKNOWN = Outcome.OUTCOME_UNKNOWN

DOCUMENTED_CODES = {
    0: ACCEPTED,
    1: UNKNOWN,  # internal error
    2: REJECTED,  # invalid type
    3: REJECTED,  # empty message
    4: REJECTED,  # invalid text
    5: CONFIGURATION,  # empty sender
    6: CONFIGURATION,  # invalid sender
    7: RECIPIENT,  # empty receiver
    8: RECIPIENT,  # invalid receiver
    9: REJECTED,  # character set
}

STATUSES_WITHOUT_CODE = (
    dict.fromkeys(range(100, 300), UNKNOWN)
    | dict.fromkeys(range(300, 500), REJECTED)
    | dict.fromkeys(range(500, 600), UNKNOWN)
    | {401: CONFIGURATION, 403: CONFIGURATION, 408: UNKNOWN, 429: NOT_SENT, 503: NOT_SENT}
)

ZERO = b'{"responseCode":0}'


def with_code(code: object, **more: object) -> bytes:
    return json.dumps({"responseCode": code} | more).encode()


def test_every_documented_code_has_its_row() -> None:
    assert RESPONSE_CODES.keys() == DOCUMENTED_CODES.keys()


@pytest.mark.parametrize(("code", "outcome"), DOCUMENTED_CODES.items())
def test_code_means_what_mitto_says(code: int, outcome: Outcome) -> None:
    found = read_result(200, with_code(code), "")
    assert found.outcome is outcome
    assert found.why == (f"mitto_code_{code}" if code else "accepted")


@pytest.mark.parametrize(("code", "outcome"), [row for row in DOCUMENTED_CODES.items() if row[0]])
@pytest.mark.parametrize("status", [201, 302, 404, 422, 500, 502])
def test_code_of_a_rejection_counts_with_every_status_that_has_no_meaning_of_its_own(status: int, code: int, outcome: Outcome) -> None:
    assert read_result(status, with_code(code), "").outcome is outcome


@pytest.mark.parametrize(("code", "why"), [(10, "10"), (99, "99"), (999, "999"), (1000, "other"), (-1, "other"), (10**30, "other")])
def test_undocumented_code_is_a_rejection_whose_name_stays_short(code: int, why: str) -> None:
    assert read_result(200, with_code(code), "") == MittoResult(REJECTED, f"mitto_code_{why}")


@pytest.mark.parametrize("body", [None, b"", b"null", b"<html>", b"{}"], ids=["not_whole", "empty", "null", "html", "no_code"])
def test_status_alone_decides_where_the_body_says_nothing(body: bytes | None) -> None:
    assert {status: read_result(status, body, "").outcome for status in range(100, 600)} == STATUSES_WITHOUT_CODE


@pytest.mark.parametrize(("code", "outcome"), [(5, REJECTED), (6, REJECTED), (8, RECIPIENT), (2, REJECTED), (1, UNKNOWN)])
def test_with_400_the_request_is_to_blame_and_not_the_account(code: int, outcome: Outcome) -> None:
    found = read_result(400, with_code(code), "")
    assert (found.outcome, found.why) == (outcome, f"mitto_code_{code}")


@pytest.mark.parametrize("code", [2, 4, 5, 8, 9, 77])
@pytest.mark.parametrize(("status", "outcome"), [(401, CONFIGURATION), (403, CONFIGURATION), (429, NOT_SENT), (503, NOT_SENT)])
def test_status_with_a_meaning_of_its_own_beats_the_code(status: int, outcome: Outcome, code: int) -> None:
    found = read_result(status, with_code(code), "")
    assert (found.outcome, found.why, found.is_character_set_refused) == (outcome, f"http_{status}", False)


def test_code_0_that_its_status_contradicts_leaves_nobody_able_to_tell() -> None:
    found = [read_result(status, with_code(0, id="x"), "7") for status in range(100, 600) if status // 100 != 2]
    assert {(answer.outcome, answer.message_id, answer.retry_after_seconds) for answer in found} == {(UNKNOWN, None, None)}


@pytest.mark.parametrize(
    ("status", "why"), [(302, "mitto_code_0"), (400, "mitto_code_0"), (401, "http_401"), (429, "http_429"), (503, "http_503")]
)
def test_contradiction_is_named_by_the_status_where_that_has_a_meaning_of_its_own(status: int, why: str) -> None:
    assert read_result(status, ZERO, "7").why == why


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_with_code_0_is_accepted(status: int) -> None:
    assert read_result(status, ZERO, "") == MittoResult(ACCEPTED, "accepted")


UNTRUSTWORTHY = {
    "not_whole": None,
    "empty": b"",
    "space": b"  ",
    "null": b"null",
    "zero": b"0",
    "string": b'"SMS sent"',
    "array": b"[" + ZERO + b"]",
    "no_code": b'{"id":"x"}',
    "code_of_other_case": b'{"responsecode":0}',
    "code_deeper": b'{"answer":{"responseCode":0}}',
    "code_false": b'{"responseCode":false}',
    "code_true": b'{"responseCode":true}',
    "code_null": b'{"responseCode":null}',
    "code_string": b'{"responseCode":"0"}',
    "code_float": b'{"responseCode":0.0}',
    "code_minus_float": b'{"responseCode":-0.0}',
    "code_exponent": b'{"responseCode":0e0}',
    "code_array": b'{"responseCode":[0]}',
    "code_longer_than_any_number": b'{"responseCode":' + b"9" * 5000 + b"}",
    "code_two_zeros": b'{"responseCode":00}',
    "code_plus": b'{"responseCode":+0}',
    "code_not_a_number": b'{"responseCode":NaN}',
    "a_field_not_a_number": b'{"responseCode":0,"x":NaN}',
    "cut": ZERO[:-1],
    "more_behind": ZERO + b"x",
    "twice": ZERO + ZERO,
    "code_twice": b'{"responseCode":8,"responseCode":0}',
    "code_twice_the_same": b'{"responseCode":0,"responseCode":0}',
    "code_twice_with_spaces": b'{"responseCode" : 8, "responseCode"\t:0}',
    "code_twice_in_another_spelling": b'{"responseCod\\u0065":8,"responseCode":0}',
    "id_twice": b'{"responseCode":0,"id":"a","id":"b"}',
    "a_name_twice_deeper": b'{"responseCode":0,"x":{"y":1,"y":2}}',
    "nul_behind": ZERO + b"\0",
    "comma": b'{"responseCode":0,}',
    "single_quotes": b"{'responseCode':0}",
    "byte_order_mark": b"\xef\xbb\xbf" + ZERO,
    "utf_16": ZERO.decode().encode("utf-16"),
    "latin_1": b'{"responseCode":0,"responseText":"\xe4"}',
    "half_a_surrogate": b'{"responseCode":0,"id":"\\ud800"}',
    "too_deep": b'{"responseCode":0,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "html": b"<!DOCTYPE html><title>200 OK</title>",
    "form": b"responseCode=0",
    "jsonp": b"callback(" + ZERO + b")",
}


@pytest.mark.parametrize("body", UNTRUSTWORTHY.values(), ids=UNTRUSTWORTHY)
@pytest.mark.parametrize("status", [200, 204])
def test_2xx_without_a_trustworthy_code_is_no_promise(status: int, body: bytes | None) -> None:
    assert read_result(status, body, "3") == MittoResult(UNKNOWN, f"http_{status}")


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(("code", "is_refused"), [(2, False), (4, True), (5, False), (8, False), (9, True), (10, False)])
def test_only_codes_4_and_9_ask_for_another_alphabet(status: int, code: int, is_refused: bool) -> None:  # noqa: FBT001 - a row
    assert read_result(status, with_code(code), "").is_character_set_refused is is_refused


def test_only_401_and_403_refuse_the_key() -> None:
    assert {status for status in range(100, 600) if read_result(status, b"", "").is_key_refused} == {401, 403}


@pytest.mark.parametrize("code", [5, 6])
def test_refused_sender_is_not_a_refused_key(code: int) -> None:
    assert not read_result(200, with_code(code), "").is_key_refused


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("0a1b2c3d-0000-4000-8000-00aa00bb00cc", "0a1b2c3d-0000-4000-8000-00aa00bb00cc"),
        ("A.b_c:9-", "A.b_c:9-"),
        ('x\r\n{"severity":"ALERT"}', "xseverity:ALERT"),
        ("\x1b[31mred\x00\u2028", "31mred"),
        ("\u0663\uff13é", None),
        ("a" * 10_000, "a" * 64),
        ("\n" * 100 + "late", "late"),
        ("", None),
        ("\n", None),
        (17, None),
        (1.5, None),
        (True, None),
        (None, None),
        (["x"], None),
        ({"id": "x"}, None),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_message_id_keeps_what_can_neither_forge_a_log_line_nor_fill_it(raw: object, kept: str | None) -> None:
    assert read_result(200, with_code(0, id=raw), "").message_id == kept


def test_message_id_may_be_missing() -> None:
    assert read_result(200, ZERO, "") == MittoResult(ACCEPTED, "accepted", message_id=None)


SENT = Sms(Recipient("+41791239876"), "Mitto SMS", encode("Your code is 831-204 or 9f3k for Ann \u20ac"), 5)
KEY = "Key-of-the-tests"


@pytest.mark.parametrize(
    "raw",
    [
        "41791239876",
        "0791239876",
        "4179-1239876",
        "x.1.2.3.9.8.7.6",
        "79:123:98:76",
        "1239876",
        "+41 79 123 98 76",
        "831204",
        "8312-04",
        "id-831-204-1",
        "YOURcodeIS",
        "a9-F3k",
        "key-OF-the-tests",
        "keyofthetests.1",
        "a" * 60 + "831204",
    ],
)
def test_message_id_that_repeats_what_was_sent_is_dropped(raw: str) -> None:
    assert read_result(200, with_code(0, id=raw), "", SENT, KEY) == MittoResult(ACCEPTED, "accepted")


@pytest.mark.parametrize("raw", ["0a1b2c3d-0000-4000-8000-00aa00bb00cc", "239876", "ann-is-for-831", "20441791"])
def test_other_message_id_is_kept(raw: str) -> None:
    assert read_result(200, with_code(0, id=raw), "", SENT, KEY).message_id == raw


@pytest.mark.parametrize("to", ["41791239876", "+41791239876", "+41 79 123 98 76", 41791239876, None, "", 0, []])
def test_response_about_the_recipient_counts(to: object) -> None:
    assert read_result(200, with_code(0, to=to), "", SENT, KEY).outcome is ACCEPTED
    assert read_result(200, with_code(8, to=to), "", SENT, KEY).outcome is RECIPIENT


@pytest.mark.parametrize("to", ["41791239877", "1239876", "0", 1, True, [1], {"to": 1}, "x"])
@pytest.mark.parametrize(("status", "code"), [(200, 0), (200, 8), (400, 8), (429, 8), (401, 8)])
def test_response_about_somebody_else_says_nothing(status: int, code: int, to: object) -> None:
    assert read_result(status, with_code(code, to=to), "7", SENT, KEY) == MittoResult(UNKNOWN, f"http_{status}")


@pytest.mark.parametrize(("status", "code"), [(200, 1), (200, 8), (400, 0), (429, 0), (429, 8)])
def test_message_id_is_only_for_what_was_accepted(status: int, code: int) -> None:
    assert read_result(status, with_code(code, id="x"), "").message_id is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("1", 1),
        ("007", 7),
        ("3600", 3600),
        ("999999", 999_999),
        ("1000000", None),
        ("9" * 5000, None),
        ("", None),
        (" ", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1,0", None),
        ("1_0", None),
        ("1 0", None),
        ("1, 1", None),
        ("1e1", None),
        ("0x1", None),
        ("1s", None),
        ("\u0663", None),
        ("\uff13", None),
        ("²", None),
        ("soon", None),
        ("Fri, 31 Dec 2049 23:59:59 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_counts_in_whole_seconds_only(status: int, header: str, seconds: int | None) -> None:
    assert read_result(status, b"", header) == MittoResult(NOT_SENT, f"http_{status}", retry_after_seconds=seconds)


@pytest.mark.parametrize(
    ("status", "body"), [(200, ZERO), (200, with_code(1)), (401, b""), (408, b""), (429, ZERO), (500, b""), (302, b"")]
)
def test_retry_after_counts_only_where_certainly_nothing_was_sent(status: int, body: bytes) -> None:
    assert read_result(status, body, "5").retry_after_seconds is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CODES = st.just(0) | st.integers(-2, 12) | JSON
OBJECTS = st.builds(lambda code, more: more | {"responseCode": code}, CODES, st.dictionaries(st.sampled_from(["id", "to", "x"]), JSON))
WRITTEN = st.builds(lambda value, is_ascii: json.dumps(value, ensure_ascii=is_ascii).encode(), OBJECTS | JSON, st.booleans())
BODIES = st.none() | st.binary() | WRITTEN | st.builds(lambda body, end: body[:end], WRITTEN, st.integers(0, 40))
HEADERS = st.text(st.characters(exclude_categories=["Cc", "Cs"])) | st.from_regex(r"\A[0-9]{1,8}\Z")


def is_promise(status: int, body: bytes | None) -> bool:
    """Tell by the standard library alone whether an answer says that Mitto took the message."""
    try:
        fields = json.loads((body or b"").decode())
    except ValueError:
        return False
    return 200 <= status < 300 and isinstance(fields, dict) and type(fields.get("responseCode")) is int and fields["responseCode"] == 0


@given(st.integers(100, 599) | st.sampled_from([200, 201, 401, 408, 429, 503]), BODIES, HEADERS)
@example(200, ZERO, "")
@example(200, b'{"responseCode":-0}', "")
@example(299, b" \n" + ZERO + b"\t", "Fri, 31 Dec 2049 23:59:59 GMT")
def test_whatever_comes_becomes_an_answer_and_only_a_promise_is_accepted(status: int, body: bytes | None, retry_after: str) -> None:
    found = read_result(status, body, retry_after)
    assert (found.outcome is ACCEPTED) == is_promise(status, body)
    assert found.outcome in {ACCEPTED, REJECTED, CONFIGURATION, RECIPIENT, NOT_SENT, UNKNOWN}
    assert found.why.replace("_", "").isalnum()
    assert found.why.isascii()
    assert len(found.why) < 20
    assert found.message_id is None or len(found.message_id) <= 64
    assert found.retry_after_seconds is None or found.outcome is NOT_SENT


@given(st.integers(100, 599), BODIES)
def test_only_429_and_503_may_be_repeated_as_they_are(status: int, body: bytes | None) -> None:
    assert read_result(status, body, "").outcome is not NOT_SENT or status in {429, 503}


@pytest.mark.parametrize("status", [401, 403, 429, 503])
@pytest.mark.parametrize("code", [0, 1])
def test_no_status_makes_a_code_that_may_mean_sent_into_not_sent(status: int, code: int) -> None:
    assert read_result(status, with_code(code), "").outcome is UNKNOWN
