"""The calls of each platform, made here and judged by the function itself."""

import json
import math
import time
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from mitto_phone_hook.callers import Case, HookRequest, MissingSecret, NoSuchCase, Reading, Verdict, all_callers, build_call, platform_of
from mitto_phone_hook.callers._contract import Message
from mitto_phone_hook.config.rules import hook_secrets
from mitto_phone_hook.credentials.hook_secrets import HookSecrets
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.platforms import NAMES, load_platform
from mitto_phone_hook.platforms._contract import Response
from support.callers import DATA, sent
from support.processes import ROOT
from support.stage import CODE, SECRET, Stage

SECRETS = f"{SECRET} whsec_{'QUJD' * 10}"
TO = "+12025550110"
NOW = 1_700_000_000.0
EVENTS = {
    Case.OK: "accepted",
    Case.REPEAT: "accepted",
    Case.RESEND: "accepted",
    Case.VOICE: "voice_unsupported",
    Case.FORGED: "unauthorized",
    Case.STALE: "unauthorized",
    Case.REFUSED_NUMBER: "invalid_recipient",
    Case.OTHER_EVENT: "ignored",
}
WITH_VOICE = {"native", "auth0", "auth0-provider", "okta", "fusionauth"}
WITH_SIGNED_TIME = {"native", "auth0", "auth0-provider", "auth0-passwordless", "supabase", "zitadel", "clerk"}
WITH_EITHER_SECRET = {"native", "auth0", "auth0-provider"}
WITH_OTHER_EVENTS = {"clerk"}

each_caller = pytest.mark.parametrize("name", all_callers())


def build(name: str, case: Case = Case.OK, secrets: str = SECRETS, **changes: int) -> HookRequest:
    return build_call(name, hook_secrets(secrets), TO, CODE, NOW, case, **changes)


def post(stage: Stage, request: HookRequest) -> Response:
    return stage.call(request.body, {name.lower().encode(): value.encode() for name, value in request.headers.items()}, path=request.path)


def function(**settings: str) -> Stage:
    return Stage(None, lambda: NOW, **({"HOOK_SECRETS": SECRETS} | settings))


def exists(name: str, case: Case) -> bool:
    only = {Case.VOICE: WITH_VOICE, Case.STALE: WITH_SIGNED_TIME, Case.OTHER_EVENT: WITH_OTHER_EVENTS}
    return case not in only or name in only[case]


def test_every_platform_has_a_file_with_its_callers_and_every_file_is_a_platform() -> None:
    files = {path.stem for path in (ROOT / "src/mitto_phone_hook/callers").glob("[!_]*.py")}
    assert files == set(NAMES)
    assert {platform_of(name) for name in all_callers()} == set(NAMES)
    assert set(NAMES) <= set(all_callers())


@each_caller
def test_every_caller_waits_longer_than_the_function_takes_on_its_route(name: str) -> None:
    caller, own = all_callers()[name], load_platform(platform_of(name)).timeout_seconds
    assert caller.waits_source
    assert min(own, 8) < caller.waits_seconds
    assert math.isinf(own) or platform_of(name) == "auth0" or own <= caller.waits_seconds


@each_caller
@pytest.mark.parametrize("case", Case)
def test_the_function_comes_to_the_outcome_of_the_case(name: str, case: Case) -> None:
    if not exists(name, case):
        with pytest.raises(NoSuchCase):
            build(name, case)
        return
    stage = function()
    verdict = all_callers()[name].judge(post(stage, build(name, case)))
    assert stage.lines[-1]["event"] == EVENTS[case]
    if EVENTS[case] == "accepted":
        [(to, text)] = sent(stage)
        assert (to, verdict.reading) == (TO[1:], Reading.SUCCESS)
        assert CODE in text
    else:
        assert stage.requests == []
        assert (verdict.reading is Reading.SUCCESS) == (name == "clerk" and EVENTS[case] != "unauthorized")


@each_caller
def test_a_call_is_the_same_for_the_same_arguments_and_another_for_others(name: str) -> None:
    assert build(name) == build(name)
    later = build_call(name, hook_secrets(SECRETS), TO, "271828", NOW, Case.OK)
    assert later.body != build(name).body


@each_caller
def test_the_next_attempt_is_recognised_and_another_code_is_sent(name: str) -> None:
    stage = function()
    for request in (build(name), build(name), build(name, attempt=2), build(name, attempt=3)):
        assert all_callers()[name].judge(post(stage, request)) == Verdict(Reading.SUCCESS)
    assert len(stage.requests) == 1
    post(stage, build_call(name, hook_secrets(SECRETS), TO, "271828", NOW))
    assert len(stage.requests) == 2


@each_caller
def test_a_platform_uses_only_the_kinds_of_secrets_that_it_can_use(name: str) -> None:
    kinds = {"signing key": HookSecrets(signing_keys=(b"k" * 32,)), "plain secret": HookSecrets(bearer=(SECRET.encode(),))}
    missing = set()
    for secrets in kinds.values():
        try:
            build_call(name, secrets, TO, CODE, NOW)
        except MissingSecret as problem:
            missing.add(str(problem))
    if name in WITH_EITHER_SECRET:
        assert missing == set()
    else:
        assert missing == {"a plain secret" if name not in ("supabase", "clerk") else "a signing key (whsec_...)"}


@pytest.mark.parametrize(("name", "prefix"), [("supabase", "webhook-"), ("native", "webhook-"), ("clerk", "svix-")])
def test_the_library_of_standard_webhooks_accepts_the_signature(name: str, prefix: str) -> None:
    request = build_call(name, hook_secrets(SECRETS), TO, CODE, time.time())
    headers = {header.replace(prefix, "webhook-"): value for header, value in request.headers.items()}
    Webhook(SECRETS.split()[1]).verify(request.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRETS.split()[1]).verify(request.body + b" ", headers)


@pytest.mark.parametrize("name", ["zitadel", "authgear"])
def test_a_signature_is_the_one_of_the_platforms_own_sample(name: str) -> None:
    for sample in json.loads((DATA / "signed" / f"{name}.json").read_text(encoding="utf-8")):
        message = Message(TO, CODE, "", sample["clock"], sample["clock"])
        headers = all_callers()[name].sign(hook_secrets(sample["secret"]), sample["body"].encode(), message)
        assert {header.lower(): value for header, value in headers.items()}.items() <= {
            header.lower(): value for header, value in sample["headers"].items()
        }.items()


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("supabase", "current"),
        ("okta", "mfa"),
        ("zitadel", "otp_sms"),
        ("authentik", "current"),
        ("logto", "sign_in"),
        ("fusionauth", "with_code"),
        ("authgear", "verification"),
        ("clerk", "sms_created"),
        ("descope", "bearer"),
        ("auth0-passwordless", "passwordless-sms-gateway"),
    ],
)
def test_the_payload_has_the_fields_of_the_published_sample_and_no_others(name: str, sample: str) -> None:
    """A person's profile is left out: the function reads nothing of it."""
    published = json.loads((DATA / platform_of(name) / f"{sample}.json").read_text(encoding="utf-8"))
    own = json.loads(build(name).body)
    # The samples have no time, as theirs is over.
    own.pop("timestamp", None)
    own.pop("eventTime", None)
    assert set(own) == set(published)
    for key, value in own.items():
        if isinstance(value, dict) and key not in ("args", "user"):
            assert set(value) <= set(published[key])


@each_caller
def test_no_word_of_the_response_reaches_the_terminal_as_more_than_text(name: str) -> None:
    hostile = b'{"error": {"message": "\\u001b[31m' + b"x" * 999 + b'"}, "code": "\\u001b[31m", "commands": 1}'
    for status in (200, 204, 302, 401, 422, 500):
        for body in (hostile, b"\x1b[31m\xff", b"[]", b"", b"null", b'"x"', b"{"):
            verdict = all_callers()[name].judge(Response(status, body, {"content-type": "application/json"}))
            assert str(verdict).isprintable()
            assert len(str(verdict)) < 200


@each_caller
def test_every_outcome_is_read(name: str) -> None:
    for outcome in Outcome:
        response = load_platform(platform_of(name)).respond(Result(outcome), "request-1")
        assert isinstance(all_callers()[name].judge(response).reading, Reading)


def test_what_is_read_besides_the_status() -> None:
    judge = {name: caller.judge for name, caller in all_callers().items()}
    json_type = {"content-type": "application/json"}
    at_once = judge["supabase"](Response(503, b"", {"retry-after": "0"}))
    assert at_once.reading is Reading.REPEATED_AT_ONCE
    assert judge["supabase"](Response(201, b"{}", json_type)).reading is Reading.FAILURE
    assert judge["supabase"](Response(200, b"{}", {"content-type": "text/plain"})).reading is Reading.FAILURE
    assert judge["supabase"](Response(204, b"", {})).reading is Reading.SUCCESS
    assert judge["okta"](Response(202, b"{}", json_type)).reading is Reading.SENT_BY_PLATFORM
    assert judge["okta"](Response(200, b"{}", json_type)).reading is Reading.SENT_BY_PLATFORM
    assert judge["authgear"](Response(200, b"{}", json_type)).reading is Reading.FAILURE
    assert judge["authgear"](Response(200, b"", {})).reading is Reading.SUCCESS
    assert str(judge["authentik"](Response(422, b"No.", {}))) == 'shown to the user as "No."'
    assert judge["auth0"](Response(200, b'{"status": "ignored"}', json_type)).reading is Reading.FAILURE
    assert judge["auth0-provider"](Response(503, b"", {})).reading is Reading.FAILURE
    assert judge["auth0-provider"](Response(429, b"", {})).reading is Reading.REPEATED


def test_the_hook_itself_knows_nothing_of_callers() -> None:
    source = ROOT / "src" / "mitto_phone_hook"
    users = {path.relative_to(source).parts[0] for path in source.rglob("*.py") if "mitto_phone_hook.callers" in path.read_text("utf-8")}
    assert users == {"callers", "cli", "sandbox"}


def test_a_form_can_post_as_any_platform_now() -> None:
    """With the clock of this moment, as the page of a demo does."""
    stage = Stage(HOOK_SECRETS=SECRETS, LIMITS="off")
    for name in all_callers():
        request = build_call(name, hook_secrets(SECRETS), TO, CODE, time.time())
        assert Path(request.path).name == platform_of(name)
        assert post(stage, request).status // 100 == 2
