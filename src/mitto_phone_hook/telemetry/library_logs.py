"""What libraries log: that they did, and where, never what."""

import logging
import os

from mitto_phone_hook.telemetry.log_lines import LEVELS, Output, line_of_now, stack_of


class LibraryFormatter(logging.Formatter):
    """Says which library logged, and where in its code. Its message is left out: it may quote URLs, headers and bodies."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line of JSON."""
        severity = record.levelname if record.levelname in LEVELS else "ERROR"
        place = f"{os.path.basename(record.pathname)}:{record.lineno} {record.funcName}"  # noqa: PTH119 - no import of pathlib
        stack = stack_of(record.exc_info[1]) if record.exc_info and record.exc_info[1] else None
        values = {"severity": severity, "event": "library", "logger": record.name, "why": place, "stack_trace": stack}
        return line_of_now(values).rstrip("\n")


def take_over_library_logs(level: str, output: Output) -> None:
    """Send every library's warnings, or only its errors where ``level`` says so, through ``LibraryFormatter`` to ``output``.

    Call it when the server is running, because the server sets up its own handlers after it has imported the function.
    """
    logging.raiseExceptions = False  # its report of a line that it cannot write would quote the line
    handler = logging.StreamHandler(output)
    handler.setFormatter(LibraryFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(LEVELS[level], logging.WARNING))
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    # Nobody sees this list of URLs. Without a listener the server does not even build it.
    logging.getLogger("uvicorn.access").propagate = False
