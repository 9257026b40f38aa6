"""Runs the real function, with the fake Mitto behind it, on this machine.

``mitto-phone-hook demo`` sends one message and checks the result. ``--stay`` leaves both running for your own calls.
"""

import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from mitto_phone_hook.sandbox.handset import draw
from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sandbox.server import FakeMitto

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
START_SECONDS = 20

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


class DemoError(Exception):
    """Something failed. The text says what to do."""


async def run_once(base: str, secret: str, messages: list[Message]) -> None:
    """Post the payload, then again, then with a wrong secret. Shows each response and the SMS on the handset."""
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
async def running_function(port: int, environment: dict[str, str], *, is_quiet: bool) -> AsyncIterator[str]:
    """Run the function until the block ends. Yields its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mitto_phone_hook.cli",
        *("run", "--host", HOST, "--port", str(port)),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL if is_quiet else None,
        process_group=0,  # so that Ctrl-C reaches only us; we end it ourselves
    )
    try:
        base = f"http://{HOST}:{port}"
        await _until_healthy(base, process)
        yield base
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


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


async def _stay(base: str, mitto: str, secret: str) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    _say("Both are running; Ctrl-C stops them. Send a message from another terminal:")
    _show(_curl(base, secret))
    _say("Check the function from outside:")
    _show(_check(base, secret))
    _say(f"Some recipients cause faults, such as +12025550141 (401), +12025550150 (500) or +12025550160 (hangs). All of them: {mitto}/")
    _say("The function's log lines and the messages on the handset, as they come:")
    await ended.wait()


async def _demo(*, is_staying: bool) -> None:
    api_key, secret = secrets.token_urlsafe(18), secrets.token_urlsafe(24)
    messages: list[Message] = []
    port = choose_port(os.environ.get("PORT") if is_staying else None)

    def on_message(message: Message) -> None:
        messages.append(message)
        if is_staying:
            _show(draw(message))

    async with FakeMitto(api_key=api_key, on_message=on_message) as mitto:
        _say(f"The fake Mitto listens on {mitto.url}")
        async with running_function(port, function_environment(mitto.url, api_key, secret), is_quiet=not is_staying) as base:
            _say(f"The function listens on   {base}")
            if is_staying:
                await _stay(base, mitto.url, secret)
            else:
                await run_once(base, secret, messages)
    _say(
        "Both are stopped."
        if is_staying
        else "Everything works; both are stopped. Next: --stay leaves them running; `mitto-phone-hook init` prepares your own."
    )


def run(*, is_staying: bool) -> int:
    """Run the demo. Returns the exit status: 0 if everything works, else 1."""
    try:
        asyncio.run(_demo(is_staying=is_staying))
    except DemoError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 1
    return 0
