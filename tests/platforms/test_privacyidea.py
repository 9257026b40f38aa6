"""privacyIDEA's HTTP gateway, as its registry publishes it, in an environment of its own against the function as it is deployed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.processes import BEARER, ROOT, FakeMittoProcess, fake_mitto, function

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(600)]  # sixty packages

PACKAGE = "privacyIDEA==3.14"
INSTALLED = ROOT / "build" / "privacyidea"
SUBMIT = """
import json, os
from types import SimpleNamespace
from privacyidea.lib.smsprovider.HttpSMSProvider import HttpSMSProvider
from privacyidea.lib.smsprovider.SMSProvider import SMSError

gateway = SimpleNamespace(**json.loads(os.environ["GATEWAY"]))
try:
    is_sent = bool(HttpSMSProvider(smsgateway=gateway).submit_message(os.environ["PHONE"], os.environ["MESSAGE"]))
except SMSError:
    is_sent = False
print(json.dumps(is_sent))
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """Install the package without building anything, once for each version; give the interpreter that has it."""
    done, interpreter = INSTALLED / "done.txt", INSTALLED / "bin" / "python"
    if not done.exists() or done.read_text(encoding="utf-8") != PACKAGE:
        shutil.rmtree(INSTALLED, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(INSTALLED)], check=True, timeout=120)
        pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--only-binary", ":all:", PACKAGE]
        subprocess.run(pip, check=True, capture_output=True, timeout=500)
        done.write_text(PACKAGE, encoding="utf-8")
    return interpreter


class Gateway(NamedTuple):
    python: Path
    port: int
    mitto: FakeMittoProcess

    def submit(self, phone: str, message: str, *, secret: str = BEARER, **options: str) -> bool:
        """Let the gateway send one message; give whether it takes the response for success."""
        url = f"http://127.0.0.1:{self.port}/hooks/native"
        fixed = {"URL": url, "HTTP_METHOD": "POST", "SEND_DATA_AS_JSON": "yes", "recipient": "{phone}", "text": "{otp}"}
        gateway = {"option_dict": fixed | options, "header_dict": {"Authorization": f"Bearer {secret}"}}
        environment = os.environ | {"GATEWAY": json.dumps(gateway), "PHONE": phone, "MESSAGE": message}
        done = subprocess.run([str(self.python), "-c", SUBMIT], env=environment, capture_output=True, text=True, timeout=60, check=True)
        is_sent: Any = json.loads(done.stdout.splitlines()[-1])
        return bool(is_sent)

    def sent(self) -> list[tuple[str, str]]:
        return [(message["to"], message["text"]) for message in self.mitto.inbox()]


@pytest.fixture(scope="module")
def gateway(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("privacyidea")
    with fake_mitto(folder / "mitto.txt") as mitto:
        settings = {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}", "ALLOWED_REGIONS": "US", "DEADLINE_SECONDS": "2"}
        with function(folder / "function.txt", BARE_DIGITS="international", **settings) as hook:
            yield Gateway(python, hook.port, mitto)


def test_its_message_is_sent_as_json_and_as_a_form_also_to_a_number_that_it_makes_an_integer(gateway: Gateway) -> None:
    assert gateway.submit("+12025550110", "Your code is 730914")
    assert gateway.submit("12025550111", "Your code is 730915")
    assert gateway.submit("+12025550112", "Your code is 730916", SEND_DATA_AS_JSON="no")
    assert gateway.sent() == [(f"1202555011{number}", f"Your code is 73091{number + 4}") for number in range(3)]


def test_it_takes_no_refusal_for_success_and_hears_before_its_three_seconds(gateway: Gateway) -> None:
    gateway.mitto.clear()
    assert not gateway.submit("+12025550113", "Your code is 730917", secret="another-secret-of-the-tests")
    assert not gateway.submit("+41791234567", "Your code is 730917")
    gateway.mitto.script(default="hang")
    assert not gateway.submit("+12025550113", "Your code is 730917")
    gateway.mitto.script(default=None)
    assert not gateway.submit("+12025550113", "Your code is 730917")
    assert gateway.sent() == [("12025550113", "Your code is 730917")]
