"""The command line itself: what it prints where, and how it ends."""

import base64
import io
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.cli.command import COMMANDS, main, run
from mitto_phone_hook.cli.report import ASCII, UNICODE, Line, Mark, format_line, milliseconds, summary
from mitto_phone_hook.cli.terminal import Terminal
from mitto_phone_hook.config.rules import hook_secrets
from support.processes import API_KEY, BEARER, ROOT, function_environment
from support.upstream import closed_port

COMMAND = (sys.executable, "-m", "mitto_phone_hook.cli")
ESCAPE = "\x1b"
NOWHERE = {"MITTO_BASE_URL": "http://127.0.0.1:9", "ALLOWED_REGIONS": "CH"}


def in_pipe(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = function_environment(**({"PYTHONIOENCODING": "utf-8"} | settings))
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", timeout=30, check=False)


def on_terminal(*arguments: str, **settings: str) -> str:
    """Run it on a terminal of its own, and give all that the terminal got."""
    environment = function_environment(**({"TERM": "xterm", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"} | settings))
    ours, theirs = pty.openpty()
    popen = subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, env=environment, stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        # Linux says so when the other side is gone.
        pass
    finally:
        os.close(ours)
        popen.wait(30)
    return shown.decode()


def in_process(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    stream = io.StringIO()
    return run(arguments, environment or {}, stream), stream.getvalue()


def test_a_pipe_gets_plain_lines_with_every_finding_in_one() -> None:
    ended = in_pipe("check", **NOWHERE)
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert ESCAPE not in ended.stdout
    assert "\r" not in ended.stdout
    assert "✗ connection       refused\n" in ended.stdout


def test_a_terminal_gets_colours_and_shows_what_is_being_checked() -> None:
    shown = on_terminal("check", **NOWHERE)
    assert f"{ESCAPE}[32m✓{ESCAPE}[0m Mitto API key" in shown
    assert f"{ESCAPE}[31m✗{ESCAPE}[0m connection" in shown
    assert f"connection ...{ESCAPE}[0m\r{ESCAPE}[K" in shown
    lines = re.sub(r"[^\n]*\r\x1b\[K|\x1b\[[0-9]*m", "", shown.replace("\r\n", "\n")).splitlines()
    assert max(map(len, lines)) <= 80


class TerminalStream(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_what_was_pending_is_replaced_by_its_finding() -> None:
    stream = TerminalStream()
    terminal = Terminal(stream, {"TERM": "xterm"})
    terminal.heading("Mitto")
    terminal.pending("API key")
    assert stream.getvalue().endswith(f"{ESCAPE}[2m  · API key ...{ESCAPE}[0m")
    terminal.show(Line(Mark.OK, "API key", "accepted"))
    terminal.heading("Store")
    assert f"...{ESCAPE}[0m\r{ESCAPE}[K  {ESCAPE}[32m✓{ESCAPE}[0m API key          accepted\n\n{ESCAPE}[1mStore" in stream.getvalue()


def test_the_command_writes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret", "--bearer"]) == 0
    assert re.fullmatch(r"[0-9a-f]{64}\n", capsys.readouterr().out)


def test_a_simulated_call_is_shown_in_a_pipe_and_on_a_terminal() -> None:
    arguments = ("simulate", "okta", "--case", "forged", "--url", f"http://127.0.0.1:{closed_port()}")
    ended = in_pipe(*arguments)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "  ✗ forged           cannot connect: sent by its own provider\n" in ended.stdout
    assert ESCAPE not in ended.stdout
    shown = on_terminal(*arguments)
    assert f"forged ...{ESCAPE}[0m\r{ESCAPE}[K  {ESCAPE}[31m✗{ESCAPE}[0m forged" in shown


def test_no_color_keeps_colours_away_and_nothing_else() -> None:
    shown = on_terminal("check", NO_COLOR="1", **NOWHERE)
    assert f"{ESCAPE}[3" not in shown
    assert "✗ connection" in shown


def test_a_dumb_terminal_gets_no_sequence_at_all() -> None:
    assert ESCAPE not in on_terminal("check", TERM="dumb", **NOWHERE)


def test_a_stream_without_the_signs_gets_ascii() -> None:
    ended = in_pipe("check", PYTHONIOENCODING="ascii", **NOWHERE)
    assert ended.stdout.isascii()
    assert "  x connection       refused\n" in ended.stdout
    assert "-> " in ended.stdout


def test_nobody_reading_the_output_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    popen = subprocess.Popen([*COMMAND, "check"], cwd=ROOT, env=function_environment(**NOWHERE), stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    _, errors = popen.communicate(timeout=30)
    assert (popen.returncode, errors) == (1, b"")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["chekc"], "invalid choice"),
        (["check", "--url", "http://example.com"], "must be https://"),
        (["check", "--url", "https://user:pw@example.com/"], "must be https://"),
        (["check", "--url", "https://example.com/?code=1"], "must be https://"),
        (["check", "--url", "https://[::1"], "must be https://"),
        (["check", "--url", "https://example.com:0/"], "must be https://"),
        (["check", "--url", f"https://{'a' * 64}.com/"], "must be https://"),
        (["check", "--url", "example.com"], "must be https://"),
        (["check", "--recipient", "2025550110"], "must be a phone number"),
        (["secret", "--signing", "--bearer"], "not allowed with"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        in_process(*arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_number_that_is_none_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        in_process("check", "--recipient", "+120255501")
    assert "2025550" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["secret", "check"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        in_process(command, "--help")
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 10


def test_an_interruption_is_no_traceback() -> None:
    class Interrupting(io.StringIO):
        def write(self, _: str) -> int:
            raise KeyboardInterrupt

    assert run(["secret"], {}, Interrupting()) == 130


def test_the_hook_imports_nothing_of_it() -> None:
    script = "import sys, mitto_phone_hook.function; sys.exit(any(name.startswith('mitto_phone_hook.cli') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], env=function_environment(), check=False).returncode == 0


# The secret


def test_a_pipe_gets_both_secrets_as_a_value_for_hook_secrets() -> None:
    ended = in_pipe("secret")
    assert (ended.returncode, ended.stderr) == (0, "")
    read = hook_secrets(ended.stdout)
    assert (len(read.signing_keys), len(read.bearer)) == (1, 1)


def test_a_signing_key_is_32_random_bytes_as_standard_webhooks_writes_them() -> None:
    status, text = in_process("secret", "--signing")
    assert status == 0
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", text)
    assert len(base64.b64decode(text.removeprefix("whsec_"))) == 32
    assert text != in_process("secret", "--signing")[1]


def test_a_bearer_secret_survives_every_shell_and_double_click() -> None:
    _, text = in_process("secret", "--bearer")
    assert re.fullmatch(r"[0-9a-f]{64}\n", text)
    assert hook_secrets(text).bearer
    assert text != in_process("secret", "--bearer")[1]


def test_a_terminal_shows_what_each_secret_is_for() -> None:
    shown = on_terminal("secret")
    assert "For callers that sign" in shown
    assert "Authorization: Bearer" in shown
    assert re.search(r"^ +whsec_\S{44}\r$", shown, re.MULTILINE)
    assert re.search(r"^ +[0-9a-f]{64}\r$", shown, re.MULTILINE)


def test_one_form_alone_is_bare_on_a_terminal_too() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}\r\n", on_terminal("secret", "--bearer"))


# How a finding is written


def test_a_long_topic_does_not_touch_its_text() -> None:
    assert format_line(Line(Mark.ERROR, "CONNECT_TIMEOUT_SECONDS", "must be"), UNICODE) == "  ✗ CONNECT_TIMEOUT_SECONDS must be"


def test_text_and_next_step_stand_in_one_column() -> None:
    line = Line(Mark.ERROR, "API key", "refused", "ask Mitto", ["twice"])
    assert format_line(line, UNICODE).splitlines() == [
        "  ✗ API key          refused",
        "                     twice",
        "                     → ask Mitto",
    ]
    assert format_line(line, ASCII).splitlines()[2] == "                     -> ask Mitto"


def test_a_narrow_terminal_wraps_between_words() -> None:
    text = format_line(Line(Mark.WARNING, "regions", "word " * 20, "step " * 20), UNICODE._replace(width=50))
    assert max(map(len, text.splitlines())) <= 50
    assert text.count("word") == text.count("step") == 20
    assert all(row[21:23] == "  " for row in text.splitlines() if row.strip().startswith("step"))


def test_the_summary_starts_with_the_errors() -> None:
    assert summary([Mark.OK, Mark.ERROR, Mark.OK, Mark.WARNING], UNICODE) == "1 error, 1 warning, 2 ok"
    assert summary([Mark.OK], UNICODE) == "1 ok"


@pytest.mark.parametrize(("seconds", "text"), [(0.00012, "0.1 ms"), (0.0099, "9.9 ms"), (0.012, "12 ms"), (2.5, "2500 ms")])
def test_a_time_has_as_many_digits_as_mean_something(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


@given(st.text("ab -", max_size=300), st.integers(1, 200))
def test_wrapping_loses_no_word(text: str, width: int) -> None:
    shown = format_line(Line(Mark.OK, "topic", text), UNICODE._replace(width=width))
    assert shown.split()[2:] == text.split()


def test_every_setting_that_is_wrong_is_named_and_no_value_is_shown(tmp_path: Path) -> None:
    settings = {
        "MITTO_API_KEY": "",
        "HOOK_SECRETS": "short-secret",
        "MITTO_BASE_URL": f"http://{API_KEY}.example.com",
        "ALLOWED_REGIONS": "XX",
        "PRICES_FILE": str(tmp_path / "none"),
    }
    status, text = in_process("check", environment=settings)
    assert status == 1
    assert re.findall(r"✗ ([A-Z_]+)", text) == ["MITTO_API_KEY", "HOOK_SECRETS", "MITTO_BASE_URL", "ALLOWED_REGIONS", "PRICES_FILE"]
    assert text.count("the function does not start with these settings") == 1
    assert "Store" not in text
    for value in ("short-secret", API_KEY, "XX"):
        assert value not in text


def test_a_deployed_function_needs_only_the_hook_secrets() -> None:
    status, text = in_process("check", "--url", "http://127.0.0.1:9", environment={"HOOK_SECRETS": "short", "MITTO_BASE_URL": "nonsense"})
    assert (status, re.findall(r"✗ ([A-Z_]+)", text)) == (1, ["HOOK_SECRETS"])
    status, text = in_process("check", "--url", "http://127.0.0.1:9", environment={"HOOK_SECRETS": BEARER, "MITTO_BASE_URL": "nonsense"})
    assert (status, "✗ health           cannot connect" in text) == (1, True)


def test_a_deployment_has_the_commands_that_need_no_sandbox(tmp_path: Path) -> None:
    def without_sandbox(_: str, names: list[str]) -> set[str]:
        return {"sandbox", "__pycache__"} & set(names)

    shutil.copytree(ROOT / "src" / "mitto_phone_hook", tmp_path / "mitto_phone_hook", ignore=without_sandbox)
    environment = function_environment(PYTHONPATH=str(tmp_path))
    done = subprocess.run(
        [*COMMAND, "--help"], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=30, check=True
    )
    named = set(re.findall(r"^    ([a-z]+)\s", done.stdout, re.MULTILINE))
    assert set(COMMANDS) - named == {"demo", "init", "sandbox"}
    assert named <= set(COMMANDS)
