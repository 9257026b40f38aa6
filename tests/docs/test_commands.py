"""Every command in a block of the documentation is run by a test, or a table says what it needs that a test has not."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.documents import ROOT, name_of, pages

RUN_HERE = (
    r"printf '[^']+'; read -rs \w+( && export \w+)?",
    r'printf "[^"]+"; read -rs \w+( && export \w+)?',
    r"STATE_SECRET=\$\(\.venv/bin/mitto-phone-hook secret --bearer\)",
    r"HOOK_SECRETS?=\$\((\.venv/bin/)?mitto-phone-hook secret( --signing)?\)( && export HOOK_SECRETS)?",
    r"export (\w+=('[^']*'|\S+) ?)+",
    r"(MITTO_SENDER_ID|SENDER_IDS)='.*'",
    r"mitto-phone-hook text .*",
    r"cp \.env\.example settings\.env",
    r"cd deploy/[\w/]+",
)
"""What the test below runs as it stands."""

RUN_ELSEWHERE = {
    r"make demo": "docs/test_documents.py::test_the_demo_shows_reply_and_handset_and_ends_well",
    r"make run": "docs/test_documents.py::test_a_run_takes_calls_of_ones_own_until_it_is_interrupted",
    r"make (test|check)": "docs/test_documents.py::test_the_gate_runs_the_commands_for_developers",
    r"\.venv/bin/mitto-phone-hook init": "cli/test_init.py::test_without_a_key_the_next_commands_work_as_they_stand_with_the_fake_mitto",
    r"\.venv/bin/mitto-phone-hook check --env \.env": "docs/test_documents.py::test_the_check_of_the_readme_finds_a_good_set_up_good",
    r"\.venv/bin/mitto-phone-hook run --env \.env": "docs/test_documents.py::test_the_function_starts_as_the_readme_says",
    r"curl https://the-function/hooks/native .*": "docs/test_documents.py::test_a_call_to_the_native_route_is_accepted_as_the_pages_say",
    r"curl -i \"\$HOOK_URL/.*": "docs/test_api.py::test_each_curl_command_is_understood",
    r"curl https://the-function/conversions .*": "end_to_end/test_reports.py::test_a_message_is_followed_to_the_handset_and_to_its_use",
    r"jq .* log\.txt.*": "docs/test_queries.py::test_a_command_for_jq_finds_what_it_says",
    r"mitto-phone-hook check --url https://the-function/": "cli/test_deployed.py::test_a_good_function_passes_without_sending_anything",
    r"mitto-phone-hook simulate .*": "cli/test_simulate.py::test_every_platform_gets_through_all_cases_with_two_sms",
    r"python3 deploy/bundle\.py": "deploy/test_bundle.py::test_the_bundle_is_the_source_and_its_lock_and_nothing_else",
    r"python3 deploy/bundle\.py --(redis|okta)": "deploy/test_bundle.py::test_an_extra_adds_its_lock",
    r"python3 deploy/bundle\.py --prices .*": "deploy/test_gcp.py::test_your_own_redis_and_prices_are_used_by_the_bundle",
    r"python3 deploy/bundle\.py --templates .*": "deploy/test_gcp.py::test_your_own_texts_are_checked_and_used_by_the_bundle",
    r"deploy/gcp/deploy\.sh .*--settings my\.env": "deploy/test_gcp.py::test_the_last_line_is_the_url_and_every_line_says_what_it_is",
    r"deploy/gcp/deploy\.sh .*--undo": "deploy/test_gcp.py::test_undo_deletes_all_that_was_made_but_the_secrets",
    r"curl http://localhost:8080/health": "deploy/test_container.py::test_the_container_answers_like_the_plain_function_and_writes_nothing",
    r"python3 -m pip install --target build/code .*": "deploy/test_aws.py::test_the_package_of_the_readme_has_all_that_the_handler_needs",
    r"cp custom_sms_sender\.py build/code/": "deploy/test_aws.py::test_the_package_of_the_readme_has_all_that_the_handler_needs",
    r"jq .*--from-file trigger\.jq .*": "deploy/test_aws.py::test_the_trigger_is_added_and_every_other_setting_of_the_pool_is_kept",
    r"deploy/auth0/cli/setup\.sh( --dry-run)?": "platforms/test_auth0_actions.py::test_the_actions_pass_their_own_tests",
    r"node --test deploy/auth0/test/\*\.test\.mjs": "platforms/test_auth0_actions.py::test_the_actions_pass_their_own_tests",
    r"node deploy/auth0/build\.mjs": "platforms/test_auth0_actions.py::test_the_actions_pass_their_own_tests",
}
"""What other tests run, with other addresses, numbers and secrets. A test of a script uses a fake ``gcloud``."""

A_CLOUD = "needs an account at a cloud"
A_CONTAINER_ENGINE = "needs a container engine; the Dockerfile's own commands run in deploy/test_container.py"
A_CLUSTER = "needs a cluster; the names and keys of the commands are compared with the manifest in deploy/test_kubernetes.py"
A_PLATFORM = "needs an account at the platform; what the command uploads is read and called in tests/deploy and tests/platforms"
NEWER_PACKAGES = "changes the lock to what the package index has today"

NOT_RUN = {
    r"gcloud .*": A_CLOUD,
    r"printf %s \"\$\w+\" \| gcloud .*": A_CLOUD,
    r"aws .*": A_CLOUD,
    r"terraform .*": A_CLOUD,
    r"docker .*": A_CONTAINER_ENGINE,
    r"kubectl .*": A_CLUSTER,
    r"curl .*https://(YOUR-|api\.supabase).*": A_PLATFORM,
    r"ory patch .*": A_PLATFORM,
    r"AUTH0_BASE_PATH=\. npx .*": A_PLATFORM,
    r"python3 deploy/bundle\.py --lock": NEWER_PACKAGES,
}
"""What no test runs, and why not."""

SECRET = "a-secret-that-somebody-types-0001"


def commands(page: Path) -> Iterator[str]:
    """Give the commands of a page's blocks for a shell, each in one line and without comments."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        so_far = ""
        for line in block.replace("\\\n", " ").splitlines():
            so_far = f"{so_far} {line.strip()}".strip()
            try:
                shlex.split(so_far, comments=True)
            except ValueError:
                continue  # a quotation that goes on in the next line
            yield re.sub(r"(^|\s+)# .*", "", re.sub(r" {2,}", " ", so_far))
            so_far = ""


ALL = sorted({(name_of(page), command) for page in pages() for command in commands(page) if command})


def rows_for(command: str) -> list[str]:
    return [pattern for pattern in (*RUN_HERE, *RUN_ELSEWHERE, *NOT_RUN) if re.fullmatch(pattern, command, re.DOTALL)]


@pytest.mark.parametrize(("page", "command"), ALL)
def test_a_command_is_run_or_the_table_says_why_not(page: str, command: str) -> None:
    assert len(rows_for(command)) == 1, f"{page}: {command}"


def test_no_row_is_left_over() -> None:
    used = {pattern for _, command in ALL for pattern in rows_for(command)}
    assert {*RUN_HERE, *RUN_ELSEWHERE, *NOT_RUN} - used == set()


@pytest.mark.parametrize("named", sorted(set(RUN_ELSEWHERE.values())))
def test_a_test_that_the_table_names_exists(named: str) -> None:
    file, _, test = named.partition("::")
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", sorted({command for _, command in ALL if {*rows_for(command)} & {*RUN_HERE}}))
def test_a_command_runs_as_it_stands(command: str, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    for name, target in {"deploy": ROOT / "deploy", ".venv/bin": programs, ".env.example": ROOT / ".env.example"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(target)
    (tmp_path / "prices.csv").write_text("GB,0.042\n*,0.1\n", encoding="ascii")
    done = subprocess.run(
        ["/usr/bin/env", "bash", "-euc", command],
        cwd=tmp_path,
        env={"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        input=f"{SECRET}\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
