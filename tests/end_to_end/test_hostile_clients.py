"""Callers without any secret against the real process, on real sockets: what they try costs little, and honest calls are served."""

import contextlib
import itertools
import json
import resource
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from support.battery import Answer, exchange, signed
from support.processes import BEARER, FakeMittoProcess, Process, command, fake_mitto, function, function_by, own_command

MIB = 1024 * 1024
POUR_BYTES = 60 * MIB
AUTHORIZED = f"Authorization: Bearer {BEARER}"
CODES = (f"{number:06d}" for number in itertools.count(400_000))


class Stage(NamedTuple):
    hook: Process
    mitto: FakeMittoProcess

    def memory(self) -> int:
        """Give the resident memory of the worker."""
        master = self.hook.popen.pid
        [worker] = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split() or [str(master)]
        status = Path(f"/proc/{worker}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def honest_call(self) -> None:
        """Send one message as a platform would."""
        status, response = self.hook.post(json.loads(body()))
        assert (status, response.get("status")) == (200, "accepted")


@pytest.fixture(scope="module", params=[command, own_command], ids=["functions-framework", "run"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("hostile")
    with fake_mitto(folder / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "US", "LIMITS": "off"}
        with function_by(request.param, folder / "function.txt", HOOK_SECRETS=f"{BEARER} whsec_{'a2' * 21}s=", **settings) as hook:
            yield Stage(hook, mitto)


def body() -> bytes:
    code = next(CODES)
    return json.dumps({"recipient": "+12025550110", "text": f"Your code is {code}", "context": {"code": code}}).encode()


def request(*fields: str, payload: bytes | None = None, target: str = "/", host: str | None = "Host: localhost") -> bytes:
    """Build a call with its length; the fields may be as wrong as the wire allows."""
    payload = body() if payload is None else payload
    lines = [f"POST {target} HTTP/1.1", *filter(None, [host]), "Connection: close", f"Content-Length: {len(payload)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + payload


def chunked(*fields: str) -> bytes:
    """Build a call in one chunk."""
    payload = body()
    lines = ["POST / HTTP/1.1", "Host: localhost", "Connection: close", AUTHORIZED, *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload), payload)


def pour(port: int, start: bytes, piece: bytes) -> tuple[bytes, int]:
    """Send until the server closes, at most 60 MiB. Give what it sent, and how much it took."""
    taken, received = 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(start)
            while taken < POUR_BYTES:
                connection.sendall(piece)
                taken += len(piece)
        with contextlib.suppress(ConnectionError):
            received = connection.recv(65536)
    return received, taken


HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
POURED = {
    "headers": (HEAD, b"".join(b"x-%06d: %b\r\n" % (number, b"a" * 50) for number in range(1000)), 431),
    "tiny headers": (HEAD, b"a:\r\n" * 16_000, 431),
    "one header": (HEAD + b"x: ", b"a" * 65536, 431),
    "the name of a header": (HEAD, b"a" * 65536, 431),
    "the request line": (b"POST /", b"a" * 65536, 414),
    "line breaks before the request": (b"", b"\r\n" * 32768, 431),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"x: aaaaaaaaaa\r\n" * 4000, 431),
    "one trailer": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: ", b"a" * 65536, 431),
    "a chunk's extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;x=", b"a" * 65536, 431),
}


@pytest.mark.parametrize("name", POURED)
def test_60_mib_of_something_cost_less_than_2_mib_and_get_a_refusal(name: str, stage: Stage) -> None:
    stage.honest_call()
    start, piece, status = POURED[name]
    before = stage.memory()
    received, taken = pour(stage.hook.port, start, piece)
    risen = stage.memory() - before
    stage.honest_call()
    assert risen < 2 * MIB
    assert taken < POUR_BYTES / 2, "it was closed before"
    assert received.startswith(b"HTTP/1.1 %d " % status), received[:100]
    assert b"connection: close" in received


def test_requests_without_end_on_one_connection_cost_less_than_2_mib(stage: Stage) -> None:
    stage.honest_call()
    before = stage.memory()
    pour(stage.hook.port, b"", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
    assert stage.memory() - before < 2 * MIB
    stage.honest_call()


def _field(size: int) -> str:
    return "x: " + "a" * (size - len("x: \r\n"))


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(request(AUTHORIZED, _field(31_000)), 200, id="31,000 bytes in one header"),
        pytest.param(request(AUTHORIZED, _field(65_536)), 431, id="64 KiB in one header"),
        pytest.param(request(AUTHORIZED, *[f"x-{number}: a" for number in range(95)]), 200, id="99 fields"),
        pytest.param(request(AUTHORIZED, *[f"x-{number}: a" for number in range(97)]), 431, id="101 fields"),
        pytest.param(request(AUTHORIZED, target="/?" + "a" * 8_000), 200, id="a line just short enough"),
        pytest.param(request(AUTHORIZED, target="/?" + "a" * 8_192), 414, id="a line too long"),
    ],
)
def test_the_limits_of_a_head_are_where_they_are_said_to_be(raw: bytes, status: int, stage: Stage) -> None:
    assert exchange(stage.hook.port, raw).status == status


def test_trailers_count_together_with_headers_and_are_no_headers(stage: Stage) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n" + f"{_field(20_000)}\r\n\r\n".encode()
    )
    payload = body()
    sent = head + b"%x\r\n%b\r\n0\r\n" % (len(payload), payload)
    assert exchange(stage.hook.port, sent + f"{AUTHORIZED}\r\n\r\n".encode()).status == 401
    assert exchange(stage.hook.port, sent + f"{_field(20_000)}\r\n\r\n".encode()).status == 431


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["Transfer-Encoding: chunked"], 200),
        (["Transfer-Encoding: Chunked"], 200),
        (["Transfer-Encoding: identity, chunked"], 400),
        (["Transfer-Encoding: gzip, chunked"], 400),
        (["Transfer-Encoding: identity\r\n chunked"], 400),
        (["Transfer-Encoding: identity", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: identity"], 400),
        (["Transfer-Encoding: chunked", "Content-Length: 3"], 400),
    ],
    ids=str,
)
def test_a_transfer_encoding_is_exactly_chunked_once(fields: list[str], status: int, stage: Stage) -> None:
    stage.mitto.clear()
    assert exchange(stage.hook.port, chunked(*fields)).status == status
    assert len(stage.mitto.inbox()) == (status == 200)


@pytest.mark.parametrize(("host", "status"), [("Host: a", 200), (None, 400), ("Host: a\r\nHost: a", 400), ("Host: a\r\nhost: b", 400)])
def test_a_request_names_one_host(host: str | None, status: int, stage: Stage) -> None:
    stage.mitto.clear()
    assert exchange(stage.hook.port, request(AUTHORIZED, host=host)).status == status
    assert len(stage.mitto.inbox()) == (status == 200)


@pytest.mark.parametrize("first", [AUTHORIZED, "Authorization: Bearer of-somebody-else-00001"], ids=["the same", "another"])
def test_two_authorizations_are_refused(first: str, stage: Stage) -> None:
    stage.mitto.clear()
    answer = exchange(stage.hook.port, request(first, AUTHORIZED))
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert [line for line in stage.hook.log() if line["event"] != "requests_refused"][-1]["why"] == "repeated_header"
    assert stage.mitto.inbox() == []


@pytest.mark.parametrize("name", ["x-api-key", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_two_of_any_header_that_authenticates_are_refused(name: str, stage: Stage) -> None:
    payload = body()
    fields = signed(payload) | {"x-api-key": BEARER}
    lines = [f"{field}: {value}" for field, value in fields.items() if name == "x-api-key" or field != "x-api-key"]
    answer = exchange(stage.hook.port, request(*lines, f"{name}: {fields[name]}", payload=payload))
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert [line for line in stage.hook.log() if line["event"] != "requests_refused"][-1]["why"] == "repeated_header"


def _upgrading(payload: bytes, *fields: str) -> bytes:
    """Build the first request of Java's HttpClient on plain HTTP."""
    offer = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"]
    lines = ["POST / HTTP/1.1", *offer, f"Content-Length: {len(payload)}", "Host: localhost", AUTHORIZED, *fields]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def test_an_offer_of_http_2_is_ignored_and_the_call_served(stage: Stage) -> None:
    stage.mitto.clear()
    large = body()[:-1] + b" " * 20_000 + b"}"
    with socket.create_connection(("127.0.0.1", stage.hook.port), timeout=10) as connection:
        for payload in (body(), large, body()):
            raw = _upgrading(payload)
            # The body comes in the piece that has the head, and after it.
            connection.sendall(raw[:400])
            connection.sendall(raw[400:])
            assert _response(connection).startswith(b"HTTP/1.1 200 ")
    assert len(stage.mitto.inbox()) == 3


def test_an_offer_hides_nothing_from_the_limits(stage: Stage) -> None:
    assert exchange(stage.hook.port, _upgrading(body(), "Host: b")).status == 400
    assert exchange(stage.hook.port, _upgrading(body(), "Transfer-Encoding: gzip, chunked")).status == 400
    assert exchange(stage.hook.port, _upgrading(body(), _field(40_000))).status == 431
    assert exchange(stage.hook.port, b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n").status == 400


def _response(connection: socket.socket) -> bytes:
    received = b""
    while b"request_id" not in received or not received.endswith(b"}"):
        received += connection.recv(65536)
    return received


@pytest.mark.parametrize("path", ["/hooks%2fauth0", "/hooks/%61uth0", "/hooks%2Fauth0", "/%68ooks/auth0"])
def test_a_path_counts_as_it_was_sent(path: str, stage: Stage) -> None:
    stage.mitto.clear()
    answer = exchange(stage.hook.port, request(AUTHORIZED, target=path))
    assert (answer.status, answer.code) == (404, "not_found")
    assert exchange(stage.hook.port, request(AUTHORIZED, target="/hooks/auth0")).status == 200
    assert len(stage.mitto.inbox()) == 1


def test_a_refused_request_does_not_cost_the_one_before_it_its_response(stage: Stage) -> None:
    """Both are on one connection, and the first is still waiting for Mitto when the second is refused."""
    stage.mitto.clear()
    raw = request(AUTHORIZED).replace(b"Connection: close\r\n", b"") + b"POST / HTTP/1.1\r\n\r\n"
    answer: Answer = exchange(stage.hook.port, raw)
    assert answer.status == 200
    assert len(stage.mitto.inbox()) == 1


def test_silent_and_dripping_connections_end_and_honest_calls_are_served_meanwhile(stage: Stage) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", stage.hook.port), timeout=12)) for _ in range(3)]
        silent, dripping, after_response = connections
        started = time.monotonic()
        dripping.sendall(HEAD + b"x: ")
        after_response.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        assert after_response.recv(65536).startswith(b"HTTP/1.1 200 ")
        ended: dict[socket.socket, float] = {}
        while len(ended) < len(connections) and time.monotonic() - started < 10:
            for connection in connections:
                if connection not in ended and _has_ended(connection):
                    ended[connection] = time.monotonic() - started
            for connection, drip in ((dripping, b"a"), (after_response, b"a")):
                with contextlib.suppress(OSError):
                    connection.sendall(drip)
            stage.honest_call()
        assert silent in ended
        assert all(4 < seconds < 8 for seconds in ended.values()), ended.values()
        assert len(ended) == len(connections)


def test_more_silent_connections_than_there_is_room_for_do_not_keep_out_honest_calls(stage: Stage, tmp_path: Path) -> None:
    settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{stage.mitto.port}", "ALLOWED_REGIONS": "US", "LIMITS": "off"}
    with contextlib.ExitStack() as stack:
        with _descriptors(200):
            hook = stack.enter_context(function(tmp_path / "function.txt", **settings))
        crowded = Stage(hook, stage.mitto)
        for _ in range(6):
            for _ in range(50):
                stack.enter_context(socket.create_connection(("127.0.0.1", hook.port), timeout=10))
            crowded.honest_call()
        end = time.monotonic() + 5
        while not (shed := [line for line in hook.log() if line["event"] == "connections_shed"]) and time.monotonic() < end:
            crowded.honest_call()
        assert len(shed) == 1, "once a minute"
        assert shed[0]["severity"] == "WARNING"
        assert not [line for line in hook.log() if line["event"] == "library"], "no descriptor was missing"


def test_honest_calls_are_served_beside_thousands_of_silent_connections_and_a_flood_of_headers(stage: Stage, tmp_path: Path) -> None:
    """How long they take is measured by ``python -m benchmarks.hostile``: here other tests may use the machine."""
    settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{stage.mitto.port}", "ALLOWED_REGIONS": "US", "LIMITS": "off"}
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    has_ended = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_descriptors(most))
        attacked = Stage(stack.enter_context(function(tmp_path / "function.txt", **settings)), stage.mitto)
        for _ in range(min(2000, most // 4)):
            stack.enter_context(socket.create_connection(("127.0.0.1", attacked.hook.port), timeout=10))

        def flood() -> int:
            refused = 0
            while not has_ended.is_set():
                received, _ = pour(attacked.hook.port, HEAD, POURED["headers"][1])
                refused += received.startswith(b"HTTP/1.1 431 ")
            return refused

        flooders = stack.enter_context(ThreadPoolExecutor(2))
        floods = [flooders.submit(flood) for _ in range(2)]
        stack.callback(has_ended.set)
        seconds = []
        for _ in range(50):
            started = time.monotonic()
            attacked.honest_call()
            seconds.append(time.monotonic() - started)
        has_ended.set()
        assert sum(one.result() for one in floods) > 2, "there was a flood"
        assert statistics.median(seconds) < 1
        assert len([line for line in attacked.hook.log() if line["event"] not in {"started", "accepted"}]) <= 3, "no line for each attack"


@contextlib.contextmanager
def _descriptors(number: int) -> Iterator[None]:
    """Let what is started have this many file descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _has_ended(connection: socket.socket) -> bool:
    connection.settimeout(0.1)
    try:
        return connection.recv(65536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True
