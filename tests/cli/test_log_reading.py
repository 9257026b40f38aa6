"""Reading our log back: each form in which it comes, and whatever else may stand in a log."""

import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.cli.event_words import DELIVERED, OUTCOME_WORDS, duration, mark_of, platform_of, words_of
from mitto_phone_hook.cli.log_line import LogLine, line_of
from mitto_phone_hook.cli.log_reading import MAX_LINE_BYTES, LogReader
from mitto_phone_hook.cli.report import Mark
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.telemetry.log_lines import SEVERITIES
from support.logs import GERMAN, MORNING, cloud_logging, morning, plain, report, untimed, with_timestamps
from support.stage import Stage, body

EVENTS = [json.loads(line)["event"] for _, line in morning()]


def read(text: str | bytes, piece_bytes: int = 1 << 16) -> tuple[list[LogLine], int]:
    raw = text.encode() if isinstance(text, str) else text
    reader = LogReader()
    lines = list(reader.read_all(raw[start : start + piece_bytes] for start in range(0, len(raw), piece_bytes)))
    return lines, reader.passed_over


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000, 1 << 16])
@pytest.mark.parametrize("form", [plain, with_timestamps, cloud_logging])
def test_every_form_of_a_log_gives_the_same_lines_and_times(form: object, piece_bytes: int) -> None:
    assert callable(form)
    lines, passed_over = read(form(morning()), piece_bytes)
    assert ([line.event for line in lines], passed_over) == (EVENTS, 0)
    assert [(line.at - MORNING).total_seconds() for line in lines if line.at] == [seconds for seconds, _ in morning()]
    assert [line.text("severity") for line in lines] == [json.loads(line)["severity"] for _, line in morning()]


def test_a_line_of_an_older_version_has_no_time_but_the_one_at_which_it_came() -> None:
    lines, _ = read(untimed(morning()))
    assert [line.event for line in lines] == EVENTS
    assert {line.at for line in lines} == {None}
    assert next(iter(LogReader().read_all([untimed(morning()).encode()], MORNING))).at == MORNING


@pytest.mark.parametrize(
    "line",
    [
        '2026-11-28T09:14:00.000000000Z {"event":"accepted"}',
        '2026-11-28T10:14:00+01:00 {"event":"accepted"}',
        'hook-1  | 2026-11-28T09:14:00.000000000Z {"event":"accepted"}',
        '[pod/mitto-phone-hook-5d4f7c9b6-x2v8k/mitto-phone-hook] {"time":"2026-11-28T09:14:00.000Z","event":"accepted"}',
        '2026-11-28T09:14:00+0000 host hook[41]: {"event":"accepted"}',
        '2026-11-28 09:14:00,000 {"event":"accepted"}',
        '{"event":"accepted","time":"2026-11-28T09:14:00Z"}',
        '{"time":"2026-11-28T09:14:00.000Z","event":"accepted"}',
        '2026-11-28T09:14:03.000000000Z {"time":"2026-11-28T09:14:00.000Z","event":"accepted"}',
        '2026-11-28T09:14:00.000000000Z {"time":"some time","event":"accepted"}',
        '{"jsonPayload":{"event":"accepted"},"timestamp":"2026-11-28T09:14:00Z"}',
        '{"textPayload":"{\\"event\\":\\"accepted\\"}","timestamp":"2026-11-28T09:14:00Z"}',
        '{"log":"{\\"event\\":\\"accepted\\"}\\n","stream":"stdout","time":"2026-11-28T09:14:00.000000001Z"}',
        '{"log":"{\\"time\\":\\"2026-11-28T09:14:00.000Z\\",\\"event\\":\\"accepted\\"}\\n","time":"2026-11-28T09:14:03Z"}',
    ],
)
def test_the_time_is_read_wherever_collectors_put_it(line: str) -> None:
    [found], _ = read(line)
    assert (found.event, found.at) == ("accepted", datetime(2026, 11, 28, 9, 14, tzinfo=UTC))


def test_an_entry_is_read_when_it_is_complete_although_gcloud_has_not_ended_its_line() -> None:
    text = cloud_logging(morning()[:1]).removesuffix("\n]\n").encode()
    reader = LogReader()
    assert [line.event for line in reader.read(text)] == ["started"]
    assert list(reader.read(b",\n")) == []
    assert (list(reader.end()), reader.passed_over) == ([], 0)


def test_the_lines_of_a_real_hook_are_read() -> None:
    stage = Stage()
    for changes in ({}, {}, {"recipient": "+442079460000"}, {"text": ""}):
        stage.call(body(**changes))
    from_hook = "".join(json.dumps(dict(line)) + "\n" for line in stage.lines)
    lines, passed_over = read(from_hook)
    assert passed_over == 0
    assert [words_of(line).partition(" (")[0] for line in lines] == [
        "accepted by Mitto",
        "repeated call, nothing sent",
        "refused: country not allowed",
        "refused: wrong fields",
    ]
    assert platform_of(lines[0]) == "auth0"


DEEP = "[" * 100_000

NOT_OURS = [
    "",
    "plain text",
    "{",
    '{"event":',
    '{"event":7}',
    '{"event":"Not One Of Ours"}',
    '{"event":"\\u001b[31mred"}',
    '{"event":"accepted","event":"accepted"}',
    '{"event":"accepted","duration_ms":NaN}',
    '{"event":"accepted","duration_ms":Infinity}',
    f'{{"event":"accepted","x":{DEEP}}}',
    f'{{"event":"accepted","x":{"9" * 5000}}}',
    "[1,2,3]",
    '{"httpRequest":{"status":200},"timestamp":"2026-11-28T09:14:00Z"}',
    '{"jsonPayload":{"jsonPayload":{"event":"accepted"}}}',
    '{"jsonPayload":null,"timestamp":"2026-11-28T09:14:00Z"}',
    '{"log":"no JSON"}',
    '\ud800{"event":"accepted"'.encode("utf-8", "surrogatepass").decode("latin-1"),
]


@pytest.mark.parametrize("line", NOT_OURS, ids=range(len(NOT_OURS)))
def test_what_is_no_line_of_ours_is_passed_over_and_counted_and_the_next_one_is_read(line: str) -> None:
    lines, passed_over = read(f'{line}\n{{"event":"accepted"}}\n')
    assert ([found.event for found in lines], passed_over) == (["accepted"], int(bool(line)))


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ('"why":"a\\u001b[2Jb\\u0007\\u202e\\r\\nc"', "accepted by Mitto (a�[2Jb����c)"),
        ('"why":"\\ud800"', "accepted by Mitto (�)"),
        ('"why":{"a":1},"fields":{"a":1},"duration_ms":"12","recipient":7', "accepted by Mitto"),
        ('"fields":["a\\u0000",7,null,["b"]]', "accepted by Mitto (a�)"),
        ('"duration_ms":1e999', "accepted by Mitto"),
        ('"duration_ms":true,"duplicate":1', "accepted by Mitto"),
        (f'"why":"{"x" * 500}"', f"accepted by Mitto ({'x' * 119}…)"),
    ],
)
def test_values_are_checked_and_nothing_a_terminal_would_obey_is_left(field: str, shown: str) -> None:
    [line], _ = read(f'{{"event":"accepted",{field}}}')
    assert words_of(line) == shown
    assert line.number("duration_ms") is None


def test_a_number_that_is_not_masked_is_not_shown() -> None:
    [whole, masked], _ = read('{"event":"accepted","recipient":"+41790000067"}\n{"event":"accepted","recipient":"+41*******67"}')
    assert (whole.text("recipient"), masked.text("recipient")) == ("", "+41*******67")


def test_a_line_of_10_mib_is_passed_over_in_little_memory() -> None:
    piece = b"x" * (1 << 16)

    def pieces() -> Iterator[bytes]:
        yield b'{"event":"accepted"}\n{"event":"accepted","why":"'
        for _ in range(160):
            yield piece
        yield b'"}\n{"event":"ignored"}\n'

    reader = LogReader()
    tracemalloc.start()
    try:
        lines = list(reader.read_all(pieces()))
        assert tracemalloc.get_traced_memory()[1] < 8 * MAX_LINE_BYTES
    finally:
        tracemalloc.stop()
    assert ([line.event for line in lines], reader.passed_over) == (["accepted", "ignored"], 1)


def test_an_entry_that_never_ends_takes_neither_memory_nor_the_lines_after_it() -> None:
    endless = "{\n" + '  "a": "b",\n' * 100_000
    lines, passed_over = read(f'{endless}{{"event":"accepted"}}\n')
    assert ([line.event for line in lines], passed_over) == (["accepted"], 1)
    lines, passed_over = read(f'{endless}  "event": "accepted"\n}}\n')
    assert (lines, passed_over) == ([], 1)


@given(st.binary(max_size=300) | st.text(alphabet='{}[],:"\n \\aevnt1', max_size=300).map(str.encode), st.integers(1, 50))
def test_whatever_comes_nothing_is_raised_and_what_follows_is_read(content: bytes, piece_bytes: int) -> None:
    lines, _ = read(content + b'\n{"event":"ignored"}\n', piece_bytes)
    assert lines[-1].event == "ignored"
    for line in lines:
        assert words_of(line).isprintable()


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-45T99:99:99Z", "yesterday"])
def test_a_time_that_is_none_is_no_time(time: str) -> None:
    found = line_of(f'{{"event":"accepted","time":"{time}"}}'.encode())
    assert found is not None
    assert found.at is None


# The words


def test_every_outcome_has_its_words_and_the_mark_of_its_severity() -> None:
    assert set(OUTCOME_WORDS) == set(Outcome)
    marks = {"INFO": Mark.OK, "WARNING": Mark.WARNING, "ERROR": Mark.ERROR, "CRITICAL": Mark.ERROR}
    for outcome, severity in SEVERITIES.items():
        [line], _ = read(json.dumps({"event": outcome, "severity": severity}))
        assert (words_of(line), mark_of(line)) == (OUTCOME_WORDS[outcome], marks[severity])


@pytest.mark.parametrize(
    ("event", "values", "words"),
    [
        (DELIVERED, {}, "delivered after 1.5 s"),
        ("undelivered", {"error": "21"}, "not delivered after 1.5 s (error 21)"),
        ("buffered", {}, "waiting in the network after 1.5 s"),
        ("unknown_status", {"status": "Odd"}, "delivery report with an unknown status after 1.5 s (Odd)"),
        ("report_repeated", {"count": 12}, "report repeated (12 times)"),
        ("conversion_rate", {"prefix": "+4179000", "messages": 40, "converted": 3}, "conversion rate (+4179000, 3 of 40)"),
    ],
)
def test_events_that_end_no_call_have_words(event: str, values: dict[str, object], words: str) -> None:
    [line], _ = read(report(1, GERMAN, event, 1.5, **values))
    assert words_of(line) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0023, "2.3 ms"), (0.18, "180 ms"), (1.24, "1.2 s"), (59.9, "59.9 s"), (60, "1 min"), (125, "2 min 5 s"), (7260, "2 h 1 min")],
)
def test_a_duration_is_said_as_a_person_says_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words
