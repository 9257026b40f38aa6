"""The commonest mistakes, each one made, with what is seen then; and the page about them."""

import base64
import io
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from mitto_phone_hook.cli.command import run
from support.processes import API_KEY, BEARER, ROOT, fake_mitto, function_environment
from support.stage import AUTHORIZED, CODE, SECRET, SIGNING_KEY, Stage, body, signed
from support.upstream import closed_port

PAGE = ROOT / "docs" / "mistakes.md"
_KEY = f"whsec_{base64.b64encode(SIGNING_KEY).decode()}"
_JSON = {b"content-type": b"application/json"}
_FORM = {b"content-type": b"application/x-www-form-urlencoded"}
_FINDING = re.compile(r"^  [✗!] (?P<topic>.{16,}?) (?P<text>\S.*?(?:\n {21}[^→ ].*)*)\n {21}→ (?P<step>.*(?:\n {23}.*)*)", re.MULTILINE)
_PROBLEM = re.compile(r"^  ✗ (?P<topic>[A-Z_]+) +(?P<text>.*)", re.MULTILINE)
_START = "the start, and `check`"


class Seen(NamedTuple):
    """What somebody sees who has made a mistake."""

    where: str
    what: str
    to_do: str


Make = Callable[[int], list[Seen]]
"""Makes the mistake; it takes the port of a fake Mitto."""


class Mistake(NamedTuple):
    """One mistake, in the words of who made it."""

    name: str
    make: Make
    proof: str
    """What must be in what is seen."""


def _command(*arguments: str, **environment: str) -> str:
    stream = io.StringIO()
    run(arguments, environment, stream)
    return stream.getvalue()


def _process(arguments: list[str], code: str = "", **settings: str) -> str:
    program = ["-c", f"{code}; from mitto_phone_hook.cli import main; sys.exit(main())"] if code else ["-m", "mitto_phone_hook.cli"]
    environment = function_environment(**settings)
    done = subprocess.run([sys.executable, *program, *arguments], env=environment, capture_output=True, text=True, timeout=40, check=False)
    return done.stdout + done.stderr


def _setting(**changes: str) -> Make:
    """Start with a wrong setting."""

    def make(_: int) -> list[Seen]:
        shown = _command("check", **({"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER, "ALLOWED_REGIONS": "CH"} | changes))
        return [Seen(_START, f"`{found['topic']}`", found["text"]) for found in _PROBLEM.finditer(shown)]

    return make


def _warning(topic: str, *arguments: str, where: str = "`check`", **changes: str) -> Make:
    """Run a command whose findings have this topic."""

    def make(port: int) -> list[Seen]:
        base = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER, "ALLOWED_REGIONS": "US", "MITTO_BASE_URL": f"http://127.0.0.1:{port}"}
        words = [word.replace("FAKE", f"127.0.0.1:{port}") for word in arguments or ("check",)]
        shown = _command(*words, **(base | changes))
        return [
            Seen(where, f"{found['topic'].strip()}: {_flat(found['text'])}", _flat(found["step"]))
            for found in _FINDING.finditer(shown)
            if found["topic"].strip() == topic
        ]

    return make


def _usage(*arguments: str, file: str = "") -> Make:
    """Use a command wrongly."""

    def make(_: int) -> list[Seen]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "settings.env"
            path.write_text(file, encoding="utf-8")
            said = _process([word.replace("FILE", str(path)) for word in arguments]).splitlines()[-1]
        option, rule = said.partition("argument ")[2].split(": ", 1)
        return [Seen("the command", f"`{option}`", rule)]

    return make


def _called(
    content: bytes | None = None,
    headers: dict[bytes, bytes] | None = None,
    *,
    method: str = "POST",
    path: str = "/hooks/native",
    mitto: Any = None,
    **settings: str,
) -> Make:
    """Call the function, and read its response and its log."""

    def make(_: int) -> list[Seen]:
        stage = Stage(mitto, **settings)
        given = {**AUTHORIZED, **_JSON} if headers is None else headers
        response = stage.call(body() if content is None else content, given, method, path)
        error, [line] = json.loads(response.body).get("error", {}), stage.lines
        why = f', `"why":"{line["why"]}"`' if line.get("why") else ""
        said = [Seen("the response", f"{response.status} `{error['code']}`", error["message"])] if error else []
        return [*said, Seen("the log", f'`"event":"{line["event"]}"`{why}', str(line.get("hint") or ""))]

    return make


def _late(_: int) -> list[Seen]:
    content, now = body(), time.time()
    return _called(content, signed(content, "msg_1", now - 600), HOOK_SECRETS=_KEY)(0)


def _port_in_use(_: int) -> list[Seen]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        what, step = _process(["run", "--port", port]).strip().replace(port, "8080").split("; ", 1)
    return [Seen("the start", what, step)]


def _no_package(_: int) -> list[Seen]:
    code = "import sys; sys.modules['redis'] = None"
    what, step = _process(["run"], code, STORE_URL="redis://127.0.0.1").strip().splitlines()[-1].strip().split(": ", 1)
    return [Seen("the start", what, step)]


def _mitto_says(status: int, **fields: object) -> Any:
    return lambda _: httpx.Response(status, json=fields)


MISTAKES = (
    Mistake("No settings at all", _setting(MITTO_API_KEY="", HOOK_SECRETS=""), "is required"),
    Mistake("The API key in quotation marks", _setting(MITTO_API_KEY=f"'{API_KEY}'"), "quotation marks"),
    Mistake("The API key with a line break", _setting(MITTO_API_KEY=f"{API_KEY}\n"), "line break"),
    Mistake("A hook secret in quotation marks", _setting(HOOK_SECRETS=f'"{BEARER}" {_KEY}'), "quotation marks"),
    Mistake("A hook secret that is too short", _setting(HOOK_SECRETS="secret"), "at least 24"),
    Mistake("A signing key that was cut off", _setting(HOOK_SECRETS=_KEY[:20]), "in full"),
    Mistake("A comma between two hook secrets", _setting(HOOK_SECRETS=f"{BEARER},{_KEY}"), "comma"),
    Mistake("Secrets for a platform whose name is misspelt", _setting(HOOK_SECRETS_OCTA=BEARER), "HOOK_SECRETS_OKTA"),
    Mistake("A region misspelt", _setting(ALLOWED_REGIONS="CH,DEU"), "entry 2"),
    Mistake("UK for the United Kingdom", _setting(ALLOWED_REGIONS="CH,UK"), "GB, not UK"),
    Mistake("A sender ID of two letters", _setting(MITTO_SENDER_ID="AB"), "3 to 11"),
    Mistake("Mitto's address with HTTP instead of HTTPS", _setting(MITTO_BASE_URL="http://rest.mittoapi.com"), "https://"),
    Mistake("A setting whose name is misspelt", _warning("MITTO_SENDERID", MITTO_SENDERID="Acme"), "MITTO_SENDER_ID"),
    Mistake("A file of settings written for a shell", _usage("run", "--env", "FILE", file="export A=1\n"), "export"),
    Mistake("A file of settings that is not there", _usage("run", "--env", "nowhere.env"), "mitto-phone-hook init"),
    Mistake("A port that is in use", _port_in_use, "--port"),
    Mistake("`STORE_URL` without the package", _no_package, "pip install redis"),
    Mistake("Several workers, and everything in memory", _warning("memory", WORKERS="4"), "STORE_URL"),
    Mistake("Test mode, left on", _warning("test mode", MITTO_TEST="true"), "MITTO_TEST=false"),
    Mistake("A form, declared as JSON", _called(b"to=%2B12025550110&text=Hello"), "not_json"),
    Mistake("JSON, declared as a form (curl without `-H`)", _called(headers={**AUTHORIZED, **_FORM}), "application/json"),
    Mistake("GET instead of POST", _called(b"", method="GET"), "POST"),
    Mistake("A path that does not exist", _called(path="/hook/okta"), "/hooks/"),
    Mistake("A form with parts", _called(headers={**AUTHORIZED, b"content-type": b"multipart/form-data; boundary=x"}), "URL-encoded"),
    Mistake(
        "The text is missing", _called(json.dumps({"recipient": "+12025550110", "code": CODE, "context": {}}).encode()), "Fields: text"
    ),
    Mistake("A number without its country code", _called(json.dumps({"to": "0791234567", "text": "Hello"}).encode()), "DEFAULT_REGION"),
    Mistake("A country that is not allowed", _called(ALLOWED_REGIONS="CH"), "ALLOWED_REGIONS"),
    Mistake("No secret", _called(headers=_JSON), "no_credentials"),
    Mistake("A wrong secret", _called(headers={b"authorization": b"Bearer another-secret-of-the-tests", **_JSON}), "wrong_secret"),
    Mistake("A secret of another route", _called(HOOK_SECRETS_NATIVE=f"{SECRET}-2"), "HOOK_SECRETS_<PLATFORM>"),
    Mistake("A signing key, sent as a bearer secret", _called(headers={b"authorization": f"Bearer {_KEY}".encode(), **_JSON}), "--bearer"),
    Mistake("A clock that is off by ten minutes", _late, "clock_or_replay"),
    Mistake("Mitto refuses the API key", _called(mitto=_mitto_says(401)), "MITTO_API_KEY"),
    Mistake("The same, before the start", _warning("API key", "key", where="`key`, and `check`", MITTO_API_KEY="another"), "401"),
    Mistake("An egress address that Mitto does not know", _called(mitto=_mitto_says(403)), "egress IP"),
    Mistake(
        "The same, before the start",
        _warning("API key", "key", "--recipient", "+12025550143", where="`key`, and `check`"),
        "egress IP",
    ),
    Mistake("A sender ID that is not registered", _called(mitto=_mitto_says(200, responseCode=5)), "SENDER_IDS"),
    Mistake("Mitto cannot be reached", _called(mitto=lambda _: (_ for _ in ()).throw(httpx.ConnectError("no"))), "egress rules"),
    Mistake("The function's address with HTTP", _usage("check", "--url", "http://hook.example.com"), "https://"),
    Mistake(
        "HTTPS towards a port without TLS", _warning("health", "check", "--url", "https://FAKE/", where="`check --url`"), "does not use TLS"
    ),
    Mistake(
        "The function is not running",
        _warning("ok", "simulate", "native", "--url", f"http://127.0.0.1:{closed_port()}", where="`simulate`"),
        "cannot connect",
    ),
)
"""The commonest first, by where they are made: settings, start, calls, secrets, Mitto, network."""


def seen() -> Iterator[tuple[Mistake, list[Seen]]]:
    """Make every mistake."""
    with tempfile.TemporaryDirectory() as folder, fake_mitto(Path(folder) / "mitto.txt") as mitto:
        for mistake in MISTAKES:
            yield mistake, mistake.make(mitto.port)


def page(made: list[tuple[Mistake, list[Seen]]]) -> str:
    """Give the whole page."""
    rows = "".join(
        f"| {mistake.name if first else ''} | {one.where} | {_cell(one.what)} | {_cell(one.to_do)} |\n"
        for mistake, all_seen in made
        for first, one in zip([True, *[False] * len(all_seen)], all_seen, strict=False)
    )
    return (
        "# Common mistakes\n\n"
        "Find the mistake, or search this page for the words that you see. `make docs` makes every mistake of this table, and writes\n"
        "down what is seen. No message repeats a secret, a number or a text. The response to a wrong secret does not say what is\n"
        "wrong with it, because anybody could read it. The log says it.\n\n"
        "| Mistake | Where | What you see | What to do now |\n|---|---|---|---|\n"
        f"{rows}"
    )


def _cell(text: str) -> str:
    return _flat(text).replace("|", "\\|").replace("<", "&lt;")


def _flat(text: str) -> str:
    return " ".join(text.split())
