"""``mitto-phone-hook check``: settings, store and Mitto, against a real Redis and the fake Mitto."""

import asyncio
import base64
import io
import json
import re
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from mitto_phone_hook.cli import key, probe, settings_report, store
from mitto_phone_hook.cli.command import run
from mitto_phone_hook.cli.report import Line, Mark
from mitto_phone_hook.config.rules import MEMORY
from mitto_phone_hook.config.settings import load
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.response_codes import RESPONSE_CODES, STATUSES, MittoResult, read_result
from mitto_phone_hook.storage.redis_client import TIMEOUT_SECONDS
from mitto_phone_hook.storage.redis_nodes import CONNECT_SECONDS
from support.authorization_server import authorization_server, new_key
from support.clusters import redis_cluster
from support.processes import (
    API_KEY,
    BEARER,
    FakeMittoProcess,
    Process,
    ask_redis,
    fake_mitto,
    redis_sentinel,
    redis_server,
)
from support.stores import SlowWay
from support.upstream import closed_port, deaf_port, make_certificate, serving_tls

KEY = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
PASSWORD = "password-of-the-store-0001"
OWN = "+12025550111"
SECRETS = (API_KEY, BEARER, KEY, KEY.removeprefix("whsec_"), PASSWORD)


@pytest.fixture(scope="module")
def mitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path_factory.mktemp("check") / "mitto.txt") as process:
        yield process


@pytest.fixture(scope="module")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with redis_server(tmp_path_factory.mktemp("store")) as process:
        yield process


def check(*arguments: str, **settings: str) -> tuple[int, str]:
    """Run it in this process. Its output never holds a secret or a number."""
    environment = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": f"{KEY} {BEARER}", "ALLOWED_REGIONS": "US"} | settings
    stream = io.StringIO()
    status = run(["check", *arguments], environment, stream)
    shown = stream.getvalue()
    assert not [secret for secret in SECRETS if secret in shown]
    assert "2025550" not in shown
    return status, shown


def at(process: FakeMittoProcess) -> dict[str, str]:
    return {"MITTO_BASE_URL": f"http://127.0.0.1:{process.port}"}


def lines_of(**settings: str) -> dict[str, Line]:
    """Return the findings about settings, by topic."""
    environment = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER, "ALLOWED_REGIONS": "CH"} | settings
    loaded = load(environment)
    unknown = settings_report.unknown_variable_lines(environment)
    return {line.topic: line for line in (*unknown, *settings_report.lines(loaded, environment))}


def test_what_follows_a_message_is_reported_where_it_is_on() -> None:
    topics = {"delivery reports", "conversions", "test numbers"}
    assert not topics & set(lines_of())
    lines = lines_of(REPORT_SECRETS=BEARER, PUBLIC_URL="https://hook.example.com", CONVERSIONS="on", TEST_NUMBERS="+15005550006=739105")
    assert "each message" in lines["delivery reports"].text
    assert "that Mitto has" in lines_of(REPORT_SECRETS=BEARER)["delivery reports"].text
    assert (lines["conversions"].mark, lines["test numbers"].mark) == (Mark.OK, Mark.WARNING)
    assert not [secret for secret in (BEARER, "739105", "5550006") if any(secret in str(line) for line in lines.values())]


# Everything


def test_a_good_environment_ends_with_0_and_costs_nothing(mitto: FakeMittoProcess, redis_process: Process) -> None:
    mitto.clear()
    status, shown = check(**at(mitto), MITTO_SENDER_ID="Example", ALLOWED_REGIONS="CH", STORE_URL=f"redis://127.0.0.1:{redis_process.port}")
    assert status == 0
    assert re.fullmatch(r"\d+ ok", shown.splitlines()[-1])
    assert re.search(r"✓ hook secrets +1 signing key, 1 bearer secret\n", shown)
    assert re.search(r"✓ API key +accepted by Mitto\n", shown)
    assert re.search(r"✓ test message +accepted; not delivered, not charged, in [0-9.]+ ms\n", shown)
    state = json.loads(mitto.request("GET", "/inbox")[1])
    assert (state["messages"], state["test_messages"]) == ([], 1)


def test_each_finding_is_shown_before_the_next_thing_is_tried() -> None:
    class Recording(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            self.flushed: list[str] = []

        def flush(self) -> None:
            self.flushed.append(self.getvalue())

    stream = Recording()
    settings = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER, "MITTO_BASE_URL": f"http://127.0.0.1:{closed_port()}"}
    run(["check"], settings, stream)
    ends = [shown.splitlines()[-1] for shown in stream.flushed]
    assert any("name" in end for end in ends)
    assert len(stream.flushed) > 15


# The settings in words


@pytest.mark.parametrize(
    ("settings", "topic", "mark", "words"),
    [
        ({}, "hook secrets", Mark.OK, "1 bearer secret"),
        ({"HOOK_SECRETS": f"{KEY}|v1,{KEY} {BEARER}"}, "hook secrets", Mark.OK, "2 signing keys, 1 bearer secret"),
        ({"HOOK_SECRETS": "changeme" * 4}, "hook secrets", Mark.WARNING, "easy to guess"),
        ({"HOOK_SECRETS": "secret" * 4}, "hook secrets", Mark.WARNING, "easy to guess"),
        ({"HOOK_SECRETS_AUTH0": BEARER}, "auth0's secrets", Mark.OK, "1 bearer secret"),
        ({"MITTO_SENDER_ID": "Acme Login"}, "sender ID", Mark.OK, "Acme Login"),
        ({"MITTO_SENDER_ID": "Acme", "SENDER_IDS": "US=123456; SG=Acme"}, "sender ID", Mark.OK, "Acme"),
        ({"ALLOWED_REGIONS": "US,CA,CH"}, "sender by country", Mark.WARNING, "CA, US: only numbers"),
        ({"ALLOWED_REGIONS": "SG,IN,CH", "SENDER_IDS": "SG=Acme"}, "sender by country", Mark.WARNING, "IN: only registered sender IDs"),
        ({"ALLOWED_REGIONS": "CH", "SENDER_IDS": "FR=Acme;CH=Acme"}, "unused senders", Mark.WARNING, "FR: not among the allowed regions"),
        ({"DEFAULT_LOCALE": "xx"}, "DEFAULT_LOCALE", Mark.WARNING, "xx has no template, so texts are in English"),
        ({"MAX_SEGMENTS": "1", "APP_NAME": "A very long name of an app"}, "texts", Mark.WARNING, "ar, cs, "),
        ({"MITTO_TEST": "true"}, "test mode", Mark.WARNING, "delivers nothing"),
        ({"ALLOWED_REGIONS": "de,CH, GB"}, "regions", Mark.OK, "CH, DE, GB"),
        ({"ALLOWED_REGIONS": ""}, "regions", Mark.WARNING, "every country"),
        ({"ALLOWED_REGIONS": "*"}, "regions", Mark.WARNING, "(*)"),
        ({"ALLOWED_REGIONS": "*,001"}, "regions", Mark.WARNING, "satellite"),
        ({"BLOCKED_NUMBERS": "+4179,+4178"}, "blocked", Mark.OK, "2 numbers, in full or by their first digits"),
        ({"BLOCKED_NUMBERS": "+4179"}, "blocked", Mark.OK, "1 number, in full or by their first digits"),
        ({}, "default region", Mark.OK, "none: numbers without a country code are refused"),
        ({"DEFAULT_REGION": "ch"}, "default region", Mark.OK, "CH"),
        ({"ALLOWED_REGIONS": "US"}, "territories", Mark.WARNING, "US without AS, GU, MP, PR, VI"),
        ({"ALLOWED_REGIONS": "FR,GB,JE,CH"}, "territories", Mark.WARNING, "YT; GB without GG, IM"),
        ({"ALLOWED_NUMBERS": "+99981,+2250112345678"}, "allowed", Mark.OK, "2 numbers, in full or by their first digits"),
        ({}, "bare digits", Mark.OK, "refused if they can be"),
        ({"BARE_DIGITS": "international"}, "bare digits", Mark.OK, "international"),
        ({"BARE_DIGITS": "national", "DEFAULT_REGION": "DE"}, "bare digits", Mark.WARNING, "stranger"),
        ({"POLICY_MODE": "observe"}, "policy", Mark.WARNING, "nothing is refused"),
        ({}, "limits", Mark.OK, "5 in 10 minutes, 10 in an hour"),
        ({}, "limits", Mark.OK, "5000 in an hour, 50000 in a day"),
        ({"LIMITS": "ip=3/90seconds"}, "limits", Mark.OK, "3 in 90 seconds"),
        ({"LIMITS": "ip=off"}, "limits", Mark.WARNING, "off"),
        ({"LIMITS": "off"}, "limits", Mark.WARNING, "nothing stops a flood"),
        ({}, "budgets", Mark.OK, "limits the cost"),
        ({"LIMITS": "total=off"}, "budgets", Mark.WARNING, "nothing limits the cost"),
        ({"DEADLINE_SECONDS": "4.5", "MAX_ATTEMPTS": "1"}, "deadline", Mark.OK, "4.5 s for a call, 1 s to connect, up to 1 attempt"),
        ({"DEADLINE_SECONDS": "9"}, "deadline", Mark.WARNING, "9 s"),
        ({"LOG_LEVEL": "ERROR"}, "log", Mark.WARNING, "are not logged"),
        ({"RESEND_AFTER_SECONDS": "45"}, "repeated calls", Mark.OK, "not sent twice in 45 seconds"),
        ({"RESEND_AFTER_SECONDS": "0"}, "repeated calls", Mark.WARNING, "each one is sent"),
        ({"DUPLICATE_WINDOW_SECONDS": "600"}, "repeated calls", Mark.WARNING, "not sent twice in 10 minutes"),
        ({"DUPLICATE_WINDOW_SECONDS": "600"}, "DUPLICATE_WINDOW_SECONDS", Mark.WARNING, "old name"),
        ({"ALLOWED_REGION": "CH"}, "ALLOWED_REGION", Mark.WARNING, "is no setting"),
        ({"MITTO_SENDER_ID_FILE": "/x"}, "MITTO_SENDER_ID_FILE", Mark.WARNING, "is no setting"),
    ],
)
def test_a_setting_is_reported_in_words(settings: dict[str, str], topic: str, mark: Mark, words: str) -> None:
    line = lines_of(**settings)[topic]
    assert line.mark is mark
    assert words in " | ".join([line.text, *line.more])
    assert bool(line.next_step) == (mark is not Mark.OK)


def test_the_territories_to_add_are_listed_as_the_setting_takes_them() -> None:
    line = lines_of(ALLOWED_REGIONS="US,GB,PR")["territories"]
    assert "add GG,IM,JE,AS,GU,MP,VI to ALLOWED_REGIONS" in line.next_step
    assert "territories" not in lines_of(ALLOWED_REGIONS="US,GB,PR,GG,IM,JE,AS,GU,MP,VI")


@pytest.mark.parametrize("regions", ["", "*", "US,*", "CH,DE"])
def test_where_no_territory_is_missing_none_is_named(regions: str) -> None:
    assert "territories" not in lines_of(ALLOWED_REGIONS=regions)


def test_budgets_are_reported_in_money_by_region(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("*,0.075\n", encoding="ascii")
    budgets = {"BUDGET_PER_DAY": "250", "BUDGET_PER_HOUR": "12.50", "BUDGET_PER_HOUR_CH": "0.075"}
    line = lines_of(PRICES_FILE=str(prices), **budgets)["budgets"]
    assert [" ".join(row.split()) for row in (line.text, *line.more)] == ["in total 12.5 in an hour, 250 in a day", "CH 0.075 in an hour"]


def test_a_budget_of_0_is_a_warning(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("*,0.075\n", encoding="ascii")
    line = lines_of(PRICES_FILE=str(prices), BUDGET_PER_DAY="250", BUDGET_PER_HOUR_CH="0")["budgets"]
    assert (line.mark, line.text) == (Mark.WARNING, "one budget is 0: no message that it covers is sent")


def test_a_secret_from_a_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{BEARER}\n", encoding="ascii")
    line = lines_of(HOOK_SECRETS="", HOOK_SECRETS_FILE=str(file))["hook secrets"]
    assert line.text == "1 bearer secret, from the file in HOOK_SECRETS_FILE"


def test_variables_that_are_no_setting_and_resemble_none_are_left_alone() -> None:
    environment = {"PATH": "/bin", "HOME": "/root", "BUDGET_PER_DAY_CH": "5", "HOOK_SECRETS_FILE": "/x", "ALLOWED_REGION": "", "PORT": "1"}
    assert list(settings_report.unknown_variable_lines(environment)) == []


# The store


def test_the_memory_store_explains_what_several_instances_mean(mitto: FakeMittoProcess) -> None:
    status, shown = check(**at(mitto))
    assert status == 0
    assert "! memory           each instance knows only its own" in shown
    assert "with several, a repeated call may send a second SMS" in shown
    assert "STORE_URL=redis://" in shown


def test_a_missing_redis_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    status, shown = check(MITTO_BASE_URL=f"http://127.0.0.1:{closed_port()}", STORE_URL="redis://localhost")
    assert status == 1
    assert "✗ redis            the package redis is not installed\n" in shown
    assert "deploy/bundle.py --redis, or pip install redis" in shown


OKTA = {"OKTA_AUDIENCE": "https://hook.example.org", "OKTA_SCOPE": "sms"}


def test_the_keys_of_oktas_tokens_are_read(mitto: FakeMittoProcess) -> None:
    with authorization_server(k1=new_key()) as okta:
        assert f"✓ keys             {okta.issuer}/v1/keys gives 1\n" in check(OKTA_ISSUER=okta.issuer, **OKTA, **at(mitto))[1]
        okta.keys.clear()
        status, shown = check(OKTA_ISSUER=okta.issuer, **OKTA, **at(mitto))
    assert status == 1
    assert f"✗ keys             {okta.issuer}/v1/keys gives no keys\n" in shown
    assert "✗ keys" not in check(**at(mitto))[1]


def test_a_missing_library_of_oktas_tokens_is_reported(mitto: FakeMittoProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    status, shown = check(OKTA_ISSUER="https://example.okta.com/oauth2/default", **OKTA, **at(mitto))
    assert status == 1
    assert "✗ keys             the package PyJWT is not installed\n" in shown


def ask_store(url: str, max_wait_seconds: float = 3) -> list[Line]:
    return list(store.lines(url, when_it_fails="messages go on", max_wait_seconds=max_wait_seconds))


def client_of(process: Process) -> Any:
    return redis.Redis(port=process.port)


def test_redis_is_measured_and_left_as_it_was(redis_process: Process) -> None:
    client = client_of(redis_process)
    with closing(client):
        before = client.dbsize()
        speed, writable = ask_store(f"redis://127.0.0.1:{redis_process.port}")
        assert client.dbsize() == before
    assert (speed.mark, writable.mark) == (Mark.OK, Mark.OK)
    measured = rf"127\.0\.0\.1:{redis_process.port} responds in [0-9.]+ ms, median of 5; connecting took [0-9.]+ ms"
    assert re.fullmatch(rf"{measured}\. It works up to a round trip of 250 ms", speed.text)


@pytest.mark.parametrize(
    ("url", "seconds"),
    [
        ("redis://store:6379", 0.25),
        ("redis://:secret@store:6379/1", 0.25),
        ("rediss://store:6379", 1 / 5),
        ("rediss://user:secret@store:6379", 1 / 6),
    ],
)
def test_the_longest_round_trip_that_works_depends_on_tls_and_password(url: str, seconds: float) -> None:
    assert store.max_round_trip_seconds(url) == pytest.approx(seconds)


async def test_a_redis_150_ms_away_works(redis_process: Process) -> None:
    async with SlowWay(redis_process.port, seconds=0.075) as way:
        found = await asyncio.to_thread(ask_store, f"redis://127.0.0.1:{way.port}")
    assert [line.mark for line in found] == [Mark.WARNING, Mark.OK]
    assert "It works up to a round trip of 250 ms" in found[0].text


@pytest.mark.parametrize(
    ("commands", "user", "words"),
    [
        ([f"CONFIG SET requirepass {PASSWORD}"], "", "refuses the user or the password"),
        ([f"CONFIG SET requirepass {PASSWORD}"], ":wrong@", "refuses the user or the password"),
        (["REPLICAOF 127.0.0.1 1"], "", "is a read-only replica"),
        (["CONFIG SET maxmemory 1"], "", "is out of memory"),
        ([f"ACL SETUSER few on >{PASSWORD} ~* +@all -eval"], f"few:{PASSWORD}@", "denies this user a permission"),
        ([f"ACL SETUSER few on >{PASSWORD} ~other:* +@all"], f"few:{PASSWORD}@", "denies this user a permission"),
    ],
    ids=["no password", "wrong password", "replica", "full", "no eval", "other keys"],
)
def test_a_redis_that_refuses_is_reported_with_its_cause(commands: list[str], user: str, words: str, tmp_path: Path) -> None:
    # One for each: a password would lock out the others.
    with redis_server(tmp_path) as process:
        client = client_of(process)
        with closing(client):
            for command in commands:
                client.execute_command(*command.split())
        [line] = ask_store(f"redis://{user}127.0.0.1:{process.port}")
    assert line.mark is Mark.ERROR
    assert words in line.text
    assert line.next_step
    assert line.more == ["messages go on"]
    assert PASSWORD not in repr(line)


def test_a_redis_that_hangs_is_distinguished_from_one_that_is_gone(redis_process: Process) -> None:
    client = client_of(redis_process)
    with closing(client):
        client.execute_command("CLIENT", "PAUSE", "600")
        [hanging] = ask_store(f"redis://127.0.0.1:{redis_process.port}", max_wait_seconds=0.2)
    [gone] = ask_store(f"redis://127.0.0.1:{closed_port()}")
    assert "does not respond" in hanging.text
    assert "cannot be reached" in gone.text


def test_tls_on_one_side_only_is_reported(redis_process: Process, tmp_path: Path) -> None:
    [plain] = ask_store(f"rediss://127.0.0.1:{redis_process.port}", max_wait_seconds=0.5)
    with tls_server(tmp_path) as port:
        [untrusted] = ask_store(f"rediss://127.0.0.1:{port}")
        [secured] = ask_store(f"redis://127.0.0.1:{port}")
    assert "does not respond" in plain.text
    assert "certificate is not trusted" in untrusted.text
    assert "cannot be reached" in secured.text
    assert "rediss://" in plain.next_step
    assert "rediss://" in secured.next_step


@pytest.mark.parametrize(
    ("seconds", "mark"), [(0.001, Mark.OK), (0.03, Mark.WARNING), (TIMEOUT_SECONDS, Mark.ERROR)], ids=["fast", "slow", "too slow"]
)
def test_the_speed_of_redis_is_judged_by_what_the_function_waits(seconds: float, mark: Mark) -> None:
    assert store.speed_line("redis:6379", seconds, 0.01, 0.25).mark is mark


def test_a_redis_to_which_no_connection_opens_in_time_is_too_far_away() -> None:
    line = store.speed_line("redis:6379", 0.2, CONNECT_SECONDS, 0.25)
    assert line.mark is Mark.ERROR
    assert "1000 ms for a connection" in line.next_step


def test_a_replica_names_its_primary(redis_process: Process, tmp_path: Path) -> None:
    with redis_server(tmp_path, None, "--replicaof", "127.0.0.1", str(redis_process.port)) as replica:
        [line] = ask_store(f"redis://127.0.0.1:{replica.port}")
    assert line.next_step == f"set STORE_URL to the primary, 127.0.0.1:{redis_process.port}"


def test_a_cluster_is_recognised_from_any_of_its_masters(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster:
        for master in cluster.nodes:
            speed, masters, writable = ask_store(f"redis://127.0.0.1:{master.port}")
            assert {speed.mark, masters.mark, writable.mark} == {Mark.OK}
            assert masters.text.startswith("3 masters")
        ask_redis(cluster.nodes[0].port, "CLUSTER", "DELSLOTSRANGE", "0", "5460")
        [down] = ask_store(f"redis://127.0.0.1:{cluster.nodes[0].port}")
    assert "is a cluster that is down" in down.text
    assert down.next_step


def test_a_sentinel_is_recognised(tmp_path: Path) -> None:
    with redis_sentinel(tmp_path) as sentinel:
        [line] = ask_store(f"redis://127.0.0.1:{sentinel.port}")
    assert "is a Sentinel" in line.text
    assert line.next_step


def test_limits_that_fail_closed_are_reported() -> None:
    environment = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": BEARER, "STORE_URL": "redis://h", "LIMITS_FAIL": "closed"}
    assert "nothing is sent" in settings_report.when_the_store_fails(load(environment))
    assert settings_report.store_line(load(environment), environment) is None
    alone = settings_report.store_line(load(environment | {"STORE_URL": MEMORY}), environment)
    several = settings_report.store_line(load(environment | {"STORE_URL": MEMORY}), {"WORKERS": "4"})
    assert alone is not None
    assert several is not None
    assert (alone.mark, several.mark) == (Mark.WARNING, Mark.ERROR)
    assert several.text.startswith("WORKERS=4")


# The connection to Mitto


def test_a_refused_port_ends_the_check_but_shows_the_egress_address() -> None:
    status, shown = check(MITTO_BASE_URL=f"http://127.0.0.1:{closed_port()}")
    assert status == 1
    assert "✗ connection       refused\n" in shown
    assert "API key " not in shown.partition("connection")[2]
    assert "egress IP" in shown


def test_a_name_that_does_not_resolve_is_reported() -> None:
    status, shown = check(MITTO_BASE_URL="https://nowhere.invalid")
    assert status == 1
    assert "✗ name             nowhere.invalid does not resolve\n" in shown
    assert "connection" not in shown.partition("nowhere")[2]


def test_a_port_that_does_not_respond_is_reported_after_a_while() -> None:
    with deaf_port() as port, pytest.raises(probe.ProbeFailed) as end:
        probe.connect(httpx.URL(f"http://127.0.0.1:{port}"), timeout_seconds=1, max_wait_seconds=0.2)
    assert end.value.line.text == "no response in 0.2 s"
    assert "IP addresses that it does not know" in end.value.line.next_step


def test_a_connection_slower_than_the_function_waits_is_an_error(mitto: FakeMittoProcess) -> None:
    line = probe.connect(httpx.URL(at(mitto)["MITTO_BASE_URL"]), timeout_seconds=0)
    assert line.mark is Mark.ERROR
    assert "CONNECT_TIMEOUT_SECONDS" in line.next_step


@contextmanager
def tls_server(folder: Path) -> Iterator[int]:
    """Shake hands with whoever comes, and hang up."""
    make_certificate(folder / "server.pem")
    context = serving_tls(folder / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        with context.wrap_socket(connection, server_side=True) as secured:
                            secured.recv(65536)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_tls_is_timed_with_a_trusted_certificate_and_refused_with_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(tmp_path) as port:
        url = f"https://127.0.0.1:{port}"
        status, shown = check(MITTO_BASE_URL=url)
        assert (status, "✗ connection       the certificate is not trusted\n" in shown) == (1, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
        status, shown = check(MITTO_BASE_URL=url)
    assert status == 1
    assert re.search(r"✓ connection +TCP [0-9.]+ ms, TLSv1\.3 [0-9.]+ ms\n", shown)
    assert "✗ API key          unknown: no valid response from Mitto (connection_lost)\n" in shown


def test_a_port_without_tls_is_reported(mitto: FakeMittoProcess) -> None:
    with pytest.raises(probe.ProbeFailed) as end:
        probe.connect(httpx.URL(f"https://127.0.0.1:{mitto.port}"), timeout_seconds=1)
    assert end.value.line.text == "failed"


@pytest.mark.parametrize(
    ("source", "is_accepted", "mark", "words"),
    [
        ("127.0.0.1", True, Mark.OK, "on this machine"),
        ("::1", False, Mark.OK, "on this machine"),
        ("8.8.8.8", False, Mark.WARNING, "8.8.8.8, if the function runs"),
        ("8.8.8.8", True, Mark.OK, "8.8.8.8, if the function runs"),
        ("10.8.0.3", False, Mark.WARNING, "NAT gateway"),
        ("10.8.0.3", True, Mark.OK, "NAT gateway"),
        ("100.64.0.1", False, Mark.WARNING, "NAT gateway"),
        ("fd00::1", False, Mark.WARNING, "NAT gateway"),
        ("fe80::1%eth0", False, Mark.WARNING, "NAT gateway"),
        ("2606:4700::1111", False, Mark.WARNING, "2606:4700::1111, if the function runs"),
    ],
)
def test_the_egress_address_is_certain_only_after_an_accepted_call(source: str, is_accepted: bool, mark: Mark, words: str) -> None:  # noqa: FBT001 - a case
    line = probe.egress_line(source, is_accepted=is_accepted)
    assert line.mark is mark
    assert words in line.text
    assert bool(line.next_step) == (mark is Mark.WARNING)


def test_our_own_address_is_found_without_sending_anything() -> None:
    assert probe.local_address(httpx.URL(f"http://127.0.0.1:{closed_port()}")) == "127.0.0.1"
    assert probe.local_address(httpx.URL("https://nowhere.invalid")) is None


# The key


@pytest.mark.parametrize(
    ("fault", "is_own", "status", "words"),
    [
        ("401", False, 1, "✗ API key          refused (401)"),
        ("403", False, 1, "✗ API key          refused from this address (403)"),
        ("404", False, 1, "✗ API key          no SMS API"),
        ("code_5", True, 1, "✗ sender ID        refused for this recipient's country"),
        ("code_6", True, 1, "✗ sender ID        refused for this recipient's country"),
        ("code_6", False, 0, "! sender ID        refused for the fictional American recipient; sender IDs are registered by country"),
        ("code_8", False, 0, "✓ test message     its fictional recipient is refused; the key is accepted"),
        ("code_8", True, 0, "! test message     the recipient is refused, but the key is accepted"),
        ("code_4", False, 0, "! test message     refused by Mitto (mitto_code_4)"),
        ("code_99", False, 0, "! test message     refused by Mitto (mitto_code_99)"),
        ("429", False, 1, "✗ API key          unknown: too many calls for Mitto (429)"),
        ("503", False, 1, "✗ API key          unknown: Mitto cannot be reached (http_503)"),
        ("500", False, 1, "✗ API key          unknown: no valid response from Mitto (http_500)"),
        ("html200", False, 1, "✗ API key          unknown: no valid response from Mitto (http_200)"),
        ("reset_after_request", False, 1, "✗ API key          unknown: no valid response from Mitto (connection_lost)"),
        ("hang", False, 1, "✗ API key          unknown: no valid response from Mitto (deadline)"),
    ],
)
def test_what_mitto_says_to_the_test_message(
    fault: str,
    is_own: bool,  # noqa: FBT001 - a case
    status: int,
    words: str,
    mitto: FakeMittoProcess,
) -> None:
    mitto.script(fault)
    arguments = ["--recipient", OWN] if is_own else []
    found, shown = check(*arguments, **at(mitto), DEADLINE_SECONDS="0.8", CONNECT_TIMEOUT_SECONDS="0.5")
    assert words in shown
    assert found == status


def test_a_wrong_key_is_refused_for_real(mitto: FakeMittoProcess) -> None:
    status, shown = check(**at(mitto), MITTO_API_KEY="not-the-key-of-this-mitto")
    assert (status, "✗ API key          refused (401)\n" in shown) == (1, True)


def test_every_result_of_mitto_has_a_text_and_a_next_step() -> None:
    results = [read_result(200, json.dumps({"responseCode": code}).encode(), "") for code in (*RESPONSE_CODES, 99, 1000, -1)]
    results += [read_result(status, b"", "") for status in (*STATUSES, 200, 302, 400, 404, 500)]
    results += [MittoResult(outcome, "a_word_of_tomorrow") for outcome in {result.outcome for result in results} - {Outcome.ACCEPTED}]
    for result in results:
        for is_fictional in (True, False):
            lines = key.result_lines(result, is_fictional=is_fictional)
            assert lines
            assert all(line.next_step for line in lines if line.mark is not Mark.OK), result
            assert key.is_key_accepted(lines) == (result.why in ("accepted", *(f"mitto_code_{code}" for code in (5, 6, 7, 8))))


def test_every_fault_of_the_store_says_what_to_do() -> None:
    assert all(fault.text and fault.next_step for _, fault in store.FAULTS)
    for kind, fault in store.FAULTS:
        if kind is not ssl.SSLError:
            assert store.fault_of(kind("words of the client")) is fault


def test_the_cause_of_a_fault_is_found_below_the_error_of_the_client() -> None:
    wrapped = redis.ConnectionError("words")
    wrapped.__cause__ = socket.gaierror(-2, "words")
    assert "does not resolve" in store.fault_of(wrapped).text
