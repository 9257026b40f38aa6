"""The log: one line a call, of fields that everybody who reads logs may know."""

import io
import json
import logging
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import TracebackType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitto_phone_hook.delivery.attempts import Sent
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.mitto.response_codes import MittoResult
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import encode
from mitto_phone_hook.telemetry.call_record import CallRecord, trace_fields
from mitto_phone_hook.telemetry.library_logs import LibraryFormatter
from mitto_phone_hook.telemetry.log_lines import FIELDS, LEVELS, SEVERITIES, as_line, emitter, stack_of, standard_output, time_text
from support.messages import parse
from support.stage import AUTHORIZED, Stage

LAW = settings(max_examples=150, deadline=None)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def record(route: str = "/", headers: dict[bytes, bytes] | None = None) -> CallRecord:
    return CallRecord(request_id="0123456789abcdef0123", headers=headers or {}, started=100.0, route=route)


def test_the_record_of_a_call_prints_no_header() -> None:
    assert "canary" not in repr(record("/", {b"authorization": b"Bearer canary"}))


def without_time(line: str) -> str:
    """Take away what the test cannot know; a line that does not begin with a time stays as it is."""
    return re.sub(r'^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",', "{", line)


def raised() -> Exception:
    local = "secret in a local"

    def inner(argument: str) -> None:
        raise LookupError(f"secret in a message: {argument} {local}")

    try:
        inner("secret in an argument")
    except LookupError as error:
        return error
    raise AssertionError


def exc_info(error: Exception) -> tuple[type[Exception], Exception, TracebackType | None]:
    return type(error), error, error.__traceback__


@pytest.mark.parametrize(
    ("outcome", "severity"),
    [
        pytest.param(Outcome.ACCEPTED, "INFO", id="accepted"),
        pytest.param(Outcome.UNAUTHORIZED, "WARNING", id="the caller's fault"),
        pytest.param(Outcome.INVALID_RECIPIENT, "WARNING", id="the number's fault"),
        pytest.param(Outcome.BLOCKED_COUNTRY, "WARNING", id="policy"),
        pytest.param(Outcome.RATE_LIMITED, "WARNING", id="a limit"),
        pytest.param(Outcome.UPSTREAM_REJECTED, "ERROR", id="Mitto refuses the message"),
        pytest.param(Outcome.UPSTREAM_AUTH, "ERROR", id="Mitto refuses us"),
        pytest.param(Outcome.UPSTREAM_UNAVAILABLE, "ERROR", id="Mitto is away"),
        pytest.param(Outcome.OUTCOME_UNKNOWN, "ERROR", id="nobody can tell"),
        pytest.param(Outcome.INTERNAL_ERROR, "CRITICAL", id="a bug"),
    ],
)
def test_severity_says_who_has_to_look(outcome: Outcome, severity: str) -> None:
    assert SEVERITIES[outcome] == severity
    assert record().log_line(Result(outcome), 100.0)["severity"] == severity


def test_every_severity_is_a_level_that_can_be_filtered() -> None:
    assert set(SEVERITIES) == set(Outcome)
    assert set(SEVERITIES.values()) <= set(LEVELS)


def test_only_allowed_fields_that_are_filled_are_written() -> None:
    line = as_line(
        {"severity": "INFO", "event": "accepted", "text": "secret", "code": "1", "authorization": "x", "why": None, "attempts": 0}
    )
    assert json.loads(line) == {"severity": "INFO", "event": "accepted", "attempts": 0}


def test_no_allowed_field_is_one_for_words_codes_numbers_or_secrets() -> None:
    assert {"text", "code", "number", "body", "headers", "path", "url", "authorization", "client_ip", "user_id", "message"}.isdisjoint(
        FIELDS
    )


@LAW
@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=10), st.text(max_size=30) | st.integers() | st.booleans() | st.none()))
def test_whatever_the_values_it_is_one_line_of_json(values: dict[str, object]) -> None:
    line = as_line(values)
    assert line.isascii()
    assert line.splitlines() == [line[:-1]]
    assert json.loads(line) == {name: value for name, value in values.items() if name in FIELDS and value is not None}


@pytest.mark.parametrize("forged", ["a\nb", "a\r\nb", "a\u2028b", "a\x85b", "a\x1b[2Jb", 'a"},{"severity":"INFO'])
def test_no_value_can_forge_a_second_line(forged: str) -> None:
    line = as_line({"severity": "ERROR", "why": forged})
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {"severity": "ERROR", "why": forged}


def test_a_calls_line_tells_what_became_of_it() -> None:
    result = Result(Outcome.INVALID_REQUEST, "wrong_fields", ("text",))
    assert json.loads(as_line(record("/hooks/auth0").log_line(result, 100.0125))) == {
        "severity": "WARNING",
        "event": "invalid_request",
        "request_id": "0123456789abcdef0123",
        "route": "/hooks/auth0",
        "duration_ms": 12.5,
        "why": "wrong_fields",
        "fields": ["text"],
        "hint": "correct the template or mapping at the platform",
        "http.route": "/hooks/auth0",
        "error.type": "wrong_fields",
    }


@pytest.mark.parametrize("path", ["/reports/secret-token", "/hooks/auth0/", "/?key=secret", "//", "/+12025550100", "/\n"])
def test_a_path_that_does_not_exist_stays_out_of_the_log(path: str) -> None:
    stage = Stage()
    assert stage.call(b"", path=path).status == 404
    assert stage.lines[0].get("route") is None


@pytest.mark.parametrize(
    ("number", "shown", "region"),
    [
        pytest.param("+12025550100", "+1********00", "US", id="calling code of one digit"),
        pytest.param("+41791234567", "+41*******67", "CH", id="two digits"),
        pytest.param("+61491570006", "+61*******06", "AU", id="two digits, Australia"),
        pytest.param("+351912345678", "+351*******78", "PT", id="three digits"),
    ],
)
def test_a_message_is_logged_by_its_masked_number_and_never_by_its_words(number: str, shown: str, region: str) -> None:
    call = record(headers={b"authorization": b"Bearer secret-bearer"})
    body = {
        "recipient": number,
        "text": "Dear customer, 482913",
        "code": "482913",
        "context": {"action": "enrollment", "ip": "203.0.113.7"},
    }
    call.message = parse(json.dumps(body).encode(), b"", None)
    line = as_line(call.log_line(Result(Outcome.BLOCKED_COUNTRY), 100.0))
    assert json.loads(line)["recipient"] == shown
    assert json.loads(line)["region"] == region
    assert json.loads(line)["purpose"] == "enrollment"
    assert json.loads(line)["source"] == "auth0_hook"
    for secret in (number[1:], number[-9:], "482913", "Dear", "203.0.113.7", "secret-bearer"):
        assert secret not in line


def test_what_became_of_the_sms_is_logged_in_figures_and_not_in_words() -> None:
    message = parse(b'{"recipient":"+12025550100","text":"Dear customer, 482913"}', b"", None)
    sms = Sms(message.recipient, "Mitto SMS", encode(message.text.get_secret_value()), 5)
    sent = Sent(MittoResult(Outcome.ACCEPTED, "accepted", message_id="7d4f"), attempts=2, seconds=0.25, sms=sms)
    call = record()
    call.attempts, call.segments, call.encoding, call.upstream_seconds = 2, sms.encoded.segments, sms.encoded.encoding.value, 0.25
    assert json.loads(as_line(call.log_line(sent.result, 100.5))) == {
        "severity": "INFO",
        "event": "accepted",
        "request_id": "0123456789abcdef0123",
        "route": "/",
        "message_id": "7d4f",
        "attempts": 2,
        "segments": 1,
        "encoding": "GSM-7",
        "duration_ms": 500.0,
        "upstream_ms": 250.0,
        "http.route": "/",
    }


def test_a_bug_is_logged_by_its_kind_and_places_only() -> None:
    call = record()
    call.bug = raised()
    line = as_line(call.log_line(Result(Outcome.INTERNAL_ERROR), 100.0))
    assert "secret" not in line
    assert json.loads(line)["stack_trace"].startswith("LookupError\ntest_log.py:")


def test_a_stack_names_type_file_line_and_function_and_no_value() -> None:
    error = raised()
    kind, *places = stack_of(error).split("\n")
    assert kind == "LookupError"
    assert [place.rpartition(" ")[2] for place in places] == ["raised", "inner"]
    assert all(place.startswith("test_log.py:") for place in places)
    assert "secret" not in stack_of(error)
    assert "/" not in stack_of(error)


def test_a_stack_keeps_the_values_of_its_causes_out() -> None:
    error = RuntimeError("secret")
    error.__cause__ = raised()
    assert stack_of(error) == "RuntimeError"


@pytest.mark.parametrize(
    ("headers", "project", "expected"),
    [
        pytest.param({b"traceparent": f"00-{TRACE}-{SPAN}-01".encode()}, None, (TRACE, SPAN), id="W3C"),
        pytest.param(
            {b"traceparent": f"00-{TRACE}-{SPAN}-00".encode()}, "shop", (f"projects/shop/traces/{TRACE}", SPAN), id="W3C, project"
        ),
        pytest.param(
            {b"x-cloud-trace-context": f"{TRACE}/13235353014750950193;o=1".encode()},
            "shop",
            (f"projects/shop/traces/{TRACE}", SPAN),
            id="Cloud",
        ),
        pytest.param({b"x-cloud-trace-context": f"{TRACE.upper()}/1".encode()}, None, (TRACE, "0000000000000001"), id="Cloud, capitals"),
        pytest.param(
            {b"traceparent": f"00-{TRACE}-{SPAN}-01".encode(), b"x-cloud-trace-context": b"f" * 32 + b"/1"}, None, (TRACE, SPAN), id="both"
        ),
        pytest.param(
            {b"traceparent": b"junk", b"x-cloud-trace-context": f"{TRACE}/1".encode()}, None, (TRACE, "0000000000000001"), id="one is junk"
        ),
    ],
)
def test_the_callers_trace_is_taken_over(headers: dict[bytes, bytes], project: str | None, expected: tuple[str, str]) -> None:
    fields = trace_fields(headers, project)
    assert (fields["logging.googleapis.com/trace"], fields["logging.googleapis.com/spanId"]) == expected
    assert (fields["trace_id"], fields["span_id"]) == (expected[0].rpartition("/")[2], expected[1])
    assert set(fields) <= set(FIELDS)


@pytest.mark.parametrize(
    ("headers", "is_sampled"),
    [
        ({b"traceparent": f"00-{TRACE}-{SPAN}-01".encode()}, True),
        ({b"traceparent": f"00-{TRACE}-{SPAN}-03".encode()}, True),
        ({b"traceparent": f"00-{TRACE}-{SPAN}-02".encode()}, False),
        ({b"x-cloud-trace-context": f"{TRACE}/1;o=1".encode()}, True),
        ({b"x-cloud-trace-context": f"{TRACE}/1;o=0".encode()}, False),
        ({b"x-cloud-trace-context": f"{TRACE}/1".encode()}, False),
    ],
)
def test_the_callers_choice_to_keep_the_trace_is_taken_over(headers: dict[bytes, bytes], is_sampled: bool) -> None:  # noqa: FBT001 - a case
    assert trace_fields(headers, None)["logging.googleapis.com/trace_sampled"] is is_sampled


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        (b'{"recipient":"+12025550110","text":"Your code is 314159"}', AUTHORIZED, 200, None),
        (b'{"recipient":"+12025550110"}', AUTHORIZED, 422, "wrong_fields"),
        (b"{}", {}, 401, "no_credentials"),
        (b'{"recipient":"+12025550110","text":"Your code","message_type":"voice"}', AUTHORIZED, 422, "voice_unsupported"),
    ],
)
def test_the_line_has_the_status_and_the_error_as_opentelemetry_names_them(
    body: bytes, headers: dict[bytes, bytes], status: int, error: str | None
) -> None:
    stage = Stage()
    stage.call(body, {**headers, b"content-type": b"application/json"}, path="/hooks/native")
    [line] = stage.lines
    assert (line["http.response.status_code"], line.get("error.type"), line["http.route"]) == (status, error, "/hooks/native")


def test_the_error_of_a_bug_is_its_type() -> None:
    call = record()
    call.bug = raised()
    assert call.log_line(Result(Outcome.INTERNAL_ERROR), 100.0)["error.type"] == "LookupError"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({b"traceparent": b""}, id="empty"),
        pytest.param({b"traceparent": f"00-{TRACE}-{SPAN}".encode()}, id="no flags"),
        pytest.param({b"traceparent": f"00-{TRACE[1:]}-{SPAN}-01".encode()}, id="short trace"),
        pytest.param({b"traceparent": f"00-{TRACE.upper()}-{SPAN}-01".encode()}, id="capitals"),
        pytest.param({b"traceparent": f"00-{TRACE}-{SPAN}-01\n".encode()}, id="newline"),
        pytest.param({b"traceparent": f"00-{TRACE}-{SPAN}-01-secret".encode()}, id="something behind it"),
        pytest.param({b"traceparent": "\u0660".encode() * 55}, id="digits of another script"),
        pytest.param({b"traceparent": b"\xff" * 55}, id="binary"),
        pytest.param({b"x-cloud-trace-context": b"secret"}, id="Cloud: a word"),
        pytest.param({b"x-cloud-trace-context": f"{TRACE}/secret".encode()}, id="Cloud: span is a word"),
        pytest.param({b"x-cloud-trace-context": f"{TRACE}/{'9' * 21}".encode()}, id="Cloud: span of 21 digits"),
        pytest.param({b"x-cloud-trace-context": f"{TRACE}/1;o=1;x=secret".encode()}, id="Cloud: unknown option"),
    ],
)
def test_a_trace_that_is_none_stays_out(headers: dict[bytes, bytes]) -> None:
    assert trace_fields(headers, "shop") == {}


@LAW
@given(st.dictionaries(st.sampled_from([b"traceparent", b"x-cloud-trace-context"]), st.binary(max_size=80)))
def test_no_header_breaks_the_log(headers: dict[bytes, bytes]) -> None:
    assert len(as_line(record(headers=headers).log_line(Result(Outcome.UNAUTHORIZED), 101.0)).splitlines()) == 1


@pytest.mark.parametrize(
    ("level", "written"),
    [
        pytest.param("DEBUG", ["INFO", "WARNING", "ERROR", "CRITICAL"], id="debug"),
        pytest.param("INFO", ["INFO", "WARNING", "ERROR", "CRITICAL"], id="info"),
        pytest.param("WARNING", ["WARNING", "ERROR", "CRITICAL"], id="warning"),
        pytest.param("ERROR", ["ERROR", "CRITICAL"], id="error"),
    ],
)
def test_lines_below_the_operators_level_are_not_written(level: str, written: list[str]) -> None:
    stream = io.StringIO()
    emit = emitter(level, stream)
    for severity in ("INFO", "WARNING", "ERROR", "CRITICAL"):
        emit({"severity": severity, "event": "accepted"})
    assert [json.loads(line)["severity"] for line in stream.getvalue().splitlines()] == written


def test_lines_go_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    emitter("INFO", standard_output())({"severity": "INFO", "event": "accepted"})
    printed = capfd.readouterr()
    assert (without_time(printed.out), printed.err) == ('{"severity":"INFO","event":"accepted"}\n', "")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        pytest.param(0, "1970-01-01T00:00:00.000Z", id="the first"),
        pytest.param(1_795_857_302_124_000_000, "2026-11-28T09:15:02.124Z", id="milliseconds"),
        pytest.param(1_795_857_302_007_000_000, "2026-11-28T09:15:02.007Z", id="always three digits"),
        pytest.param(1_795_857_302_999_999_999, "2026-11-28T09:15:02.999Z", id="never the second after it"),
        pytest.param(1_798_761_600_000_000_000, "2027-01-01T00:00:00.000Z", id="the next year"),
        pytest.param(1_835_395_200_000_000_000, "2028-02-29T00:00:00.000Z", id="a leap day"),
    ],
)
def test_a_time_is_written_as_rfc_3339_says(nanoseconds: int, text: str) -> None:
    assert time_text(nanoseconds) == text
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(nanoseconds // 1_000_000 / 1000, UTC)


@given(st.lists(st.integers(0, 4_102_444_800_000_000_000), max_size=20))
def test_times_sort_as_their_texts_whatever_was_written_before(times: list[int]) -> None:
    assert [time_text(one) for one in sorted(times)] == sorted(time_text(one) for one in times)


def test_every_line_begins_with_the_time_at_which_it_was_written() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LibraryFormatter())
    before = datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)
    emitter("INFO", stream)({"severity": "INFO", "event": "accepted"})
    handler.handle(library_record(logging.ERROR, "secret"))
    after = datetime.now(UTC)
    assert [next(iter(json.loads(line))) for line in stream.getvalue().splitlines()] == ["time", "time"]
    for line in stream.getvalue().splitlines():
        assert before <= datetime.fromisoformat(json.loads(line)["time"]) <= after


def test_the_time_of_a_line_does_not_depend_on_where_the_machine_is() -> None:
    program = "from mitto_phone_hook.telemetry.log_lines import line_of_now; print(line_of_now({'severity': 'INFO'}), end='')"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"TZ": "Asia/Kathmandu"}, capture_output=True, text=True, check=True, timeout=30
    )
    assert abs(datetime.fromisoformat(json.loads(done.stdout)["time"]) - datetime.now(UTC)) < timedelta(minutes=5)


def library_record(level: int, message: str, *args: object, error: Exception | None = None) -> logging.LogRecord:
    return logging.LogRecord("httpx", level, "/usr/lib/httpx/client.py", 42, message, args, exc_info(error) if error else None, "send")


def test_a_librarys_line_says_where_and_never_what() -> None:
    line = LibraryFormatter().format(library_record(logging.WARNING, "secret %s", "secret-argument"))
    assert json.loads(without_time(line)) == {"severity": "WARNING", "event": "library", "logger": "httpx", "why": "client.py:42 send"}


def test_a_librarys_exception_is_logged_by_its_type_and_lines() -> None:
    line = LibraryFormatter().format(library_record(logging.ERROR, "secret", error=raised()))
    assert "secret" not in line
    assert json.loads(line)["stack_trace"].startswith("LookupError\n")


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        pytest.param(logging.DEBUG, "DEBUG", id="debug"),
        pytest.param(logging.CRITICAL, "CRITICAL", id="critical"),
        pytest.param(35, "ERROR", id="a level of the library's own"),
        pytest.param(0, "ERROR", id="no level"),
    ],
)
def test_a_librarys_level_is_one_that_collectors_know(level: int, severity: str) -> None:
    assert json.loads(LibraryFormatter().format(library_record(level, "x")))["severity"] == severity


@pytest.mark.parametrize(
    ("message", "args"),
    [
        pytest.param("%s %s", ("one",), id="too few arguments"),
        pytest.param("%d", ("secret",), id="wrong type"),
        pytest.param("no place", ("secret",), id="too many arguments"),
        pytest.param("a\nb\u2028c", (), id="several lines"),
    ],
)
def test_a_message_that_cannot_be_formatted_is_no_trouble(message: str, args: tuple[object, ...]) -> None:
    line = LibraryFormatter().format(library_record(logging.ERROR, message, *args))
    assert "secret" not in line
    assert len(line.splitlines()) == 1


def test_a_handler_with_the_formatter_writes_one_line_of_json_a_record() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LibraryFormatter())
    handler.handle(library_record(logging.ERROR, "secret\n%s", "secret"))
    handler.handle(library_record(logging.ERROR, "secret", error=raised()))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(json.loads(line)["event"] == "library" for line in lines)
    assert "secret" not in stream.getvalue()


TAKEN_OVER = """
import logging
from mitto_phone_hook.telemetry.library_logs import take_over_library_logs
from mitto_phone_hook.telemetry.log_lines import standard_output
logging.getLogger().addHandler(logging.StreamHandler())
own = logging.getLogger("server.access")
own.addHandler(logging.StreamHandler())
own.propagate = False
own.setLevel(logging.DEBUG)
take_over_library_logs("DEBUG", standard_output())
own.warning("secret %s", "secret")
own.info("secret")
logging.getLogger("later").error("secret")
"""


def test_a_librarys_own_handlers_are_taken_over_so_that_no_sentence_of_theirs_gets_out() -> None:
    # A process of its own: the test runner has handlers, too.
    done = subprocess.run([sys.executable, "-c", TAKEN_OVER], capture_output=True, text=True, check=True, timeout=30)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["severity"], line["logger"]) for line in lines] == [("WARNING", "server.access"), ("ERROR", "later")]
    assert "secret" not in done.stdout + done.stderr
    assert done.stderr == ""
