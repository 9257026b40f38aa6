"""One message: when it is tried again, and above all when not."""

import asyncio
import contextlib
import threading
from pathlib import Path

import httpx
import pytest

from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.delivery.attempts import PAUSE_SECONDS, Sent, send
from mitto_phone_hook.domain.deadline import RESERVE_SECONDS
from mitto_phone_hook.domain.message import Recipient
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import Encoding, as_ucs2, encode
from support.over_httpx import carried_by
from support.stage import PassingLoop
from support.upstream import ACCEPTED, Peer, Script, Upstream, answer, answering, closed_port, hanging, run, saying_and_closing

SMS = Sms(Recipient("+12025550147"), "Mitto SMS", encode("Your code is 123456"), 5)
OK = answer()
BUSY = answer(b"", "503 Busy")
UNAUTHORIZED = answer(b"", "401 Unauthorized")


MAX_SEGMENTS = 4


async def uncounted(_segments: int) -> None:
    """Let everything pass."""


def throttled(retry_after: str) -> bytes:
    return answer(b"", "429 Slow Down", f"Retry-After: {retry_after}")


def refusing(code: int, status: str = "200 OK") -> bytes:
    return answer(b'{"responseCode":%d}' % code, status)


def client(transport: httpx.AsyncBaseTransport, base_url: str, key: RotatingSecret[str] | None = None) -> Mitto:
    return Mitto(carried_by(transport), key or RotatingSecret("key"), base_url=base_url, connect_timeout_seconds=1, is_test=False)


async def send_through(mitto: Mitto, sms: Sms = SMS, *, seconds: float = 3, max_attempts: int = 3) -> Sent:
    until = asyncio.get_running_loop().time() + seconds
    return await send(mitto, sms, reference="call-1", until=until, max_attempts=max_attempts, max_segments=MAX_SEGMENTS, count=uncounted)


def rotated(directory: Path) -> RotatingSecret[str]:
    """Give the key "old", whose file holds "new" by now."""
    file = directory / "key"
    file.write_text("new")
    return RotatingSecret("old", file.read_text)


def deliver(
    script: Script, sms: Sms = SMS, *, seconds: float = 3, max_attempts: int = 3, key: RotatingSecret[str] | None = None
) -> tuple[Sent, Upstream]:
    async def scenario() -> tuple[Sent, Upstream]:
        async with Upstream(script) as upstream:
            transport = OneOriginTransport(upstream.url)
            mitto = client(transport, upstream.base_url, key)
            sent = await send_through(mitto, sms, seconds=seconds, max_attempts=max_attempts)
            await transport.aclose()
            return sent, upstream

    sent, upstream = run(scenario())
    assert sent.attempts == len(upstream.requests)
    return sent, upstream


def test_accepted_message_is_sent_once() -> None:
    sent, upstream = deliver(answering(OK))
    assert sent.result == Result(Outcome.ACCEPTED, message_id="0a1b-2c", segments=1)
    assert (sent.attempts, len(upstream.requests), sent.sms) == (1, 1, SMS)
    assert sent.seconds > 0


@pytest.mark.parametrize("message_id", ["12025550147", "m-12025550147", "+12025550147"])
def test_an_id_that_holds_the_number_is_told_to_nobody(message_id: str) -> None:
    sent, _ = deliver(answering(answer(f'{{"responseCode":0,"id":"{message_id}"}}'.encode())))
    assert sent.result == Result(Outcome.ACCEPTED, segments=1)


# While certainly nothing was sent


@pytest.mark.parametrize(
    "refusal",
    [BUSY, answer(b"", "429 Slow Down"), throttled("0"), throttled("Fri, 31 Dec 2049 23:59:59 GMT")],
    ids=["503", "429", "429_now", "429_date"],
)
def test_message_that_was_not_sent_is_sent_again_after_a_pause(refusal: bytes) -> None:
    sent, upstream = deliver(answering(refusal, OK))
    assert (sent.answer.outcome, sent.attempts) == (Outcome.ACCEPTED, 2)
    assert upstream.bodies[0] == upstream.bodies[1]
    assert upstream.times[1] - upstream.times[0] >= PAUSE_SECONDS
    assert sent.seconds >= PAUSE_SECONDS


@pytest.mark.parametrize("max_attempts", [1, 2, 3])
def test_attempts_have_a_limit(max_attempts: int) -> None:
    sent, upstream = deliver(answering(BUSY), max_attempts=max_attempts)
    assert sent.result == Result(Outcome.UPSTREAM_UNAVAILABLE, "http_503", segments=1)
    assert len(upstream.requests) == max_attempts


def test_retry_after_is_waited_for_when_it_fits() -> None:
    sent, upstream = deliver(answering(throttled("1"), OK), seconds=1 + RESERVE_SECONDS + 2)
    assert sent.answer.outcome is Outcome.ACCEPTED
    assert upstream.times[1] - upstream.times[0] >= 1


@pytest.mark.parametrize(
    ("seconds", "retry_after"), [(1 + RESERVE_SECONDS - 0.05, "1"), (3, "3"), (3, "999999"), (RESERVE_SECONDS + PAUSE_SECONDS - 0.02, "0")]
)
def test_pause_that_would_leave_too_little_time_is_not_begun(seconds: float, retry_after: str) -> None:
    sent, _ = deliver(answering(throttled(retry_after)), seconds=seconds)
    assert sent.result == Result(Outcome.UPSTREAM_UNAVAILABLE, "http_429", segments=1, retry_after_seconds=int(retry_after))
    assert sent.attempts == 1
    assert sent.seconds < 1, "it was waited for"


def test_retries_end_when_the_time_does() -> None:
    sent, _ = deliver(answering(BUSY), seconds=RESERVE_SECONDS + 5 * PAUSE_SECONDS, max_attempts=99)
    assert 2 <= sent.attempts <= 6
    assert sent.result.outcome is Outcome.UPSTREAM_UNAVAILABLE


def test_refused_connection_is_tried_again() -> None:
    async def scenario() -> Sent:
        base_url = f"http://127.0.0.1:{closed_port()}"
        transport = OneOriginTransport(httpx.URL(base_url))
        return await send_through(client(transport, base_url), max_attempts=2)

    sent = run(scenario())
    assert (sent.result.outcome, sent.result.why, sent.attempts) == (Outcome.UPSTREAM_UNAVAILABLE, "cannot_connect", 2)


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ConnectTimeout])
def test_connection_that_comes_up_later_carries_the_message_once(kind: type[httpx.TransportError]) -> None:
    asked: list[httpx.Request] = []

    def transport(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 1:
            raise kind("")
        return httpx.Response(200, content=ACCEPTED)

    sent = run(send_through(client(httpx.MockTransport(transport), "http://mitto.invalid")))
    assert (sent.answer.outcome, sent.attempts, len(asked)) == (Outcome.ACCEPTED, 2, 2)


# When nobody can tell, and when Mitto said no


async def reset_after_request(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


UNKNOWN: dict[str, Script] = {
    "internal_error": answering(refusing(1), OK),
    "internal_error_with_400": answering(refusing(1, "400 Bad Request"), OK),
    "500": answering(answer(b"", "500 Error"), OK),
    "502": answering(answer(b"", "502 Bad Gateway"), OK),
    "504": answering(answer(b"", "504 Timeout"), OK),
    "408": answering(answer(b"", "408 Timeout"), OK),
    "429_that_accepts": answering(answer(ACCEPTED, "429 Slow Down", "Retry-After: 0"), OK),
    "503_that_accepts": answering(answer(ACCEPTED, "503 Busy", "Retry-After: 0"), OK),
    "html": answering(answer(b"<html>"), OK),
    "empty": answering(answer(b""), OK),
    "truncated": saying_and_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + ACCEPTED),
    "closed_after_request": saying_and_closing(),
    "reset_after_request": reset_after_request,
    "garbage": saying_and_closing(b"garbage\r\n\r\n"),
}


@pytest.mark.parametrize("script", UNKNOWN.values(), ids=UNKNOWN)
def test_message_that_may_have_left_is_never_sent_again(script: Script, tmp_path: Path) -> None:
    sent, upstream = deliver(script, key=rotated(tmp_path))
    assert sent.result.outcome is Outcome.OUTCOME_UNKNOWN
    assert sent.result.retry_after_seconds is None
    assert len(upstream.requests) == 1


def test_message_that_hangs_is_given_up_at_the_deadline_and_never_sent_again() -> None:
    sent, upstream = deliver(hanging, seconds=RESERVE_SECONDS + 0.3)
    assert sent.result == Result(Outcome.OUTCOME_UNKNOWN, "deadline", segments=1)
    assert len(upstream.requests) == 1
    assert sent.seconds >= RESERVE_SECONDS


@pytest.mark.parametrize(
    "refusal",
    [*map(refusing, (2, 3, 5, 6, 7, 8, 10)), answer(b"", "400 Bad Request"), answer(b"", "302 Found")],
    ids=["2", "3", "5", "6", "7", "8", "10", "http_400", "http_302"],
)
def test_rejected_message_is_not_sent_again(refusal: bytes, tmp_path: Path) -> None:
    sent, _ = deliver(answering(refusal, OK), key=rotated(tmp_path))
    assert sent.attempts == 1
    assert sent.result.outcome in {Outcome.UPSTREAM_REJECTED, Outcome.UPSTREAM_AUTH, Outcome.INVALID_RECIPIENT}


# The alphabet


@pytest.mark.parametrize("refusal", [refusing(4), refusing(9), refusing(4, "400 Bad Request")], ids=["4", "9", "4_with_400"])
def test_refused_alphabet_is_healed_by_unicode_once(refusal: bytes) -> None:
    sent, upstream = deliver(answering(refusal, OK))
    first, second = upstream.bodies
    assert second == first.replace(b'"type":"GSM"', b'"type":"Unicode"') != first
    assert (sent.answer.outcome, sent.sms.encoded.encoding) == (Outcome.ACCEPTED, Encoding.UCS2)


def test_unicode_is_charged_as_unicode() -> None:
    sms = Sms(SMS.recipient, "Mitto SMS", encode("x" * 71), 5)
    assert deliver(answering(OK), sms)[0].result.segments == 1
    assert deliver(answering(refusing(4), OK), sms)[0].result.segments == 2


@pytest.mark.parametrize("code", [4, 9])
def test_alphabet_that_stays_refused_is_not_tried_a_third_time(code: int) -> None:
    sent, upstream = deliver(answering(refusing(code)), max_attempts=9)
    assert sent.result == Result(Outcome.UPSTREAM_REJECTED, f"mitto_code_{code}", segments=1)
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("code", [4, 9])
def test_unicode_that_is_refused_has_nothing_left_to_try(code: int) -> None:
    sms = Sms(SMS.recipient, "Mitto SMS", as_ucs2("\u4ee3\u7801 123456"), 5)
    assert deliver(answering(refusing(code), OK), sms)[0].attempts == 1


def test_certain_rejection_is_not_risked_when_counting_took_the_time() -> None:
    async def scenario() -> Sent:
        async def count(_: int) -> None:
            await asyncio.sleep(0.35)

        async with Upstream(answering(refusing(4), OK)) as upstream:
            transport = OneOriginTransport(upstream.url)
            until = asyncio.get_running_loop().time() + RESERVE_SECONDS + 0.3
            mitto = client(transport, upstream.base_url)
            sent = await send(mitto, SMS, reference="r", until=until, max_attempts=3, max_segments=MAX_SEGMENTS, count=count)
            await transport.aclose()
            return sent

    sent = run(scenario())
    assert (sent.answer.why, sent.attempts, sent.sms) == ("mitto_code_4", 1, SMS)


def test_unicode_is_not_counted_when_the_refusal_took_the_time() -> None:
    counted = list[int]()

    async def count(segments: int) -> None:
        counted.append(segments)

    def refuse_late(_: httpx.Request) -> httpx.Response:
        loop.passed_seconds += 29.6
        return httpx.Response(200, json={"responseCode": 4})

    async def scenario() -> Sent:
        mitto, until = client(httpx.MockTransport(refuse_late), "http://mitto.invalid"), loop.time() + 30
        return await send(mitto, SMS, reference="r", until=until, max_attempts=3, max_segments=MAX_SEGMENTS, count=count)

    with contextlib.closing(PassingLoop()) as loop:
        sent = loop.run_until_complete(scenario())
    assert (sent.answer.why, sent.attempts, counted) == ("mitto_code_4", 1, [])


def test_refused_alphabet_counts_as_an_attempt() -> None:
    assert deliver(answering(refusing(4), OK), max_attempts=1)[0].attempts == 1


def test_unicode_stays_unicode_when_it_is_not_sent_at_first() -> None:
    sent, upstream = deliver(answering(refusing(4), BUSY, OK))
    assert sent.answer.outcome is Outcome.ACCEPTED
    assert [b'"Unicode"' in body for body in upstream.bodies] == [False, True, True]


# The API key


def keys_of(upstream: Upstream) -> list[bytes]:
    return [next(line[17:] for line in request.split(b"\r\n") if line.startswith(b"X-Mitto-API-Key: ")) for request in upstream.requests]


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_refused_key_that_has_been_rotated_is_replaced(status: str, tmp_path: Path) -> None:
    sent, upstream = deliver(answering(answer(b"", status), OK), key=rotated(tmp_path))
    assert sent.answer.outcome is Outcome.ACCEPTED
    assert keys_of(upstream) == [b"old", b"new"]


def test_rotated_key_that_is_refused_too_is_the_end() -> None:
    next_keys = ["new-1", "new-2", "new-3"]
    sent, upstream = deliver(answering(UNAUTHORIZED), max_attempts=9, key=RotatingSecret("old", lambda: next_keys.pop(0)))
    assert sent.result == Result(Outcome.UPSTREAM_AUTH, "http_401", segments=1)
    assert keys_of(upstream) == [b"old", b"new-1"]


def test_refused_key_that_is_still_the_same_is_the_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("old")
    for key in (
        RotatingSecret("old"),
        RotatingSecret("old", (tmp_path / "key").read_text),
        RotatingSecret("old", (tmp_path / "gone").read_text),
    ):
        assert deliver(answering(UNAUTHORIZED, OK), key=key)[0].attempts == 1


def test_refused_key_counts_as_an_attempt(tmp_path: Path) -> None:
    assert deliver(answering(UNAUTHORIZED, OK), max_attempts=1, key=rotated(tmp_path))[0].attempts == 1


class StandingLoop(PassingLoop):
    """An event loop whose clock stands still unless it is put forward."""

    def time(self) -> float:
        return self.passed_seconds


def test_key_that_cannot_be_read_is_waited_for_only_while_another_attempt_has_time() -> None:
    is_over, was_given_up = threading.Event(), list[bool]()

    def read() -> str:
        loop.passed_seconds += 29.6
        loop.call_soon_threadsafe(lambda: None)  # so that the loop looks at its clock
        was_given_up.append(is_over.wait(5))
        return "new"

    async def scenario() -> Sent:
        refusing = httpx.MockTransport(lambda _: httpx.Response(401))
        sent = await send_through(client(refusing, "http://mitto.invalid", RotatingSecret("old", read)), seconds=30)
        is_over.set()
        return sent

    loop = StandingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        sent = runner.run(scenario())
    assert (sent.answer.why, sent.attempts, was_given_up) == ("http_401", 1, [True])


def test_key_alphabet_and_pause_have_their_turns_in_one_delivery(tmp_path: Path) -> None:
    sent, upstream = deliver(answering(UNAUTHORIZED, BUSY, refusing(9), OK), max_attempts=4, key=rotated(tmp_path))
    assert (sent.answer.outcome, sent.attempts) == (Outcome.ACCEPTED, 4)
    assert keys_of(upstream) == [b"old", b"new", b"new", b"new"]
    assert [b'"Unicode"' in body for body in upstream.bodies] == [False, False, False, True]
