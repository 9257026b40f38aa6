"""Access tokens of Okta: real RSA keys, and a server on this machine that publishes them."""

import asyncio
import base64
import hmac
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mitto_phone_hook.config.settings import SettingsError, load
from mitto_phone_hook.credentials.access_tokens import (
    KEYS_COUNT_SECONDS,
    LEEWAY_SECONDS,
    MAX_KEYS_BYTES,
    UNKNOWN_KEY_SECONDS,
    Expected,
    KeySet,
    access_tokens,
    fetch_keys,
    keys_in,
    refusal,
)
from mitto_phone_hook.credentials.rotation import REREAD_SECONDS, SOONEST_SECONDS
from support.authorization_server import AUDIENCE, PATH, SCOPE, AuthorizationServer, Key, authorization_server, new_key, published
from support.callers import Reading, call, reading, sample
from support.processes import BEARER, fake_mitto, function
from support.stage import ENVIRONMENT, PassingLoop, Stage

TLS = ssl.create_default_context()


@pytest.fixture(scope="module")
def key() -> Key:
    return new_key()


@pytest.fixture(scope="module")
def other_key() -> Key:
    return new_key()


@pytest.fixture
def okta(key: Key) -> Iterator[AuthorizationServer]:
    with authorization_server(k1=key) as server:
        yield server


def stage_with(okta: AuthorizationServer, **settings: str) -> Stage:
    stage = Stage(**settings)
    expected = Expected(okta.issuer, AUDIENCE, SCOPE)
    stage.access_tokens = {"okta": access_tokens(expected, lambda: fetch_keys(f"{okta.issuer}/v1/keys", TLS))}
    return stage


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + token.encode()}


def why(okta: AuthorizationServer, token: str, stage: Stage | None = None) -> object:
    """Call with this token, and give the cause in the log if it is refused. A refused call sends nothing, and is told 401."""
    response, stage = call("okta", sample("okta", "mfa"), stage or stage_with(okta), bearer(token))
    line = stage.lines[-1]
    if line["event"] == "accepted":
        assert (response.status, reading("okta", response)) == (200, Reading.SUCCESS)
        return None
    assert (line["event"], response.status, stage.requests) == ("unauthorized", 401, [])
    assert token.encode() not in json.dumps(line).encode() + response.body
    return line["why"]


def test_a_token_of_the_organization_is_accepted(okta: AuthorizationServer) -> None:
    assert why(okta, okta.token("k1")) is None
    assert why(okta, okta.token("k1", {"aud": ["https://other.example.org", AUDIENCE], "scp": ["other", SCOPE]})) is None
    assert okta.asked == [PATH, PATH]


NOW = int(time.time())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": NOW - LEEWAY_SECONDS - 5}, "token_expired"),
        ({"exp": NOW - LEEWAY_SECONDS + 600}, None),
        ({"exp": None}, "wrong_token"),
        ({"exp": "soon"}, "wrong_token"),
        ({"exp": {}}, "wrong_token"),
        ({"nbf": NOW + 3600}, "token_not_yet_valid"),
        ({"nbf": NOW + LEEWAY_SECONDS - 30}, None),
        ({"iat": NOW + 3600}, "token_not_yet_valid"),
        ({"iss": "https://other.okta.com/oauth2/default"}, "wrong_issuer"),
        ({"iss": None}, "wrong_token"),
        ({"iss": ["x"]}, "wrong_issuer"),
        ({"aud": "api://default"}, "wrong_audience"),
        ({"aud": None}, "wrong_token"),
        ({"aud": AUDIENCE + "/"}, "wrong_audience"),
        ({"scp": ["openid"]}, "wrong_scope"),
        ({"scp": SCOPE}, "wrong_scope"),
        ({"scp": None}, "wrong_scope"),
        ({"uid": "00u1"}, "token_of_a_user"),
    ],
)
def test_each_claim_is_checked(okta: AuthorizationServer, changes: dict[str, Any], expected: str | None) -> None:
    # Collected a while before it runs.
    passed = int(time.time()) - NOW
    claims = {name: value + passed if isinstance(value, int) else value for name, value in changes.items()}
    assert why(okta, okta.token("k1", claims)) == expected


def test_the_algorithm_is_rs256_and_nothing_else(okta: AuthorizationServer, key: Key) -> None:
    """Also not HS256 with the public key, which everybody knows, as its secret."""
    claims = jwt.decode(okta.token("k1"), options={"verify_signature": False})
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # The library refuses to make this one.
    signed = jwt.encode(claims, bytes(32), "HS256", headers={"kid": "k1"}).rpartition(".")[0]
    signature = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256")).rstrip(b"=").decode()
    forged = [
        jwt.encode(claims, "", "none", headers={"kid": "k1"}) + "x",
        f"{signed}.{signature}",
        jwt.encode(claims, key, "RS512", headers={"kid": "k1"}),
        jwt.encode(claims, key, "PS256", headers={"kid": "k1"}),
        jwt.encode(claims, key, "RS256", headers={"kid": "k1", "crit": ["exp"]}),
    ]
    assert [why(okta, token) for token in forged] == ["wrong_token"] * 5


def test_another_key_or_a_changed_claim_is_refused(okta: AuthorizationServer, other_key: Key) -> None:
    assert why(okta, okta.token("k1", key=other_key)) == "wrong_token"
    head, claims, signature = okta.token("k1").split(".")
    changed = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b"0oa1hook", b"0oa1evil")).rstrip(b"=").decode()
    assert why(okta, f"{head}.{changed}.{signature}") == "wrong_token"
    assert why(okta, f"{head}.{claims}.{signature[:-4]}AAAA") == "wrong_token"


@pytest.mark.parametrize("token", ["a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30.x", "e30.e30.AAAA", "W1tb" * 5000 + ".e30.AAAA"])
def test_what_is_no_token_is_refused(okta: AuthorizationServer, token: str) -> None:
    assert why(okta, token) in {"wrong_token", "unknown_key"}


def test_a_secret_works_beside_tokens_and_a_token_only_where_the_issuer_is_set(okta: AuthorizationServer) -> None:
    stage = stage_with(okta)
    assert call("okta", sample("okta", "mfa"), stage)[0].status == 200
    assert (stage.lines[-1]["event"], okta.asked) == ("accepted", [])
    assert why(okta, okta.token("k1"), Stage()) == "wrong_secret"
    for path in ("/", "/hooks/native", "/hooks/auth0"):
        assert stage.call(sample("okta", "mfa"), bearer(okta.token("k1")), path=path).status == 401


def test_a_new_key_is_found_by_one_reading_and_unknown_ones_cannot_make_many(okta: AuthorizationServer, other_key: Key) -> None:
    stage = stage_with(okta)
    with asyncio.Runner(loop_factory=PassingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, PassingLoop)

        def event(token: str) -> object:
            runner.run(stage.acall(sample("okta", "mfa"), bearer(token), path="/hooks/okta"))
            return stage.lines[-1]["event"]

        assert event(okta.token("k1")) == "accepted"
        okta.keys = {"k2": other_key}
        for number in range(20):
            assert event(okta.token(f"guess{number}", key=other_key)) == "unauthorized"
        assert event(okta.token("k2")) == "unauthorized"
        assert len(okta.asked) == 1
        loop.passed_seconds += UNKNOWN_KEY_SECONDS
        assert event(okta.token("k2")) == "accepted"
        assert event(okta.token("k1", key=other_key)) == "unauthorized"
        assert len(okta.asked) == 2


def test_the_keys_are_read_again_in_time_without_a_call_that_waits(okta: AuthorizationServer, other_key: Key) -> None:
    waiting: list[Any] = []
    judge = access_tokens(Expected(okta.issuer, AUDIENCE, SCOPE), lambda: fetch_keys(f"{okta.issuer}/v1/keys", TLS), waiting.append)
    judge.current(0.0)
    judge.reread(0.0)
    okta.keys = {"k2": other_key}
    token = okta.token("k2").encode()
    assert judge.current(float(REREAD_SECONDS))(token) == "unknown_key"
    [work] = waiting
    work()
    assert judge.current(REREAD_SECONDS + 1.0)(token) is None


BROKEN: list[tuple[int, dict[str, str], bytes]] = [
    (500, {}, b""),
    (200, {}, b"<html>"),
    (200, {}, b"[]"),
    (200, {}, b'{"keys": []}'),
    (200, {}, b'{"keys": {}}'),
    (200, {}, b'{"keys": [], "keys": []}'),
    (302, {"Location": "http://127.0.0.1:9/"}, b""),
    (200, {}, b'{"keys": [' + b" " * MAX_KEYS_BYTES + b"]}"),
]


@pytest.mark.parametrize("response", BROKEN, ids=range(len(BROKEN)))
def test_without_keys_every_token_is_refused_and_the_next_reading_is_not_far(
    okta: AuthorizationServer, response: tuple[int, dict[str, str], bytes]
) -> None:
    stage = stage_with(okta)
    with asyncio.Runner(loop_factory=PassingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, PassingLoop)
        okta.response = response
        for expected in ("unauthorized", "unauthorized"):
            runner.run(stage.acall(sample("okta", "mfa"), bearer(okta.token("k1")), path="/hooks/okta"))
            assert (stage.lines[-1]["event"], stage.lines[-1]["why"]) == (expected, "unknown_key")
        okta.response = None
        loop.passed_seconds += SOONEST_SECONDS
        runner.run(stage.acall(sample("okta", "mfa"), bearer(okta.token("k1")), path="/hooks/okta"))
        assert (stage.lines[-1]["event"], len(okta.asked)) == ("accepted", 2)


def test_a_server_that_fails_later_leaves_the_keys_in_force_for_a_day(okta: AuthorizationServer, key: Key) -> None:
    expected, token = Expected(okta.issuer, AUDIENCE, SCOPE), okta.token("k1").encode()
    keys = {"k1": key.public_key()}
    assert refusal(expected, KeySet(keys, time.monotonic() - KEYS_COUNT_SECONDS + 60), token) is None
    assert refusal(expected, KeySet(keys, time.monotonic() - KEYS_COUNT_SECONDS - 1), token) == "unknown_key"


def test_a_server_that_hangs_blocks_no_other_call_and_no_deadline(okta: AuthorizationServer) -> None:
    stage = stage_with(okta)
    okta.may_respond.clear()

    async def both() -> tuple[float, float]:
        started = time.monotonic()
        waiting = asyncio.create_task(stage.acall(sample("okta", "mfa"), bearer(okta.token("k1")), path="/hooks/okta"))
        await asyncio.sleep(0)
        other = await stage.acall(sample("okta", "mfa"), path="/hooks/okta", headers={b"authorization": f"Bearer {BEARER}".encode()})
        assert other.status == 200
        quick = time.monotonic() - started
        assert (await waiting).status == 401
        okta.may_respond.set()
        return quick, time.monotonic() - started

    quick, slow = asyncio.run(both())
    assert quick < 0.9
    assert slow < 2.5


@pytest.mark.parametrize(
    "members",
    [{"use": "enc"}, {"alg": "RS512"}, {"kty": "EC"}, {"kid": 5}, {"n": "AQAB"}, {"n": None}, {"n": "!"}, {"n": 7}],
    ids=str,
)
def test_keys_that_cannot_sign_such_tokens_are_left_out(key: Key, members: dict[str, Any]) -> None:
    good = published("k1", key)
    assert list(keys_in(json.dumps({"keys": [good | {"kid": "k2"} | members, good, "x"]}).encode())) == ["k1"]
    with pytest.raises(ValueError, match="no key"):
        keys_in(json.dumps({"keys": [good | members]}).encode())


def test_a_key_that_is_too_short_is_left_out() -> None:
    with pytest.raises(ValueError, match="no key"):
        keys_in(json.dumps({"keys": [published("k1", new_key(1024))]}).encode())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"OKTA_ISSUER": "https://example.okta.com/oauth2/default"}, "OKTA_AUDIENCE and OKTA_ISSUER need each other"),
        ({"OKTA_SCOPE": SCOPE}, "OKTA_SCOPE and OKTA_ISSUER need each other"),
        ({"OKTA_ISSUER": "https://example.okta.com"}, "OKTA_ISSUER must be the issuer"),
        ({"OKTA_ISSUER": "http://example.okta.com/oauth2/default"}, "OKTA_ISSUER must be https"),
        ({"OKTA_ISSUER": "https://metadata.google.internal/oauth2/default"}, "OKTA_ISSUER must be https"),
        ({"OKTA_ISSUER": "https://example.okta.com/oauth2/default/v1/keys"}, "OKTA_ISSUER must be the issuer"),
    ],
)
def test_the_settings_belong_together(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(ENVIRONMENT | settings)
    assert any(one.startswith(problem) for one in caught.value.problems)


def test_the_deployed_function_takes_a_token_and_refuses_a_forged_one(okta: AuthorizationServer, other_key: Key, tmp_path: Path) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "US"}
        tokens = {"OKTA_ISSUER": okta.issuer, "OKTA_AUDIENCE": AUDIENCE, "OKTA_SCOPE": SCOPE}
        with function(tmp_path / "function.txt", **settings, **tokens) as hook:
            for token, status in ((okta.token("k1", key=other_key), 401), (okta.token("k1"), 200)):
                headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
                assert hook.request("POST", "/hooks/okta", sample("okta", "mfa"), headers)[0] == status
            assert [line["event"] for line in hook.log()][-2:] == ["unauthorized", "accepted"]
        assert len(mitto.inbox()) == 1
