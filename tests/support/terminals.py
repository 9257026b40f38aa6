"""The command in this process, and a stream that says that it is a terminal."""

import io
from collections.abc import Mapping

from mitto_phone_hook.cli.command import run


class TerminalStream(io.StringIO):
    encoding = "utf-8"

    def __init__(self, *, is_terminal: bool = True) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def in_process(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run it, and give its exit status and all that a pipe got."""
    stream = io.StringIO()
    return run(arguments, environment or {}, stream), stream.getvalue()
