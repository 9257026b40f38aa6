"""``mitto-phone-hook costs``: our count against Mitto's, and the price file that fits."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mitto_phone_hook.cli.costs import compare, price_file
from mitto_phone_hook.cli.country_codes import REGION_BY_ALPHA_3
from mitto_phone_hook.cli.price_file import amount, price
from mitto_phone_hook.cli.usage import MAX_BYTES, Usage, read_usage
from mitto_phone_hook.config import limit_rules
from mitto_phone_hook.config.rules import KNOWN_REGIONS
from support.logs import morning, untimed, with_timestamps
from support.processes import API_KEY
from support.terminals import in_process
from support.upstream import closed_port

PRICES = "region,price\nCH,0.05\nDE,0.07\nFR,0.06\n*,0.10\n"
RESPONSE = [
    {"country": "CHE", "messagesCount": "2", "cost": "0.11"},
    {"country": "DEU", "messagesCount": "2", "cost": "0.1512"},
    {"country": "USA", "messagesCount": "1", "cost": "0.05"},
]


def costs(tmp_path: Path, usage: str, *arguments: str, prices: str = PRICES) -> tuple[int, str]:
    for name, text in (("log.txt", with_timestamps(morning())), ("usage", usage), ("prices.csv", prices)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = {"PRICES_FILE": str(tmp_path / "prices.csv")} if prices else {}
    return in_process("costs", str(tmp_path / "log.txt"), "--usage", str(tmp_path / "usage"), *arguments, environment=files)


def test_the_estimate_stands_beside_what_mitto_charged(tmp_path: Path) -> None:
    status, text = costs(tmp_path, json.dumps(RESPONSE))
    rows = [re.split("  +", line.strip()) for line in text.splitlines()]
    assert rows[:5] == [
        ["region", "messages", "segments", "Mitto's count", "estimate", "charged", "difference", "price", "new price"],
        ["DE", "1", "2", "2", "0.14", "0.15", "+0.01 (+8%)", "0.07", "0.0756"],
        ["CH", "2", "2", "2", "0.10", "0.11", "+0.01 (+10%)", "0.05", "0.055"],
        ["US", "1", "1", "1", "0.10", "0.05", "-0.05 (-50%)", "0.1", "0.05"],
        ["all", "4", "5", "5", "0.34", "0.31", "-0.03 (-8%)"],
    ]
    assert "✓ counts           Mitto's are those of the log, within 2%" in text
    assert text.endswith("region,price\nCH,0.055\nDE,0.0756\nFR,0.06\nUS,0.05\n*,0.1\n")
    assert status == 0


def test_the_new_price_file_is_written_and_the_function_can_read_it(tmp_path: Path) -> None:
    status, text = costs(tmp_path, json.dumps(RESPONSE), "--out", str(tmp_path / "new.csv"))
    written = (tmp_path / "new.csv").read_text(encoding="utf-8")
    assert limit_rules.prices(written) == {"CH": 55_000, "DE": 75_600, "FR": 60_000, "US": 50_000, "": 100_000}
    assert (status, written in text, "new price file   5 prices in" in text) == (0, False, True)


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    status, text = costs(tmp_path, json.dumps(RESPONSE), "--out", str(tmp_path))
    assert (status, "✗ new price file   cannot be written" in text) == (1, True)


def test_counts_that_do_not_agree_are_named(tmp_path: Path) -> None:
    status, text = costs(tmp_path, "country,messages,cost\nCH,20,1.10\nDE,1,0.15\nGB,3,0.12\n")
    assert (status, "differ by more than 2% from the log: CH, GB, US\n" in text) == (1, True)


def test_without_a_price_file_there_is_no_estimate_and_all_others_cost_as_the_dearest(tmp_path: Path) -> None:
    status, text = costs(tmp_path, json.dumps(RESPONSE), prices="")
    assert (status, "none given" in text, text.endswith("US,0.05\n*,0.0756\n")) == (0, True, True)


@pytest.mark.parametrize(
    ("messages", "segments", "usage", "new_price"),
    [
        (1000, 1200, Usage(1200, 60_000_000), 50_000),
        (1000, 1200, Usage(1005, 60_000_000), 50_000),
        (1000, 1200, Usage(3000, 60_000_000), 20_000),
        (3, 3, Usage(3, 100_000), 33_334),
        (0, 0, Usage(10, 600_000), 60_000),
        (10, 10, Usage(0, 0), None),
    ],
    ids=["segments", "messages", "other days", "rounded up", "not in the log", "nothing counted"],
)
def test_the_new_price_is_that_of_a_segment(messages: int, segments: int, usage: Usage, new_price: int | None) -> None:
    [row] = compare({"CH": (messages, segments)} if messages else {}, {"CH": usage}, {})
    assert row.new_price == new_price


def test_a_region_without_usage_keeps_its_price() -> None:
    rows = compare({"CH": (1, 1)}, {"DE": Usage(1, 80_000)}, {"CH": 50_000, "": 90_000})
    assert price_file(rows, {"CH": 50_000, "": 90_000}) == "region,price\nCH,0.05\nDE,0.08\n*,0.09\n"


# Mitto's usage


class MittoUsage(BaseHTTPRequestHandler):
    """Mitto's API for usage by country, as its documentation describes it, with a scripted response."""

    status, content = 200, b""
    asked: ClassVar[list[tuple[str, str | None, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["X-Mitto-API-Key"], body))
        self.send_response(self.status)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def mitto(status: int, content: bytes) -> Iterator[dict[str, str]]:
    """Serve usage; give the settings that lead there."""
    MittoUsage.status, MittoUsage.content = status, content
    MittoUsage.asked.clear()
    with HTTPServer(("127.0.0.1", 0), MittoUsage) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield {"MITTO_BASE_URL": f"http://127.0.0.1:{server.server_port}", "MITTO_API_KEY": API_KEY}
        finally:
            server.shutdown()
            thread.join()


def asked_costs(tmp_path: Path, log: str, settings: dict[str, str]) -> tuple[int, str]:
    (tmp_path / "log.txt").write_text(log, encoding="utf-8")
    return in_process("costs", str(tmp_path / "log.txt"), "--account", "our account", environment=settings)


def test_mitto_is_asked_for_the_days_of_the_log(tmp_path: Path) -> None:
    lines = [*morning(), (86_400.0, morning()[1][1])]
    with mitto(200, json.dumps(RESPONSE).encode()) as settings:
        status, text = asked_costs(tmp_path, with_timestamps(lines), settings)
    expected = {"startDate": "2026-11-28", "endDate": "2026-11-29", "accountName": "our account"}
    assert MittoUsage.asked == [("/usage/bycountry", API_KEY, expected)]
    assert (status, "differ by more than 2% from the log: CH" in text, API_KEY in text) == (1, True, False)


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (401, b"", "✗ usage            Mitto responds 401\n"),
        (302, b"", "Mitto responds 302"),
        (200, b"<html>", "Mitto's response has no rows"),
        (200, b'{"error":"secret"}', "Mitto's response has no rows"),
        (200, b"[" + b" " * (MAX_BYTES + 100_000), "Mitto's response is too large"),
    ],
    ids=["401", "redirect", "HTML", "error", "endless"],
)
def test_a_response_that_is_no_usage_is_said(status: int, content: bytes, words: str, tmp_path: Path) -> None:
    with mitto(status, content) as settings:
        ended, text = asked_costs(tmp_path, with_timestamps(morning()), settings)
    assert (ended, words in text, "secret" in text, API_KEY in text) == (1, True, False, False)


@pytest.mark.parametrize(
    ("log", "settings", "words"),
    [
        (
            with_timestamps(morning()),
            {"MITTO_API_KEY": API_KEY, "MITTO_BASE_URL": f"http://127.0.0.1:{closed_port()}"},
            "no valid response",
        ),
        (with_timestamps(morning()), {}, "not asked: MITTO_API_KEY is required"),
        (untimed(morning()), {"MITTO_API_KEY": API_KEY}, "not asked: no accepted message in the log has a time"),
    ],
    ids=["nobody there", "no key", "no times"],
)
def test_mitto_that_cannot_be_asked_is_said(log: str, settings: dict[str, str], words: str, tmp_path: Path) -> None:
    status, text = asked_costs(tmp_path, log, settings)
    assert (status, words in text, API_KEY in text) == (1, True, False)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RESPONSE),
        json.dumps({"usage": RESPONSE}),
        json.dumps([{"country": "CH", "messagesCount": 2, "cost": 0.11}, *RESPONSE[1:]]),
        "country,messages,cost\nCHE,2,0.11\nde,2,0.1512\nUSA,1,0.05\n",
        "\ufeffCost;Name;Country;messagesCount\r\n0.06;x;CH;1\r\n0.05;y;CHE;1\r\n0.1512;;DE;2\r\n0.05;;US;1\r\n\r\n",
        '"country","messages","cost"\n"CHE","2","0.11"\n"DEU","2","0.1512"\n"USA","1","0.05"',
    ],
    ids=["response", "list with a name", "numbers", "CSV", "other columns and rows of one country", "quoted"],
)
def test_usage_is_read_from_mittos_response_and_from_csv(text: str) -> None:
    assert read_usage(text.encode()) == {"CH": Usage(2, 110_000), "DE": Usage(2, 151_200), "US": Usage(1, 50_000)}


def test_one_country_may_come_without_a_list() -> None:
    assert read_usage(json.dumps(RESPONSE[0]).encode()) == {"CH": Usage(2, 110_000)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no rows"),
        ("[]", "has no rows"),
        ("{}", "has no rows"),
        ("[" * 100_000, "not valid JSON"),
        ('[{"country":"CHE","messagesCount":NaN,"cost":"1"}]', "not valid JSON"),
        ('[{"country":"CHE","messagesCount":"2","cost":"secret"}]', "row 1 has not"),
        ("[7]", "row 1 has not"),
        (f'[{{"country":"CHE","messagesCount":{"9" * 4000},"cost":"1"}}]', "row 1 has not"),
        ('[{"country":"CHE","messagesCount":1e300,"cost":"1"}]', "row 1 has not"),
        ("country,messages,cost\nCH,1,0.05\nXX,1,0.05\n", "row 2 has not"),
        ("country,messages,cost\n*,1,0.05\n", "row 1 has not"),
        ("country,messages,cost\nCH,1,-5\n", "row 1 has not"),
        ("country,messages,cost\nCH,1,1e5\n", "row 1 has not"),
        ("country,messages,cost\nCH\n", "row 1 has not"),
        ("a,b,c\n1,2,3\n", "row 1 has not"),
        ("x" * (MAX_BYTES + 1), "too large"),
    ],
    ids=range(16),
)
def test_usage_that_is_none_is_refused_without_its_content(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        costs(tmp_path, text)
    error = capsys.readouterr().err
    assert (ended.value.code, words in error, "secret" in error, "XX" in error) == (2, True, False, False)


def test_each_region_that_a_number_can_have_has_a_code_of_three_letters() -> None:
    assert set(REGION_BY_ALPHA_3.values()) >= {region for region in KNOWN_REGIONS if len(region) == 2}
    assert len(set(REGION_BY_ALPHA_3.values())) == len(REGION_BY_ALPHA_3) == 252
    assert [REGION_BY_ALPHA_3[code] for code in ("CHE", "DEU", "AUT", "XKX")] == ["CH", "DE", "AT", "XK"]


@pytest.mark.parametrize(
    ("micro", "as_amount", "as_price"),
    [(0, "0.00", "0"), (55_000, "0.06", "0.055"), (1_234_567_890, "1,234.57", "1234.56789"), (100_000, "0.10", "0.1")],
)
def test_money_is_written_with_two_decimals_and_a_price_with_all(micro: int, as_amount: str, as_price: str) -> None:
    assert (amount(micro), price(micro)) == (as_amount, as_price)
