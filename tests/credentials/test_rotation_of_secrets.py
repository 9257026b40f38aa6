"""Secrets from a mounted file: they are read again in time, no caller waits for that, and the last valid one stays in use."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from mitto_phone_hook.config.settings import Settings, load
from mitto_phone_hook.credentials.rotation import PATIENCE_SECONDS, REREAD_SECONDS, SOONEST_SECONDS, RotatingSecret

BEARER = "bearer-secret-of-the-tests-only"
REQUIRED = {"MITTO_API_KEY": "key-of-the-tests", "HOOK_SECRETS": BEARER}


def files(contents: dict[str, str]) -> Callable[[str], str]:
    def read(path: str) -> str:
        if path not in contents:
            raise FileNotFoundError(path)
        return contents[path]

    return read


def mounted_key(contents: dict[str, str]) -> Settings:
    return load({"MITTO_API_KEY_FILE": "/run/key", "HOOK_SECRETS": BEARER}, files(contents))


def test_a_mounted_secret_is_read_again_after_five_minutes_and_not_before() -> None:
    contents = {"/run/key": "first"}
    key = mounted_key(contents).mitto_api_key
    assert key.current(1000.0) == "first"
    contents["/run/key"] = "second"
    assert key.current(1000.0 + REREAD_SECONDS - 0.1) == "first"
    assert key.current(1000.0 + REREAD_SECONDS) == "second"
    contents["/run/key"] = "third"
    assert key.current(1000.0 + REREAD_SECONDS + 299.9) == "second"
    assert key.current(1000.0 + 2 * REREAD_SECONDS) == "third"
    assert REREAD_SECONDS == 300


@pytest.mark.parametrize("bad", [None, "", "two\nlines", "schlüssel"])
def test_a_rotation_that_went_wrong_leaves_the_last_good_value_until_it_is_mended(bad: str | None) -> None:
    contents = {"/run/key": "first"}
    key = mounted_key(contents).mitto_api_key
    assert key.current(0) == "first"
    if bad is None:
        del contents["/run/key"]
    else:
        contents["/run/key"] = bad
    assert key.current(300) == "first"
    key.reread(301)
    assert key.current(301) == "first"
    contents["/run/key"] = "mended"
    assert key.current(300 + 300 + 1) == "mended"


def test_an_invalid_mounted_secret_is_reported_once_in_five_minutes() -> None:
    contents, reported = {"/run/key": "first"}, list[str]()
    key = load({"MITTO_API_KEY_FILE": "/run/key", "HOOK_SECRETS": BEARER}, files(contents), on_unavailable=reported.append).mitto_api_key
    contents["/run/key"] = "two\nlines"
    key.reread(0)
    key.reread(299)
    assert reported == ["MITTO_API_KEY"]
    key.reread(300)
    assert reported == ["MITTO_API_KEY"] * 2
    contents["/run/key"] = "mended"
    key.reread(301)
    del contents["/run/key"]
    key.reread(302)
    assert reported == ["MITTO_API_KEY"] * 3


def test_a_bad_rotation_of_hook_secrets_locks_nobody_out() -> None:
    contents = {"/run/secrets": BEARER}
    settings = load({"MITTO_API_KEY": "k", "HOOK_SECRETS_FILE": "/run/secrets"}, files(contents))
    assert settings.hook_secrets[""].current(0).bearer == (BEARER.encode(),)
    contents["/run/secrets"] = "short"
    assert settings.hook_secrets[""].current(300).bearer == (BEARER.encode(),)
    contents["/run/secrets"] = "the-secret-after-the-rotation"
    assert settings.hook_secrets[""].current(600).bearer == (b"the-secret-after-the-rotation",)


def test_a_secret_can_be_read_again_at_once() -> None:
    contents = {"/run/key": "first"}
    key = mounted_key(contents).mitto_api_key
    key.reread(0)
    assert key.current(0) == "first"
    contents["/run/key"] = "second"
    key.reread(1)
    assert key.current(1) == "second"
    contents["/run/key"] = "third"
    assert key.current(300) == "second"
    assert key.current(301) == "third"


def test_a_reading_that_hung_does_not_bring_an_old_secret_back() -> None:
    gate, has_begun, values = threading.Event(), threading.Event(), ["second", "first"]

    def read() -> str:
        value = values.pop()
        if value == "first":
            has_begun.set()
            assert gate.wait(10)
        return value

    key = RotatingSecret("none", read)
    hanging = threading.Thread(target=key.reread, args=(0,))
    hanging.start()
    assert has_begun.wait(10)
    key.reread(1)
    assert key.current(1) == "second"
    gate.set()
    hanging.join(10)
    assert key.current(2) == "second"


def test_a_secret_from_a_variable_never_changes() -> None:
    key = load(REQUIRED).mitto_api_key
    assert [key.current(0), key.current(10_000)] == ["key-of-the-tests"] * 2
    key.reread(10_001)
    assert key.current(10_001) == "key-of-the-tests"


def test_a_mounted_secret_is_read_again_in_a_thread_and_no_message_waits_for_it() -> None:
    work: list[Callable[[], object]] = []
    key = RotatingSecret("first", lambda: "second", work.append)
    assert [key.current(now) for now in (0, REREAD_SECONDS, REREAD_SECONDS + 1)] == ["first"] * 3
    [reading] = work
    reading()
    assert key.current(REREAD_SECONDS + 2) == "second"


async def test_all_who_are_refused_during_a_look_wait_for_it_and_the_next_look_is_later() -> None:
    may_read, readings = threading.Event(), []

    def read() -> str:
        may_read.wait(10)
        readings.append("new")
        return "new"

    secret, until = RotatingSecret("old", read), asyncio.get_running_loop().time() + 10
    refused = [asyncio.create_task(secret.refresh_for_refused(0, until)) for _ in range(3)]
    await asyncio.sleep(0)
    assert secret.current(0) == "old"
    may_read.set()
    assert await asyncio.gather(*refused) == [True] * 3
    assert (secret.current(0), readings) == ("new", ["new"])
    assert not await secret.refresh_for_refused(SOONEST_SECONDS - 1, until)
    assert await secret.refresh_for_refused(SOONEST_SECONDS, until)


async def test_whoever_is_out_of_time_does_not_end_the_look_for_the_others() -> None:
    may_read = threading.Event()
    secret, now = RotatingSecret("old", lambda: "new" if may_read.wait(10) else ""), asyncio.get_running_loop().time()
    patient = asyncio.create_task(secret.refresh_for_refused(0, now + 10))
    await asyncio.sleep(0)
    assert await secret.refresh_for_refused(0, now)
    may_read.set()
    assert await patient
    assert secret.current(0) == "new"


async def test_a_mount_that_hangs_holds_nobody_for_a_whole_deadline() -> None:
    may_read = threading.Event()
    secret = RotatingSecret("old", lambda: "new" if may_read.wait(10) else "")
    try:
        async with asyncio.timeout(8):
            assert await secret.refresh_for_refused(0, asyncio.get_running_loop().time() + 60)
        assert secret.current(0) == "old"
    finally:
        may_read.set()


async def test_a_mount_that_hangs_holds_nobody_beyond_the_deadline() -> None:
    may_read = threading.Event()
    secret = RotatingSecret("old", lambda: "new" if may_read.wait(10) else "")
    try:
        until = asyncio.get_running_loop().time() + 0.01
        assert await secret.refresh_for_refused(0, until)
        assert secret.current(0) == "old"
        assert not await secret.refresh_for_refused(PATIENCE_SECONDS, until)
    finally:
        may_read.set()
