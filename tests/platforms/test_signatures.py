"""Who may call: bearer secrets and Standard Webhooks signatures, with the reference library as the oracle."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome, Refused, Result
from mitto_phone_hook.platforms._native_response import respond
from mitto_phone_hook.platforms._signatures import authenticate
from mitto_phone_hook.platforms.auth0 import PLATFORM

LAW = settings(max_examples=150, deadline=None)

NOW = 1_800_000_000
BODY = b'{"recipient":"+12025550100","text":"Your code is 123456"}'
BEARER = b"bearer-secret-of-the-tests-only"
OLD_BEARER = b"the-secret-before-the-rotation"
KEY = bytes(range(32))
OLD_KEY = bytes(range(1, 33))
BOTH = HookSecrets((BEARER,), (KEY,))

IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."), min_size=1, max_size=256)
KEYS = st.binary(min_size=24, max_size=64)


def passes(headers: dict[bytes, bytes], body: bytes = BODY, secrets: HookSecrets = BOTH, now: float = NOW) -> bool:
    try:
        PLATFORM.authenticate(headers, body, secrets, now)
    except Refused:
        return False
    return True


def library_signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    return Webhook(key).sign(message_id, datetime.fromtimestamp(timestamp, UTC), body.decode())


def bare_signature(key: bytes, message_id: bytes, timestamp: bytes, body: bytes = BODY) -> bytes:
    """Sign what the library would not even read."""
    return b"v1," + base64.b64encode(hmac.digest(key, message_id + b"." + timestamp + b"." + body, "sha256"))


def signed(signature: bytes | str, message_id: bytes = b"msg_1", timestamp: bytes | int = NOW) -> dict[bytes, bytes]:
    return {
        b"webhook-id": message_id,
        b"webhook-timestamp": str(timestamp).encode() if isinstance(timestamp, int) else timestamp,
        b"webhook-signature": signature.encode() if isinstance(signature, str) else signature,
    }


def right(key: bytes = KEY, timestamp: int = NOW) -> str:
    return library_signature(key, "msg_1", timestamp, BODY)


def does_library_accept(key: bytes, body: bytes, headers: dict[bytes, bytes]) -> bool:
    try:
        Webhook(key).verify(body, {name.decode(): value.decode() for name, value in headers.items()}, json_parse=False)
    except Exception:  # noqa: BLE001 - the library raises whatever its parts raise
        return False
    return True


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(b"Bearer " + BEARER, id="as everybody writes it"),
        pytest.param(b"bearer " + BEARER, id="small letters"),
        pytest.param(b"BEARER " + BEARER, id="capitals"),
        pytest.param(b"Bearer    " + BEARER, id="several spaces"),
    ],
)
def test_a_bearer_secret_passes_and_says_nothing_about_the_time(authorization: bytes) -> None:
    assert PLATFORM.authenticate({b"authorization": authorization}, BODY, BOTH, NOW) is None


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"Bearer", id="no secret"),
        pytest.param(b"Bearer ", id="a space for a secret"),
        pytest.param(b"Bearer" + BEARER, id="no space"),
        pytest.param(b"Bearer\t" + BEARER, id="a tab"),
        pytest.param(b"Basic " + BEARER, id="another scheme"),
        pytest.param(b"Basic " + base64.b64encode(BEARER + b":x"), id="the secret as user name"),
        pytest.param(b"Basic " + base64.b64encode(BEARER), id="basic without a password"),
        pytest.param(b"Digest " + BEARER, id="digest"),
        pytest.param(b"Bearer " + BEARER[:-1], id="one character short"),
        pytest.param(b"Bearer " + BEARER + b"x", id="one character more"),
        pytest.param(b"Bearer " + BEARER.upper(), id="other case"),
        pytest.param(b"Bearer " + BEARER + b" ", id="trailing space"),
        pytest.param(b"Bearer " + BEARER + b"\n", id="trailing newline"),
        pytest.param(b"Bearer " + BEARER + b"," + BEARER, id="twice"),
        pytest.param(b"Bearer " + BEARER + b" " + BEARER, id="twice with a space"),
        pytest.param(b'Bearer "' + BEARER + b'"', id="quoted"),
        pytest.param("Bearer bearer-secret-of-the-tests-onlý".encode(), id="not ASCII, UTF-8"),
        pytest.param("Bearer bearer-secret-of-the-tests-onlý".encode("latin-1"), id="not ASCII, Latin-1"),
        pytest.param(b"Bearer \xff\xfe\x00", id="binary"),
        pytest.param(b"Bearer " + KEY, id="the signing key, raw"),
        pytest.param(b"Bearer " + base64.b64encode(KEY), id="the signing key in base64"),
        pytest.param(b"Bearer whsec_" + base64.b64encode(KEY), id="the signing key as it is configured"),
        pytest.param(b"Bearer " + b"x" * 100_000, id="100000 characters"),
    ],
)
def test_anything_but_the_bearer_secret_itself_is_refused(authorization: bytes) -> None:
    assert not passes({b"authorization": authorization})


def test_during_a_rotation_every_configured_secret_passes_and_no_other() -> None:
    secrets = HookSecrets((BEARER, OLD_BEARER), (KEY, OLD_KEY))
    assert passes({b"authorization": b"Bearer " + BEARER}, secrets=secrets)
    assert passes({b"authorization": b"Bearer " + OLD_BEARER}, secrets=secrets)
    assert passes(signed(right(KEY)), secrets=secrets)
    assert passes(signed(right(OLD_KEY)), secrets=secrets)
    assert not passes({b"authorization": b"Bearer " + OLD_BEARER})
    assert not passes(signed(right(OLD_KEY)))


def test_the_published_vector_of_standard_webhooks_passes() -> None:
    secrets = HookSecrets(signing_keys=(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),))
    headers = signed("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", b"msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330)
    assert PLATFORM.authenticate(headers, b'{"test": 2432232314}', secrets, 1614265330) == 1614265330.0
    assert not passes(headers, b'{"test": 2432232315}', secrets, 1614265330)


@pytest.mark.parametrize("separator", [" ", ", ", ",", "  "])
@pytest.mark.parametrize("order", [0, 1])
def test_one_right_signature_of_a_list_suffices_whatever_separates_it(separator: str, order: int) -> None:
    pair = [right(), right(OLD_KEY)]
    assert passes(signed(separator.join([pair[order], pair[1 - order]])))


@pytest.mark.parametrize("unknown", ["v1a,AAAA", "v2,AAAA", "v1a," + "A" * 86 + "==", "v0,x", "xx"])
def test_a_signature_of_an_unknown_version_is_passed_over(unknown: str) -> None:
    assert passes(signed(f"{unknown} {right()}"))
    assert passes(signed(f"{right()} {unknown}"))
    assert not passes(signed(unknown))


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="a space"),
        pytest.param(",", id="a comma"),
        pytest.param("v1", id="version alone"),
        pytest.param("v1,", id="version and comma"),
        pytest.param("v1,,", id="three empty parts"),
        pytest.param("v1,a,b", id="three parts"),
        pytest.param("v1,=", id="only padding"),
        pytest.param("v1,AAAA", id="too short"),
        pytest.param("v1," + "A" * 43 + "=", id="right length, wrong value"),
        pytest.param(right()[3:], id="no version"),
        pytest.param(right().replace("v1", "v1a"), id="right value under version 1a"),
        pytest.param(right().replace("v1", "v2"), id="right value under version 2"),
        pytest.param(right().replace("v1", "V1"), id="capital version"),
        pytest.param(right().replace("v1,", "v1=", 1), id="equals sign for the comma"),
        pytest.param(right().replace("v1,", "v1;", 1), id="semicolon for the comma"),
        pytest.param(right().replace("v1,", "v1, ", 1), id="space after the comma"),
        pytest.param(right()[:-1], id="no padding"),
        pytest.param(right() + "=", id="more padding"),
        pytest.param(right() + "\n", id="trailing newline"),
        pytest.param("x" + right(), id="something glued before it"),
        pytest.param(right() + "x", id="something glued behind it"),
        pytest.param(right()[:20] + "\u00e9" + right()[21:], id="not ASCII"),
        pytest.param(right()[:20] + "\x00" + right()[21:], id="NUL"),
        pytest.param("v1," + base64.b16encode(base64.b64decode(right()[3:])).decode(), id="hexadecimal"),
        pytest.param("v1," + BEARER.decode(), id="the bearer secret for a signature"),
        pytest.param(right(OLD_KEY), id="another key"),
        pytest.param(right(BEARER), id="signed with the bearer secret"),
        pytest.param(right(base64.b64encode(KEY)), id="signed with the key's base64 text"),
        pytest.param("v1,x " * 20_000, id="20000 wrong ones"),
    ],
)
def test_without_a_right_signature_of_version_1_the_call_is_refused(signature: str) -> None:
    assert not passes(signed(signature))


@pytest.mark.parametrize(
    ("clock", "is_passed"),
    [
        pytest.param(NOW, True, id="same second"),
        pytest.param(NOW + 300, True, id="300 seconds old"),
        pytest.param(NOW + 300.5, False, id="half a second more"),
        pytest.param(NOW + 301, False, id="301 seconds old"),
        pytest.param(NOW - 300, True, id="300 seconds ahead"),
        pytest.param(NOW - 300.5, False, id="half a second further ahead"),
        pytest.param(NOW - 301, False, id="301 seconds ahead"),
        pytest.param(0, False, id="our clock is at zero"),
    ],
)
def test_a_signature_is_good_for_five_minutes_either_way(*, clock: float, is_passed: bool) -> None:
    assert passes(signed(right()), now=clock) is is_passed


@pytest.mark.parametrize("timestamp", [NOW - 300, NOW, NOW + 300])
def test_the_time_of_signing_is_told(timestamp: int) -> None:
    assert PLATFORM.authenticate(signed(right(timestamp=timestamp), timestamp=timestamp), BODY, BOTH, NOW) == timestamp


@pytest.mark.parametrize(
    "timestamp",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"nan", id="nan"),
        pytest.param(b"inf", id="inf"),
        pytest.param(b"-inf", id="minus inf"),
        pytest.param(b"1.8e9", id="scientific"),
        pytest.param(b"1800000000.0", id="fraction"),
        pytest.param(b"1800000000 ", id="trailing space"),
        pytest.param(b"1800000000\n", id="trailing newline"),
        pytest.param(b"+1800000000", id="plus"),
        pytest.param(b"-1800000000", id="minus"),
        pytest.param(b"1_800_000_000", id="underscores"),
        pytest.param(b"0x6b49d200", id="hexadecimal"),
        pytest.param(b"1800000000000", id="milliseconds"),
        pytest.param(b"0" * 20 + b"1800000000", id="30 digits"),
        pytest.param(b"9" * 5000, id="5000 digits"),
        pytest.param("\u0661\u0668\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660".encode(), id="Arabic-Indic digits"),
        pytest.param("\uff11800000000".encode(), id="fullwidth digit"),
        pytest.param(b"2027-01-15T08:00:00Z", id="ISO 8601"),
        pytest.param(b"\xff", id="binary"),
    ],
)
def test_a_timestamp_is_ascii_digits_even_where_the_signature_is_right(timestamp: bytes) -> None:
    assert not passes(signed(bare_signature(KEY, b"msg_1", timestamp), timestamp=timestamp))


@pytest.mark.parametrize(
    "message_id",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"msg.1", id="full stop"),
        pytest.param(b".", id="only a full stop"),
        pytest.param(b"msg 1", id="space"),
        pytest.param(b"msg_1\n", id="newline"),
        pytest.param(b"msg\x00", id="NUL"),
        pytest.param("msg_é".encode(), id="not ASCII"),
        pytest.param(b"m" * 257, id="257 characters"),
    ],
)
def test_an_id_that_could_be_read_in_two_ways_is_refused_even_where_the_signature_is_right(message_id: bytes) -> None:
    assert not passes(signed(bare_signature(KEY, message_id, b"1800000000"), message_id))


def test_a_full_stop_moved_from_the_id_into_the_body_makes_no_second_message() -> None:
    body = b"1800000000." + BODY
    headers = signed(bare_signature(KEY, b"msg_1", b"1800000000", body))
    assert passes(headers, body)
    assert not passes(headers | {b"webhook-id": b"msg_1.1800000000"}, BODY)


@pytest.mark.parametrize("missing", [b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
def test_a_missing_header_is_a_refusal(missing: bytes) -> None:
    headers = signed(right())
    del headers[missing]
    assert not passes(headers)


@pytest.mark.parametrize("missing", [b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
def test_an_empty_header_is_a_refusal(missing: bytes) -> None:
    assert not passes(signed(right()) | {missing: b""})


def test_either_credential_suffices_and_a_wrong_one_beside_it_does_no_harm() -> None:
    bearer = {b"authorization": b"Bearer " + BEARER}
    assert PLATFORM.authenticate(bearer | signed("v1,wrong"), BODY, BOTH, NOW) is None
    assert PLATFORM.authenticate({b"authorization": b"Bearer wrong"} | signed(right()), BODY, BOTH, NOW) == NOW
    assert PLATFORM.authenticate(bearer | signed(right()), BODY, BOTH, NOW) == NOW


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        pytest.param({}, "no_credentials", id="nothing"),
        pytest.param({b"authorization": b"Bearer wrong"}, "wrong_secret", id="wrong bearer"),
        pytest.param({b"authorization": b"Digest eDp5"}, "not_a_bearer", id="another scheme"),
        pytest.param({b"authorization": b"wrong"}, "wrong_secret", id="no scheme"),
        pytest.param({b"authorization": b"Bearer whsec_x"}, "signing_key_sent_as_bearer", id="a signing key that was sent"),
        pytest.param({b"x-api-key": b"whsec_x"}, "signing_key_sent_as_bearer", id="a signing key as API key"),
        pytest.param({b"authorization": b"Basic dTp3aHNlY194"}, "signing_key_sent_as_bearer", id="a signing key as password"),
        pytest.param(signed("v1,wrong"), "wrong_signature", id="wrong signature"),
        pytest.param(signed(right(timestamp=NOW - 999), timestamp=NOW - 999), "clock_or_replay", id="too old"),
        pytest.param(signed(right(), message_id=b"msg_2"), "wrong_signature", id="another id"),
    ],
)
def test_the_log_tells_what_to_look_at_and_the_caller_learns_nothing(headers: dict[bytes, bytes], why: str) -> None:
    with pytest.raises(Refused) as caught:
        PLATFORM.authenticate(headers, BODY, BOTH, NOW)
    assert caught.value.result == Result(Outcome.UNAUTHORIZED, why)
    assert str(caught.value) == "unauthorized"
    assert respond(caught.value.result, "r").body == respond(Result(Outcome.UNAUTHORIZED), "r").body


def test_the_printed_form_of_the_secrets_holds_none() -> None:
    secrets = HookSecrets((BEARER,), (KEY,))
    printed = f"{secrets} {secrets!r} {[secrets]}"
    assert "bearer-secret" not in printed
    assert "\\x01\\x02" not in printed


@LAW
@given(message_id=IDS, key=KEYS, others=st.lists(KEYS, max_size=3), text=st.text(max_size=200), skew=st.integers(-290, 290))
def test_what_the_reference_library_signs_and_accepts_we_accept(
    message_id: str, key: bytes, others: list[bytes], text: str, skew: int
) -> None:
    now = time.time()  # the library has no other clock
    timestamp = int(now) + skew
    body = text.encode()
    headers = signed(library_signature(key, message_id, timestamp, body), message_id.encode(), timestamp)
    assert does_library_accept(key, body, headers)
    assert PLATFORM.authenticate(headers, body, HookSecrets((BEARER,), (*others, key)), now) == timestamp


MUTATIONS = ("body", "id", "timestamp", "signature", "key", "nothing")


@LAW
@given(kind=st.sampled_from(MUTATIONS), position=st.integers(0, 1000), replacement=st.sampled_from("AZaz09_-+/=,"))
def test_after_one_change_anywhere_we_accept_only_what_the_reference_library_accepts(kind: str, position: int, replacement: str) -> None:
    now = time.time()
    parts = {
        "body": BODY.decode(),
        "id": "msg_1",
        "timestamp": str(int(now)),
        "signature": library_signature(KEY, "msg_1", int(now), BODY),
        "key": base64.b64encode(KEY).decode(),
    }
    if kind in parts:
        at = position % len(parts[kind])
        parts[kind] = parts[kind][:at] + replacement + parts[kind][at + 1 :]
    key = base64.b64decode(parts["key"] + "==")
    headers = {f"webhook-{name}".encode(): parts[name].encode() for name in ("id", "timestamp", "signature")}
    is_passed = passes(headers, parts["body"].encode(), HookSecrets(signing_keys=(key,)), now)
    is_accepted = does_library_accept(key, parts["body"].encode(), headers)
    assert not is_passed or is_accepted
    assert is_passed or kind != "nothing"


@LAW
@given(position=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_of_the_body_refuses_the_call(position: int, bit: int) -> None:
    body = bytearray(BODY)
    body[position] ^= 1 << bit
    assert not passes(signed(right()), bytes(body))


JUNK = st.binary(max_size=60)
SHAPED = {
    b"authorization": JUNK | st.binary(max_size=40).map(lambda junk: b"Bearer " + junk) | st.just(b"Bearer "),
    b"webhook-id": JUNK | st.sampled_from([b"", b"msg_1", b"msg.1"]),
    b"webhook-timestamp": JUNK | st.sampled_from([str(NOW).encode(), b"nan", b"0"]),
    b"webhook-signature": JUNK
    | st.binary(min_size=32, max_size=32).map(lambda junk: b"v1," + base64.b64encode(junk))
    | st.sampled_from([b"v1,", bare_signature(b"", b"msg_1", str(NOW).encode()), bare_signature(BEARER, b"msg_1", str(NOW).encode())]),
    b"svix-signature": st.just(right().encode()),
    b"x-authorization": st.just(b"Bearer " + BEARER),
    b"cookie": st.just(BEARER),
    b"x-forwarded-for": st.just(b"127.0.0.1"),
}


@settings(max_examples=300, deadline=None)
@given(
    headers=st.fixed_dictionaries({}, optional=SHAPED),
    body=st.sampled_from([BODY, b""]) | JUNK,
    secrets=st.sampled_from([BOTH, HookSecrets(), HookSecrets(bearer=(BEARER,)), HookSecrets(signing_keys=(KEY,))]),
)
def test_without_a_valid_credential_nothing_passes_whatever_the_headers(
    headers: dict[bytes, bytes], body: bytes, secrets: HookSecrets
) -> None:
    with pytest.raises(Refused) as caught:
        PLATFORM.authenticate(headers, body, secrets, NOW)
    assert caught.value.result.outcome is Outcome.UNAUTHORIZED


@pytest.mark.parametrize("key", [b"", KEY])
def test_a_function_without_secrets_lets_nobody_in(key: bytes) -> None:
    timestamp = str(NOW).encode()
    assert not passes(signed(bare_signature(key, b"msg_1", timestamp)) | {b"authorization": b"Bearer "}, secrets=HookSecrets())


# The JSON Web Token of Auth0's passwordless SMS gateway


def token(claims: object, key: bytes = OLD_BEARER, header: bytes = b'{"alg":"HS256","typ":"JWT"}') -> bytes:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload)]
    signed = b".".join(parts)
    return signed + b"." + base64.urlsafe_b64encode(hmac.digest(key, signed, "sha256")).rstrip(b"=")


@pytest.mark.parametrize(
    ("bearer", "is_right"),
    [
        pytest.param(token({"sub": "urn:Auth0", "aud": "urn:x"}), True, id="without an expiry"),
        pytest.param(token({"exp": NOW + 60}), True, id="not expired"),
        pytest.param(token({"exp": NOW - 60}), True, id="expired within the leeway"),
        pytest.param(token({"exp": NOW - 61}), False, id="expired"),
        pytest.param(token({"nbf": NOW + 60, "iat": NOW + 60}), True, id="from the future within the leeway"),
        pytest.param(token({"nbf": NOW + 61}), False, id="not valid yet"),
        pytest.param(token({"iat": NOW + 61}), False, id="issued in the future"),
        pytest.param(token({"iat": NOW - 10**9, "nbf": 0}), True, id="issued long ago"),
        *(
            pytest.param(token(b'{"%b":%b}' % (name, value)), False, id=f"{name.decode()} {value.decode()}")
            for name in (b"exp", b"nbf", b"iat")
            for value in (b'"never"', b'"99999999999"', b"1e400", b"-1e400", b"NaN", b"true", b"null", b"1.0", b"[]", b"9" * 5000)
        ),
        pytest.param(token(b'{"exp":1,"exp":%d}' % (NOW + 60)), False, id="a claim twice"),
        pytest.param(token(b'{"a":{"b":1,"b":2}}'), False, id="a name twice in a claim"),
        pytest.param(token(b"[" * 100_000), False, id="claims that are too deep"),
        pytest.param(token(b"\xff"), False, id="claims that are no text"),
        pytest.param(token({}, header=b'{"alg":"RS256"}'), False, id="RS256"),
        pytest.param(token({}, header=b'{"alg":"hs256"}'), False, id="hs256"),
        pytest.param(token({}, header=b'{"alg":"none"}'), False, id="none"),
        pytest.param(token({}, header=b'{"alg":["HS256"]}'), False, id="a list of algorithms"),
        pytest.param(token({}, header=b'{"typ":"JWT"}'), False, id="no algorithm"),
        pytest.param(token({}, header=b'{"alg":"none","alg":"HS256"}'), False, id="two algorithms"),
        pytest.param(token({}, header=b'{"alg":"HS256","crit":["x"]}'), False, id="an extension that must be understood"),
        pytest.param(token({}, header=b'["HS256"]'), False, id="a header that is no object"),
        pytest.param(token({}, header=b"HS256"), False, id="a header that is no JSON"),
        pytest.param(token(["exp"]), False, id="claims that are no object"),
        pytest.param(token({}, b"another secret of the tests"), False, id="another secret"),
        pytest.param(token({}, b""), False, id="no secret"),
        pytest.param(token({})[:-1], False, id="a cut signature"),
        pytest.param(token({}).rsplit(b".", 1)[0] + b".", False, id="no signature"),
        pytest.param(token({}).replace(b".", b"..", 1), False, id="an empty part"),
    ],
)
def test_a_token_counts_as_the_secret_that_signed_it(bearer: bytes, is_right: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    headers = {b"authorization": b"Bearer " + bearer}
    assert passes(headers, secrets=HookSecrets((BEARER, OLD_BEARER), (KEY,))) is is_right


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({b"authorization": b"Bearer " + BEARER}, id="bearer"),
        pytest.param({b"authorization": BEARER}, id="the bare value"),
        pytest.param({b"authorization": b"Basic " + base64.b64encode(b"hook:" + BEARER)}, id="basic with a user name"),
        pytest.param({b"authorization": b"basic " + base64.b64encode(b":" + BEARER)}, id="basic without one"),
        pytest.param({b"x-api-key": BEARER}, id="API key"),
        pytest.param({b"authorization": b"Bearer " + BEARER, b"x-api-key": BEARER}, id="twice the same"),
    ],
)
def test_a_plain_secret_comes_in_the_forms_that_platforms_can_send(headers: dict[bytes, bytes]) -> None:
    assert authenticate(headers, b"{}", HookSecrets(bearer=(b"another-secret-of-the-tests", BEARER)), NOW) is None


@pytest.mark.parametrize("other", [{b"x-api-key": b"wrong"}, {b"x-api-key": b"Bearer " + BEARER}])
def test_of_two_plain_secrets_both_have_to_be_right(other: dict[bytes, bytes]) -> None:
    with pytest.raises(Refused):
        authenticate({b"authorization": b"Bearer " + BEARER} | other, b"{}", HookSecrets(bearer=(BEARER,)), NOW)
