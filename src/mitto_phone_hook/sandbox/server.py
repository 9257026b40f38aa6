"""The fake Mitto as a server: it listens, and runs one task per connection."""

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from mitto_phone_hook.sandbox.request_handler import RequestHandler
from mitto_phone_hook.sandbox.rules import Message
from mitto_phone_hook.sandbox.state import State
from mitto_phone_hook.sandbox.wire import Wire

_BACKLOG = 1024
_ACCEPT_PAUSE_SECONDS = 0.05


class PublicAddressError(ValueError):
    """The fake Mitto must not listen on a public address without permission."""

    def __init__(self) -> None:
        """Say what is allowed."""
        super().__init__(
            "the fake Mitto listens on loopback only; to listen on a public address, use --allow-public (in Python: allow_public=True)"
        )


class FakeMitto(State):
    """A Mitto that sends nothing, as an asynchronous context manager.

    ``api_key`` is the key that clients must send. Port 0: any free port. ``on_message`` is called with every message that
    goes into the inbox, before the response. A host that is not loopback needs ``allow_public``, else it raises
    PublicAddressError; then the control API requires the key, too.
    """

    def __init__(
        self,
        *,
        api_key: str,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_public: bool = False,
        on_message: Callable[[Message], object] | None = None,
    ) -> None:
        """Store the settings. ``async with`` starts to listen. Raises ValueError if the key is empty."""
        super().__init__(on_message)
        if not api_key:
            raise ValueError("the API key of the fake Mitto is empty")
        is_public = not _is_loopback(host)
        if is_public and not allow_public:
            raise PublicAddressError
        self.port = port
        self._host = host
        self._request_handler = RequestHandler(self, api_key, is_public)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError if the address or the port is not available."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._listener = socket.create_server((self._host, self.port), family=family, backlog=_BACKLOG)
        self._listener.settimeout(0)
        self.port = self._listener.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close every connection at once and stop listening."""
        tasks = [self._accepting, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.reports.close()
        self._listener.close()

    @property
    def url(self) -> str:
        """The base URL for a client."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._tasks)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._listener)
            except OSError:
                # No free file descriptor, or the client closed while it waited. The server must go on.
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            self.connections += 1
            task = loop.create_task(self._serve(sock))
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._ended, sock))

    async def _serve(self, sock: socket.socket) -> None:
        with suppress(ConnectionError, TimeoutError):
            await self._request_handler.serve(Wire(sock))

    def _ended(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        # Not in the task itself: a task that is cancelled before its first step never runs.
        sock.close()
        self._tasks.discard(task)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
