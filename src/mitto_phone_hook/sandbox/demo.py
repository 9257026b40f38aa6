"""The whole way on one machine: the real function under functions-framework, the fake Mitto behind it.

``python -m mitto_phone_hook.sandbox.demo`` walks it once and says whether all went as it should;
``--stay`` leaves both running for calls of your own.
"""

import argparse
import asyncio
import contextlib
import io
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

import mitto_phone_hook
from mitto_phone_hook.sandbox.handset import draw
from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sandbox.server import FakeMitto

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
ENTRY_FILE = Path(mitto_phone_hook.__file__).parent.parent / "main.py"
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
"""The test event that Auth0 published with its Send Phone Message Hook, its code put into its text."""


class TourError(Exception):
    """Something is not as it should be; the sentence says what to do."""


async def walk(base: str, secret: str, messages: list[Message]) -> None:
    """Post the published payload, again, and with a wrong secret; show each answer and what the handset shows."""
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        _say("A phone message comes in, as Auth0's Send Phone Message Hook hands it over:")
        await _post(client, secret, expect=200)
        if len(messages) != 1:
            raise TourError("One SMS should have left and did not; run `make run` and read the function's log.")
        _show(draw(messages[0]))
        _say("The same call again, as callers repeat themselves:")
        if not (await _post(client, secret, expect=200)).get("duplicate"):
            raise TourError("The repeat should have been known as a duplicate; run `make run` and read the function's log.")
        _say("The same call with a wrong secret:")
        await _post(client, "not-the-secret-of-this-hook", expect=401)
    if len(messages) != 1:
        raise TourError("A second SMS left; it must not.")


async def _post(client: httpx.AsyncClient, secret: str, *, expect: int) -> dict[str, object]:
    started = time.perf_counter()
    response = await client.post("/", json=PAYLOAD, headers={"Authorization": f"Bearer {secret}"})
    _show(f"POST /  ->  {response.status_code} in {1000 * (time.perf_counter() - started):.0f} ms")
    _show(json.dumps(response.json(), indent=2))
    if response.status_code != expect:
        raise TourError(f"{expect} was expected; run `make run` and read the function's log.")
    answer: dict[str, object] = response.json()
    return answer


@contextlib.asynccontextmanager
async def running_function(port: int, environment: dict[str, str], *, is_quiet: bool) -> AsyncIterator[str]:
    """Run the function under functions-framework until the block ends; give its URL."""
    arguments = ["--source", str(ENTRY_FILE), "--target", "send_phone_message", "--host", HOST, "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "functions_framework",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL if is_quiet else None,
        process_group=0,  # Ctrl-C is ours to pass on, once
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
    raise TourError("The function did not start; see what it says above. A broken .venv is mended by `make clean`.")


def choose_port(wanted: str | None) -> int:
    """Give the wanted port, or any free one. Raises ``TourError`` when it is taken."""
    # Not one that the system gives away: it could be somebody else's by the time the function has started.
    candidates = [wanted] if wanted else random.sample(PORTS, 50)
    for candidate in candidates:
        with socket.socket() as probe, contextlib.suppress(OSError, ValueError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, int(candidate)))
            return int(candidate)
    raise TourError(f"Port {wanted} is taken or no port; choose another one, or leave PORT unset for any free one.")


def _environment(mitto: str, api_key: str, secret: str) -> dict[str, str]:
    own = {"MITTO_API_KEY": api_key, "MITTO_BASE_URL": mitto, "HOOK_SECRETS": secret, "ALLOWED_REGIONS": "*"}
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
    _say("Both are running; Ctrl-C ends them. Send a message from another terminal:")
    _show(_curl(base, secret))
    _say("What a check from outside says about it:")
    _show(_check(base, secret))
    _say(f"Some numbers bring faults, such as +12025550141 (401), +12025550150 (500) or +12025550160 (hangs); all are listed at {mitto}/")
    _say("Log lines of the function and messages on the handset, as they come:")
    await ended.wait()


async def _demo(*, is_staying: bool) -> None:
    api_key, secret = secrets.token_urlsafe(18), secrets.token_urlsafe(24)
    messages: list[Message] = []
    port = choose_port(os.environ.get("PORT") if is_staying else None)

    def arrived(message: Message) -> None:
        messages.append(message)
        if is_staying:
            _show(draw(message))

    async with FakeMitto(api_key=api_key, on_message=arrived) as mitto:
        _say(f"The fake Mitto listens on {mitto.url}")
        async with running_function(port, _environment(mitto.url, api_key, secret), is_quiet=not is_staying) as base:
            _say(f"The function listens on   {base}  (functions-framework)")
            if is_staying:
                await _stay(base, mitto.url, secret)
            else:
                await walk(base, secret, messages)
    _say("Both are stopped." if is_staying else "All as it should be; both are stopped. Next: `make run`, or README, Connect it for real.")


def main() -> int:
    """Run the demo; 0 when everything was as it should be."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character shows "?"
    parser = argparse.ArgumentParser(prog="python -m mitto_phone_hook.sandbox.demo", description=__doc__.split("\n\n")[0])
    parser.add_argument("--stay", action="store_true", help="leave both running (PORT chooses the function's port)")
    try:
        asyncio.run(_demo(is_staying=parser.parse_args().stay))
    except TourError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
