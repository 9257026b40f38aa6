"""One attempt at one SMS: the request as Mitto wants it, and what every fault of the network becomes."""

import asyncio
import gzip
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.credentials.rotation import REREAD_SECONDS, RotatingSecret
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.client import MAX_RESPONSE_BYTES, TYPES, Mitto
from mitto_phone_hook.mitto.response_codes import MittoResult
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import Encoded, Encoding, as_ucs2, encode
from support.over_httpx import carried_by
from support.upstream import (
    ACCEPTED,
    LIMIT_SECONDS,
    Peer,
    Script,
    Upstream,
    answer,
    answering,
    closed_port,
    deaf_port,
    hanging,
    make_certificate,
    mute,
    open_sockets,
    run,
    saying_and_closing,
    serving_tls,
)

KEY = "key-of-the-tests"
TEXT = "Your code is 123456"
SMS = Sms(Recipient("+12025550123"), "Mitto SMS", encode(TEXT), 5)
PROMISE = MittoResult(Outcome.ACCEPTED, "accepted", message_id="0a1b-2c")

UNKNOWN = Outcome.OUTCOME_UNKNOWN
NOT_SENT = Outcome.UPSTREAM_UNAVAILABLE

SHORT_SECONDS = 0.25
"""A deadline that a test means to meet."""

TOLERANCE_SECONDS = 2
"""What an attempt may take beyond its deadline on a machine that does much else; it is a time-out that is looked for, not a speed."""


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def client(
    transport: httpx.AsyncBaseTransport,
    base_url: str = "http://mitto.invalid",
    *,
    key: RotatingSecret[str] | None = None,
    connect_timeout_seconds: float = 1,
    is_test: bool = False,
) -> Mitto:
    key = key or RotatingSecret(KEY)
    return Mitto(carried_by(transport), key, base_url=base_url, connect_timeout_seconds=connect_timeout_seconds, is_test=is_test)


@asynccontextmanager
async def connected(base_url: str, tls: ssl.SSLContext | None = None, connect_timeout_seconds: float = 1) -> AsyncIterator[Mitto]:
    transport = OneOriginTransport(httpx.URL(base_url), tls)
    try:
        yield client(transport, base_url, connect_timeout_seconds=connect_timeout_seconds)
    finally:
        await transport.aclose()


async def attempt(mitto: Mitto, sms: Sms = SMS, *, seconds: float = 3) -> MittoResult:
    return await mitto.send(sms, reference="call-1", until=in_seconds(seconds))


async def meet(script: Script, *, seconds: float = 3) -> tuple[MittoResult, Upstream]:
    """Make one attempt at a server that follows ``script``; the deadline holds, and the connection is used up or kept, never lost."""
    async with Upstream(script) as upstream:
        async with connected(upstream.base_url) as mitto:
            until = in_seconds(seconds)
            found = await mitto.send(SMS, reference="call-1", until=until)
            assert in_seconds(0) - until < TOLERANCE_SECONDS
        await upstream.until(lambda: upstream.open == 0)
        assert upstream.connections == 1
        return found, upstream


# The request


async def raw_request(sms: Sms = SMS, path: str = "", *, is_test: bool = False) -> bytes:
    async with Upstream(answering(answer())) as upstream:
        transport = OneOriginTransport(upstream.url)
        await attempt(client(transport, upstream.base_url + path, is_test=is_test), sms)
        await transport.aclose()
        return upstream.requests[0]


def fields_of(raw: bytes) -> Any:
    return json.loads(raw.partition(b"\r\n\r\n")[2].decode())


def test_request_has_the_fields_that_mitto_documents_and_no_other() -> None:
    assert fields_of(run(raw_request())) == {
        "to": "12025550123",
        "from": "Mitto SMS",
        "text": TEXT,
        "type": "GSM",
        "validity": 5,
        "reference": "call-1",
    }


def test_request_has_the_headers_that_mitto_needs_and_no_other() -> None:
    head, _, body = run(raw_request()).partition(b"\r\n\r\n")
    line, *headers = head.decode("ascii").split("\r\n")
    assert line == "POST /sms.json HTTP/1.1"
    values = dict(header.lower().split(": ", 1) for header in headers)
    assert len(values) == len(headers)
    assert values.pop("host").startswith("127.0.0.1:")
    assert values == {
        "x-mitto-api-key": KEY,
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-length": str(len(body)),
    }


def test_path_of_the_base_url_is_kept() -> None:
    assert run(raw_request(path="/eu/v1")).startswith(b"POST /eu/v1/sms.json HTTP/1.1\r\n")


def test_test_flag_is_sent_only_when_it_is_on() -> None:
    assert "test" not in fields_of(run(raw_request()))
    assert fields_of(run(raw_request(is_test=True)))["test"] is True


def test_every_encoding_has_its_type() -> None:
    assert {Encoding.GSM7: "GSM", Encoding.UCS2: "Unicode"} == TYPES


@pytest.mark.parametrize("encoding", Encoding)
def test_type_is_always_explicit(encoding: Encoding) -> None:
    sms = Sms(SMS.recipient, "40404", Encoded(TEXT, encoding, 1), 60)
    fields = fields_of(run(raw_request(sms)))
    assert (fields["type"], fields["from"], fields["validity"]) == (TYPES[encoding], "40404", 60)


@pytest.mark.parametrize(
    "text", ["Dein Code: 1 \u00e4\u00f6\u00fc\u00df \u20ac", "\u4ee3\u7801 1", "\U0001f511 1", "a\u0301", "\u2028\ufeff\u200e"]
)
def test_text_travels_as_utf_8_byte_for_byte(text: str) -> None:
    assert b'"' + text.encode() + b'"' in run(raw_request(Sms(SMS.recipient, "Mitto SMS", as_ucs2(text), 5)))


@given(st.text())
def test_whatever_the_text_mitto_reads_the_same(text: str) -> None:
    seen: list[bytes] = []

    def transport(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200, content=ACCEPTED)

    sms = Sms(SMS.recipient, "Mitto SMS", as_ucs2(text), 5)
    assert run(attempt(client(httpx.MockTransport(transport)), sms)) == PROMISE
    assert json.loads(seen[0].decode())["text"] == text
    assert len(seen) == 1


# The API key


def key_sent(mitto: Mitto, seen: list[httpx.Request]) -> str:
    run(attempt(mitto))
    return str(seen[-1].headers["x-mitto-api-key"])


def noting(seen: list[httpx.Request]) -> httpx.MockTransport:
    def transport(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=ACCEPTED)

    return httpx.MockTransport(transport)


def test_rotated_key_goes_out_once_it_was_reread(tmp_path: Path) -> None:
    file, seen = tmp_path / "key", list[httpx.Request]()
    file.write_text("first")
    mitto = client(noting(seen), key=RotatingSecret("first", file.read_text))
    assert key_sent(mitto, seen) == "first"
    file.write_text("second")
    assert key_sent(mitto, seen) == "first"
    run(mitto.reread_key(monotonic()))
    assert key_sent(mitto, seen) == "second"


def test_rotated_key_goes_out_by_itself_after_a_while(tmp_path: Path) -> None:
    file, seen = tmp_path / "key", list[httpx.Request]()
    file.write_text("second")
    key = RotatingSecret("first", file.read_text)
    assert key.current(monotonic() - REREAD_SECONDS - 1) == "first"
    assert key_sent(client(noting(seen), key=key), seen) == "second"


def test_key_that_cannot_be_read_any_more_stays_in_force(tmp_path: Path) -> None:
    seen = list[httpx.Request]()
    mitto = client(noting(seen), key=RotatingSecret("first", (tmp_path / "gone").read_text))
    run(mitto.reread_key(monotonic()))
    assert key_sent(mitto, seen) == "first"


def test_key_from_a_plain_setting_is_never_another() -> None:
    seen = list[httpx.Request]()
    mitto = client(noting(seen))
    before = key_sent(mitto, seen)
    run(mitto.reread_key(monotonic()))
    assert key_sent(mitto, seen) == before


def test_key_whose_mount_hangs_takes_one_thread_however_many_ask() -> None:
    gate, readers = threading.Event(), list[int]()

    def read() -> str:
        readers.append(1)
        gate.wait(LIMIT_SECONDS)
        return "second"

    async def scenario() -> None:
        seen = list[httpx.Request]()
        mitto = client(noting(seen), key=RotatingSecret("first", read))
        asking = [asyncio.create_task(mitto.reread_key(monotonic())) for _ in range(50)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await mitto.reread_key(monotonic())
        gate.set()
        await asyncio.gather(*asking)
        assert (len(readers), mitto.key(monotonic())) == (1, "second")

    run(scenario())


# Answers, faults


def chunked(*pieces: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


TRUSTED: dict[str, bytes] = {
    "whole": answer(),
    "plain_by_name": answer(ACCEPTED, "200 OK", "Content-Encoding: identity"),
    "chunked": chunked(*(ACCEPTED[at : at + 1] for at in range(len(ACCEPTED)))) + b"0\r\n\r\n",
    "chunked_with_trailer": chunked(ACCEPTED) + b"0\r\nX-Late: 1\r\n\r\n",
    "until_the_end_of_the_connection": b"HTTP/1.1 200 OK\r\n\r\n" + ACCEPTED,
    "http_1_0": b"HTTP/1.0 200 OK\r\n\r\n" + ACCEPTED,
    "early_hints_first": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(),
    "1000_continues_first": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + answer(),
    "status_201": answer(ACCEPTED, "201 Created"),
    "no_reason": answer(ACCEPTED, "200 "),
}


@pytest.mark.parametrize("said", TRUSTED.values(), ids=TRUSTED)
def test_answer_that_arrives_whole_and_plain_is_believed(said: bytes) -> None:
    found, upstream = run(meet(saying_and_closing(said)))
    assert found == PROMISE
    assert len(upstream.requests) == 1


async def reset_before_reading(peer: Peer) -> None:
    peer.reset()


async def close_before_reading(peer: Peer) -> None:
    await peer.end()


async def reset_after_request(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def reset_in_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + ACCEPTED)
    peer.reset()


LOST = MittoResult(UNKNOWN, "connection_lost")
DISTRUSTED = MittoResult(UNKNOWN, "http_200")

FAULTS: dict[str, tuple[Script, MittoResult]] = {
    "reset_before_reading": (reset_before_reading, LOST),
    "close_before_reading": (close_before_reading, LOST),
    "reset_after_request": (reset_after_request, LOST),
    "close_after_request": (saying_and_closing(), LOST),
    "close_in_status_line": (saying_and_closing(b"HTTP/1.1 200"), LOST),
    "close_in_headers": (saying_and_closing(b"HTTP/1.1 200 OK\r\nContent-Le"), LOST),
    "not_http": (saying_and_closing(b"SSH-2.0-OpenSSH_9.9\r\n"), LOST),
    "not_http_but_two_lines": (saying_and_closing(b"220 mail.example ESMTP\r\n\r\n"), LOST),
    "http_0_9": (saying_and_closing(ACCEPTED + b"\r\n\r\n"), LOST),
    "http_2": (saying_and_closing(b"\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x7f"), LOST),
    "status_of_two_digits": (saying_and_closing(answer(ACCEPTED, "20 OK")), LOST),
    "status_below_100": (saying_and_closing(answer(ACCEPTED, "099 Early")), MittoResult(UNKNOWN, "mitto_code_0")),
    "header_without_colon": (saying_and_closing(answer(ACCEPTED, "200 OK", "No colon")), LOST),
    "header_with_nul": (saying_and_closing(answer(ACCEPTED, "200 OK", "X-Nul: \0")), LOST),
    "huge_header": (saying_and_closing(answer(ACCEPTED, "200 OK", "X-Huge: " + "x" * 300_000)), LOST),
    "many_headers": (saying_and_closing(answer(ACCEPTED, "200 OK", *(f"X-{number}: x" for number in range(30_000)))), LOST),
    "conflicting_lengths": (saying_and_closing(answer(ACCEPTED, "200 OK", "Content-Length: 7")), LOST),
    "negative_length": (saying_and_closing(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + ACCEPTED), LOST),
    "compressed_transfer": (saying_and_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + ACCEPTED), DISTRUSTED),
    "only_early_hints": (saying_and_closing(b"HTTP/1.1 103 Early Hints\r\n\r\n"), LOST),
    "switching_protocols": (
        saying_and_closing(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n" + ACCEPTED),
        MittoResult(UNKNOWN, "http_101"),
    ),
    "truncated": (saying_and_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + ACCEPTED), DISTRUSTED),
    "reset_in_body": (reset_in_body, DISTRUSTED),
    "bad_chunk": (saying_and_closing(chunked() + b"ZZ\r\n" + ACCEPTED), DISTRUSTED),
    "chunk_of_another_length": (saying_and_closing(chunked() + b"5\r\n" + ACCEPTED + b"\r\n0\r\n\r\n"), DISTRUSTED),
    "no_last_chunk": (saying_and_closing(chunked(ACCEPTED)), DISTRUSTED),
    "gzip": (saying_and_closing(answer(gzip.compress(ACCEPTED), "200 OK", "Content-Encoding: gzip")), DISTRUSTED),
    "gzip_by_name_only": (saying_and_closing(answer(ACCEPTED, "200 OK", "Content-Encoding: gzip")), DISTRUSTED),
    "two_encodings": (saying_and_closing(answer(ACCEPTED, "200 OK", "Content-Encoding: identity", "Content-Encoding: br")), DISTRUSTED),
    "no_content": (saying_and_closing(b"HTTP/1.1 204 No Content\r\n\r\n" + ACCEPTED), MittoResult(UNKNOWN, "http_204")),
    "status_999": (saying_and_closing(answer(b"", "999 Odd")), MittoResult(UNKNOWN, "http_999")),
    "gateway_error_truncated": (saying_and_closing(b"HTTP/1.1 502 Bad\r\nContent-Length: 9\r\n\r\n<"), MittoResult(UNKNOWN, "http_502")),
    "rejection_truncated": (
        saying_and_closing(b"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\n<"),
        MittoResult(Outcome.UPSTREAM_REJECTED, "http_400"),
    ),
    "throttled_and_reset": (
        saying_and_closing(b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 9\r\n\r\n<"),
        MittoResult(NOT_SENT, "http_429", retry_after_seconds=1),
    ),
}


@pytest.mark.parametrize(("script", "expected"), FAULTS.values(), ids=FAULTS)
def test_fault_on_the_wire_becomes_an_answer(script: Script, expected: MittoResult) -> None:
    found, upstream = run(meet(script))
    assert found == expected
    assert len(upstream.requests) <= 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirect_is_not_followed(status: str) -> None:
    found, upstream = run(meet(answering(answer(b"", status, "Location: /sms.json"), answer())))
    assert found == MittoResult(Outcome.UPSTREAM_REJECTED, f"http_{status[:3]}")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("more", "expected"), [(0, PROMISE), (1, DISTRUSTED)], ids=["longest_answer_is_read", "longer_answer_is_not_trusted"]
)
def test_answer_has_a_longest_length(more: int, expected: MittoResult) -> None:
    padded = ACCEPTED + b" " * (MAX_RESPONSE_BYTES - len(ACCEPTED) + more)
    assert run(meet(answering(answer(padded))))[0] == expected


@pytest.mark.parametrize("head", [b"Content-Length: 104857600", b"Transfer-Encoding: chunked"])
def test_endless_body_is_cut_after_a_little(head: bytes) -> None:
    async def flood(peer: Peer) -> None:
        await peer.read_request()
        await peer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        for _ in range(100):
            await peer.write(b"100000\r\n" + bytes(1 << 20) + b"\r\n")

    found, upstream = run(meet(flood))
    assert found == DISTRUSTED
    # What the kernel's buffers hold was never read.
    assert upstream.bytes_written < 16_000_000


# Deadlines


def falling_silent_after(before: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.write(before)
        await peer.until_client_leaves()

    return script


def dripping(before: bytes, drop: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.write(before)
        await peer.drip(drop)

    return script


def body_drips_after(status: str, *headers: str) -> Script:
    return dripping("\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 99999", *headers, "", ""]).encode(), b"{")


SLOW: dict[str, tuple[Script, MittoResult]] = {
    "hangs_without_reading": (mute, MittoResult(UNKNOWN, "deadline")),
    "hangs_after_request": (hanging, MittoResult(UNKNOWN, "deadline")),
    "hangs_after_early_hints": (falling_silent_after(b"HTTP/1.1 103 Early\r\n\r\n"), MittoResult(UNKNOWN, "deadline")),
    "drips_continues": (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), MittoResult(UNKNOWN, "deadline")),
    "drips_headers": (dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"), MittoResult(UNKNOWN, "deadline")),
    "drips_body": (body_drips_after("200 OK"), DISTRUSTED),
    "drips_chunks": (dripping(chunked(), b"1\r\n \r\n"), DISTRUSTED),
    "hangs_in_body": (falling_silent_after(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + ACCEPTED), DISTRUSTED),
    "drips_body_of_500": (body_drips_after("500 Error"), MittoResult(UNKNOWN, "http_500")),
    "drips_body_of_401": (body_drips_after("401 Unauthorized"), MittoResult(Outcome.UPSTREAM_AUTH, "http_401", is_key_refused=True)),
    "drips_body_of_503": (body_drips_after("503 Busy", "Retry-After: 2"), MittoResult(NOT_SENT, "http_503", retry_after_seconds=2)),
    "drips_body_of_400": (body_drips_after("400 Bad Request"), MittoResult(Outcome.UPSTREAM_REJECTED, "http_400")),
}


@pytest.mark.parametrize(("script", "expected"), SLOW.values(), ids=SLOW)
def test_deadline_cuts_the_attempt_and_tells_what_is_known(script: Script, expected: MittoResult) -> None:
    found, _ = run(meet(script, seconds=SHORT_SECONDS))
    assert found == expected


def test_caller_that_gives_up_is_not_held_and_closes_the_connection() -> None:
    async def scenario() -> None:
        async with Upstream(hanging) as upstream, connected(upstream.base_url) as mitto:
            task = asyncio.create_task(attempt(mitto))
            await upstream.until(lambda: len(upstream.requests) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await upstream.until(lambda: upstream.open == 0)

    run(scenario())


# No connection


def test_refused_connection_means_not_sent() -> None:
    async def scenario() -> MittoResult:
        async with connected(f"http://127.0.0.1:{closed_port()}") as mitto:
            return await attempt(mitto)

    assert run(scenario()) == MittoResult(NOT_SENT, "cannot_connect")


@pytest.mark.parametrize(("connect_timeout_seconds", "why"), [(0.1, "connect_timeout"), (5, "deadline")])
def test_connecting_for_too_long_means_not_sent(connect_timeout_seconds: float, why: str) -> None:
    async def scenario() -> MittoResult:
        sockets = open_sockets()
        with deaf_port() as port:
            filled = open_sockets()
            async with connected(f"http://127.0.0.1:{port}", connect_timeout_seconds=connect_timeout_seconds) as mitto:
                until = in_seconds(SHORT_SECONDS)
                found = await mitto.send(SMS, reference="call-1", until=until)
                assert in_seconds(0) - until < TOLERANCE_SECONDS
                assert open_sockets() == filled
        assert open_sockets() == sockets
        return found

    assert run(scenario()) == MittoResult(NOT_SENT, why)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    make_certificate(path)
    return path


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def test_trusted_server_is_used_over_one_connection(certificate: Path) -> None:
    async def scenario() -> None:
        async with Upstream(answering(answer()), serving_tls(certificate)) as upstream:
            async with connected(upstream.base_url, trusting(certificate)) as mitto:
                assert [await attempt(mitto) for _ in range(3)] == [PROMISE] * 3
            await upstream.until(lambda: upstream.open == 0)
            assert upstream.numbers == [0, 0, 0]

    run(scenario())


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"], ids=["unknown_issuer", "another_name"])
def test_server_that_cannot_be_trusted_gets_no_byte_of_the_request(certificate: Path, name: str) -> None:
    async def scenario() -> MittoResult:
        tls = trusting(certificate) if name == "localhost" else httpx.create_ssl_context()
        async with Upstream(mute, serving_tls(certificate)) as upstream:
            async with connected(upstream.base_url.replace("127.0.0.1", name), tls) as mitto:
                found = await attempt(mitto)
            assert upstream.connections == 0  # The server counts a connection once the handshake is over.
            return found

    assert run(scenario()) == MittoResult(Outcome.UPSTREAM_AUTH, "tls_not_trusted")


async def talks_plain_http(peer: Peer) -> None:
    await peer.write(answer())
    await peer.until_client_leaves()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (mute, "connect_timeout"),
        (close_before_reading, "cannot_connect"),
        (reset_before_reading, "cannot_connect"),
        (talks_plain_http, "cannot_connect"),
    ],
)
def test_failed_handshake_means_not_sent(certificate: Path, script: Script, why: str) -> None:
    async def scenario() -> MittoResult:
        async with Upstream(script) as upstream:
            async with connected(upstream.base_url.replace("http:", "https:"), trusting(certificate), SHORT_SECONDS) as mitto:
                found = await attempt(mitto)
            await upstream.until(lambda: upstream.open == 0)
            assert upstream.connections == 1
            return found

    assert run(scenario()) == MittoResult(NOT_SENT, why)


def test_server_that_wants_our_certificate_leaves_nobody_able_to_tell(certificate: Path) -> None:
    async def scenario() -> MittoResult:
        serving = serving_tls(certificate)
        serving.verify_mode = ssl.CERT_REQUIRED
        async with Upstream(mute, serving) as upstream, connected(upstream.base_url, trusting(certificate)) as mitto:
            return await attempt(mitto)

    # With TLS 1.3 the client learns of it after it has written its request.
    assert run(scenario()) == LOST


# Completeness


def leaves(kind: type[httpx.TransportError]) -> set[type[httpx.TransportError]]:
    return set().union(*map(leaves, kind.__subclasses__())) if kind.__subclasses__() else {kind}


def raising(kind: type[httpx.TransportError]) -> Callable[[httpx.Request], httpx.Response]:
    def transport(_: httpx.Request) -> httpx.Response:
        raise kind("")

    return transport


@pytest.mark.parametrize("kind", sorted(leaves(httpx.TransportError), key=str))
def test_every_fault_of_a_transport_becomes_an_answer_and_only_connecting_is_not_sent(kind: type[httpx.TransportError]) -> None:
    found = run(attempt(client(httpx.MockTransport(raising(kind)))))
    assert found.outcome is (NOT_SENT if kind in {httpx.ConnectError, httpx.ConnectTimeout} else UNKNOWN)
