"""``mitto-phone-hook simulate``: the real function as each platform meets it, and other servers at its address."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitto_phone_hook.callers import Case, all_callers, platform_of
from mitto_phone_hook.cli.command import run
from mitto_phone_hook.cli.report import Mark
from mitto_phone_hook.cli.simulate import ALL, STEPS, expected_reading, result_line
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.platforms._contract import Response
from support.processes import BEARER, FakeMittoProcess, Process, fake_mitto, function
from support.upstream import closed_port

KEY = f"whsec_{'QUJD' * 10}"
SECRETS = f"{BEARER} {KEY}"
OWN = "bearer-secret-of-zitadel-00001"
NUMBER = "+12025550112"


@pytest.fixture(scope="module")
def mitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeMittoProcess]:
    with fake_mitto(tmp_path_factory.mktemp("simulated") / "mitto.txt") as process:
        yield process


@pytest.fixture(scope="module")
def hook(mitto: FakeMittoProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    settings = {
        "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}",
        "ALLOWED_REGIONS": "US",
        "HOOK_SECRETS": SECRETS,
        "HOOK_SECRETS_ZITADEL": OWN,
        "LIMITS": "recipient=90/hour; ip=off",
    }
    with function(tmp_path_factory.mktemp("hook") / "function.txt", **settings) as process:
        yield process


def simulate(port: int, *arguments: str, path: str = "", **settings: str) -> tuple[int, str]:
    """Run it in this process. Its output never holds a secret, a number or a code."""
    environment = {"HOOK_SECRETS": SECRETS, "HOOK_SECRETS_ZITADEL": OWN} | settings
    stream = io.StringIO()
    status = run(["simulate", *arguments, "--url", f"http://127.0.0.1:{port}{path}"], environment, stream)
    shown = stream.getvalue()
    for secret in (BEARER, OWN, KEY, KEY.removeprefix("whsec_"), "2025550"):
        assert secret not in shown
    assert not re.search(r"(?<![0-9.:/])[0-9]{6}(?![0-9])", shown)
    return status, shown


def marks(shown: str) -> dict[str, str]:
    return {topic.strip(): mark for mark, topic in re.findall(r"^  ([✓!✗]) (.{16})", shown, re.MULTILINE)}


@pytest.mark.parametrize("name", all_callers())
def test_every_platform_gets_through_all_cases_with_two_sms(name: str, hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.clear()
    status, shown = simulate(hook.port, name, "--case", "all")
    assert status == 0, shown
    assert list(marks(shown)) == ["authentication", *(step.topic for step in STEPS[ALL])]
    assert set(marks(shown).values()) == {"✓"}
    assert len({message["text"] for message in mitto.inbox()}) == len(mitto.inbox()) == 2
    assert "must get 2 SMS, and not more.\n" in shown


@pytest.mark.parametrize("path", ["", "/", "/hooks/supabase", "/hooks/okta"])
def test_the_route_is_the_platforms_own_whatever_the_address_names(path: str, hook: Process, mitto: FakeMittoProcess) -> None:
    mitto.clear()
    status, shown = simulate(hook.port, "supabase", path=path)
    assert (status, len(mitto.inbox())) == (0, 1)
    assert shown.startswith(f"Supabase calls http://127.0.0.1:{hook.port}/hooks/supabase\n")
    assert "  ✓ authentication   signed by a key from HOOK_SECRETS\n" in shown
    assert re.search(r"  ✓ ok               accepted \(200, [0-9.]+ ms\)\n", shown)
    assert hook.log()[-1]["route"] == "/hooks/supabase"


@pytest.mark.parametrize(
    ("name", "case", "words"),
    [
        ("supabase", "refused-number", 'as expected: shown to the user as "This phone number cannot receive a text message." (200, '),
        ("authentik", "refused-number", 'as expected: shown to the user as "This phone number cannot receive a text message." (422, '),
        ("okta", "voice", "as expected: sent by its own provider (200, "),
        ("okta", "forged", "as expected: sent by its own provider (401, "),
        ("zitadel", "stale", "as expected: retried later (401, "),
        ("clerk", "other-event", "as expected: accepted (204, "),
        ("fusionauth", "voice", "as expected: failed (422, "),
        ("logto", "stale", "nothing to test: its calls bear no time that is signed"),
        ("clerk", "voice", "nothing to test: this platform never sends that"),
    ],
)
def test_a_case_without_an_sms_is_judged_as_the_platform_does(
    name: str, case: str, words: str, hook: Process, mitto: FakeMittoProcess
) -> None:
    mitto.clear()
    status, shown = simulate(hook.port, name, "--case", case)
    assert (status, mitto.requests()) == (0, 0)
    assert words in shown
    assert "must get" not in shown


@pytest.mark.parametrize(
    ("name", "fault", "words"),
    [
        ("native", "401", ("failed (502, ", "API key, egress IP or sender ID")),
        ("okta", "401", ("sent by its own provider (200, ", "function's log")),
        ("zitadel", "code_8", ("retried later (422, ", "docs/operations.md")),
        ("supabase", "403", ('shown to the user as "The text message could not be sent. Try again later." (200, ', "function's log")),
    ],
)
def test_a_message_that_mitto_refuses_says_what_to_do(
    name: str, fault: str, words: tuple[str, str], hook: Process, mitto: FakeMittoProcess
) -> None:
    mitto.script(fault)
    status, shown = simulate(hook.port, name, "--to", NUMBER)
    assert status == 1
    verdict, step = words
    assert f"✗ ok               {verdict}" in shown
    assert step in shown.partition("→")[2]


def test_a_wrong_secret_is_told_apart_from_one_of_the_wrong_kind(hook: Process) -> None:
    status, shown = simulate(hook.port, "zitadel", HOOK_SECRETS_ZITADEL=BEARER)
    assert (status, "✗ ok               retried later (401, " in shown) == (1, True)
    assert "HOOK_SECRETS_ZITADEL" in shown
    status, shown = simulate(hook.port, "clerk", HOOK_SECRETS=BEARER)
    assert (status, "HOOK_SECRETS has none that this platform can use\n" in shown) == (1, True)
    assert "→ it needs a signing key (whsec_...): mitto-phone-hook secret\n" in shown


def test_secrets_may_come_from_a_file_of_the_platforms_own(hook: Process, tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{OWN}\n", encoding="ascii")
    settings = {"HOOK_SECRETS": "", "HOOK_SECRETS_ZITADEL": "", "HOOK_SECRETS_ZITADEL_FILE": str(file)}
    assert simulate(hook.port, "zitadel", **settings)[0] == 0
    file.write_text("short", encoding="ascii")
    status, shown = simulate(hook.port, "zitadel", **settings)
    assert (status, marks(shown)) == (1, {"HOOK_SECRETS_ZIT": "✗"})
    status, shown = simulate(hook.port, "okta", HOOK_SECRETS="")
    assert (status, marks(shown)) == (1, {"HOOK_SECRETS": "✗"})
    assert "read -rs HOOK_SECRETS" in shown


def test_nothing_there_is_one_line_with_what_the_platform_does_then() -> None:
    status, shown = simulate(closed_port(), "okta", "--case", "all")
    assert status == 1
    assert "  ✗ forged           cannot connect: sent by its own provider\n" in shown
    assert list(marks(shown)) == ["authentication", "forged"]


def test_a_function_that_is_not_on_this_machine_needs_a_number_where_it_would_send(capsys: pytest.CaptureFixture[str]) -> None:
    for case in (Case.OK, Case.REPEAT, Case.RESEND, ALL):
        with pytest.raises(SystemExit) as ended:
            run(["simulate", "okta", "--url", "https://function.example", "--case", case], {"HOOK_SECRETS": SECRETS}, io.StringIO())
        assert ended.value.code == 2
        assert "--to is required" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("nobody",), ("okta", "--case", "nothing"), ("okta", "--to", "12345"), ("okta", "--url", "http://a.b")]
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["simulate", *arguments], {}, io.StringIO())
    assert ended.value.code == 2


# Without a network


@pytest.mark.parametrize("name", all_callers())
def test_what_comes_too_late_is_what_the_platform_makes_of_no_response(name: str) -> None:
    caller = all_callers()[name]
    line = result_line(name, STEPS[Case.OK][0], Response(200, b"{}", {"content-type": "application/json"}), 61)
    assert (line.mark is Mark.ERROR) == (caller.waits_seconds < 61 or name in ("auth0", "auth0-provider"))
    if caller.waits_seconds < 61:
        assert f"waits {caller.waits_seconds:g} s: {caller.when_late} (200" in line.text
        assert line.next_step


@pytest.mark.parametrize("name", all_callers())
def test_a_server_that_accepts_everything_is_an_alarm(name: str) -> None:
    accepted = {"supabase": b"{}", "authgear": b'{"code": "ok"}', "okta": OKTA_SENT}.get(name, b'{"status": "accepted"}')
    for case in (Case.FORGED, Case.STALE):
        line = result_line(name, STEPS[case][0], Response(200, accepted, {"content-type": "application/json"}), 0.1)
        assert (line.mark, "stop the function now" in line.next_step) == (Mark.ERROR, True)


OKTA_SENT = b'{"commands": [{"type": "com.okta.telephony.action", "value": [{"status": "SUCCESSFUL"}]}]}'


def test_a_second_sms_for_the_same_message_is_an_error_where_the_response_tells() -> None:
    response = Response(200, json.dumps({"status": "accepted", "duplicate": False}).encode(), {"content-type": "application/json"})
    first, same, _ = STEPS[Case.REPEAT]
    assert result_line("native", first, response, 0.1).mark is Mark.OK
    line = result_line("native", same, response, 0.1)
    assert (line.mark, "second SMS" in line.text, "STORE_URL" in line.next_step) == (Mark.ERROR, True, True)


@pytest.mark.parametrize("status", [301, 403, 404, 405, 418, 500, 502, 503])
def test_every_status_of_another_server_says_what_to_do(status: int) -> None:
    for name in all_callers():
        line = result_line(name, STEPS[Case.OK][0], Response(status, b"<html>", {}), 0.1)
        assert line.mark is Mark.ERROR
        assert line.next_step


def test_what_is_expected_follows_from_the_platforms_own_responses() -> None:
    for name in all_callers():
        assert expected_reading(name, Outcome.ACCEPTED) == "accepted"
        assert expected_reading(name, Outcome.UNAUTHORIZED) != "accepted"
        assert platform_of(name) in name
