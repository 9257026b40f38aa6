"""``mitto-phone-hook completion``, in a real bash."""

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from mitto_phone_hook.cli.command import COMMANDS, parser_of, run
from mitto_phone_hook.cli.completion import SHELLS
from mitto_phone_hook.platforms import NAMES
from support.processes import function_environment


def printed(shell: str) -> str:
    stream = io.StringIO()
    assert run(["completion", shell], {}, stream) == 0
    return stream.getvalue()


def completed(folder: Path, *words: str) -> list[str]:
    """Give what bash offers for the last word."""
    (folder / "completion").write_text(printed("bash"), encoding="utf-8")
    script = (
        "source ./completion; complete -p mitto-phone-hook >/dev/null; "
        'COMP_WORDS=(mitto-phone-hook "$@"); COMP_CWORD=$#; _mitto_phone_hook; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = [shutil.which("bash") or "bash", "--norc", "-uc", script, "bash", *words]
    done = subprocess.run(command, cwd=folder, env=function_environment(), capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.split()


def test_bash_offers_all_commands(tmp_path: Path) -> None:
    assert completed(tmp_path, "") == list(COMMANDS)
    assert completed(tmp_path, "si") == ["simulate"]


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_offers_each_option_that_the_help_names(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser_of(command).parse_args([command, "--help"])
    offered = completed(tmp_path, command, "--")
    help_text = capsys.readouterr().out
    assert "--help" in offered
    assert all(option in help_text for option in offered)


def test_bash_offers_values_where_they_are_few(tmp_path: Path) -> None:
    assert set(completed(tmp_path, "simulate", "")) > set(NAMES)
    assert completed(tmp_path, "simulate", "okta", "--case", "re") == ["repeat", "resend", "refused-number"]
    assert completed(tmp_path, "completion", "z") == ["zsh"]


def test_bash_offers_files_where_a_file_is_wanted(tmp_path: Path) -> None:
    assert completed(tmp_path, "run", "--env", "") == []
    assert "complete -o default" in printed("bash")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_every_command(shell: str) -> None:
    text = printed(shell)
    assert all(command in text for command in COMMANDS)
    assert text.startswith(
        {"bash": "_mitto_phone_hook()", "zsh": "autoload -U +X bashcompinit", "fish": "complete -c mitto-phone-hook"}[shell]
    )
