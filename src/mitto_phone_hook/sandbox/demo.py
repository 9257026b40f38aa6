"""Runs the real function, with the fake Mitto behind it, on this machine.

``mitto-phone-hook demo`` sends one message and checks the result. ``--stay`` leaves both running for your own calls, with an inbox in
the browser.
"""

import asyncio
import base64
import contextlib
import json
import os
import random
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import httpx

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.sandbox.handset import draw
from mitto_phone_hook.sandbox.inbox import Function, Inbox
from mitto_phone_hook.sandbox.program import program
from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sandbox.server import FakeMitto

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
START_SECONDS = 20
REPORT_SECONDS = 10
LINE_BYTES = 1024 * 1024
"""The longest line of the function's output that is read."""

PAYLOAD = {
    "recipient": "1-808-555-5555",
    "text": "Here is your one time password: 999111",
    "context": {
        "message_type": "sms",
        "action": "enrollment",
        "language": "en",
        "code": "999111",
        "ip": "127.0.0.1",
        "user_agent": "Mozilla/5.0",
        "client": {"client_id": "1235", "name": "Test Application", "client_metadata": {}},
        "user": {"user_id": "auth0|test12345", "name": "Billie Magnusson", "email": "billie@email.com"},
    },
}
"""The test event that Auth0 published for its Send Phone Message Hook, with the code in the text."""


_LIMITS = "recipient=60/hour; prefix=off; ip=off; region=off; total=off"
"""Somebody who tries things out calls the same number again and again."""


class DemoError(Exception):
    """Something failed. The text says what to do."""


async def run_once(base: str, secret: str, messages: list[Message], report: asyncio.Future[dict[str, object]]) -> None:
    """Post the payload, then again, then with a wrong secret. Shows each response, the SMS on the handset, and its delivery ``report``."""
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        _say("A phone message arrives, in the form of Auth0's Send Phone Message Hook:")
        await _post(client, secret, expect=200)
        if len(messages) != 1:
            raise DemoError("No SMS was sent; run it with --stay and read the function's log.")
        _show(draw(messages[0]))
        _say("The same call again, because platforms repeat calls:")
        if not (await _post(client, secret, expect=200)).get("duplicate"):
            raise DemoError("The repeated call was not recognised as a duplicate; run it with --stay and read the function's log.")
        _say("The same call with a wrong secret:")
        await _post(client, "not-the-secret-of-this-hook", expect=401)
    if len(messages) != 1:
        raise DemoError("A second SMS was sent. This is a bug: please report it.")
    _say("Mitto sends a delivery report, and the function logs it:")
    try:
        async with asyncio.timeout(REPORT_SECONDS):
            line = await report
    except TimeoutError:
        raise DemoError("No delivery report was logged; run `make run` and read the function's log.") from None
    _show(json.dumps(line))
    _say(f"On the handset after {line['after_seconds']} s.")


async def _post(client: httpx.AsyncClient, secret: str, *, expect: int) -> dict[str, object]:
    started = time.perf_counter()
    response = await client.post("/", json=PAYLOAD, headers={"Authorization": f"Bearer {secret}"})
    _show(f"POST /  ->  {response.status_code} in {1000 * (time.perf_counter() - started):.0f} ms")
    _show(json.dumps(response.json(), indent=2))
    if response.status_code != expect:
        raise DemoError(f"The function should respond with {expect}; run it with --stay and read the function's log.")
    fields: dict[str, object] = response.json()
    return fields


@contextlib.asynccontextmanager
async def running_function(port: int, environment: dict[str, str], on_line: Callable[[str], object] = lambda _: None) -> AsyncIterator[str]:
    """Run the function until the block ends. Yields its URL. ``on_line`` gets each line of its output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mitto_phone_hook.cli",
        *("run", "--host", HOST, "--port", str(port)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        process_group=0,  # so that Ctrl-C reaches only us; we end it ourselves
    )
    reading = asyncio.create_task(_read(process, on_line))
    try:
        base = f"http://{HOST}:{port}"
        await _until_healthy(base, process)
        yield base
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await reading


async def _read(process: asyncio.subprocess.Process, on_line: Callable[[str], object]) -> None:
    if process.stdout is None:
        return
    async for line in process.stdout:
        on_line(line.decode(errors="replace").rstrip("\n"))


async def _until_healthy(base: str, process: asyncio.subprocess.Process) -> None:
    end = time.monotonic() + START_SECONDS
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        while time.monotonic() < end and process.returncode is None:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/health")).is_success:
                    return
            await asyncio.sleep(0.05)
    raise DemoError("The function did not start; see its output above. Is the installation complete?")


def choose_port(wanted: str | None) -> int:
    """Return the wanted port, or any free one. Raises ``DemoError`` when the wanted port is not available."""
    # Not a port of the system's own range: another process could get it before the function starts.
    candidates = [wanted] if wanted else random.sample(PORTS, 50)
    for candidate in candidates:
        with socket.socket() as probe, contextlib.suppress(OSError, ValueError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, int(candidate)))
            return int(candidate)
    raise DemoError(f"Port {wanted} is taken or not a port; choose another one, or unset PORT to use any free one.")


def function_environment(mitto: str, api_key: str, secret: str, **settings: str) -> dict[str, str]:
    """Give the environment of a function that sends through the fake Mitto, and nothing else that is set here."""
    own = {"MITTO_API_KEY": api_key, "MITTO_BASE_URL": mitto, "HOOK_SECRETS": secret, "ALLOWED_REGIONS": "*"} | settings
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV")}
    return inherited | own


def _reporting(port: int) -> dict[str, str]:
    """Give the settings with which Mitto sends its delivery reports to the function on this port."""
    return {"REPORT_SECRETS": secrets.token_urlsafe(24), "PUBLIC_URL": f"http://{HOST}:{port}"}


def _curl(base: str, secret: str) -> str:
    payload = {"recipient": "+12025550110", "text": "Your code is 314159", "context": {"code": "314159"}}
    return f"""curl {base}/ -H 'Authorization: Bearer {secret}' \\
     -H 'Content-Type: application/json' \\
     -d '{json.dumps(payload)}'"""


def _check(base: str, secret: str) -> str:
    program = os.path.relpath(Path(sys.executable).with_name("mitto-phone-hook"))
    return f"HOOK_SECRETS='{secret}' {program} check --url {base}"


def _say(sentence: str) -> None:
    print(f"\n{sentence}", flush=True)


def _show(text: str) -> None:
    print("\n".join(f"    {line}" for line in text.splitlines()), flush=True)


async def _demo() -> None:
    api_key, secret = secrets.token_urlsafe(18), secrets.token_urlsafe(24)
    messages: list[Message] = []
    port = choose_port(None)
    report: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    def on_line(text: str) -> None:
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if line["event"] == "delivered" and not report.done():
                report.set_result(line)

    async with FakeMitto(api_key=api_key, on_message=messages.append) as mitto:
        _say(f"The fake Mitto listens on {mitto.url}")
        async with running_function(port, function_environment(mitto.url, api_key, secret, **_reporting(port)), on_line) as base:
            _say(f"The function listens on   {base}")
            await run_once(base, secret, messages, report)
    _say(f"Everything works; both are stopped. Next: `{program()} demo --stay` keeps them, `{program()} init` writes your settings.")


class Running(NamedTuple):
    """What ``running_inbox`` runs."""

    inbox: Inbox
    mitto: FakeMitto
    function: str
    """Its URL."""
    secret: str
    """The function's secret of the kind that callers send."""


@contextlib.asynccontextmanager
async def running_inbox(
    *, port: str | None = None, show: Callable[[str], object] = lambda _: None, **settings: str
) -> AsyncIterator[Running]:
    """Run the function, the fake Mitto behind it and the page until the block ends. ``show`` gets each log line and each SMS.

    ``port`` is the function's; None: any free one. ``settings`` are more of the function's own. Raises ``DemoError``.
    """
    api_key, secret, key = secrets.token_urlsafe(18), secrets.token_urlsafe(24), secrets.token_bytes(32)
    function_port = choose_port(port)
    both = f"{secret} whsec_{base64.b64encode(key).decode()}"
    settings = {"HOOK_SECRETS": both, "LIMITS": _LIMITS, **_reporting(function_port), **settings}
    function = Function(f"http://{HOST}:{function_port}", HookSecrets((secret.encode(),), (key,)))

    def on_message(message: Message) -> None:
        show(draw(message))
        inbox.journeys.sent(message)

    def on_line(line: str) -> None:
        show(line)
        inbox.log_line(line)

    async with FakeMitto(api_key=api_key, on_message=on_message) as mitto:
        inbox = Inbox(mitto, function)
        environment = function_environment(mitto.url, api_key, secret, **settings)
        async with running_function(function_port, environment, on_line) as base, inbox:
            yield Running(inbox, mitto, base, secret)


async def _stay() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with running_inbox(port=os.environ.get("PORT"), show=_show) as running:
        _say(f"Open the inbox in a browser:  {running.inbox.url}")
        _say(f"The function listens on {running.function}, the fake Mitto on {running.mitto.url}; Ctrl-C stops both.")
        _say("Send a message from another terminal:")
        _show(_curl(running.function, running.secret))
        _say("Check the function from outside:")
        _show(_check(running.function, running.secret))
        _say(
            "Some recipients cause faults, such as +12025550141 (401), +12025550150 (500) or +12025550160 (hangs). "
            f"All of them: {running.mitto.url}/"
        )
        _say("The function's log lines and the messages on the handset, as they come:")
        await ended.wait()
    _say("Both are stopped.")


def run(*, is_staying: bool) -> int:
    """Run the demo. Returns the exit status: 0 if everything works, else 1."""
    try:
        asyncio.run(_stay() if is_staying else _demo())
    except DemoError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 1
    return 0
