"""The inbox as a person has it: the real function, the fake Mitto and the page in a real browser."""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from mitto_phone_hook.sandbox.demo import Running, running_inbox
from support.browser import axe, browser

Scheme = Literal["light", "dark"]
WIDTHS = {"desktop": 1440, "phone": 390}
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WAIT_MS = 20_000
CODES = map(str, itertools.count(480_003, 17))
"""Each message has a code of its own: the same one again would be a repeat."""


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as running:
        yield running


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    async with running_inbox(DEADLINE_SECONDS="4") as everything:
        yield everything


async def opened(context: BrowserContext, running: Running) -> Page:
    context.set_default_timeout(WAIT_MS)
    page = await context.new_page()
    await page.goto(running.inbox.url)
    await expect(page.locator("#live")).to_have_text("Live")
    return page


@pytest.fixture
async def page(chromium: Browser, running: Running) -> AsyncIterator[Page]:
    expect.set_options(timeout=WAIT_MS)
    running.mitto.clear()
    running.inbox.journeys.clear()
    context = await chromium.new_context(viewport={"width": 1440, "height": 900})
    try:
        shown = await opened(context, running)
        await shown.locator("input[value=fine]").check()
        await shown.locator("input[value=delivered]").check()
        yield shown
    finally:
        await context.close()


async def post(running: Running, text: str) -> str:
    """Call the function from elsewhere; give the code that stands in the text."""
    code = next(CODES)
    async with httpx.AsyncClient(trust_env=False) as client:
        content = {"recipient": "+12025550113", "text": text.format(code), "context": {"code": code}}
        response = await client.post(running.function, json=content, headers={"Authorization": f"Bearer {running.secret}"})
    assert response.status_code == 200
    return code


async def call(page: Page, platform: str = "native", case: str = "ok", to: str = "+12025550142") -> str:
    """Fill in the form and send it; give the code."""
    code = next(CODES)
    await page.locator("#platform").select_option(platform)
    await page.locator("#case").select_option(case)
    await page.locator("#to").fill(to)
    await page.locator("#code").fill(code)
    await page.locator(".send").click()
    return code


def states(page: Page) -> Any:
    return page.locator(".journey").first.locator(".steps li").evaluate_all("items => items.map(item => item.dataset.state)")


async def test_message_appears_live_with_its_line_breaks_and_its_code(page: Page, running: Running) -> None:
    code = await post(running, "Your code is {}.\nIt is valid for 5 minutes.")
    bubble = page.locator("#bubbles .bubble")
    await expect(bubble).to_have_count(1)
    assert await bubble.inner_text() == f"Your code is {code}.\nIt is valid for 5 minutes."
    assert await bubble.locator("mark").all_inner_texts() == [code]
    await expect(page.locator("#news")).to_contain_text("New message from Mitto SMS")
    assert await page.evaluate("performance.getEntriesByType('navigation').length") == 1


async def test_delivery_report_reaches_the_page_through_the_function(page: Page, running: Running) -> None:
    await post(running, "Your code is {}")
    await expect(page.locator(".journey .outcome")).to_contain_text("On the handset after")
    await expect(page.locator("#bubbles .status")).to_contain_text("Delivered after 1.")
    assert await states(page) == ["done"] * 5


async def test_form_calls_as_supabase_and_the_bubble_appears(page: Page, running: Running) -> None:
    code = await call(page, "supabase", to="+1 202 555 0142")
    await expect(page.locator("#bubbles mark")).to_have_text(code)
    await expect(page.locator(".journey h3")).to_have_text("Supabase")
    await expect(page.locator(".journey .reading")).to_have_text("Supabase sees HTTP 200: accepted")
    assert [(message.to, code in message.text) for message in running.mitto.inbox] == [("12025550142", True)]
    await expect(page.locator("#code")).not_to_have_value(code)


@pytest.mark.parametrize(
    ("mood", "words", "state"),
    [("down", "upstream_unavailable", "failed"), ("rejects", "upstream_rejected", "failed"), ("silent", "outcome_unknown", "unknown")],
)
async def test_fault_of_mitto_shows_at_the_step_where_it_happened(page: Page, mood: str, words: str, state: str) -> None:
    await page.locator(f"input[value={mood}]").check()
    await call(page)
    await expect(page.locator(".journey .outcome b")).to_contain_text(words)
    assert (await states(page))[:4] == ["done", "done", "done", state]
    await expect(page.locator("#no-bubbles" if state == "failed" else "#bubbles")).to_be_visible()


async def test_slow_mitto_is_seen_waiting_before_it_accepts(page: Page) -> None:
    await page.locator("input[value=slow]").check()
    await call(page)
    await expect(page.locator(".journey .steps li").nth(3)).to_have_attribute("data-state", "waiting")
    await expect(page.locator(".journey .steps li").nth(3)).to_have_attribute("data-state", "done")


@pytest.mark.parametrize(("case", "step"), [("forged", 1), ("stale", 1), ("refused-number", 2)])
async def test_refused_call_shows_where_it_ended(page: Page, running: Running, case: str, step: int) -> None:
    await call(page, "supabase", case)
    await expect(page.locator(".journey .steps li").nth(step)).to_have_attribute("data-state", "failed")
    assert (await states(page))[step + 1 :] == ["ahead"] * (4 - step)
    assert running.mitto.inbox == []


@pytest.mark.parametrize(("report", "words"), [("undelivered", "undelivered"), ("expired", "expired")])
async def test_message_that_the_handset_never_gets_looks_lost(page: Page, report: str, words: str) -> None:
    await page.locator(f"input[value={report}]").check()
    await call(page)
    await expect(page.locator("#bubbles > li")).to_have_attribute("data-status", "lost")
    await expect(page.locator(".journey .outcome b")).to_have_text(words)


@pytest.mark.parametrize("report", ["early", "out_of_order", "twice"])
async def test_message_is_on_the_handset_in_whatever_order_reports_come(page: Page, report: str) -> None:
    await page.locator(f"input[value={report}]").check()
    await call(page)
    await expect(page.locator("#bubbles > li")).to_have_attribute("data-status", "delivered")
    assert await states(page) == ["done"] * 5


async def test_wrong_input_is_said_at_its_field(page: Page) -> None:
    await call(page, "supabase", to="0202 555")
    await expect(page.locator("#wrong")).to_contain_text("with + and country code")
    await expect(page.locator("#to")).to_be_focused()
    await expect(page.locator("#to")).to_have_attribute("aria-invalid", "true")
    await call(page, "supabase", "voice")
    await expect(page.locator("#wrong")).to_have_text("Supabase never sends that.")


async def test_keyboard_alone_sends_a_code_and_plays_a_fault(page: Page) -> None:
    async def focused() -> str:
        found: str = await page.evaluate("document.activeElement.id || document.activeElement.value || document.activeElement.tagName")
        return found

    visited = []
    for _ in range(7):
        await page.keyboard.press("Tab")
        visited.append(await focused())
    assert visited == ["A", "clear", "platform", "to", "code", "case", "BUTTON"]
    await page.keyboard.press("Tab")
    assert await focused() == "fine"
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("input[value=down]")).to_be_checked()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".journey .outcome b")).to_contain_text("upstream_unavailable")
    await page.locator(".journey summary").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".journey pre")).to_contain_text('"event": "upstream_unavailable"')


async def test_segments_are_shown_on_demand(page: Page, running: Running) -> None:
    await post(running, "Your code is {}. " + "ü" * 150)
    summary = page.locator("#bubbles summary")
    await expect(summary).to_have_text("2 segments · GSM-7")
    await expect(page.locator(".segments li").first).to_be_hidden()
    await summary.click()
    assert await page.locator(".segments small").all_inner_texts() == ["153 of 153", "18 of 153"]


async def test_text_of_a_message_is_never_markup(page: Page, running: Running) -> None:
    code = await post(running, "<img src=x onerror=alert()> {}")
    await expect(page.locator("#bubbles .bubble")).to_have_text(f"<img src=x onerror=alert()> {code}")
    await expect(page.locator("#bubbles img")).to_have_count(0)


async def test_page_that_loads_again_shows_the_same_and_clear_empties_it(page: Page, running: Running) -> None:
    await post(running, "Your code is {}")
    await expect(page.locator("#bubbles .bubble")).to_have_count(1)
    await page.reload()
    await expect(page.locator("#bubbles .bubble")).to_have_count(1)
    await page.locator("#clear").click()
    await expect(page.locator("#no-bubbles")).to_be_visible()
    await expect(page.locator("#no-journeys")).to_be_visible()
    assert running.mitto.inbox == []
    stored = await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
    assert stored == [0, 0, ""]


async def test_no_request_leaves_the_page_and_nothing_is_blocked_or_wrong(chromium: Browser, running: Running) -> None:
    context = await chromium.new_context()
    requests, faults = [], []
    context.on("request", lambda request: requests.append(request.url))
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("console", lambda message: faults.append(message.text))
    try:
        page = await opened(context, running)
        code = await call(page)
        await expect(page.locator("#bubbles mark").last).to_have_text(code)
    finally:
        await context.close()
    assert faults == []
    assert len(requests) >= 5
    assert [url for url in requests if not url.startswith(running.inbox.url)] == []


async def test_another_page_in_the_browser_cannot_call(chromium: Browser, running: Running) -> None:
    before = len(running.mitto.inbox)
    context = await chromium.new_context()
    try:
        page = await context.new_page()
        await page.goto(running.mitto.url)
        tried = await page.evaluate(
            """async (url) => {
                const send = (options) => fetch(`${url}calls`, options).then((response) => response.status, () => "blocked");
                const body = JSON.stringify({platform: "native", to: "+12025550126", code: "482920", case: "ok"});
                return [
                    await send({method: "POST", mode: "no-cors", body}),
                    await send({method: "POST", headers: {"Content-Type": "application/json", "X-Inbox-Token": "x"}, body}),
                    await fetch(`${url}events`).then((response) => response.status, () => "blocked"),
                ];
            }""",
            running.inbox.url,
        )
        assert tried == ["blocked", "blocked", "blocked"]
    finally:
        await context.close()
    assert len(running.mitto.inbox) == before
    assert all(one["to"] != "+12025550126" for one in running.inbox.journeys.snapshot()["journeys"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
async def test_page_is_accessible_and_fits(chromium: Browser, running: Running, page: Page, width: int, scheme: Scheme) -> None:
    await call(page)
    await call(page, "supabase", "forged")
    await expect(page.locator(".journey .reading:not(:empty)")).to_have_count(2)
    await page.locator("input[value=undelivered]").check()
    await call(page, "okta")
    await expect(page.locator('#bubbles [data-status="lost"]')).to_have_count(1)
    context = await chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce")
    try:
        shown = await opened(context, running)
        await shown.locator(".journey summary").first.click()
        await shown.locator("#bubbles summary").first.click()
        await shown.evaluate(axe())
        found = await shown.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete']})")
        sizes = await shown.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        paper = await shown.evaluate("getComputedStyle(document.body).backgroundColor")
    finally:
        await context.close()
    faults = {one["id"]: [node["html"] for node in one["nodes"]] for one in found["violations"]}
    assert faults == {}, json.dumps(faults, indent=2)
    assert len(found["passes"]) > 20
    assert sizes[0] <= sizes[1]
    assert (int(paper.partition("(")[2].partition(",")[0]) < 128) == (scheme == "dark")


async def test_motion_stops_for_those_who_asked(chromium: Browser, running: Running) -> None:
    context = await chromium.new_context(reduced_motion="reduce")
    try:
        page = await opened(context, running)
        durations = await page.evaluate("[getComputedStyle(document.querySelector('.live'), '::before').animationDuration]")
    finally:
        await context.close()
    assert durations == ["0.001s"]
