"""A message that was possibly sent: what each platform is told of it, and that no SMS follows, whatever it is told."""

import json

import httpx
import pytest

from mitto_phone_hook.config.settings import SettingsError, load
from mitto_phone_hook.platforms import NAMES, load_platform
from support.callers import DATA, JSON, Reading, reading
from support.stage import AUTHORIZED, ENVIRONMENT, Stage

REPEAT = {"clerk", "okta", "zitadel"}
"""What these do after a failure: call again for hours, send the message themselves, call again for minutes."""

TOLD_OF_A_FAILURE = {"native", "auth0"}

each_platform = pytest.mark.parametrize("name", NAMES)


def accepted_sample(name: str) -> bytes:
    """Give a sample of the platform that is sent."""
    for path in sorted((DATA / name).glob("*.json")):
        stage = Stage(ALLOWED_REGIONS="*", DEFAULT_REGION="US")
        stage.call(path.read_bytes(), {**AUTHORIZED, **JSON}, path=f"/hooks/{name}")
        if stage.lines[-1]["event"] == "accepted":
            return path.read_bytes()
    raise AssertionError(name)


def lost(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("")


def told(name: str, settings: dict[str, str], times: int = 2, path: str | None = None) -> tuple[list[Reading], Stage]:
    """Call as often with the same message, while Mitto's answer is lost; give how the platform reads each response."""
    stage, body = Stage(lost, ALLOWED_REGIONS="*", DEFAULT_REGION="US", **settings), accepted_sample(name)
    responses = [stage.call(body, {**AUTHORIZED, **JSON}, path=path or f"/hooks/{name}") for _ in range(times)]
    assert [line["event"] for line in stage.lines if line["event"] != "client_ip_unusable"][-times:] == ["outcome_unknown"] * times
    return [reading(name, response) for response in responses], stage


@each_platform
def test_by_default_each_is_told_as_its_row_says_and_a_repeat_the_same(name: str) -> None:
    read, stage = told(name, {})
    assert read == [Reading.FAILURE if name in TOLD_OF_A_FAILURE else Reading.SUCCESS] * 2
    assert len(stage.requests) == 1


@each_platform
@pytest.mark.parametrize("suffix", ["", "_{}"])
def test_accepted_is_a_success_everywhere_and_a_repeat_the_first_result_again(name: str, suffix: str) -> None:
    read, stage = told(name, {f"UNKNOWN_AS{suffix.format(name.upper())}": "accepted"}, 3)
    assert read == [Reading.SUCCESS] * 3
    assert len(stage.requests) == 1


@each_platform
def test_failed_is_a_failure_that_nobody_repeats_and_no_second_sms_leaves(name: str) -> None:
    read, stage = told(name, {"UNKNOWN_AS": "failed"}, 3)
    assert read == [Reading.SUCCESS if name in REPEAT else Reading.FAILURE] * 3
    assert len(stage.requests) == 1


@each_platform
def test_a_setting_of_its_own_goes_before_the_one_for_all(name: str) -> None:
    settings = {"UNKNOWN_AS": "accepted", f"UNKNOWN_AS_{name.upper()}": "failed"}
    if name in REPEAT:
        with pytest.raises(SettingsError, match=f"UNKNOWN_AS cannot be failed for {name}"):
            load(ENVIRONMENT | settings)
        return
    assert told(name, settings)[0] == [Reading.FAILURE] * 2


def test_those_that_repeat_failures_are_the_ones_that_say_so() -> None:
    assert {name for name in NAMES if load_platform(name).failures_repeat} == REPEAT
    assert {name for name in NAMES if not load_platform(name).unknown_counts_as_accepted} == TOLD_OF_A_FAILURE


def test_the_root_is_told_as_auth0() -> None:
    assert told("auth0", {"UNKNOWN_AS_AUTH0": "accepted"}, path="/")[0] == [Reading.SUCCESS] * 2
    assert told("auth0", {"UNKNOWN_AS_NATIVE": "accepted"}, path="/")[0] == [Reading.FAILURE] * 2


@pytest.mark.parametrize("value", ["maybe", "accepted,failed", "'accepted'"])
def test_another_word_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^UNKNOWN_AS_LOGTO "):
        load(ENVIRONMENT | {"UNKNOWN_AS_LOGTO": value})


def test_a_platform_without_a_route_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"UNKNOWN_AS_NOWHERE names a platform that has no route here: .* UNKNOWN_AS_LOGTO"):
        load(ENVIRONMENT | {"UNKNOWN_AS_NOWHERE": "failed"})


def test_what_an_end_user_reads_says_that_the_sms_may_arrive() -> None:
    stage = Stage(lost, ALLOWED_REGIONS="*", UNKNOWN_AS="failed")
    for name in ("authentik", "logto", "supabase"):
        body = stage.call(accepted_sample(name), {**AUTHORIZED, **JSON}, path=f"/hooks/{name}").body.decode()
        shown = json.loads(body)["error"]["message"] if name == "supabase" else body
        assert "may arrive" in shown
