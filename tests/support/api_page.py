"""The routes in ``docs/api.md``: for each one a curl command and the call of the page's Python client."""

import json
import re
import subprocess
import sys
from itertools import starmap
from pathlib import Path
from typing import Any

from mitto_phone_hook.callers import all_callers, platform_of
from mitto_phone_hook.routes import CONVERSIONS, HEALTH_PATH, ROUTES
from support import openapi
from support.processes import ROOT

PAGE = ROOT / "docs" / "api.md"

_BETWEEN_MARKS = re.compile(r"(<!-- routes -->\n).*(<!-- /routes -->)", re.DOTALL)


def page() -> str:
    """Give the page with its routes as they should be."""
    sections = [_health(), _conversions(), *starmap(_section, _examples())]
    text = "\n".join(sections)
    return _BETWEEN_MARKS.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", PAGE.read_text(encoding="utf-8"))


def _examples() -> list[tuple[str, str]]:
    """List path and caller, one caller for each path: ``/`` serves what ``/hooks/auth0`` serves."""
    first = {platform_of(name): name for name in reversed(list(all_callers()))}
    return [(path, first[route.secrets or "native"]) for path, route in ROUTES.items() if route.platform]


def _section(path: str, caller: str) -> str:
    payload = openapi.example_of(caller)
    title = all_callers()[caller].title if path != "/" else "Any caller, with the secrets for all platforms"
    return f"### `POST {path}`\n\n{title}.\n\n{_curl(path, payload)}\n{_python(path, payload)}"


def _curl(path: str, payload: Any) -> str:
    body = json.dumps(payload, ensure_ascii=False, indent=2)
    headers = '-H "Authorization: Bearer $HOOK_SECRET" -H "Content-Type: application/json"'
    return f"```sh\ncurl -i \"$HOOK_URL{path}\" {headers} -d '{body}'\n```\n"


def _python(path: str, payload: Any) -> str:
    """Give the call as ``ruff format`` leaves it, which also formats the documents."""
    ruff = [str(Path(sys.executable).parent / "ruff"), "format", "--stdin-filename", "call.py", "-"]
    code = f'reply = call("{path}", {payload!r})\n'
    formatted = subprocess.run(ruff, input=code, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return f"```python\n{formatted}```\n"


def _health() -> str:
    return (
        f"### `GET {HEALTH_PATH}`\n\nFor load balancers; it needs no secret and writes no log line.\n\n"
        f'```sh\ncurl -i "$HOOK_URL{HEALTH_PATH}"\n```\n\n```python\nreply = call("{HEALTH_PATH}")\n```\n'
    )


def _conversions() -> str:
    path, payload = CONVERSIONS.path, {"recipient": openapi.NUMBER}
    about = "A user has entered the code; see [conversions](conversions.md). With the secrets of `/hooks/native`."
    return f"### `POST {path}`\n\n{about}\n\n{_curl(path, payload)}\n{_python(path, payload)}"
