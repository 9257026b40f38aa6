"""The fake Mitto over real sockets: every fault does what its description says."""

import asyncio
import gzip
import http.client
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import phonenumbers
import pytest

from mitto_phone_hook.sandbox import FakeMitto
from mitto_phone_hook.sandbox.behaviours import BIG_BYTES, BOMB_BYTES
from mitto_phone_hook.sandbox.faults import FAULTS, UnknownFaultError
from mitto_phone_hook.sandbox.incoming import BODY_LIMIT_BYTES
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS
from mitto_phone_hook.sandbox.server import PublicAddressError
from mitto_phone_hook.sandbox.state import INBOX_LIMIT

KEY = "sandbox-key"
RECIPIENT = "12025550100"  # reserved for fiction; causes no fault
LIMIT_SECONDS = 10
KEPT_BYTES = 1_000_000


def run(scenario: Callable[[FakeMitto], Awaitable[object]], **settings: Any) -> FakeMitto:
    async def bounded() -> FakeMitto:
        async with asyncio.timeout(LIMIT_SECONDS), FakeMitto(api_key=KEY, **settings) as mitto:
            await scenario(mitto)
            return mitto

    return asyncio.run(bounded())


def sms(recipient: str = RECIPIENT, **changes: object) -> bytes:
    return json.dumps({"to": recipient, "from": "Mitto SMS", "text": "Your code is 123456", **changes}).encode()


def request(content: bytes | None = None, *, line: str = "POST /sms.json HTTP/1.1", key: str = KEY, more: str = "") -> bytes:
    content = sms() if content is None else content
    return f"{line}\r\nHost: localhost\r\nX-Mitto-API-Key: {key}\r\nContent-Length: {len(content)}\r\n{more}\r\n".encode() + content


@dataclass
class Seen:
    """What was received on a connection, and how it ended."""

    raw: bytes = b""
    size: int = 0
    pieces: int = 0
    is_reset: bool = False
    seconds: float = 0

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_silent(self) -> bool:
        return not self.size and not self.is_reset

    def header(self, name: str) -> str | None:
        found = re.search(rf"^{name}: (.*?)\r?$", self.head, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else None


async def read_to_the_end(reader: asyncio.StreamReader) -> Seen:
    seen, raw, began = Seen(), bytearray(), time.monotonic()
    try:
        while piece := await reader.read(1_000_000):
            seen.pieces += 1
            seen.size += len(piece)
            raw += piece[: KEPT_BYTES - len(raw)]
    except ConnectionResetError:
        seen.is_reset = True
    seen.raw, seen.seconds = bytes(raw), time.monotonic() - began
    return seen


async def until(is_so: Callable[[], bool]) -> None:
    """Let the server work; the limit of the test bounds it."""
    while not is_so():  # noqa: ASYNC110 - the state is a plain counter, nobody sets an event
        await asyncio.sleep(0)


async def exchange(mitto: FakeMitto, data: bytes | None = None) -> Seen:
    """Send one request on a new connection and read until it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
    try:
        writer.write(request(more="Connection: close\r\n") if data is None else data)
        return await read_to_the_end(reader)
    finally:
        writer.transport.abort()


async def one_response(reader: asyncio.StreamReader) -> Seen:
    """Read one response on a connection that stays open."""
    head = await reader.readuntil(b"\r\n\r\n")
    seen = Seen(head)
    return Seen(head + await reader.readexactly(int(seen.header("content-length") or 0)))


def call(mitto: FakeMitto, method: str, path: str, content: object = None, **headers: str) -> tuple[int, Any]:
    """Use the control API as a test in another language would."""
    connection = http.client.HTTPConnection("127.0.0.1", mitto.port, timeout=LIMIT_SECONDS)
    try:
        connection.request(method, path, None if content is None else json.dumps(content), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


# What the client must receive for each fault, and whether the SMS is sent.

SENT, NOT_SENT = 1, 0
"""Messages that the fault leaves in the inbox."""


def is_ok(seen: Seen) -> bool:
    return seen.status == 200 and seen.json["responseCode"] == 0 and len(seen.json["id"]) == 36 and not seen.is_reset


def has_code(code: int) -> Callable[[Seen], bool]:
    return lambda seen: seen.status == 200 and seen.json["responseCode"] == code and not seen.json.keys() & {"id", "messageParts"}


def has_status(status: int, **headers: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.status == status and all(seen.header(name.replace("_", "-")) == value for name, value in headers.items())


def is_accepted_except(name: str, value: object) -> Callable[[Seen], bool]:
    def check(seen: Seen) -> bool:
        found = seen.json.get(name, ...)
        return seen.json["responseText"] == "SMS sent" and found == value and type(found) is type(value)

    return check


def has_forged_id(seen: Seen) -> bool:
    return all(character in seen.json["id"] for character in '\r\n"{}\x1b') and seen.json["responseCode"] == 0


OTHER_URL = "http://elsewhere.invalid/sms.json"
ENDLESS = dict.fromkeys(("hang", "hang_before_read"), ":0.05") | dict.fromkeys(("drip_headers", "drip_body"), ":0.002") | {"slow": ":0.2"}
"""Shorter times, for the tests."""

EXPECTED: dict[str, tuple[int, Callable[[Seen], bool]]] = {
    "ok": (SENT, lambda seen: is_ok(seen) and seen.header("connection") == "close"),
    "code_1": (SENT, has_code(1)),  # an internal error may happen after the sending
    **{f"code_{code}": (NOT_SENT, has_code(code)) for code in (*range(2, 10), 99)},
    "400": (NOT_SENT, lambda seen: has_status(400)(seen) and seen.body == b"Bad Request"),
    "400_code_8": (NOT_SENT, lambda seen: seen.status == 400 and seen.json["responseCode"] == 8),
    "401": (NOT_SENT, has_status(401)),
    "403": (NOT_SENT, has_status(403)),
    "404": (NOT_SENT, has_status(404)),
    "408": (SENT, has_status(408)),
    "429": (NOT_SENT, lambda seen: seen.status == 429 and seen.header("retry-after") is None),
    "429_1": (NOT_SENT, has_status(429, retry_after="1")),
    "429_3600": (NOT_SENT, has_status(429, retry_after="3600")),
    "429_date": (NOT_SENT, has_status(429, retry_after="Fri, 31 Dec 2049 23:59:59 GMT")),
    "500": (SENT, has_status(500)),
    "502": (SENT, has_status(502)),
    "503": (NOT_SENT, lambda seen: seen.status == 503 and seen.header("retry-after") is None),
    "503_0": (NOT_SENT, has_status(503, retry_after="0")),
    "503_1": (NOT_SENT, has_status(503, retry_after="1")),
    "504": (SENT, has_status(504)),
    "302": (NOT_SENT, has_status(302, location=OTHER_URL)),
    "308": (NOT_SENT, has_status(308, location=OTHER_URL)),
    "204": (SENT, lambda seen: seen.status == 204 and seen.header("content-length") is None and not seen.body),
    "202_empty": (SENT, lambda seen: seen.status == 202 and not seen.body),
    "empty200": (SENT, lambda seen: seen.status == 200 and not seen.body),
    "html200": (SENT, lambda seen: has_status(200, content_type="text/html; charset=utf-8")(seen) and seen.body.startswith(b"<!DOCTYPE")),
    "json_array": (SENT, lambda seen: seen.json[0]["responseCode"] == 0),
    "json_null": (SENT, lambda seen: seen.body == b"null"),
    "no_code": (SENT, is_accepted_except("responseCode", ...)),
    "code_bool": (SENT, is_accepted_except("responseCode", value=False)),
    "code_string": (SENT, is_accepted_except("responseCode", "0")),
    "code_float": (SENT, is_accepted_except("responseCode", 0.0)),
    "code_huge": (SENT, lambda seen: re.search(rb'"responseCode": 9{5000}\b', seen.body) is not None),
    "bad_utf8": (SENT, lambda seen: "\ufffd" in seen.body.decode(errors="replace")),
    "bad_chunk": (SENT, lambda seen: has_status(200, transfer_encoding="chunked")(seen) and seen.body.startswith(b"ZZ\r\n")),
    "dup_cl": (SENT, lambda seen: len(set(re.findall("Content-Length: ([0-9]+)", seen.head))) == 2),
    "truncate": (SENT, lambda seen: int(seen.header("content-length") or 0) == len(seen.body) + 100),
    "http09": (SENT, lambda seen: not seen.raw.startswith(b"HTTP/") and seen.size > 0),
    "http10": (SENT, lambda seen: is_ok(seen) and seen.raw.startswith(b"HTTP/1.0 200") and seen.header("content-length") is None),
    "switching_101": (SENT, has_status(101, upgrade="websocket")),
    "early_hints": (SENT, lambda seen: seen.status == 103 and is_ok(Seen(seen.body))),
    "continue_flood": (
        SENT,
        lambda seen: is_ok(Seen(seen.raw.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))) and seen.raw.count(b" 100 ") == 1000,
    ),
    "close_before_read": (NOT_SENT, lambda seen: seen.is_reset and not seen.size),
    "hang_before_read": (NOT_SENT, lambda seen: not seen.size and seen.seconds > 0.04),
    "reset_after_request": (SENT, lambda seen: seen.is_reset and not seen.size),
    "close_after_request": (SENT, lambda seen: seen.is_silent),
    "close_after_answer": (SENT, lambda seen: is_ok(seen) and seen.header("connection") is None),
    "hang": (SENT, lambda seen: seen.is_silent and seen.seconds > 0.04),
    "slow": (SENT, lambda seen: is_ok(seen) and seen.seconds > 0.15),
    "drip_headers": (SENT, lambda seen: is_ok(seen) and seen.pieces > 100),
    "drip_body": (SENT, lambda seen: is_ok(seen) and 50 < seen.pieces <= len(seen.body) + 1),
    "big_body": (SENT, lambda seen: seen.size == len(seen.head) + 4 + int(seen.header("content-length") or 0) > BIG_BYTES),
    "big_headers": (SENT, lambda seen: seen.size > BIG_BYTES and b"\r\n\r\n" not in seen.raw),
    "gzip_bomb": (
        SENT,
        lambda seen: seen.size < 200_000 and seen.header("content-encoding") == "gzip" and len(gzip.decompress(seen.body)) == BOMB_BYTES,
    ),
    "id_injection": (SENT, lambda seen: has_forged_id(seen) and len(seen.json["id"]) > 10_000),
    "id_injection_small": (SENT, lambda seen: has_forged_id(seen) and len(seen.json["id"]) < 200),
    "id_missing": (SENT, is_accepted_except("id", ...)),
    "id_number": (SENT, is_accepted_except("id", 12345)),
}


def test_every_fault_has_an_expectation() -> None:
    assert EXPECTED.keys() == FAULTS.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_fault_does_what_it_says_and_closes(name: str) -> None:
    sent, is_as_described = EXPECTED[name]
    seen = Seen()

    async def scenario(mitto: FakeMitto) -> None:
        nonlocal seen
        mitto.script(name + ENDLESS.get(name, ""))
        seen = await exchange(mitto, request())
        assert is_ok(await exchange(mitto)), "the fault was taken by one request"

    mitto = run(scenario)
    assert is_as_described(seen), (seen.raw[:500], seen)
    assert len(mitto.inbox) == sent + 1
    assert mitto.requests == (1 if FAULTS[name].is_before_read else 2)
    assert mitto.connections == 2


@pytest.mark.parametrize("name", [name for name, (sent, _) in EXPECTED.items() if sent and not FAULTS[name].is_before_read])
def test_fault_adds_no_rejected_message_to_the_inbox(name: str) -> None:
    async def scenario(mitto: FakeMitto) -> None:
        mitto.script(name + ENDLESS.get(name, ""))
        await exchange(mitto, request(sms(text="")))

    assert run(scenario).inbox == []


@pytest.mark.parametrize("name", ["close_before_read", "hang_before_read:0.01"])
def test_fault_before_reading_applies_to_a_silent_connection(name: str) -> None:
    async def scenario(mitto: FakeMitto) -> None:
        mitto.script(name)
        seen = await exchange(mitto, b"")
        assert not seen.size
        assert is_ok(await exchange(mitto))

    assert run(scenario).requests == 1


def test_fault_before_reading_applies_to_a_connection_that_was_kept_alive() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.write(request())
        assert is_ok(await one_response(reader))
        mitto.script("close_before_read")
        writer.write(request())
        assert (await read_to_the_end(reader)).is_reset
        writer.transport.abort()

    mitto = run(scenario)
    assert (mitto.requests, mitto.connections, len(mitto.inbox)) == (1, 1, 1)


def test_fault_before_reading_does_not_block_the_control_api() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        mitto.script_forever("close_before_read")
        assert (await exchange(mitto)).is_reset
        assert await asyncio.to_thread(call, mitto, "POST", "/script", {"default": None}) == (200, {"queued": 0})
        assert is_ok(await exchange(mitto))

    run(scenario)


def test_hang_ends_when_the_client_gives_up() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        mitto.script("hang")
        _, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.write(request())
        await until(lambda: bool(mitto.inbox))
        assert mitto.open_connections == 1
        writer.close()
        await until(lambda: not mitto.open_connections)

    run(scenario)


def test_unread_flood_ends_when_the_client_gives_up() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        mitto.script("big_body")
        reader, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.write(request())
        await reader.readexactly(100_000)
        writer.transport.abort()
        await until(lambda: not mitto.open_connections)

    run(scenario)


def test_request_after_close_after_answer_gets_a_closed_connection() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        mitto.script("close_after_answer")
        reader, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.write(request())
        assert is_ok(await one_response(reader))
        writer.write(request())
        assert not (await read_to_the_end(reader)).size
        writer.transport.abort()

    assert run(scenario).requests == 1


# The script.


@pytest.mark.parametrize("msisdn", MAGIC_NUMBERS)
def test_magic_number_is_a_valid_number_with_its_fault(msisdn: str) -> None:
    assert phonenumbers.is_valid_number(phonenumbers.parse(f"+{msisdn}"))
    assert FakeMitto(api_key=KEY).pop_fault(msisdn) is FAULTS[MAGIC_NUMBERS[msisdn]]


@pytest.mark.parametrize("msisdn", [msisdn for msisdn, name in MAGIC_NUMBERS.items() if FAULTS[name].seconds is None])
def test_magic_number_causes_its_fault_without_a_script(msisdn: str) -> None:
    sent, is_as_described = EXPECTED[MAGIC_NUMBERS[msisdn]]
    seen = Seen()

    async def scenario(mitto: FakeMitto) -> None:
        nonlocal seen
        seen = await exchange(mitto, request(sms(f"+{msisdn}")))

    assert len(run(scenario).inbox) == sent
    assert is_as_described(seen)


def test_every_fault_but_ok_has_a_magic_number() -> None:
    assert {*MAGIC_NUMBERS.values(), "ok"} == FAULTS.keys()


def test_queues_come_before_the_default_and_the_default_before_magic_numbers() -> None:
    statuses: list[int] = []

    async def scenario(mitto: FakeMitto) -> None:
        mitto.script_forever("404")
        mitto.script("500", "503")
        mitto.script("401", recipient="12025550152")
        asked = ("12025550152", "12025550152", RECIPIENT, "+12025550152")
        statuses.extend([(await exchange(mitto, request(sms(recipient)))).status for recipient in asked])
        mitto.script_forever(None)
        statuses.append((await exchange(mitto, request(sms("12025550152")))).status)

    run(scenario)
    assert statuses == [401, 500, 503, 404, 502]


@pytest.mark.parametrize("name", ["", "nonsense", "ok:1", "slow:", "slow:x", "slow:-1", "slow:61", "slow:nan", "slow:inf", 503, None])
def test_unknown_fault_is_refused_with_the_valid_names(name: Any) -> None:
    mitto = FakeMitto(api_key=KEY)
    with pytest.raises(UnknownFaultError, match=r"code_1, .*gzip_bomb"):
        mitto.script("ok", name)
    assert mitto.pop_fault(None) is None


def test_clear_deletes_everything() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        await exchange(mitto)
        mitto.script_forever("500")
        mitto.script("503")
        mitto.script("503", recipient=RECIPIENT)
        mitto.clear()
        assert (mitto.inbox, mitto.requests, mitto.connections) == ([], 0, 0)
        assert is_ok(await exchange(mitto))

    run(scenario)


# The server.


def test_connection_is_kept_alive_and_requests_may_be_pipelined() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        for _ in range(2):
            writer.write(request() * 2)
            assert is_ok(await one_response(reader))
            assert is_ok(await one_response(reader))
        writer.transport.abort()

    mitto = run(scenario)
    assert (mitto.connections, mitto.requests, len(mitto.inbox)) == (1, 4, 4)


def test_request_may_come_byte_by_byte() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        for byte in request():
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)
        assert is_ok(await one_response(reader))
        writer.transport.abort()

    run(scenario)


def test_client_that_expects_100_gets_it_before_the_response() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        head, _, content = request(more="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.write(head + b"\r\n\r\n")
        assert (await one_response(reader)).status == 100
        writer.write(content)
        assert is_ok(await one_response(reader))
        writer.transport.abort()

    run(scenario)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="no HTTP"),
        pytest.param(request(b"{"), 400, id="no JSON"),
        pytest.param(request(key="wrong"), 401, id="wrong key"),
        pytest.param(request(line="POST /sms HTTP/1.1", more="Connection: close\r\n"), 200, id="other path"),
        pytest.param(request(line="POST /sms.json?x=1 HTTP/1.0"), 200, id="HTTP/1.0 with a query"),
        pytest.param(request(line="POST /nowhere HTTP/1.1"), 404, id="unknown path"),
        pytest.param(request(line="GET /sms.json HTTP/1.1"), 405, id="wrong method"),
        pytest.param(request(line="PUT /inbox HTTP/1.1"), 405, id="wrong method of the control API"),
        pytest.param(request(b" " * (BODY_LIMIT_BYTES + 1)), 413, id="too large"),
    ],
)
def test_request_gets_its_status(data: bytes, status: int) -> None:
    async def scenario(mitto: FakeMitto) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.write(data)
        assert (await one_response(reader)).status == status
        writer.transport.abort()

    run(scenario)


def test_wrong_method_lists_the_allowed_ones() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        assert (await exchange(mitto, request(line="PUT /inbox HTTP/1.1"))).header("allow") == "GET, DELETE"

    run(scenario)


def test_client_that_sends_nothing_and_closes_uses_no_fault() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        mitto.script("close_before_read")
        _, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.close()
        await until(lambda: mitto.connections == 1 and not mitto.open_connections)
        assert (await exchange(mitto)).is_reset

    run(scenario)


def test_client_that_closes_in_the_middle_of_a_request_adds_no_message() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.write(request()[:-5])
        writer.write_eof()
        await until(lambda: mitto.requests == 1 and not mitto.open_connections)
        writer.transport.abort()

    mitto = run(scenario)
    assert (mitto.inbox, mitto.open_connections) == ([], 0)


def test_many_clients_at_once_are_all_served() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        assert all(map(is_ok, await asyncio.gather(*(exchange(mitto) for _ in range(200)))))

    mitto = run(scenario)
    assert (len(mitto.inbox), mitto.requests, mitto.connections) == (200, 200, 200)


def test_shutdown_ends_every_connection_at_once() -> None:
    faults = ("hang", "hang_before_read", "drip_headers", "drip_body", "slow:60", "big_body")

    async def scenario() -> None:
        async with FakeMitto(api_key=KEY) as mitto:
            mitto.script(*faults)
            streams = [await asyncio.open_connection("127.0.0.1", mitto.port) for _ in range(len(faults) + 1)]
            for _, writer in streams[1:]:
                writer.write(request())
            await until(lambda: mitto.requests == len(faults) - 1)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        for reader, writer in streams:
            await read_to_the_end(reader)
            writer.transport.abort()

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_SECONDS))


def test_message_is_shown_before_the_response() -> None:
    shown: list[str] = []

    async def scenario(mitto: FakeMitto) -> None:
        mitto.script("slow:60")
        _, writer = await asyncio.open_connection("127.0.0.1", mitto.port)
        writer.write(request())
        await until(lambda: bool(shown))
        writer.transport.abort()

    mitto = run(scenario, on_message=lambda message: shown.append(message.id))
    assert shown == [mitto.inbox[0].id]


def test_test_message_is_counted_but_not_in_the_inbox() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        seen = await exchange(mitto, request(sms(test=True), more="Connection: close\r\n"))
        assert seen.json["test"] is True
        assert seen.json["responseCode"] == 0

    mitto = run(scenario)
    assert (mitto.inbox, mitto.test_messages) == ([], 1)


def test_inbox_deletes_the_oldest() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        await exchange(mitto)
        mitto.inbox.extend(mitto.inbox * (INBOX_LIMIT - 1))
        await exchange(mitto, request(sms(text="newest"), more="Connection: close\r\n"))

    inbox = run(scenario).inbox
    assert len(inbox) == INBOX_LIMIT
    assert inbox[-1].text == "newest"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104 - it must be refused
def test_public_address_is_refused(host: str) -> None:
    with pytest.raises(PublicAddressError, match="loopback only"):
        FakeMitto(api_key=KEY, host=host)


def test_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        FakeMitto(api_key="")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_url_leads_to_the_server(host: str) -> None:
    async def scenario(mitto: FakeMitto) -> None:
        assert mitto.url == f"http://{host}:{mitto.port}"
        reader, writer = await asyncio.open_connection(host, mitto.port)
        writer.write(request())
        assert is_ok(await one_response(reader))
        writer.transport.abort()

    run(scenario, host=host)


def test_public_server_shows_its_inbox_to_the_key_only() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        assert (await asyncio.to_thread(call, mitto, "GET", "/inbox"))[0] == 401
        assert (await asyncio.to_thread(call, mitto, "GET", "/inbox", **{"X-Mitto-API-Key": KEY}))[0] == 200

    run(scenario, host="0.0.0.0", allow_public=True)  # noqa: S104 - for the length of this test


# The control API.


def test_inbox_shows_messages_and_counters_until_it_is_deleted() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        await exchange(
            mitto, request(sms(text="Grüße 🎉 \ud800", type="Unicode", validity=5, reference="r-1"), more="Connection: close\r\n")
        )
        status, shown = await asyncio.to_thread(call, mitto, "GET", "/inbox")
        assert status == 200
        (message,) = shown.pop("messages")
        assert shown == {"requests": 1, "connections": 1, "test_messages": 0, "reports": {"sent": 0, "failed": 0}}
        assert re.fullmatch(r"[0-9T:.-]+\+00:00", message.pop("received_at"))
        assert message.pop("id") == mitto.inbox[0].id
        assert message == {
            "sender": "Mitto SMS",
            "to": RECIPIENT,
            "text": "Grüße 🎉 \ud800",
            "type": "Unicode",
            "segments": 1,
            "validity": 5,
            "reference": "r-1",
            "test": False,
        }
        assert (await asyncio.to_thread(call, mitto, "DELETE", "/inbox"))[0] == 200
        assert (await asyncio.to_thread(call, mitto, "GET", "/inbox"))[1] == {
            "messages": [],
            "requests": 0,
            "connections": 0,
            "test_messages": 0,
            "reports": {"sent": 0, "failed": 0},
        }

    run(scenario)


def test_script_is_set_and_deleted_over_http() -> None:
    statuses: list[int] = []

    async def scenario(mitto: FakeMitto) -> None:
        async def script(order: object) -> None:
            assert (await asyncio.to_thread(call, mitto, "POST", "/script", order))[0] == 200

        async def send(recipient: str = RECIPIENT) -> None:
            statuses.append((await exchange(mitto, request(sms(recipient), more="Connection: close\r\n"))).status)

        await script({"faults": ["503", "ok"]})
        await script({"faults": ["429"], "recipient": "12025550199"})
        await script({"default": "500"})
        for recipient in (RECIPIENT, "12025550199", RECIPIENT, RECIPIENT):
            await send(recipient)
        await script({"default": None})
        await send()
        await script({"faults": ["404"], "default": "403"})
        assert (await asyncio.to_thread(call, mitto, "DELETE", "/script"))[0] == 200
        await send()

    run(scenario)
    assert statuses == [503, 429, 200, 500, 200, 200]


@pytest.mark.parametrize(
    "order",
    [
        {"faults": ["ok", "nonsense"]},
        {"faults": [503]},
        {"faults": "503"},
        {"faults": ["503"], "default": "nonsense"},
        {"faults": ["503"], "recipient": "nobody"},
        {"faults": ["503"], "surprise": 1},
        {"recipient": RECIPIENT},
        {},
        [],
        "503",
    ],
    ids=json.dumps,
)
def test_invalid_script_is_refused_as_a_whole(order: object) -> None:
    async def scenario(mitto: FakeMitto) -> None:
        status, error = await asyncio.to_thread(call, mitto, "POST", "/script", order)
        assert status == 400
        assert error["error"]
        if "nonsense" in json.dumps(order):
            assert set(error["known"]) == FAULTS.keys()
        assert mitto.pop_fault(None) is None

    run(scenario)


def test_script_without_json_is_refused() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        assert (await exchange(mitto, request(b"{", line="POST /script HTTP/1.1"))).status == 400

    run(scenario)


def test_faults_and_magic_numbers_are_listed() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        status, listed = await asyncio.to_thread(call, mitto, "GET", "/faults")
        assert status == 200
        assert listed["faults"]["slow"] == {"description": "ok, late", "sent": True, "seconds": 1.2, "before_read": False}
        assert listed["faults"].keys() == FAULTS.keys()
        assert listed["magic_numbers"] == MAGIC_NUMBERS

    run(scenario)


def test_front_page_explains_everything() -> None:
    async def scenario(mitto: FakeMitto) -> None:
        seen = await exchange(mitto, request(b"", line="GET / HTTP/1.1"))
        assert seen.header("content-type") == "text/plain; charset=utf-8"
        words = seen.body.decode().split()
        assert {"/inbox", "/script", "/faults", "/sms.json,", "+12025550150"} <= set(words)

    run(scenario)
