"""``mitto-phone-hook check --url``: a real function from outside, and other servers at its address."""

import base64
import http.server
import io
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitto_phone_hook.cli import deployed
from mitto_phone_hook.cli.caller import credentials, no_credentials, read_response, wrong_credentials
from mitto_phone_hook.cli.command import run
from mitto_phone_hook.cli.platforms import PLATFORMS, in_time
from mitto_phone_hook.cli.report import Mark
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms import NAMES
from mitto_phone_hook.platforms.auth0 import PLATFORM
from support.processes import BEARER, FakeMittoProcess, Process, fake_mitto, function
from support.upstream import closed_port, make_certificate, serving_tls

KEYS = [f"whsec_{base64.b64encode(bytes([start] * 16 + list(range(16)))).decode()}" for start in (1, 2)]
OTHER_BEARER = "bearer-secret-of-another-0002"
AUTH0_BEARER = "bearer-secret-of-auth0-000003"
SECRETS = (BEARER, OTHER_BEARER, AUTH0_BEARER, *(key.removeprefix("whsec_") for key in KEYS))
RECIPIENT = "+12025550112"


@pytest.fixture(scope="module")
def mitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path_factory.mktemp("deployed") / "mitto.txt") as process:
        yield process


@pytest.fixture(scope="module")
def hook(mitto: FakeMittoProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    settings = {
        "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}",
        "ALLOWED_REGIONS": "US",
        "HOOK_SECRETS": f"{KEYS[0]} {BEARER}",
        "HOOK_SECRETS_AUTH0": AUTH0_BEARER,
        "LIMITS": "recipient=2/hour",
        "DEADLINE_SECONDS": "2",
    }
    with function(tmp_path_factory.mktemp("hook") / "function.txt", **settings) as process:
        yield process


def check(port: int, *arguments: str, path: str = "", scheme: str = "http", **settings: str) -> tuple[int, str]:
    """Run it in this process. Its output never holds a secret or a number."""
    environment = {"HOOK_SECRETS": f"{KEYS[0]} {BEARER}"} | settings
    stream = io.StringIO()
    status = run(["check", "--url", f"{scheme}://127.0.0.1:{port}{path}", *arguments], environment, stream)
    shown = stream.getvalue()
    assert not [secret for secret in SECRETS if secret in shown]
    assert "2025550" not in shown
    return status, shown


def marks(shown: str) -> dict[str, str]:
    """Return the mark of each topic."""
    return {topic.strip(): mark for mark, topic in re.findall(r"^  ([✓!✗]) (.{16})", shown, re.MULTILINE)}


# The real function


@pytest.mark.parametrize("path", ["", "/"])
def test_a_good_function_passes_without_sending_anything(path: str, hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.clear()
    status, shown = check(hook.port, path=path)
    assert status == 0
    assert marks(shown) == dict.fromkeys(
        ["health", "no secret", "wrong secret", "signing key", "bearer secret", "first call", "warm", "timeouts"], "✓"
    )
    assert "✓ signing key      accepted; the voice call itself is refused, as expected (422 voice_unsupported)\n" in shown
    assert mitto.requests() == 0


def test_each_secret_is_tried_so_that_a_rotation_is_visible(hook: Process) -> None:
    status, shown = check(hook.port, HOOK_SECRETS=f"{KEYS[1]} {KEYS[0]} {BEARER} {OTHER_BEARER}")
    assert status == 1
    found = marks(shown)
    assert [found[name] for name in ("signing key 1", "signing key 2", "bearer secret 1", "bearer secret 2")] == ["✗", "✓", "✓", "✗"]
    assert found["warm"] == "✓"


def test_without_any_right_secret_the_rest_is_not_tried(hook: Process) -> None:
    status, shown = check(hook.port, "--recipient", RECIPIENT, HOOK_SECRETS=KEYS[1])
    assert status == 1
    assert list(marks(shown)) == ["health", "no secret", "wrong secret", "signing key"]
    assert "the function does not know it" in shown


def test_the_route_of_auth0_is_asked_with_its_own_secrets(hook: Process) -> None:
    status, shown = check(hook.port, path="/hooks/auth0", HOOK_SECRETS_AUTH0=AUTH0_BEARER)
    assert (status, marks(shown)["bearer secret"]) == (0, "✓")
    status, shown = check(hook.port, path="/hooks/auth0")
    assert (status, marks(shown)["bearer secret"]) == (1, "✗")


def test_each_platform_with_secrets_here_is_called_on_its_own_route(hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.clear()
    own = {f"HOOK_SECRETS_{name.upper()}": f"{BEARER} {KEYS[0]}" for name in NAMES if name != "auth0"}
    status, shown = check(hook.port, HOOK_SECRETS_AUTH0=AUTH0_BEARER, **own)
    assert (status, mitto.requests()) == (0, 0)
    assert {name: marks(shown).get(name) for name in NAMES} == dict.fromkeys(NAMES, "✓")
    for line, wait in (("okta", "Okta waits 3 s"), ("supabase", "Supabase waits 5 s"), ("zitadel", "ZITADEL waits 5 s")):
        assert re.search(rf"✓ {line} .*[0-9.]+ ms, first call [0-9.]+ ms; in time, if Mitto takes at most 1 s: {wait}\n", shown)
    assert re.search(r"✓ fusionauth .*; its timeout: as you set it in the messenger\n", shown)
    assert "timeouts" in shown
    assert "Okta" not in shown.partition("timeouts")[2].partition("\n")[0]


def test_the_address_of_one_route_is_checked_as_its_platform_calls_it(hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.clear()
    status, shown = check(hook.port, "--recipient", RECIPIENT, path="/hooks/okta", HOOK_SECRETS_CLERK=KEYS[1])
    assert (status, mitto.requests()) == (0, 0)
    assert marks(shown) == {"health": "✓", "okta": "✓", "message": "!"}
    assert f"→ mitto-phone-hook simulate okta --url http://127.0.0.1:{hook.port}/hooks/okta --to NUMBER\n" in shown


def test_only_the_secrets_of_one_platform_are_enough_for_its_check(hook: Process) -> None:
    status, shown = check(hook.port, HOOK_SECRETS="", HOOK_SECRETS_OKTA=BEARER)
    assert (status, marks(shown)) == (0, {"health": "✓", "okta": "✓"})
    status, shown = check(hook.port, HOOK_SECRETS="", HOOK_SECRETS_OKTA=OTHER_BEARER, HOOK_SECRETS_SUPABASE=BEARER)
    assert (status, marks(shown)) == (1, {"health": "✓", "supabase": "✗", "okta": "✗"})
    assert "✗ okta             refused: the function does not know its secret\n" in shown
    assert "Supabase cannot use any of its secrets\n" in shown
    status, shown = check(hook.port, HOOK_SECRETS="", HOOK_SECRETS_OKTA="short")
    assert (status, marks(shown)) == (1, {"HOOK_SECRETS_OKT": "✗"})


def test_secrets_may_come_from_a_file(hook: Process, tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{BEARER}\n", encoding="ascii")
    assert check(hook.port, HOOK_SECRETS="", HOOK_SECRETS_FILE=str(file))[0] == 0


def test_a_function_that_serves_other_countries_passes_as_well(mitto: FakeMittoProcess, tmp_path: Path) -> None:
    settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "CH"}
    with function(tmp_path / "function.txt", **settings) as process:
        status, shown = check(process.port, HOOK_SECRETS=BEARER)
    assert (status, "as expected (422 blocked_country)" in shown) == (0, True)


def test_one_real_message_is_sent_once_and_its_limit_is_reported(hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.clear()
    status, shown = check(hook.port, "--recipient", RECIPIENT)
    assert status == 0
    [message] = mitto.inbox()
    assert message["to"] == RECIPIENT[1:]
    assert re.search(rf"1 segment, [0-9.]+ ms, {message['id']}\n", shown)
    assert "✓ message          to +1********12: accepted by Mitto\n" in shown
    assert "✓ repeat           recognised: no second SMS\n" in shown
    assert check(hook.port, "--recipient", RECIPIENT)[0] == 0
    status, shown = check(hook.port, "--recipient", RECIPIENT)
    assert status == 1
    assert "✗ message          to +1********12: 429 rate_limited\n" in shown
    assert "EXEMPT_NUMBERS" in shown
    assert len(mitto.inbox()) == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401", "502 upstream_auth"),
        ("code_2", "502 upstream_rejected"),
        ("hang", "504 outcome_unknown"),
        ("code_8", "422 invalid_recipient"),
    ],
)
def test_a_message_that_mitto_does_not_accept_says_what_to_do(fault: str, words: str, hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.script(fault)
    status, shown = check(hook.port, "--recipient", "+12025550113")
    assert status == 1
    assert f"✗ message          to +1********13: {words}\n" in shown
    assert shown.partition(words)[2].lstrip().startswith("→")


# Other servers


class Stub(NamedTuple):
    """The responses of a fake function: to ``/health``, and to calls of the hook."""

    health: tuple[int, bytes] = (200, b'{"status":"ok"}')
    hook: Callable[[dict[str, str]], tuple[int, bytes]] = lambda _: (401, b'{"error":{"code":"unauthorized"}}')
    date: float | None = None


@contextmanager
def serving(stub: Stub, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(*stub.health)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(*stub.hook({name.lower(): value for name, value in self.headers.items()}))

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Date", formatdate(stub.date or time.time(), usegmt=True))
            self.send_header("Location", "https://example.com/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Clients hang up early on purpose."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(10)


def error(code: str) -> bytes:
    return json.dumps({"error": {"code": code}}).encode()


@pytest.mark.parametrize(
    ("health", "words"),
    [
        ((200, b"<html>hello</html>"), "something else responds (200)"),
        ((200, b'{"status":"fine"}'), "something else responds (200)"),
        ((302, b""), "redirects (302)"),
        ((401, b""), "refused before it reaches the function (401)"),
        ((403, b"<html>Forbidden</html>"), "the cloud requires a login of its own (403)"),
        ((404, b""), "nothing is at this path (404)"),
        ((502, b""), "a proxy gets no response"),
        ((503, b""), "no instance is running"),
        ((418, b""), "something else responds (418)"),
        ((200, b" " * 10_000_000), "something else responds (200)"),
    ],
)
def test_what_is_not_the_function_gets_no_secret(health: tuple[int, bytes], words: str) -> None:
    def never(_: dict[str, str]) -> tuple[int, bytes]:
        raise AssertionError

    with serving(Stub(health, never)) as port:
        status, shown = check(port)
    assert status == 1
    assert f"✗ health           {words}" in shown
    assert "→" in shown
    assert list(marks(shown)) == ["health"]


def test_a_function_that_accepts_everybody_is_an_error() -> None:
    with serving(Stub(hook=lambda _: (422, error("voice_unsupported")))) as port:
        status, shown = check(port)
    assert status == 1
    assert "✗ no secret        accepted: everybody can send SMS at your cost\n" in shown
    assert "✗ wrong secret     accepted: everybody" in shown


@pytest.mark.parametrize(
    ("status", "words"), [(403, "login of its own"), (405, "does not accept POST"), (429, "so many calls"), (418, "but got 418")]
)
def test_an_unexpected_status_is_reported_at_every_step(status: int, words: str) -> None:
    with serving(Stub(hook=lambda _: (status, b""))) as port:
        found, shown = check(port)
    assert found == 1
    assert words in shown
    assert set(marks(shown).values()) == {"✓", "✗"}
    assert shown.count("→") == 4


@pytest.mark.parametrize(("ahead", "words"), [(900, "ahead of ours"), (-900, "behind ours"), (0, "does not know it")])
def test_a_wrong_clock_explains_a_refused_signature(ahead: int, words: str) -> None:
    with serving(Stub(date=time.time() + ahead)) as port:
        _, shown = check(port)
    [line] = [line for line in shown.splitlines() if "signing key" in line]
    assert words in line
    assert [line for line in shown.splitlines() if "bearer secret" in line and "does not know it" in line]


def test_a_route_that_refuses_nobody_gets_no_right_secret() -> None:
    given = []

    def welcoming(headers: dict[str, str]) -> tuple[int, bytes]:
        given.append(headers["authorization"])
        return 200, b"{}"

    with serving(Stub(hook=welcoming)) as port:
        status, shown = check(port, path="/hooks/okta")
    assert (status, len(given)) == (1, 1)
    assert "✗ okta             a forged call got 200, not 401\n" in shown
    assert BEARER not in given[0]
    with serving(Stub(hook=lambda _: (403, b""))) as port:
        assert "✗ okta             the cloud requires a login of its own (403)\n" in check(port, path="/hooks/okta")[1]


def test_a_repeat_that_is_sent_again_is_an_error() -> None:
    numbers = iter(range(100))

    def forgetful(headers: dict[str, str]) -> tuple[int, bytes]:
        if BEARER not in headers.get("authorization", ""):
            return 401, error("unauthorized")
        if int(headers["content-length"]) < 150:
            return 422, error("voice_unsupported")
        return 200, json.dumps({"status": "accepted", "message_id": str(next(numbers)), "segments": 1, "duplicate": False}).encode()

    with serving(Stub(hook=forgetful)) as port:
        status, shown = check(port, "--recipient", RECIPIENT, HOOK_SECRETS=BEARER)
    assert status == 1
    assert "✗ repeat           not recognised: two SMS were sent\n" in shown
    assert "STORE_URL=redis://" in shown


def test_an_unreachable_function_and_an_untrusted_one_are_distinguished(tmp_path: Path) -> None:
    make_certificate(tmp_path / "server.pem")
    status, shown = check(closed_port())
    assert (status, "✗ health           cannot connect\n" in shown) == (1, True)
    with serving(Stub(), serving_tls(tmp_path / "server.pem")) as port:
        status, shown = check(port, scheme="https")
        assert (status, "✗ health           its certificate is not trusted\n" in shown) == (1, True)
        status, shown = check(port)
        assert (status, "✗ health           the connection broke\n" in shown) == (1, True)


# Without a network


def test_the_credentials_are_what_the_function_demands() -> None:
    body = b'{"text":"x"}'
    secrets = HookSecrets((BEARER.encode(),), (b"k" * 32, b"K" * 24))
    known = credentials(secrets)
    assert [credential.name for credential in known] == ["signing key 1", "signing key 2", "bearer secret"]
    for credential in known:
        headers = {name.lower().encode(): value.encode() for name, value in credential.make_headers(body).items()}
        PLATFORM.authenticate(headers, body, secrets, time.time())
    for make_headers in (no_credentials, wrong_credentials):
        headers = {name.lower().encode(): value.encode() for name, value in make_headers(body).items()}
        with pytest.raises(Refused):
            PLATFORM.authenticate(headers, body, secrets, time.time())


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["accepted", "ok", "unauthorized"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["status", "error", "code", "message_id", "segments", "duplicate"]), inner)
    ),
)


@given(st.integers(100, 599), st.binary() | _VALUES.map(lambda value: json.dumps(value).encode()), st.text())
def test_no_finding_repeats_text_of_the_response(status: int, body: bytes, date: str) -> None:
    response = read_response(status, body, date, 0.1, time.time())
    assert response.code in {*Outcome, "", "ok"}
    lines = [
        deployed.health_line(response),
        deployed.refusal_line("no secret", response),
        deployed.acceptance_line("signing key", response),
        deployed.message_line(response, "+1********12"),
        deployed.repeat_line(response, response),
    ]
    for line in lines:
        assert line.text.isascii()
        assert line.text.isprintable()
        assert line.mark is Mark.OK or line.next_step


@pytest.mark.parametrize(
    "fields",
    [{"status": "accepted", "message_id": "a\x1b[31m", "segments": True}, {"error": {"code": ["unauthorized"]}}, {"error": 1}, [], "x"],
)
def test_forged_fields_of_a_response_are_dropped(fields: object) -> None:
    response = read_response(200, json.dumps(fields).encode(), "Thu, 01 Jan 1970 00:00:00 -0000", 0.1, 0)
    assert (response.message_id, response.segments) == ("", 0)


def test_the_platforms_are_compared_with_room_for_mitto() -> None:
    assert [platform.timeout_seconds for platform in PLATFORMS] == sorted(platform.timeout_seconds for platform in PLATFORMS)
    assert all(platform.source for platform in PLATFORMS)
    assert in_time(0.1) == (list(PLATFORMS), [])
    met, missed = in_time(8.5)
    assert {platform.name for platform in missed} == {"privacyIDEA", "Auth0's MFA", "Auth0's phone provider"}
    assert len(met) + len(missed) == len(PLATFORMS)


def test_a_cold_start_that_misses_timeouts_is_reported() -> None:
    lines = list(deployed.latency_lines(2.4, 0.02))
    assert [line.mark for line in lines] == [Mark.OK, Mark.OK, Mark.WARNING]
    assert lines[-1].text == "missed by the first call: privacyIDEA 3 s"
    assert "keep one instance warm" in lines[-1].next_step


def test_a_function_that_is_slow_when_warm_is_reported() -> None:
    line = list(deployed.latency_lines(60, 40))[-1]
    assert line.mark is Mark.WARNING
    assert "missed even when warm" in line.text


@pytest.mark.parametrize(
    ("name", "seconds", "mark", "words"),
    [
        ("okta", [0.2, 0.1, 0.1], Mark.OK, "in time"),
        ("okta", [2.4, 0.1, 0.1], Mark.WARNING, "the first is too late: Okta waits 3 s"),
        ("okta", [2.4, 2.1, 2.1], Mark.WARNING, "with 1 s for Mitto too late: Okta waits 3 s"),
        ("supabase", [2.4, 2.1, 2.1], Mark.OK, "Supabase waits 5 s"),
        ("logto", [24, 21, 21], Mark.OK, "its timeout: connector-http-sms sets no limit"),
    ],
)
def test_the_time_is_judged_by_what_the_platform_waits(name: str, seconds: list[float], mark: Mark, words: str) -> None:
    line = deployed.platform_line(name, 401, [422] * len(seconds), seconds)
    assert (line.mark, words in line.text) == (mark, True)
    assert mark is Mark.OK or line.next_step


def test_every_status_and_outcome_says_what_to_do() -> None:
    assert all(text and step for text, step in deployed.UNEXPECTED_STATUSES.values())
    assert set(deployed.MESSAGE_STEPS) <= set(Outcome)
    for outcome in Outcome:
        response = read_response(422, error(outcome), "", 0.1, 0)
        assert response.code == outcome
        assert deployed.message_line(response._replace(message_id="x"), "+1**").next_step or outcome is Outcome.ACCEPTED
