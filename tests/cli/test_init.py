"""``mitto-phone-hook init``: what it asks, what it writes, and that the next commands work as they stand."""

import io
import os
import pty
import re
import shlex
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mitto_phone_hook.cli import init
from mitto_phone_hook.cli.command import COMMANDS, parser_of, run
from mitto_phone_hook.cli.env_file import env_file
from mitto_phone_hook.config.settings import load
from mitto_phone_hook.platforms import NAMES
from support.processes import API_KEY, ROOT, fake_mitto, free_port, function_by, function_environment

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{40,}|[0-9a-f]{64}")


def made(tmp_path: Path, *options: str, **environment: str) -> tuple[int, str, Path]:
    stream, file = io.StringIO(), tmp_path / ".env"
    status = run(["init", "--yes", "--file", str(file), *options], environment, stream)
    return status, stream.getvalue(), file


def steps(shown: str) -> list[list[str]]:
    return [
        words[1:]
        for line in shown.splitlines()
        if line.startswith("     ") and Path((words := shlex.split(line))[0]).name == "mitto-phone-hook"
    ]


@pytest.mark.parametrize("platform", NAMES)
def test_the_file_is_valid_and_only_its_owner_can_read_it(platform: str, tmp_path: Path) -> None:
    status, shown, file = made(tmp_path, "--platform", platform, MITTO_API_KEY=API_KEY)
    assert status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings = load(env_file(str(file)))
    assert settings.mitto_base_url == "https://rest.mittoapi.com"
    own = settings.secrets_of("" if platform == "native" else platform).current(0)
    assert own.bearer or own.signing_keys
    assert not SECRET.search(shown)
    assert API_KEY not in shown


@pytest.mark.parametrize("platform", NAMES)
def test_what_is_to_be_entered_at_the_platform_is_what_its_page_says(platform: str) -> None:
    page = "docs/native.md" if platform == "native" else f"docs/platforms/{platform}.md"
    text = (ROOT / page).read_text(encoding="utf-8")
    paste = init.PASTES[platform]
    assert paste.field in text
    if not paste.is_made_there and platform != "native":
        form = re.escape(paste.form).replace(r"\{\}", r"(whsec_)?THE-(SECRET|KEY)")
        assert re.search(rf"{re.escape(paste.field)} *= {form}", text)
    assert set(init.PASTES) == set(NAMES)


def test_without_a_key_the_next_commands_work_as_they_stand_with_the_fake_mitto(tmp_path: Path) -> None:
    status, shown, file = made(tmp_path, "--platform", "okta", "--regions", "CH,DE")
    assert status == 0
    sandbox, start, call = steps(shown)
    assert sandbox == ["sandbox"]
    own = env_file(str(file))
    assert (own["MITTO_API_KEY"], own["MITTO_BASE_URL"]) == ("sandbox-key", "http://127.0.0.1:8081")

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "mitto_phone_hook.cli", *start, "--port", str(port)]

    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        # Other ports than those of the commands: another program may use these.
        here = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "MITTO_API_KEY": API_KEY, "HOOK_SECRETS": ""}
        with function_by(command, tmp_path / "function.txt", **here) as function:
            stream = io.StringIO()
            assert run([*call, "--url", f"http://127.0.0.1:{function.port}"], {}, stream) == 0, stream.getvalue()
        assert len(mitto.inbox()) == 1


@pytest.mark.parametrize("platform", NAMES)
@pytest.mark.parametrize("environment", [{}, {"MITTO_API_KEY": API_KEY}])
def test_every_command_that_it_names_exists(platform: str, environment: dict[str, str], tmp_path: Path) -> None:
    _, shown, file = made(tmp_path, "--platform", platform, "--regions", "CH", **environment)
    assert load(env_file(str(file))).report_secrets
    assert [words[0] for words in steps(shown)] == [*(["check"] if environment else ["sandbox"]), "run", "simulate"]
    for words in steps(shown):
        assert words[0] in COMMANDS
        parser_of(words[0]).parse_args([word.replace("NUMBER-OF-YOURS", "+41791234567") for word in words])


def test_where_the_command_is_not_on_the_path_its_own_path_is_named(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("mitto-phone-hook")
    done = subprocess.run(
        [program, "init", "--yes", "--file", str(tmp_path / ".env")],
        env=function_environment(PATH="/usr/bin:/bin"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert f"     {program} run --env " in done.stdout


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    _, _, file = made(tmp_path)
    before = file.read_text(encoding="utf-8")
    status, shown, _ = made(tmp_path)
    assert (status, shown.count("\n")) == (1, 1)
    assert "--force" in shown
    assert file.read_text(encoding="utf-8") == before
    assert made(tmp_path, "--force")[0] == 0
    assert file.read_text(encoding="utf-8") != before
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        (["--regions", "XX"], {}, "ALLOWED_REGIONS must be ISO 3166 regions"),
        (["--sender-id", "ab"], {}, "MITTO_SENDER_ID must be 3 to 11"),
        (["--app-name", "'Acme'"], {}, "APP_NAME stands in quotation marks: leave them out"),
        ([], {"MITTO_API_KEY": "key of two\nlines"}, "MITTO_API_KEY must be visible ASCII characters in one line"),
    ],
)
def test_a_wrong_value_is_refused_by_the_rules_of_the_settings(
    options: list[str], environment: dict[str, str], words: str, tmp_path: Path
) -> None:
    status, shown, file = made(tmp_path, *options, **environment)
    assert status == 1
    assert words in shown
    assert "Nothing was written." in shown
    assert not file.exists()
    assert not any(value in shown for value in environment.values())


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    status, shown, _ = made(tmp_path / "none")
    assert (status, "cannot be written (No such file or directory)" in shown) == (1, True)


def test_without_a_terminal_it_asks_nobody(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mitto_phone_hook.cli", "init", "--file", str(tmp_path / ".env")],
        env=function_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "--yes" in done.stdout


def dialogue(file: Path, *replies: tuple[str, str]) -> tuple[int, str]:
    """Run it on a terminal, and type each reply when its prompt has come."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mitto_phone_hook.cli", "init", "--file", str(file)]
    environment = function_environment(TERM="xterm", PYTHONIOENCODING="utf-8", MITTO_API_KEY="")
    popen = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown, end = "", time.monotonic() + 30
    waiting = list(replies)
    try:
        seen = 0
        while time.monotonic() < end and (piece := os.read(ours, 65536)):
            shown += piece.decode()
            if waiting and waiting[0][0] in shown[seen:]:
                seen = len(shown)
                os.write(ours, f"{waiting.pop(0)[1]}\n".encode())
    except OSError:
        # Linux says so when the other side is gone.
        pass
    finally:
        os.close(ours)
        status = popen.wait(30)
    return status, shown


def test_it_asks_again_where_a_reply_is_wrong_and_never_shows_the_key(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    status, shown = dialogue(
        file,
        ("Who calls, such as auth0 or okta (native: any other) [native]: ", "oktaa"),
        ("Who calls, such as auth0 or okta (native: any other) [native]: ", "okta"),
        ("Mitto's API key", API_KEY),
        ("Countries", "CH,UK"),
        ("Countries", "CH,GB"),
        ("Sender ID", ""),
        ("application", "Acme"),
    )
    assert status == 0, shown
    assert "the platform must be one of native, auth0," in shown
    assert "the United Kingdom is GB, not UK" in shown
    assert API_KEY not in shown
    written = env_file(str(file))
    assert {name: written[name] for name in ("MITTO_API_KEY", "ALLOWED_REGIONS", "MITTO_SENDER_ID", "APP_NAME")} == {
        "MITTO_API_KEY": API_KEY,
        "ALLOWED_REGIONS": "CH,GB",
        "MITTO_SENDER_ID": "Mitto SMS",
        "APP_NAME": "Acme",
    }


def test_who_stops_replying_leaves_nothing(tmp_path: Path) -> None:
    status, shown = dialogue(tmp_path / ".env", ("Who calls, such as auth0 or okta (native: any other) [native]: ", "\x04"))
    assert (status, list(tmp_path.iterdir())) == (1, [])
    assert "Traceback" not in shown


def test_a_port_of_the_sandbox_can_be_chosen(tmp_path: Path) -> None:
    port = free_port()
    arguments = [sys.executable, "-m", "mitto_phone_hook.cli", "sandbox", "--port", str(port)]
    with (tmp_path / "out.txt").open("wb") as output:
        popen = subprocess.Popen(arguments, env=function_environment(), stdout=output)
    try:
        end = time.monotonic() + 20
        while f"fake Mitto listening on http://127.0.0.1:{port}" not in (tmp_path / "out.txt").read_text(encoding="utf-8"):
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        popen.terminate()
        assert popen.wait(20) == 0
