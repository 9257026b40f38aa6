"""``mitto-phone-hook tail``: its rows, its summary, a log that grows, and a reader that leaves."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mitto_phone_hook.cli.columns import padded, padded_left, table, width
from mitto_phone_hook.cli.command import run
from mitto_phone_hook.cli.log_source import growing_pieces
from mitto_phone_hook.cli.terminal import Terminal
from support.logs import AMERICAN, MORNING, SWISS, accepted, cloud_logging, message_id, morning, plain, report, untimed, with_timestamps
from support.processes import ROOT
from support.terminals import TerminalStream, in_process

COMMAND = (sys.executable, "-m", "mitto_phone_hook.cli", "tail")
ENVIRONMENT = {**os.environ, "PYTHONIOENCODING": "utf-8"}
PRICES = "region,price\nCH,0.05\nDE,0.07\n*,0.10\n"


def tail(tmp_path: Path, log: str, *arguments: str, **environment: str) -> str:
    file = tmp_path / "log.txt"
    file.write_text(log, encoding="utf-8", newline="")
    status, text = in_process("tail", str(file), *arguments, environment=environment)
    assert status == 0
    return text


def test_each_event_is_one_aligned_row_under_its_day(tmp_path: Path) -> None:
    text = tail(tmp_path, with_timestamps(morning()))
    day, *rows = text.splitlines()
    assert day == "2026-11-28 UTC"
    assert rows[1] == "09:15:02 ✓ auth0      +41*******67     CH   180 ms  accepted by Mitto"
    assert rows[2] == "09:15:04 ✓ auth0      +41*******67     CH           delivered after 1.7 s"
    assert rows[10] == "09:16:11 ✗ auth0      +41*******67     CH    1.2 s  not sent: Mitto unavailable (http_503)"
    assert {row[50:52] for row in rows} == {"  "}
    assert text == tail(tmp_path, cloud_logging(morning())) == tail(tmp_path, plain(morning()))


def test_the_next_day_has_a_heading_of_its_own(tmp_path: Path) -> None:
    rows = tail(tmp_path, with_timestamps([(0, accepted(1, SWISS)), (15 * 3600, accepted(2, SWISS))])).splitlines()
    assert [row for row in rows if row.endswith(" UTC")] == ["2026-11-28 UTC", "2026-11-29 UTC"]


def test_only_failures_are_those_that_somebody_may_have_to_look_at(tmp_path: Path) -> None:
    rows = tail(tmp_path, with_timestamps(morning()), "--only", "failures").splitlines()
    assert [row[52:] for row in rows[1:]] == [
        "refused: limit reached (limit_recipient)",
        "refused: not authenticated (wrong_signature)",
        "not sent: Mitto unavailable (http_503)",
        "expired before it was delivered after 4 min (error 21)",
        "budget at 80 percent (BUDGET_PER_DAY)",
    ]


@pytest.mark.parametrize("form", [plain, with_timestamps])
def test_since_keeps_what_is_new_and_counts_what_has_no_time(form: Callable[..., str], tmp_path: Path) -> None:
    log = form([(-1000, accepted(1, SWISS)), (-800, accepted(2, AMERICAN))], datetime.now(UTC))
    text = tail(tmp_path, log + untimed(morning()[:2]), "--since", "15m")
    assert text.count("accepted by Mitto") == 1
    assert " US " in text
    assert text.endswith("2 lines left out: without a time\n")


@pytest.mark.parametrize("since", ["15", "m", "0m", "-5m", "1.5h", "15 m", "1w", "9999999s", "\u0661m"])
def test_a_duration_that_is_none_is_wrong_usage(since: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        tail(tmp_path, "", "--since", since)
    assert ended.value.code == 2


@pytest.mark.parametrize("name", ["nothing.txt", ".", "a\0b"])
def test_a_log_that_cannot_be_read_is_wrong_usage(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        in_process("tail", str(tmp_path / name))
    assert (ended.value.code, "cannot be read" in capsys.readouterr().err) == (2, True)


def test_an_empty_log_gives_nothing(tmp_path: Path) -> None:
    assert tail(tmp_path, "") == ""
    assert tail(tmp_path, "", "--summary") == "No calls.\n"


def test_what_is_not_ours_is_counted_and_not_shown(tmp_path: Path) -> None:
    text = tail(tmp_path, 'INFO:     Started\n\x1b]0;title\x07\n{"event":"accepted","why":"\\u001b[2J"}\n')
    assert text == f"         ✓{' ' * 42}accepted by Mitto (�[2J)\n2 lines passed over: not the function's\n"


def test_a_log_without_any_line_of_ours_says_what_may_be_wrong(tmp_path: Path) -> None:
    text = tail(tmp_path, "---\ninsertId: a\njsonPayload:\n  event: accepted\n")
    assert text == "4 lines passed over: none is the function's (gcloud needs --format json)\n"


def test_long_and_wide_values_leave_the_columns_aligned(tmp_path: Path) -> None:
    log = '{"event":"accepted","source":"日本語日本語日本","region":"CHE and more"}\n{"event":"accepted","source":"abcdefghijklmnop"}\n'
    assert tail(tmp_path, log) == (
        f"         ✓ 日本語日本{' ' * 18}CHE{' ' * 10}accepted by Mitto\n         ✓ abcdefghij{' ' * 31}accepted by Mitto\n"
    )


def test_a_terminal_gets_colours_and_a_pipe_none(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text(with_timestamps(morning()), encoding="utf-8")
    stream = TerminalStream()
    assert run(["tail", str(file)], {"TERM": "xterm"}, stream) == 0
    assert "\x1b[31m✗\x1b[0m auth0" in stream.getvalue()
    assert "\x1b[31mnot sent: Mitto unavailable (http_503)\x1b[0m" in stream.getvalue()
    assert "\x1b" not in tail(tmp_path, with_timestamps(morning()))


def test_a_stream_without_the_signs_gets_ascii(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text(with_timestamps(morning()), encoding="utf-8")
    environment = ENVIRONMENT | {"PYTHONIOENCODING": "ascii"}
    ended = subprocess.run([*COMMAND, str(file)], env=environment, cwd=ROOT, capture_output=True, timeout=30, check=True)
    assert b"09:16:11 x auth0" in ended.stdout


# The summary


def test_the_summary_joins_messages_and_their_reports_by_region(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(PRICES, encoding="utf-8")
    text = tail(tmp_path, with_timestamps(morning()), "--summary", PRICES_FILE=str(tmp_path / "prices.csv"))
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["region", "accepted", "delivered", "rate", "failed", "no", "report", "median", "p95", "cost", "not", "accepted"]
    assert rows[1] == ["CH", "2", "1", "50.0%", "1", "0", "1.7", "s", "1.7", "s", "0.10", "1"]
    assert rows[2] == ["DE", "1", "1", "100.0%", "0", "0", "22.8", "s", "22.8", "s", "0.14", "1"]
    assert rows[3] == ["US", "1", "0", "-", "0", "1", "-", "-", "0.10", "0"]
    assert rows[5] == ["all", "4", "2", "50.0%", "1", "1", "1.7", "s", "22.8", "s", "0.34", "3"]
    assert ["1", "rate_limited", "limit_recipient", "DE", "1"] in rows
    widths = {len(line) for line in text.splitlines()[:6]}
    assert len(widths) == 1


def test_the_order_of_the_lines_does_not_matter_and_without_prices_there_is_no_cost(tmp_path: Path) -> None:
    newest_first = tail(tmp_path, with_timestamps(morning()[::-1]), "--summary")
    assert newest_first == tail(tmp_path, with_timestamps(morning()), "--summary")
    assert "cost" not in newest_first
    assert "cost" not in tail(tmp_path, "", "--summary", PRICES_FILE="/workspace/not/here.csv")


def test_quantiles_are_seconds_that_a_message_really_took(tmp_path: Path) -> None:
    lines = [accepted(number, SWISS) + report(number, SWISS, "delivered", float(number)) for number in range(1, 101)]
    [_, row] = tail(tmp_path, "".join(lines), "--summary").splitlines()
    assert row.split()[3:] == ["100.0%", "0", "0", "50.0", "s", "1", "min", "35", "s", "0"]


def test_a_report_counts_once_and_only_for_a_message_of_this_log(tmp_path: Path) -> None:
    by_message_id_only = json.loads(report(1, SWISS, "delivered", 1.0))
    del by_message_id_only["request_id"]
    log = (
        accepted(1, SWISS) + json.dumps(by_message_id_only) + "\n" + json.dumps(by_message_id_only) + "\n" + report(9, SWISS, "expired", 60)
    )
    text = tail(tmp_path, log, "--summary")
    assert text.splitlines()[1].split() == ["CH", "1", "1", "100.0%", "0", "0", "1.0", "s", "1.0", "s", "0"]
    assert text.endswith("1 report left out: this log does not have Mitto's acceptance of the message\n")
    assert message_id(9) not in text


def test_a_price_file_that_is_wrong_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prices.csv").write_text("CH;0.05\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        tail(tmp_path, "", "--summary", "--prices", str(tmp_path / "prices.csv"))
    assert "line 1" in capsys.readouterr().err


# Processes: pipes, and a log that grows


@contextmanager
def following(file: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [*COMMAND, str(file), "--follow", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        env=ENVIRONMENT,
        cwd=ROOT,
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
        # Tests that run in the background of a shell hand on that they ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    ) as popen:
        try:
            yield popen
        finally:
            popen.send_signal(signal.SIGINT)
            popen.wait(20)


def next_row(popen: subprocess.Popen[str]) -> str:
    assert popen.stdout
    row = popen.stdout.readline()
    return popen.stdout.readline() if row.endswith(" UTC\n") else row


def test_follow_shows_what_is_added_at_the_time_at_which_it_came_also_in_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text(accepted(1, SWISS), encoding="utf-8")
    with following(file) as popen:
        assert next_row(popen).startswith(" " * 9 + "✓ auth0")
        before = datetime.now(UTC).replace(microsecond=0)
        with file.open("a", encoding="utf-8") as log:
            log.write(accepted(2, AMERICAN)[:50])
            log.flush()
            log.write(accepted(2, AMERICAN)[50:])
        row = next_row(popen)
        assert "+1********10" in row
        shown = datetime.combine(before, datetime.strptime(row[:8], "%H:%M:%S").replace(tzinfo=UTC).timetz())
        assert timedelta(0) <= (shown - before) % timedelta(days=1) < timedelta(minutes=1)
        (tmp_path / "new.txt").write_text(report(3, SWISS, "delivered", 2.5), encoding="utf-8")
        (tmp_path / "new.txt").rename(file)
        assert "delivered after 2.5 s" in next_row(popen)
        file.write_text("", encoding="utf-8")
        file.write_text(accepted(4, SWISS), encoding="utf-8")
    assert popen.returncode == 130


def test_a_file_that_was_cut_is_read_from_its_start_and_a_missing_one_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_bytes(b"one, a long line\n")
    steps: Iterator[Callable[[], object]] = iter([lambda: file.write_bytes(b"two\n"), file.unlink, lambda: file.write_bytes(b"three\n")])

    def wait() -> None:
        next(steps)()

    read = growing_pieces(str(file), wait)
    assert [next(read) for _ in range(5)] == [
        (b"one, a long line\n", False),
        (b"\n", True),
        (b"two\n", True),
        (b"\n", True),
        (b"three\n", True),
    ]


def test_standard_input_is_shown_as_it_comes() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, env=ENVIRONMENT, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8") as popen:
        assert popen.stdin
        popen.stdin.write(with_timestamps(morning()[1:2]))
        popen.stdin.flush()
        assert next_row(popen).endswith("accepted by Mitto\n")
        output, errors = popen.communicate(timeout=20)
    assert (popen.returncode, output, errors) == (0, "", "")


def test_follow_gives_the_lines_of_standard_input_the_time_at_which_they_came() -> None:
    log = accepted(1, SWISS).encode()
    ended = subprocess.run([*COMMAND, "--follow"], env=ENVIRONMENT, cwd=ROOT, input=log, capture_output=True, timeout=30, check=True)
    day, row = ended.stdout.decode().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d UTC", day)
    assert re.match(r"\d\d:\d\d:\d\d ✓ auth0", row)


def test_without_a_log_it_does_not_wait_for_a_person_to_type_one() -> None:
    ours, theirs = pty.openpty()
    try:
        ended = subprocess.run(COMMAND, env=ENVIRONMENT, cwd=ROOT, stdin=theirs, capture_output=True, timeout=30, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (ended.returncode, b"name a log file" in ended.stderr) == (2, True)


def test_a_reader_that_leaves_ends_it_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text(with_timestamps(morning()) * 2000, encoding="utf-8")
    with subprocess.Popen([*COMMAND, str(file)], env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as popen:
        assert popen.stdout
        assert popen.stderr
        popen.stdout.readline()
        popen.stdout.close()
        assert (popen.stderr.read(), popen.wait(20)) == (b"", 1)


# Columns


def test_cells_are_those_of_a_terminal() -> None:
    assert [width(text) for text in ("abc", "日本", "e\u0301", "a\u200bb", "\uff57")] == [3, 4, 1, 2, 2]
    assert (padded("日", 4), padded_left("日", 4)) == ("日  ", "  日")
    assert table([("日本", "1"), ("a", "22")], numbers=[1]) == ["日本   1", "a     22"]


def test_the_style_of_a_pipe_has_no_width() -> None:
    assert Terminal(TerminalStream(is_terminal=False), {}).style.width is None
    assert MORNING.tzinfo is UTC
