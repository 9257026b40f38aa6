"""Every platform has a page, all pages have one form, and the index agrees with the pages and with the code."""

import re

import pytest

from mitto_phone_hook.cli.init import PASTES
from mitto_phone_hook.config.settings import variables
from mitto_phone_hook.platforms import NAMES, load_platform
from support import documents
from support.recipes import INDEX, PAGES

HEADINGS = ["What you need", "Set up", "Test it", "What the user sees when it fails", "Limits", "Source"]
OWN_ROUTES = [name for name in NAMES if name != "native"]
_ROW = re.compile(
    r"^\| \[[^\]]+\]\(platforms/([a-z0-9-]+)\.md\) \| `/hooks/([a-z0-9]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE
)

each_page = pytest.mark.parametrize("name", PAGES)


def rows(text: str) -> dict[str, list[str]]:
    """Give route, authentication, deadline and what a failure leads to, by the name of the page."""
    return {name: cells for name, *cells in _ROW.findall(text)}


def route_of(name: str) -> str:
    return name if name in NAMES else "native"


@each_page
def test_a_page_has_the_form_of_all_pages(name: str) -> None:
    page = PAGES[name].read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    assert len(re.findall(r"^# .+$", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)) == 1
    assert 40 <= len(page.splitlines()) <= 90
    assert "**Not run here**" in page.partition("## Source")[2]


@each_page
def test_a_page_uses_the_route_and_the_secrets_of_its_platform(name: str) -> None:
    page, route = PAGES[name].read_text(encoding="utf-8"), route_of(name)
    assert set(re.findall(r"(?<!internal)/hooks/([a-z0-9]+)", page)) == {route}
    assert set(re.findall(r"HOOK_SECRETS_([A-Z0-9]+)", page)) == {route.upper()}
    [test, *_] = re.findall(r"^## Test it\n\n```sh\n(.*?)\n```", page, re.DOTALL | re.MULTILINE)
    assert test == f'mitto-phone-hook simulate {PASTES[route].caller or route} --url https://the-function --to "$MY_NUMBER"'


def test_the_index_lists_every_page_and_every_route() -> None:
    listed = rows(INDEX.read_text(encoding="utf-8"))
    assert set(listed) == set(PAGES) >= set(OWN_ROUTES)
    assert {name: route for name, (route, *_) in listed.items()} == {name: route_of(name) for name in PAGES}


def test_the_readme_has_a_link_to_every_page() -> None:
    linked = re.findall(r"\]\(docs/platforms/([a-z0-9-]+)\.md\)", documents.README.read_text(encoding="utf-8"))
    assert sorted(linked) == sorted(PAGES)


def test_the_index_says_the_deadline_of_the_code() -> None:
    listed = rows(INDEX.read_text(encoding="utf-8"))
    [longest] = [float(setting.default or 0) for setting in variables() if setting.name == "DEADLINE_SECONDS"]
    deadlines = {name: f"{min(load_platform(name).timeout_seconds, longest):g} s" for name in OWN_ROUTES}
    assert {name: listed[name][2] for name in OWN_ROUTES} == deadlines
