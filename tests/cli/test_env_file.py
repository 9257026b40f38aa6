"""A file of settings: read as Docker reads it, and used by the commands."""

import argparse
import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mitto_phone_hook.cli.command import run
from mitto_phone_hook.cli.env_file import env_file
from support.documents import ENV_EXAMPLE
from support.processes import API_KEY, BEARER, fake_mitto, free_port, function_by, function_environment


def read(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "settings.env"
    file.write_text(text, encoding="utf-8", newline="")
    return env_file(str(file))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB=two words \n", {"A": "1", "B": "two words "}),
        ("\ufeffA=1\r\n\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("# A=1\n  # B=2\n\n", {}),
        ("A=x=y #z\nB='quoted'\nC=\n", {"A": "x=y #z", "B": "'quoted'", "C": ""}),
        ("FROM_THE_ENVIRONMENT\n  A=1", {"A": "1"}),
        ("A=1\nA=2\n", {"A": "2"}),
    ],
)
def test_it_is_read_by_dockers_rules(text: str, values: dict[str, str], tmp_path: Path) -> None:
    assert read(tmp_path, text) == values


def test_the_example_of_the_repository_can_be_read(tmp_path: Path) -> None:
    assert read(tmp_path, ENV_EXAMPLE.read_text(encoding="utf-8")) == {"MITTO_API_KEY": "", "HOOK_SECRETS": ""}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A=1\nexport B=value-of-b\n", "line 2 of this file must be NAME=value, without spaces around the name: take the word export out"),
        ("A=1\n\nfirst line\nvalue-of-b\n", "line 3 of this file must be NAME=value"),
        ("A = value-of-b\n", "line 1 of this file must be NAME=value"),
        ("=value-of-b\n", "line 1 of this file must be NAME=value"),
    ],
)
def test_a_wrong_line_is_named_and_not_shown(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        read(tmp_path, text)
    assert words in str(error.value)
    assert "value-of-b" not in str(error.value)


def test_a_file_that_is_none_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["check", "--env", str(tmp_path / "none")], {}, io.StringIO())
    assert ended.value.code == 2
    assert "--env: names no readable file in UTF-8; mitto-phone-hook init writes one" in capsys.readouterr().err


def test_the_environment_comes_before_the_file_where_it_has_a_value(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"MITTO_API_KEY={API_KEY}\nHOOK_SECRETS={BEARER}\nDEFAULT_REGION=CH\nALLOWED_REGIONS=CH,DE\n", encoding="utf-8")
    stream = io.StringIO()
    environment = {"ALLOWED_REGIONS": "FR", "DEFAULT_REGION": "", "MITTO_BASE_URL": "http://127.0.0.1:9"}
    run(["check", "--env", str(file)], environment, stream)
    assert "regions          FR\n" in stream.getvalue()
    assert "default region   CH\n" in stream.getvalue()


def test_the_function_runs_with_the_settings_of_a_file(tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        file = tmp_path / "my settings.env"
        settings = {"MITTO_API_KEY": API_KEY, "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "HOOK_SECRETS": BEARER}
        lines = [f"{name}={value}\n" for name, value in ({**settings, "ALLOWED_REGIONS": "US", "MITTO_SENDER_ID": "Two Words"}).items()]
        file.write_text("".join(lines), encoding="utf-8")

        def command(port: int) -> list[str]:
            return [sys.executable, "-m", "mitto_phone_hook.cli", "run", "--port", str(port), "--env", str(file)]

        with function_by(command, tmp_path / "function.txt", MITTO_API_KEY="", HOOK_SECRETS="") as process:
            assert process.post({"recipient": "+12025550110", "text": "Your code is 314159"})[0] == 200
        assert [message["sender"] for message in mitto.inbox()] == ["Two Words"]


def test_a_wrong_setting_in_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"MITTO_API_KEY={API_KEY}\nHOOK_SECRETS={BEARER}\nALLOWED_REGIONS=XX\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", free_port())) as unused:
        port = str(unused.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-m", "mitto_phone_hook.cli", "run", "--port", port, "--env", str(file)],
        env=function_environment(MITTO_API_KEY="", HOOK_SECRETS=""),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "ALLOWED_REGIONS must be" in done.stderr
