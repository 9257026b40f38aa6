"""Set-up as code of the platforms: each file is valid, and what it configures is accepted on the route that it names.

The platforms' own tools are not run. The pages in ``docs/platforms`` name the sources of menus, paths and keys.
"""

import base64
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import hcl2
import pytest
import yaml

from support.callers import Reading, reading, sample, sent
from support.processes import ROOT
from support.recipes import DEPLOY, PAGES, blocks, file, values
from support.stage import SECRET, SIGNING_KEY, Stage, signed

NUMBER, CODE = "+12025550110", "049217"
FILES = sorted(str(path.relative_to(DEPLOY)) for name in PAGES for path in DEPLOY.glob(f"{name}/*") if name not in {"auth0", "cognito"})


def call(name: str, body: bytes, url: str, headers: Mapping[str, str], **settings: str) -> Stage:
    """Call the URL of a set-up with its headers; the platform must read the response as a success."""
    route = urlsplit(url)
    assert (route.scheme, route.hostname, route.path) == ("https", "the-function", f"/hooks/{name}")
    stage = Stage(ALLOWED_REGIONS="*", **{f"HOOK_SECRETS_{name.upper()}": SECRET} | settings)
    raw = {key.lower().encode(): value.replace("THE-SECRET", SECRET).encode() for key, value in headers.items()}
    assert reading(name, stage.call(body, {b"content-type": b"application/json"} | raw, path=route.path)) is Reading.SUCCESS, stage.lines
    assert len(stage.requests) == 1
    return stage


def test_supabase_by_its_configuration() -> None:
    configuration = tomllib.loads(file("supabase/config.toml"))["auth"]
    [block] = blocks("supabase", "toml")
    assert tomllib.loads(block)["auth"]["hook"] == configuration["hook"]
    hook = configuration["hook"]["send_sms"]
    assert hook["enabled"] is True
    assert hook["secrets"] == "env(SEND_SMS_HOOK_SECRETS)"
    api = json.loads(file("supabase/auth-config.json"))
    assert hook["uri"] == api["hook_send_sms_uri"] == values("supabase")["GOTRUE_HOOK_SEND_SMS_URI"]


def test_supabase_signs_with_the_secret_that_it_is_given() -> None:
    api = json.loads(file("supabase/auth-config.json"))
    assert api["hook_send_sms_enabled"] is True
    secret = api["hook_send_sms_secrets"].replace("THE-KEY", base64.b64encode(SIGNING_KEY).decode())
    body = sample("supabase", "current")
    headers = {name.decode(): value.decode() for name, value in signed(body, "msg_1", time.time()).items()}
    call("supabase", body, api["hook_send_sms_uri"], headers, HOOK_SECRETS_SUPABASE=secret)


OKTA: dict[str, Any] = json.loads(file("okta/inline-hook.json"))


def test_okta_by_its_api() -> None:
    config, fields = OKTA["channel"]["config"], values("okta")
    scheme = config["authScheme"]
    assert (config["uri"], scheme["key"], scheme["value"]) == (
        fields["URL"],
        fields["Authentication field"],
        fields["Authentication secret"],
    )
    call("okta", sample("okta", "mfa"), config["uri"], {scheme["key"]: scheme["value"]})


def test_okta_by_terraform_is_the_same_hook() -> None:
    options = hcl2.SerializationOptions(strip_string_quotes=True)
    parsed: dict[str, Any] = hcl2.loads(file("okta/main.tf"), serialization_options=options)
    [resource] = parsed["resource"]
    hook = resource["okta_inline_hook"]["mitto_sms"]
    filled = json.loads(json.dumps(hook).replace("${var.function_url}", "https://the-function").replace("${var.hook_secret}", "THE-SECRET"))
    channel = OKTA["channel"]
    assert {name: filled[name] for name in ("name", "type", "version")} == {name: OKTA[name] for name in ("name", "type", "version")}
    assert filled["channel"] == {
        "type": channel["type"],
        "version": channel["version"],
        "uri": channel["config"]["uri"],
        "method": channel["config"]["method"],
    }
    assert filled["auth"] == channel["config"]["authScheme"]
    assert [name for variable in parsed["variable"] for name, about in variable.items() if about.get("sensitive")] == ["hook_secret"]


def test_zitadel_calls_its_route() -> None:
    provider = json.loads(file("zitadel/sms-provider.json"))
    call("zitadel", sample("zitadel", "otp_sms"), provider["endpoint"], {"Authorization": "Bearer THE-SECRET"})


class _Blueprint(yaml.SafeLoader):
    """Reads authentik's tags: ``!Env`` gives the name of the variable, ``!KeyOf`` the id of an entry."""


def _tagged(loader: _Blueprint, node: yaml.ScalarNode) -> str:
    return f"{node.tag} {loader.construct_scalar(node)}"


for tag in ("!Env", "!KeyOf"):
    _Blueprint.add_constructor(tag, _tagged)

AUTHENTIK: dict[str, Any] = yaml.load(file("authentik/blueprint.yaml"), _Blueprint)  # noqa: S506 - a safe loader with two tags


def test_authentik_finds_its_mapping_and_reads_its_secret_from_the_environment() -> None:
    mapping, stage = AUTHENTIK["entries"]
    assert stage["attrs"]["mapping"] == f"!KeyOf {mapping['id']}"
    assert (stage["attrs"]["provider"], stage["attrs"]["auth_type"]) == ("generic", "bearer")
    assert (stage["attrs"]["account_sid"], stage["attrs"]["auth"]) == ("!Env MITTO_HOOK_URL", "!Env MITTO_HOOK_SECRET")


def test_authentik_sends_what_its_mapping_returns() -> None:
    """A mapping is the body of a function in Python: authentik, ``authentik/lib/expression/evaluator.py``."""
    expression = AUTHENTIK["entries"][0]["attrs"]["expression"]
    assert expression in blocks("authentik", "python")
    names: dict[str, Any] = {}
    indented = "".join(f"    {line}\n" for line in expression.splitlines())
    exec(f"def mapping(device, token, stage):\n{indented}", names)  # noqa: S102 - our own file
    body = names["mapping"](SimpleNamespace(phone_number=NUMBER), CODE, SimpleNamespace(from_number="Example"))
    stage = call("authentik", json.dumps(body).encode(), values("authentik")["External API URL"], {"Authorization": "Bearer THE-SECRET"})
    assert sent(stage) == [(NUMBER.removeprefix("+"), f"{CODE} is your Example verification code.")]


def test_fusionauth() -> None:
    messenger, fields = json.loads(file("fusionauth/messenger.json"))["messenger"], values("fusionauth")
    assert (messenger["url"], messenger["connectTimeout"], messenger["readTimeout"]) == (
        fields["URL"],
        int(fields["Connect timeout"]),
        int(fields["Read timeout"]),
    )
    user, password = messenger["httpAuthenticationUsername"], messenger["httpAuthenticationPassword"].replace("THE-SECRET", SECRET)
    credential = base64.b64encode(f"{user}:{password}".encode()).decode()
    call("fusionauth", sample("fusionauth", "with_code"), messenger["url"], {"Authorization": f"Basic {credential}"})


def test_fusionauth_has_the_code_in_each_text() -> None:
    template = json.loads(file("fusionauth/message-template.json"))["messageTemplate"]
    assert template["type"] == "SMS"
    for text in (template["defaultTemplate"], *template["localizedTemplates"].values()):
        assert text.count("${code}") == 1


def test_logto() -> None:
    connector, fields = json.loads(file("logto/connector.json")), values("logto")
    assert connector["config"] == {"endpoint": fields["Endpoint"], "authorization": fields["Authorization Header"]}
    config = connector["config"]
    call("logto", sample("logto", "sign_in"), config["endpoint"], {"Authorization": config["authorization"]})


@pytest.mark.parametrize("path", FILES)
def test_a_page_names_each_file(path: str) -> None:
    page = PAGES[path.partition("/")[0]].read_text(encoding="utf-8")
    assert f"](../../deploy/{path})" in page


@pytest.mark.parametrize("name", PAGES)
def test_commands_are_valid_shell_and_post_files_that_are_there(name: str) -> None:
    for command in blocks(name, "sh"):
        checked = subprocess.run(["/usr/bin/env", "bash", "-n"], input=command, capture_output=True, text=True, timeout=10, check=False)
        assert checked.returncode == 0, checked.stderr
        for path in re.findall(r"(?:@|< ?|-w0 )(deploy/\S+?)[)\s\"']", command + "\n"):
            assert (ROOT / path).is_file(), path


# The program of coreutils, where the machine may have none: it encodes the file that is named last, or standard input.
_BASE64 = f"""base64() {{ '{sys.executable}' -c '
import base64, pathlib, sys
files = [word for word in sys.argv[1:] if not word.startswith("-") and pathlib.Path(word).is_file()]
data = pathlib.Path(files[-1]).read_bytes() if files else sys.stdin.buffer.read()
sys.stdout.write(base64.b64encode(data).decode())' "$@"; }}"""


def test_the_command_for_ory_network_is_the_configuration_in_the_file() -> None:
    [command, *_] = [block for block in blocks("ory", "sh") if "ory patch" in block]
    printed = subprocess.run(
        ["/usr/bin/env", "bash", "-c", f'ory() {{ printf "%s" "${{@: -1}}"; }}; {_BASE64}; {command}'],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
        cwd=ROOT,
    ).stdout
    path, _, value = printed.partition("=")
    assert path == "/courier/channels"
    [channel] = json.loads(value)
    kind, _, template = channel["request_config"].pop("body").partition("://")
    assert (kind, base64.b64decode(template).decode()) == ("base64", file("ory/sms.jsonnet"))
    [expected] = yaml.safe_load(file("ory/kratos.yaml"))["courier"]["channels"]
    del expected["request_config"]["body"]
    assert channel == expected
