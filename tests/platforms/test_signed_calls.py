"""Calls as platforms sign them: bodies, headers and secrets from their own tests or made with their code's rules."""

import json
import re
from typing import NamedTuple

import httpx
import pytest

from mitto_phone_hook.config.rules import hook_secrets
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms import load_platform
from support.callers import DATA, JSON, Reading, reading, sent
from support.stage import Stage

OTHER_SECRET = "another-secret-of-the-tests-0002 whsec_" + "QUJD" * 10


class SignedCall(NamedTuple):
    name: str
    secret: str
    clock: float
    headers: dict[bytes, bytes]
    body: bytes

    def authenticate(self, secrets: str, *, body: bytes | None = None, late: float = 0, headers: dict[bytes, bytes] | None = None) -> None:
        given = self.headers if headers is None else headers
        load_platform(self.name).authenticate(given, body or self.body, hook_secrets(secrets), self.clock + late)


CALLS = [
    SignedCall(
        path.stem,
        one["secret"],
        one["clock"],
        {name.lower().encode(): value.encode() for name, value in one["headers"].items()},
        one["body"].encode(),
    )
    for path in sorted((DATA / "signed").glob("*.json"))
    for one in json.loads(path.read_text(encoding="utf-8"))
]
each_call = pytest.mark.parametrize("signed", CALLS, ids=lambda signed: f"{signed.name}-{len(signed.body)}")
WITHOUT_TIME = {"authgear"}


@each_call
def test_a_valid_signature_is_accepted_also_during_a_rotation(signed: SignedCall) -> None:
    for secrets in (signed.secret, f"{signed.secret} {OTHER_SECRET}", f"{OTHER_SECRET} {signed.secret}"):
        signed.authenticate(secrets)


@each_call
def test_what_is_not_signed_with_our_secret_is_refused(signed: SignedCall) -> None:
    junk = {name: re.sub(rb"[0-9a-f]", b"0", value) if b"signature" in name else value for name, value in signed.headers.items()}
    with pytest.raises(Refused, match=Outcome.UNAUTHORIZED):
        signed.authenticate(signed.secret, body=signed.body.replace(b"2", b"3", 1))
    with pytest.raises(Refused, match=Outcome.UNAUTHORIZED):
        signed.authenticate(OTHER_SECRET)
    for headers in ({}, junk, dict.fromkeys(signed.headers, b""), dict.fromkeys(signed.headers, b"\xff,=")):
        with pytest.raises(Refused, match=Outcome.UNAUTHORIZED):
            signed.authenticate(signed.secret, headers=headers)


@each_call
def test_an_old_call_and_one_from_the_future_are_refused(signed: SignedCall) -> None:
    if signed.name in WITHOUT_TIME:
        signed.authenticate(signed.secret, late=400)
        return
    for late in (301, -301):
        with pytest.raises(Refused, match=Outcome.UNAUTHORIZED):
            signed.authenticate(signed.secret, late=late)
    signed.authenticate(signed.secret, late=299)


MESSAGES = [signed for signed in CALLS if len(signed.body) > 100]


def stage_of(signed: SignedCall, clock: list[float]) -> Stage:
    settings = {f"HOOK_SECRETS_{signed.name.upper()}": signed.secret, "ALLOWED_REGIONS": "GB", "ALLOWED_NUMBERS": "+447700900"}
    return Stage(lambda _: httpx.Response(200, json={"responseCode": 0, "id": "m1"}), lambda: clock[0], **settings)


@pytest.mark.parametrize("signed", MESSAGES, ids=lambda signed: signed.name)
def test_a_signed_call_becomes_one_sms_and_a_forged_one_none(signed: SignedCall) -> None:
    stage = stage_of(signed, [signed.clock])
    path, headers = f"/hooks/{signed.name}", {**signed.headers, **JSON}
    forged = stage.call(signed.body.replace(b"049217", b"049218"), headers, path=path)
    assert (forged.status, stage.requests) == (401, [])
    assert reading(signed.name, stage.call(signed.body, headers, path=path)) is Reading.SUCCESS
    [(number, text)] = sent(stage)
    assert number == "447700900123"
    assert "049217" in text


@pytest.mark.parametrize("signed", [one for one in MESSAGES if one.name not in WITHOUT_TIME], ids=lambda signed: signed.name)
def test_a_captured_call_is_never_sent_again(signed: SignedCall) -> None:
    """Also not after the time in which a message is a repeat, and not with other ids beside those that are signed."""
    clock = [signed.clock]
    stage = stage_of(signed, clock)
    path, headers = f"/hooks/{signed.name}", {**signed.headers, **JSON}
    stage.call(signed.body, headers, path=path)
    clock[0] += 200
    other_ids = {b"webhook-id": b"another", b"svix-id": b"another"}
    for replay in (headers, {**other_ids, **headers}):
        assert reading(signed.name, stage.call(signed.body, replay, path=path)) is Reading.SUCCESS
    assert len(stage.requests) == 1
