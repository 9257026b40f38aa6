"""How many instructions one message costs: ``python -m benchmarks.instructions [--guard]``, counted by valgrind's callgrind.

A count says nothing about time, but other work on the machine does not change it. So it compares two versions with an
accuracy of 0.1 %. It counts the whole hook with a prepared response of Mitto, without HTTP server and network. It is the
difference between two runs, so start and warm-up are not included.

With ``--guard`` it counts the same behind uvicorn's HTTP protocol, without and with ``http_guard``, and gives the guard's share. The
framework between them is not included, so the share is an upper bound.
"""

import asyncio
import gc
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from benchmarks.costs import SECRET, body, whole, whole_hook
from benchmarks.running import RunError, inherited_environment, run_tool
from mitto_phone_hook.http_guard import guarded
from mitto_phone_hook.platforms import load_platform
from mitto_phone_hook.request import Call

FEW, MANY = 300, 800
_TIMEOUT_SECONDS = 300
_COLLECTED = re.compile(r"Collected *: *([0-9]+)")
_HEAD = f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: application/json\r\nContent-Length: "


async def handle(messages: int, platforms: list[str]) -> None:
    """Handle ``messages`` messages, with ``platforms`` configured. Without garbage collection: its moments differ in every run."""
    gc.disable()
    one = whole(**{f"HOOK_SECRETS_{name.upper()}": f"secret-of-{name}-in-the-benchmark" for name in platforms})
    for name in platforms:
        load_platform(name)
    for number in range(messages):
        await one(number)


class _Discarding(asyncio.Transport):
    """A connection whose caller reads everything at once and forgets it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Discard."""

    def is_closing(self) -> bool:
        """Stay open."""
        return False


async def serve(messages: int, protocol: Any) -> None:  # noqa: ANN401 - what uvicorn takes for its setting `http`
    """Handle ``messages`` messages that come as bytes over one kept connection."""
    gc.disable()
    hook = whole_hook()
    has_responded = asyncio.Event()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as in ASGI
        async def chunks() -> AsyncIterator[bytes]:
            yield (await receive())["body"]

        response = await hook.respond(Call(scope["method"], scope["path"], dict(scope["headers"]), chunks()))
        headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
        headers.append((b"content-length", b"%d" % len(response.body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        if response.status != HTTPStatus.OK:
            raise RunError(f"a message got {response.status}")
        has_responded.set()

    config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
    config.load()
    connection = protocol(config=config, server_state=ServerState(), app_state={})
    connection.connection_made(_Discarding())
    for number in range(messages):
        content = body(number)
        has_responded.clear()
        connection.data_received(f"{_HEAD}{len(content)}\r\n\r\n".encode() + content)
        await has_responded.wait()


RUNS: dict[str, Callable[[int, list[str]], Coroutine[Any, Any, None]]] = {
    "hook": handle,
    "plain": lambda messages, _: serve(messages, HttpToolsProtocol),
    "guarded": lambda messages, _: serve(messages, guarded(lambda _: None)),
}


def instructions(run: str, messages: int, *platforms: str) -> int:
    """Count the instructions of a process that handles ``messages`` messages as ``RUNS`` says. Raises ``RunError``."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        # Otherwise hash collisions in dictionaries and sets would differ in every run.
        environment = [f"{name}={value}" for name, value in inherited_environment().items()] + ["PYTHONHASHSEED=0"]
        command = ["env", "-i", *environment, "valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", f"--log-file={log}"]
        command += [sys.executable, "-m", "benchmarks.instructions", run, str(messages), *platforms]
        run_tool(command, timeout=_TIMEOUT_SECONDS)
        found = _COLLECTED.search(log.read_text())
        if found is None:
            raise RunError(f"valgrind counted nothing:\n{log.read_text()[-2000:]}")
        return int(found[1])


def per_message(run: str = "hook", *platforms: str) -> float:
    """Count the instructions of one message, with these platforms configured in addition. Raises ``RunError``."""
    # What Python compiles, it compiles in this run: the two that are compared must not differ in it.
    run_tool([sys.executable, "-m", "benchmarks.instructions", run, "1", *platforms], timeout=_TIMEOUT_SECONDS)
    return (instructions(run, MANY, *platforms) - instructions(run, FEW, *platforms)) / (MANY - FEW)


def main(arguments: list[str]) -> int:
    """Print the count. With the name of a run and a number: handle that many messages, for valgrind."""
    if arguments[:1] == ["--guard"]:
        plain, with_guard = per_message("plain"), per_message("guarded")
        sys.stdout.write(f"{plain:,.0f} instructions per message without the guard, {with_guard:,.0f} with it: ")
        sys.stdout.write(f"its share is {1 - plain / with_guard:.1%}\n")
    elif arguments:
        # The server's event loop: asyncio's own handles timers in Python, which would be counted, too.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop if arguments[0] == "hook" else uvloop.new_event_loop) as runner:
            runner.run(RUNS[arguments[0]](int(arguments[1]), arguments[2:]))
    else:
        sys.stdout.write(f"{per_message():,.0f} instructions per message\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
