"""Where a log comes from: a file, a file that grows, or standard input. Pieces of bytes, each as soon as it is there."""

import argparse
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

STANDARD_INPUT = "-"
_PIECE_BYTES = 64 * 1024
_WAIT_SECONDS = 0.2


def add_log_argument(parser: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    """Add the argument that names the log."""
    parser.add_argument("log", type=_log, nargs="?", default=STANDARD_INPUT, metavar="FILE", help="log file; - or none: standard input")


def pieces(log: str) -> Iterator[bytes]:
    """Read a log to its end."""
    if log == STANDARD_INPUT:
        while piece := os.read(sys.stdin.fileno(), _PIECE_BYTES):
            yield piece
        return
    with Path(log).open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def growing_pieces(log: str, wait: Callable[[], None] = lambda: time.sleep(_WAIT_SECONDS)) -> Iterator[tuple[bytes, bool]]:
    """Read a log, and go on with what is added. With each piece: whether it was added while this ran. A file that is replaced is read anew.

    Standard input and pipes end when their writer does. ``wait`` is called whenever there is nothing to read.
    """
    if log == STANDARD_INPUT or not stat.S_ISREG(Path(log).stat().st_mode):
        for piece in pieces(log):
            yield piece, True
        return
    file: BinaryIO = Path(log).open("rb", buffering=0)  # noqa: SIM115 - another file may take its place
    old_bytes = os.fstat(file.fileno()).st_size
    try:
        while True:
            if piece := file.read(min(old_bytes, _PIECE_BYTES) or _PIECE_BYTES):
                yield piece, not old_bytes
                old_bytes -= min(old_bytes, len(piece))
                continue
            old_bytes = 0
            wait()
            if _is_replaced(log, file):
                file.close()
                # A last line without its end must not run into the new file's first.
                yield b"\n", True
                file = Path(log).open("rb", buffering=0)  # noqa: SIM115
    finally:
        file.close()


def _is_replaced(log: str, file: BinaryIO) -> bool:
    """Whether the name belongs to another file now, or the file was cut. While there is none, the old one counts."""
    try:
        now = Path(log).stat()
    except FileNotFoundError:
        return False
    return not os.path.samestat(now, os.fstat(file.fileno())) or now.st_size < file.tell()


def _log(text: str) -> str:
    if text == STANDARD_INPUT:
        if sys.stdin.isatty():
            raise argparse.ArgumentTypeError("name a log file, or send a log to standard input")
        return text
    try:
        with Path(text).open("rb"):
            return text
    except (OSError, ValueError):
        raise argparse.ArgumentTypeError("cannot be read") from None
