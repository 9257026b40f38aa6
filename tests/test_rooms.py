"""The house itself: who reads the environment, what a room says of itself, who imports whom among the tests."""

import ast
from pathlib import Path

import pytest

from support.processes import ROOT

SOURCE = ROOT / "src" / "mitto_phone_hook"
ROOMS = sorted(path for path in SOURCE.iterdir() if (path / "__init__.py").exists())
MAY_READ_THE_ENVIRONMENT = {"function.py", "cli/__init__.py", "cli/command.py", "cli/run.py", "sandbox/demo.py", "sandbox/__main__.py"}


def reads_environment(path: Path) -> bool:
    names = {node.attr for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)}
    return bool(names & {"environ", "getenv"})


def test_only_the_function_and_the_commands_read_the_environment() -> None:
    readers = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if reads_environment(path)}
    assert "function.py" in readers
    assert readers <= MAY_READ_THE_ENVIRONMENT


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_a_room_says_first_what_lives_there(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert said
    assert said.splitlines()[0].endswith(".")


def test_no_test_imports_another_test() -> None:
    tests = ROOT / "tests"
    rooms = {path.name for path in tests.iterdir() if path.is_dir() and path.name != "support"}
    for path in tests.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = node.module if isinstance(node, ast.ImportFrom) and node.module else ""
            assert module.split(".")[0] not in rooms, path
            assert not module.split(".")[-1].startswith("test_"), path
