"""What libraries log: that they did, and where, never what."""

import logging
import os

from mitto_phone_hook.telemetry.log_lines import LEVELS, Output, as_line, stack_of


class LibraryFormatter(logging.Formatter):
    """Says that a library logged something, and where; never what, since its sentences quote URLs, headers and bodies."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line of JSON."""
        severity = record.levelname if record.levelname in LEVELS else "ERROR"
        place = f"{os.path.basename(record.pathname)}:{record.lineno} {record.funcName}"  # noqa: PTH119 - pathlib would have to be imported
        error = record.exc_info[1] if record.exc_info else None
        values = {"severity": severity, "event": "library", "logger": record.name, "why": place}
        return as_line(values | ({"stack_trace": stack_of(error)} if error else {})).rstrip("\n")


def take_over_library_logs(level: str, output: Output) -> None:
    """Send every library's warnings, or only its errors where ``level`` says so, through ``LibraryFormatter`` to ``output``.

    To be called when the server runs: it sets up handlers of its own after the function was imported.
    """
    logging.raiseExceptions = False  # its complaint about a line that it cannot write quotes the line
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
    # A list of URLs that nobody sees: where nobody listens, the server does not even put it together.
    logging.getLogger("uvicorn.access").propagate = False
