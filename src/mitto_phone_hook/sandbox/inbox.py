"""The inbox in a browser: a handset, the way of each message, a form for own calls, and switches for faults. For this machine only.

Everything is in memory and ends with the process. The browser never gets a secret of the function: it names a platform, and this
server makes the call.
"""

import asyncio
import contextlib
import hmac
import json
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mitto_phone_hook.callers import Case, MissingSecret, NoSuchCase, all_callers, build_call
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.platforms import _contract
from mitto_phone_hook.sandbox.journeys import Journeys
from mitto_phone_hook.sandbox.reports import PLANS
from mitto_phone_hook.sandbox.server import FakeMitto

HOST = "127.0.0.1"
FILES = Path(__file__).with_name("web")

CASES: Mapping[Case, str] = {
    Case.OK: "A normal call",
    Case.REPEAT: "The same call twice",
    Case.FORGED: "A wrong secret",
    Case.STALE: "An old signature",
    Case.VOICE: "A voice call",
    Case.REFUSED_NUMBER: "A number that cannot exist",
    Case.OTHER_EVENT: "Another event",
}
"""What the form offers."""

MOODS: Mapping[str, tuple[str, str | None]] = {
    "fine": ("Works", None),
    "slow": ("Slow", "slow:2.5"),
    "down": ("Down", "503"),
    "rejects": ("Rejects", "code_4"),
    "silent": ("Silent", "hang"),
}
"""How Mitto behaves: its label, and the fault of the fake."""

REPORTS: Mapping[str, str] = {
    "delivered": "Delivered",
    "undelivered": "Undelivered",
    "expired": "Expired",
    "never": "Never",
    "twice": "Twice",
    "out_of_order": "Out of order",
    "early": "Early",
}
"""What the handset reports: a plan of the fake, and its label."""

_BODY_BYTES = 4096
_QUEUE = 1000
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_CODE = re.compile(r"[0-9]{4,10}")
_MEDIA = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Function(NamedTuple):
    """The function under test: its URL, and the secrets that it knows."""

    url: str
    secrets: HookSecrets


class Inbox:
    """The page's server, as an asynchronous context manager. ``journeys`` is what it shows."""

    def __init__(self, mitto: FakeMitto, function: Function) -> None:
        """Show what the fake Mitto gets, and call the function."""
        self.journeys = Journeys(self._publish)
        self._mitto, self._function = mitto, function
        self._mood, self._report = "fine", "delivered"
        self._token = secrets.token_urlsafe(24)
        self._readers: set[asyncio.Queue[bytes]] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._socket = socket.create_server((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        routes = [
            Route("/", self._page),
            Route("/events", self._events),
            Route("/calls", self._call, methods=["POST"]),
            Route("/mitto", self._set, methods=["POST"]),
            Route("/clear", self._clear, methods=["POST"]),
            *(Route(f"/{file.name}", _file(file)) for file in sorted(FILES.iterdir()) if file.suffix != ".html"),
        ]
        guarded = Guard(Starlette(routes=routes), self._token, self.port)
        config = uvicorn.Config(
            guarded, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=1
        )
        self._server = _Server(config)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/"

    async def __aenter__(self) -> Self:
        """Serve."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop serving. Calls that still run are dropped."""
        for task in self._calls:
            task.cancel()
        for queue in self._readers:
            queue.put_nowait(b"")
        self._server.should_exit = True
        await self._serving
        self._socket.close()

    def log_line(self, text: str) -> None:
        """Take a line of the function's output. What is no line of the log changes nothing."""
        with contextlib.suppress(ValueError):
            if isinstance(line := json.loads(text), dict):
                self.journeys.logged(line)

    def _publish(self, kind: str, values: Mapping[str, object]) -> None:
        event = _event(kind, values)
        for queue in list(self._readers):
            # A reader that does not read gets everything anew when it comes back.
            if queue.qsize() < _QUEUE:
                queue.put_nowait(event)
            else:
                self._readers.discard(queue)
                queue.put_nowait(b"")

    async def _page(self, _request: Request) -> Response:
        page = (FILES / "inbox.html").read_text(encoding="utf-8")
        return Response(page.replace("{{token}}", self._token), media_type=_MEDIA[".html"])

    async def _events(self, _request: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._readers.add(queue)
        try:
            yield _event("snapshot", {**self.journeys.snapshot(), **self._choices(), **self._state()})
            while event := await queue.get():
                yield event
        finally:
            self._readers.discard(queue)

    def _choices(self) -> dict[str, object]:
        return {
            "function": self._function.url,
            "platforms": [[name, caller.title] for name, caller in all_callers().items()],
            "cases": [[case.value, label] for case, label in CASES.items()],
            "moods": [[name, label] for name, (label, _) in MOODS.items()],
            "reports": [[name, label, PLANS[name].description] for name, label in REPORTS.items()],
        }

    def _state(self) -> dict[str, object]:
        return {"mood": self._mood, "report": self._report}

    async def _set(self, request: Request) -> Response:
        wanted = await _values(request)
        mood, report = str(wanted.get("mood", self._mood)), str(wanted.get("report", self._report))
        if mood not in MOODS or report not in REPORTS:
            return PlainTextResponse("unknown", 422)
        self._mood, self._report = mood, report
        self._mitto.script_forever(MOODS[mood][1])
        self._mitto.reports.script_forever(report)
        self._publish("state", self._state())
        return Response(status_code=204)

    async def _clear(self, _request: Request) -> Response:
        self._mitto.clear_inbox()
        self.journeys.clear()
        return Response(status_code=204)

    async def _call(self, request: Request) -> Response:
        wanted = await _values(request)
        name, to, code, case = (str(wanted.get(field, "")) for field in ("platform", "to", "code", "case"))
        to = re.sub(r"[ ().-]", "", to)
        for field, value, known in (("platform", name, all_callers()), ("case", case, CASES)):
            if value not in known:
                return _wrong(field, "Choose one of the list.")
        if not _NUMBER.fullmatch(to):
            return _wrong("to", "Write the number with + and country code, such as +1 202 555 0142.")
        if not _CODE.fullmatch(code):
            return _wrong("code", "A code has 4 to 10 digits.")
        try:
            build_call(name, self._function.secrets, to, code, time.time(), _single(Case(case)))
        except NoSuchCase:
            return _wrong("case", f"{all_callers()[name].title} never sends that.")
        except MissingSecret as missing:
            return _wrong("platform", f"This function has no secret for it: {missing}.")
        task = asyncio.create_task(self._run(name, to, code, Case(case)))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return JSONResponse({}, 202)

    async def _run(self, name: str, to: str, code: str, case: Case) -> None:
        caller = all_callers()[name]
        now = time.time()
        timeout = min(caller.waits_seconds, 60)
        async with httpx.AsyncClient(base_url=self._function.url, trust_env=False, timeout=timeout) as client:
            for attempt in range(1, 3 if case is Case.REPEAT else 2):
                call = build_call(name, self._function.secrets, to, code, now, _single(case), attempt=attempt)
                trace = secrets.token_hex(16)
                self.journeys.begin(trace, caller.title, to=to, code=code, route=call.path)
                headers = {**call.headers, "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
                try:
                    response = await client.post(call.path, content=call.body, headers=headers)
                    verdict = caller.judge(_contract.Response(response.status_code, response.content, dict(response.headers)))
                    reading = f"HTTP {response.status_code}: {verdict}"
                except httpx.TimeoutException:
                    reading = f"no response in time: {caller.when_late.value}"
                except httpx.HTTPError:
                    reading = "no response"
                self.journeys.answered(trace, reading)


class Guard:
    """Lets only the page itself in: no other page in the same browser, by whatever name it reaches this address."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        """Guard ``app``. State changes only with ``token``, which is in the page."""
        self._app, self._token = app, token.encode()
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse a request."""
        if scope["type"] != "http":
            return

        async def with_headers(message: Any) -> None:  # noqa: ANN401 - ASGI's own message
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((name.lower().encode(), value.encode()) for name, value in _HEADERS.items())]
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._hosts or (origin is not None and origin != f"http://{host}"):
            return PlainTextResponse("This page is for this machine only.", 403)
        # A link of another page may lead here; nothing else of it may.
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and request.url.path != "/":
            return PlainTextResponse("Open the page itself.", 403)
        if request.method in ("GET", "HEAD"):
            return None
        if not hmac.compare_digest(headers.get("x-inbox-token", "").encode(), self._token):
            return PlainTextResponse("Load the page again.", 403)
        length = headers.get("content-length", "")
        is_small = length.isdecimal() and int(length) <= _BODY_BYTES
        return None if is_small and headers.get("content-type") == "application/json" else PlainTextResponse("JSON, and little of it", 413)


class _Server(uvicorn.Server):
    """A server that leaves the signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    content = path.read_bytes()

    async def serve(_request: Request) -> Response:
        return Response(content, media_type=_MEDIA[path.suffix])

    return serve


async def _values(request: Request) -> dict[str, Any]:
    try:
        values = await request.json()
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _event(kind: str, values: Mapping[str, object]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(values)}\n\n".encode()


def _wrong(field: str, sentence: str) -> Response:
    return JSONResponse({"field": field, "sentence": sentence}, 422)


def _single(case: Case) -> Case:
    return Case.OK if case is Case.REPEAT else case
