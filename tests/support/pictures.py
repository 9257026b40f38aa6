"""Pictures of the inbox for the documentation: ``python -m support.pictures [FOLDER]``, by default ``docs/pictures``."""

import asyncio
import sys
from pathlib import Path
from typing import Literal, NamedTuple

import httpx
from playwright.async_api import Page, expect

from mitto_phone_hook.sandbox.demo import Running, running_inbox
from support.browser import browser
from support.processes import ROOT


class Picture(NamedTuple):
    """One picture: its name, the size of the window and the colour scheme."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]


PICTURES = (
    Picture("inbox-light", 1320, 880, "light"),
    Picture("inbox-dark", 1320, 880, "dark"),
    Picture("inbox-phone-light", 390, 1288, "light"),
)


async def fill(page: Page, running: Running) -> None:
    """Make calls of several kinds, so that the page shows each kind of outcome."""
    long = "Twój kod to 730 461.\nJest ważny przez 5 minut.\n\nNie podawaj go nikomu. My też nigdy o niego nie zapytamy."
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(
            running.function,
            json={"recipient": "+12025550113", "text": long, "context": {"code": "730461"}},
            headers={"Authorization": f"Bearer {running.secret}"},
        )
    await expect(page.locator(".journey")).to_have_count(1)
    await call(page, "okta", "264917", case="forged")
    await call(page, "clerk", "593026", mood="down")
    await call(page, "auth0", "482913")
    await expect(page.locator(".journey").first.locator(".outcome")).to_contain_text("On the handset")
    await call(page, "supabase", "808124")


async def call(page: Page, platform: str, code: str, *, case: str = "ok", mood: str = "fine") -> None:
    """Call through the form, and wait for the end of the call."""
    before = await page.locator(".journey").count()
    await page.locator(f"input[value={mood}]").check()
    await page.locator("#platform").select_option(platform)
    await page.locator("#case").select_option(case)
    await page.locator("#code").fill(code)
    await page.locator(".send").click()
    await expect(page.locator(".journey")).to_have_count(before + 1)
    await expect(page.locator(".journey").first.locator(".reading")).not_to_be_empty()
    await page.locator("input[value=fine]").check()
    await page.locator("#case").select_option("ok")


async def take(folder: Path) -> None:
    """Take all pictures."""
    async with running_inbox() as running, browser() as chromium:
        page = await chromium.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(running.inbox.url)
        await fill(page, running)
        for picture in PICTURES:
            context = await chromium.new_context(
                viewport={"width": picture.width, "height": picture.height}, color_scheme=picture.scheme, reduced_motion="reduce"
            )
            shown = await context.new_page()
            await shown.goto(running.inbox.url)
            await expect(shown.locator(".journey")).to_have_count(5)
            await shown.screenshot(path=folder / f"{picture.name}.png")
            await context.close()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs/pictures"
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(target))
