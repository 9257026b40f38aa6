"""The name under which this command works in the shell that started it."""

import shlex
import shutil
import sys
from pathlib import Path

_NAME = "mitto-phone-hook"


def program() -> str:
    """Give the command, with its path where the shell would not find it, as in a clone of the repository."""
    called = Path(sys.executable).with_name(_NAME)
    if shutil.which(_NAME) is not None or not called.exists():
        return _NAME
    here = Path.cwd()
    return shlex.quote(str(called.relative_to(here) if called.is_relative_to(here) else called))
