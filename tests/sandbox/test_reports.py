"""The delivery reports of the fake Mitto, as a server on this machine gets them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mitto_phone_hook.sandbox import FakeMitto
from mitto_phone_hook.sandbox.reports import PLANS, UnknownPlanError, is_loopback

KEY = "sandbox-key"
LIMIT_SECONDS = 10
SHORT = ":0.05"

STATUSES = {
    "delivered": ["DELIVERED"],
    "undelivered": ["UNDELIVERED"],
    "expired": ["EXPIRED"],
    "never": [],
    "twice": ["DELIVERED", "DELIVERED"],
    "out_of_order": ["DELIVERED", "BUFFERED"],
    "early": ["DELIVERED"],
}


class Receiver:
    """A server that notes each report: method, path and fields."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[str, str, dict[str, str]]] = asyncio.Queue()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *headers = head.split("\r\n")
        method, target, _ = line.split(" ")
        values = {name.lower(): value for name, value in (header.split(": ", 1) for header in headers if header)}
        body = (await reader.readexactly(int(values.get("content-length", 0)))).decode()
        is_json = values.get("content-type") == "application/json"
        parts = urlsplit(target)
        fields = json.loads(body) if is_json else {name: value[0] for name, value in parse_qs(body or parts.query).items()}
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        self.got.put_nowait((method, parts.path, fields))

    async def next(self) -> tuple[str, str, dict[str, str]]:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self.got.get()


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/reports/token"
    async with server:
        yield receiver


async def send(mitto: FakeMitto, **fields: Any) -> dict[str, Any]:
    content = {"to": "12025550100", "from": "Mitto SMS", "text": "Your code is 123456", "reference": "call-1", **fields}
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(f"{mitto.url}/sms.json", json=content, headers={"X-Mitto-API-Key": KEY})
    reply: dict[str, Any] = response.json()
    return reply


async def control(mitto: FakeMitto, **script: object) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"{mitto.url}/script", json=script)


@pytest.mark.parametrize(("form", "method"), [("query", "GET"), ("form", "POST"), ("json", "POST")])
async def test_report_names_the_message_in_each_form(form: str, method: str) -> None:
    async with receiving() as receiver, FakeMitto(api_key=KEY) as mitto:
        assert (await control(mitto, report_form=form, reports=["delivered" + SHORT])).status_code == 200
        reply = await send(mitto, callback=receiver.url)
        used, path, fields = await receiver.next()
    assert (used, path) == (method, "/reports/token")
    assert (fields["msgid"], fields["reference"], fields["receiver"]) == (reply["id"], "call-1", "12025550100")
    assert (fields["status"], fields["errorcode"]) == ("DELIVERED", "0")


@pytest.mark.parametrize(("name", "statuses"), STATUSES.items())
async def test_each_plan_sends_its_statuses_in_order(name: str, statuses: list[str]) -> None:
    async with receiving() as receiver, FakeMitto(api_key=KEY) as mitto:
        mitto.reports.script(name + SHORT, "expired:0.4")
        await send(mitto, callback=receiver.url, reference="first")
        await send(mitto, callback=receiver.url, reference="second")
        got = [await receiver.next() for _ in range(len(statuses) + 1)]
    assert [fields["status"] for _, _, fields in got if fields["reference"] == "first"] == statuses


def test_every_plan_is_tested() -> None:
    assert STATUSES.keys() == PLANS.keys()


async def test_report_comes_late_by_default_and_before_the_response_if_early() -> None:
    async with receiving() as receiver, FakeMitto(api_key=KEY) as mitto:
        mitto.reports.script("early")
        await send(mitto, callback=receiver.url)
        assert receiver.got.qsize() == 1
        await receiver.next()
        started = asyncio.get_running_loop().time()
        await send(mitto, callback=receiver.url)
        await receiver.next()
        assert 1.2 <= asyncio.get_running_loop().time() - started < 5


async def test_report_goes_to_the_configured_address_where_the_message_names_none() -> None:
    async with receiving() as receiver, receiving() as other, FakeMitto(api_key=KEY) as mitto:
        mitto.reports.url = other.url
        mitto.reports.script_forever("delivered" + SHORT)
        await send(mitto, reference="without")
        await send(mitto, reference="with", callback=receiver.url)
        assert [(await one.next())[2]["reference"] for one in (other, receiver)] == ["without", "with"]


async def test_no_report_about_a_test_message_nor_about_a_refused_one() -> None:
    async with receiving() as receiver, FakeMitto(api_key=KEY) as mitto:
        mitto.reports.script_forever("early")
        await send(mitto, callback=receiver.url, test=True)
        await send(mitto, callback=receiver.url, text="")
        await send(mitto, callback=receiver.url, reference="real")
        assert (await receiver.next())[2]["reference"] == "real"
        assert receiver.got.empty()


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1/reports", "http://example.invalid/r", "http://127.0.0.1.example.invalid/", "file:///etc/hosts", "http://[::", "x"],
)
async def test_no_report_leaves_this_machine(url: str) -> None:
    assert not is_loopback(url)
    async with FakeMitto(api_key=KEY) as mitto:
        mitto.reports.script_forever("early")
        assert (await send(mitto, callback=url))["responseCode"] == 0
        assert (mitto.reports.sent, mitto.reports.failed) == (0, 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://127.0.0.1:9/", "http://127.0.0.1:9/\n"])
async def test_callback_that_leads_nowhere_changes_no_response(url: str) -> None:
    async with FakeMitto(api_key=KEY) as mitto:
        mitto.reports.script_forever("early")
        assert (await send(mitto, callback=url))["responseCode"] == 0
        assert (mitto.reports.sent, mitto.reports.failed) == (0, 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/r", "https://localhost/r", "http://[::1]:9/r"])
def test_this_machine_has_several_names(url: str) -> None:
    assert is_loopback(url)


async def test_inbox_counts_the_reports() -> None:
    async with receiving() as receiver, FakeMitto(api_key=KEY) as mitto, httpx.AsyncClient(trust_env=False) as client:
        mitto.reports.script("early", "early")
        await send(mitto, callback=receiver.url)
        await send(mitto, callback="http://127.0.0.1:9/")
        assert (await client.get(f"{mitto.url}/inbox")).json()["reports"] == {"sent": 1, "failed": 1}


@pytest.mark.parametrize("name", ["", "unknown", "delivered:x", "delivered:61", "delivered:-1", None, 5])
async def test_unknown_report_is_refused_with_the_known_ones(name: object) -> None:
    async with FakeMitto(api_key=KEY) as mitto:
        response = await control(mitto, reports=["never", name])
        assert (response.status_code, response.json()["known"]) == (400, list(PLANS))
        with pytest.raises(UnknownPlanError):
            mitto.reports.script_forever(name or "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("script", [{"reports": "never"}, {"report_form": "xml"}, {"report": "never"}])
async def test_wrong_script_is_refused(script: dict[str, object]) -> None:
    async with FakeMitto(api_key=KEY) as mitto:
        assert (await control(mitto, **script)).status_code == 400
