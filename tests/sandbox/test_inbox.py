"""The server of the inbox over HTTP: who gets in, and what it takes."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mitto_phone_hook.callers import all_callers
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.sandbox import FakeMitto
from mitto_phone_hook.sandbox.inbox import FILES, MOODS, REPORTS, Function, Inbox
from mitto_phone_hook.sandbox.reports import PLANS

NOBODY = "http://127.0.0.1:9"
BEARER = b"bearer-secret-of-the-tests-0001"
CALL = {"platform": "supabase", "to": "+1 202 555 0142", "code": "482913", "case": "ok"}


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[tuple[Inbox, httpx.AsyncClient]]:
    """Serve the page of a function that does not respond; the client has the page's token."""
    async with (
        FakeMitto(api_key="key") as mitto,
        Inbox(mitto, Function(NOBODY, HookSecrets((BEARER,), (b"k" * 32,)))) as inbox,
        httpx.AsyncClient(base_url=inbox.url, trust_env=False, timeout=10) as client,
    ):
        page = (await client.get("/")).text
        [token] = re.findall(r'<meta name="token" content="([^"]+)">', page)
        client.headers["X-Inbox-Token"] = token
        yield inbox, client


async def events(client: httpx.AsyncClient) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    async with client.stream("GET", "/events") as response:
        kind = ""
        async for text in response.aiter_lines():
            if text.startswith("event: "):
                kind = text.removeprefix("event: ")
            elif text.startswith("data: "):
                yield kind, json.loads(text.removeprefix("data: "))


async def test_page_allows_nothing_from_another_host_and_holds_no_secret() -> None:
    async with serving() as (_, client):
        response = await client.get("/")
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert not re.search(r"unsafe|https?:|\*|data:", policy)
        assert response.headers["cache-control"] == "no-store"
        assert BEARER.decode() not in response.text
        for file in FILES.iterdir():
            assert not re.search(r"(https?:)?//(?!www\.w3\.org/2000/svg)\w+\.", file.read_text(encoding="utf-8")), file.name


@pytest.mark.parametrize("file", sorted(file.name for file in FILES.iterdir() if file.suffix != ".html"))
async def test_every_file_is_served_with_its_type(file: str) -> None:
    async with serving() as (_, client):
        response = await client.get(f"/{file}")
        assert response.content == (FILES / file).read_bytes()
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "attacker.example:80"},
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/events", "/inbox.js", "/calls", "/mitto", "/clear"])
async def test_other_pages_of_the_same_browser_get_nothing(path: str, headers: dict[str, str]) -> None:
    async with serving() as (_, client):
        method = "GET" if path in ("/events", "/inbox.js") else "POST"
        response = await client.request(method, path, json=CALL, headers=headers)
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("path", ["/calls", "/mitto", "/clear"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Inbox-Token": ""}, 403),
        ({"X-Inbox-Token": "wrong"}, 403),
        ({"X-Inbox-Token": "ä".encode("latin-1")}, 403),
        ({"Content-Type": "text/plain"}, 413),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 413),
    ],
    ids=str,
)
async def test_state_changes_only_with_the_token_and_json(path: str, headers: dict[str, Any], status: int) -> None:
    async with serving() as (_, client):
        response = await client.post(path, content=b"{}", headers={"Content-Type": "application/json"} | headers)
        assert response.status_code == status


async def test_large_body_is_refused_before_it_is_read() -> None:
    async with serving() as (_, client):
        assert (await client.post("/calls", json={"code": "1" * 5000})).status_code == 413


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 4000, b'{"mood": {}}', b'{"mood": "x"}', b'{"report": []}'])
async def test_nonsense_is_refused(content: bytes) -> None:
    async with serving() as (_, client):
        calls, mitto = [
            (await client.post(path, content=content, headers={"Content-Type": "application/json"})).status_code
            for path in ("/calls", "/mitto")
        ]
        assert calls == 422
        assert mitto == (422 if b"mood" in content or b"report" in content else 204)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"platform": "nobody"}, "platform"),
        ({"to": "12025550142"}, "to"),
        ({"to": "+1202555014x"}, "to"),
        ({"code": "12"}, "code"),
        ({"code": "\u0661\u0662\u0663\u0664"}, "code"),
        ({"case": "resend"}, "case"),
        ({"case": "voice"}, "case"),
    ],
    ids=str,
)
async def test_wrong_call_names_the_field(changes: dict[str, str], field: str) -> None:
    async with serving() as (_, client):
        response = await client.post("/calls", json=CALL | changes)
        assert (response.status_code, response.json()["field"]) == (422, field)


async def test_calls_are_shown_live_and_to_those_who_come_later() -> None:
    async with serving() as (_, client):
        stream = events(client)
        kind, all_ = await anext(stream)
        assert (kind, all_["journeys"], [name for name, _ in all_["platforms"]]) == ("snapshot", [], list(all_callers()))
        assert (await client.post("/calls", json=CALL)).status_code == 202
        kind, journey = await anext(stream)
        assert (kind, journey["title"], journey["to"]) == ("journey", "Supabase", "+12025550142")
        while not journey["reading"]:
            kind, journey = await anext(stream)
        assert journey["reading"] == "no response"
        await stream.aclose()  # type: ignore[attr-defined]
        later = events(client)
        assert [one["id"] for one in (await anext(later))[1]["journeys"]] == [journey["id"]]
        await client.post("/clear", json={})
        assert (await anext(later))[0] == "cleared"
        await later.aclose()  # type: ignore[attr-defined]


async def test_mitto_behaves_as_the_page_says() -> None:
    async with serving() as (inbox, client):
        stream = events(client)
        await anext(stream)
        for mood in (*MOODS, "fine"):
            assert (await client.post("/mitto", json={"mood": mood})).status_code == 204
            assert await anext(stream) == ("state", {"mood": mood, "report": "delivered"})
            fault = inbox._mitto.pop_fault(None)  # noqa: SLF001 - what the next request would get
            assert (fault is None) == (mood == "fine")
        await client.post("/mitto", json={"report": "expired"})
        assert (await anext(stream))[1]["report"] == "expired"
        await stream.aclose()  # type: ignore[attr-defined]


def test_every_plan_of_reports_can_be_chosen() -> None:
    assert REPORTS.keys() == PLANS.keys()


@pytest.mark.parametrize("text", ["", "not json", "[]", "{", '"text"', "{}", '{"event": "accepted"}'])
async def test_any_line_of_output_is_taken(text: str) -> None:
    async with serving() as (inbox, _):
        inbox.log_line(text)
        assert inbox.journeys.snapshot()["journeys"] == []
