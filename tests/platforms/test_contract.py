"""What every platform promises, one suite for all of them; a new platform is held to it by its name alone."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.message import Channel
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms import NAMES, load_platform
from mitto_phone_hook.platforms._contract import Defaults
from support.callers import Reading, reading, response_to
from support.processes import ROOT
from support.stage import AUTHORIZED, Stage

SAMPLES = ROOT / "tests" / "data"
MODULES = sorted(path.stem for path in (ROOT / "src/mitto_phone_hook/platforms").glob("[!_]*.py"))
JSON = {b"content-type": b"application/json"}

each_platform = pytest.mark.parametrize("name", NAMES)
each_sample = pytest.mark.parametrize(
    ("name", "sample"),
    [(name, path) for name in NAMES for path in sorted((SAMPLES / name).glob("*.json"))],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)


def test_every_module_is_listed_and_every_listed_one_is_a_module() -> None:
    assert sorted(NAMES) == MODULES
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    [independent] = [contract["modules"] for contract in contracts if contract["type"] == "independence"]
    assert sorted(independent) == [f"mitto_phone_hook.platforms.{name}" for name in MODULES]


@each_platform
def test_it_has_samples_a_recipe_a_row_in_the_index_and_a_link_in_the_readme(name: str) -> None:
    assert len(list((SAMPLES / name).glob("*.json"))) >= 3
    page = "docs/platforms.md" if name == "native" else f"docs/platforms/{name}.md"
    assert f"/hooks/{name}" in (ROOT / page).read_text(encoding="utf-8"), "a page has to say how the platform is set up"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "](docs/native.md)" in readme if name == "native" else f"]({page})" in readme
    index = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
    linked = "platforms/" if name == "native" else f"platforms/{name}.md"
    assert re.search(rf"^\|.*{linked}.*`/hooks/{name}`.*\|$", index, re.MULTILINE)


@each_platform
def test_nobody_gets_in_without_a_credential(name: str) -> None:
    secrets = HookSecrets(bearer=(b"a-bearer-secret-of-the-tests",), signing_keys=(bytes(32),))
    for headers in ({}, {b"authorization": b"Bearer "}, {b"authorization": b"Bearer another-secret-of-the-tests"}):
        with pytest.raises(Refused) as caught:
            load_platform(name).authenticate(headers, b"{}", secrets, 1_700_000_000.0)
        assert caught.value.result.outcome is Outcome.UNAUTHORIZED


@each_platform
def test_every_outcome_has_a_response(name: str) -> None:
    for outcome in Outcome:
        response = response_to(name, outcome)
        assert response.status != 204 or not response.body
        assert response.headers["cache-control"] == "no-store"
        if response.headers.get("content-type") == "application/json":
            json.loads(response.body)
    assert response_to(name, Outcome.UNAUTHORIZED).status == 401


@each_platform
def test_no_response_makes_a_second_sms_or_tells_of_one_that_never_left(name: str) -> None:
    read = {outcome: reading(name, response_to(name, outcome)) for outcome in Outcome}
    assert read[Outcome.ACCEPTED] is Reading.SUCCESS
    assert read[Outcome.OUTCOME_UNKNOWN] in (Reading.SUCCESS, Reading.FAILURE)
    assert Reading.REPEATED_AT_ONCE not in read.values()
    assert read[Outcome.IN_PROGRESS] is not Reading.SENT_BY_PLATFORM
    for outcome in (Outcome.UNAUTHORIZED, Outcome.RATE_LIMITED, Outcome.UPSTREAM_UNAVAILABLE, Outcome.UPSTREAM_AUTH):
        assert read[outcome] is not Reading.SUCCESS


@pytest.mark.parametrize("name", ["native", "auth0"])
def test_the_native_response_is_json_and_names_the_request(name: str) -> None:
    for outcome in Outcome:
        response = response_to(name, outcome)
        assert (200 <= response.status < 300) == (outcome in (Outcome.ACCEPTED, Outcome.IGNORED))
        assert "request-1" in json.dumps(json.loads(response.body))
        assert response.headers["content-type"] == "application/json"


@each_platform
def test_what_it_cannot_read_is_refused_and_never_a_fault_of_ours(name: str) -> None:
    platform = load_platform(name)
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}", b'{"recipient": 1}', b"0" * 70_000):
        with pytest.raises(Refused) as caught:
            platform.read(body, JSON, Defaults())
        assert caught.value.result.outcome in (Outcome.INVALID_JSON, Outcome.INVALID_REQUEST)


@each_sample
def test_a_sample_becomes_one_sms_on_its_route_or_is_refused_for_what_it_is(name: str, sample: Path) -> None:
    """The published samples of some platforms have impossible numbers, or ask for a call."""
    body, stage = sample.read_bytes(), Stage(ALLOWED_REGIONS="*", DEFAULT_REGION="US")
    read = reading(name, stage.call(body, {**AUTHORIZED, **JSON}, path=f"/hooks/{name}"))
    line = stage.lines[-1]  # a sample with a loopback address has a warning before it
    if line["event"] == "accepted":
        message = load_platform(name).read(body, JSON, Defaults("US"))
        assert (read, message.channel) == (Reading.SUCCESS, Channel.SMS)
        assert [json.loads(request.content)["to"] for request in stage.requests] == [message.recipient.msisdn]
    else:
        expected = {"voice": "voice_unsupported", "ignored": "ignored"}
        assert line["event"] == next((event for word, event in expected.items() if word in sample.stem), "invalid_recipient")
        assert (read is Reading.SUCCESS, stage.requests) == ("ignored" in sample.stem, [])


@each_platform
def test_most_samples_are_accepted(name: str) -> None:
    """So that a platform whose samples are all refused does not pass for one that works."""
    samples = [path.read_bytes() for path in (SAMPLES / name).glob("*.json") if "voice" not in path.stem]
    events = []
    for body in samples:
        stage = Stage(ALLOWED_REGIONS="*", DEFAULT_REGION="US")
        stage.call(body, {**AUTHORIZED, **JSON}, path=f"/hooks/{name}")
        events.append(stage.lines[-1]["event"])
    assert events.count("accepted") * 2 > len(events)


@each_platform
def test_its_own_secrets_are_the_only_ones_on_its_route(name: str) -> None:
    stage = Stage(**{f"HOOK_SECRETS_{name.upper()}": "the-platforms-own-secret-here"})
    body = min((SAMPLES / name).glob("*.json")).read_bytes()
    own = {b"authorization": b"Bearer the-platforms-own-secret-here", **JSON}
    assert stage.call(body, {**AUTHORIZED, **JSON}, path=f"/hooks/{name}").status == 401
    assert stage.call(body, own, path=f"/hooks/{name}").status != 401
    assert stage.call(body, own, path="/").status == 401
