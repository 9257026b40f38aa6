"""Two function processes that share a Redis Cluster: each code leaves once, and the limits hold."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from support.clusters import redis_cluster
from support.numbers import fictional_numbers
from support.processes import fake_mitto, function


def message(recipient: str, code: int) -> dict[str, Any]:
    return {"recipient": recipient, "text": f"Your code is {code}", "context": {"code": f"{code}", "ip": "192.0.43.7"}}


def test_ten_codes_that_come_to_both_processes_leave_ten_times_and_the_limits_count_them_together(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster, fake_mitto(tmp_path / "mitto.txt") as mitto, ThreadPoolExecutor(2) as pool:
        settings = {
            "ALLOWED_REGIONS": "US",
            "MITTO_BASE_URL": f"http://127.0.0.1:{mitto.port}",
            "LIMITS": "recipient=2/hour; total=12/hour; ip=9999/hour",
        }
        stores = [{"STORE_URL": f"redis://127.0.0.1:{cluster.nodes[number].port}"} for number in (0, 1)]
        with (
            function(tmp_path / "1.txt", **settings, **stores[0]) as first,
            function(tmp_path / "2.txt", **settings, **stores[1]) as second,
        ):
            numbers = list(islice(fictional_numbers(), 20))
            for code, number in enumerate(numbers[:10], start=314270):
                body = message(number, code)
                replies = list(pool.map(lambda process, body=body: process.post(body), (first, second)))
                assert [status for status, _ in replies] == [200, 200]
                assert sorted(reply["duplicate"] for _, reply in replies) == [False, True]
            assert len(mitto.inbox()) == 10
            # Ten of twelve in all are used, and one of two for each of these recipients.
            assert first.post(message(numbers[0], 414270))[0] == 200
            status, reply = second.post(message(numbers[0], 514270))
            assert (status, second.log()[-1]["why"]) == (429, "limit_recipient"), reply
            assert second.post(message(numbers[11], 614270))[0] == 200
            status, reply = first.post(message(numbers[12], 714270))
            assert (status, first.log()[-1]["why"]) == (429, "budget_exhausted"), reply
            assert len(mitto.inbox()) == 12
            assert not [line for process in (first, second) for line in process.log() if line["event"] == "store_unavailable"]
