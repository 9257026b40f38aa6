"""The real function with real reports over HTTP: from the hook call to the handset, and a storm beside honest calls."""

import json
import statistics
import threading
import time
from pathlib import Path

import httpx
import pytest

from support.processes import BEARER, Process, fake_mitto, function, redis_server

TOKEN = "report-secret-of-the-tests-1"
SETTINGS = {
    "REPORT_SECRETS": TOKEN,
    "PUBLIC_URL": "https://hook.example.com",
    "CONVERSIONS": "on",
    "ALLOWED_REGIONS": "US",
    "LIMITS": "off",
}
TEXT = "Your code is 739105"
STORM, CALLS = 10_000, 60


def line_of(process: Process, *events: str) -> dict[str, object]:
    """Give the first log line of one of these events, as soon as it is there."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for line in process.log():
            if line["event"] in events:
                return line
    raise AssertionError(f"none of {events}")


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_a_message_is_followed_to_the_handset_and_to_its_use(tmp_path: Path, store: str) -> None:
    with fake_mitto(tmp_path / "mitto.txt") as mitto, redis_server(tmp_path) as redis:
        settings = SETTINGS | {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}"}
        if store == "redis":
            settings["STORE_URL"] = f"redis://127.0.0.1:{redis.port}"
        with function(tmp_path / "function.txt", **settings) as process:
            status, sent = process.post({"recipient": "+12025550110", "text": TEXT})
            assert status == 200
            report = f"/reports/{TOKEN}?msgid={sent['message_id']}&status=DELIVERED&mcc=310&mnc=260&errorcode=0"
            assert process.request("GET", report)[0] == 200
            line = line_of(process, "delivered")
            assert (line["request_id"], line["region"], line["network"], line["source"]) == (sent["request_id"], "US", "310-260", "flat")
            assert isinstance(line["after_seconds"], float)

            headers = {"Authorization": f"Bearer {BEARER}"}
            assert process.request("POST", "/conversions", b'{"recipient":"+12025550110"}', headers)[0] == 202
            # The fake Mitto may not know the path: then it is Mitto who refuses.
            line = line_of(process, "converted", "conversion_failed")
            assert (line["message_id"], line.get("why")) in [(sent["message_id"], None), (sent["message_id"], "http_404")]
            assert process.request("GET", "/reports/wrong-secret-of-somebody-1?msgid=1")[0] == 404
            line_of(process, "report_refused")
            printed = process.output.read_text(encoding="utf-8")
            for secret in (TOKEN, "wrong-secret", "2025550110", "739105"):
                assert secret not in printed


def test_a_test_number_is_announced_at_the_start(tmp_path: Path) -> None:
    with function(tmp_path / "function.txt", MITTO_BASE_URL="http://127.0.0.1:9", TEST_NUMBERS="+15005550006=739105") as process:
        status, reply = process.post({"recipient": "+15005550006", "text": TEXT})
        assert (status, reply["test"]) == (200, True)
        assert [line["event"] for line in process.log() if line["event"].startswith("test_number")] == ["test_numbers", "test_number"]
        assert "739105" not in process.output.read_text(encoding="utf-8")


def call(client: httpx.Client, number: int) -> float:
    """Send one message; give the seconds until its response."""
    started = time.monotonic()
    content = json.dumps({"recipient": "+12025550110", "text": f"Your code is {number:06d}"})
    assert client.post("/", content=content, headers={"Authorization": f"Bearer {BEARER}"}).status_code == 200
    return time.monotonic() - started


def test_a_storm_of_reports_does_not_hold_up_messages(tmp_path: Path) -> None:
    """Reports in arrays, as fast as one connection carries them. How much slower messages become is measured by a benchmark."""
    with fake_mitto(tmp_path / "mitto.txt") as mitto:
        settings = SETTINGS | {"MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}"}
        with function(tmp_path / "function.txt", **settings) as process:
            base_url, statuses = f"http://127.0.0.1:{process.port}", set()

            def storm() -> None:
                with httpx.Client(base_url=base_url, timeout=30) as client:
                    for start in range(0, STORM, 100):
                        reports = [{"msgid": f"{start + one:032x}", "status": "DELIVERED"} for one in range(100)]
                        statuses.add(client.post(f"/reports/{TOKEN}", json=reports).status_code)

            with httpx.Client(base_url=base_url, timeout=30) as client:
                quiet = [call(client, number) for number in range(100, 100 + CALLS)]
                thread = threading.Thread(target=storm)
                thread.start()
                stormy = [call(client, number) for number in range(200, 200 + CALLS)]
                thread.join()
            assert statuses == {200}
            assert max(stormy) < 2, (statistics.median(quiet), statistics.median(stormy))
            assert len(mitto.inbox()) == 2 * CALLS
