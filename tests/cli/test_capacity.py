"""``mitto-phone-hook capacity``: its numbers, checked by hand, and its table."""

import io
import json
from statistics import median

import pytest

from mitto_phone_hook.cli.capacity import (
    CPU_MS_PER_MESSAGE,
    REDIS_BYTES_PER_RECIPIENT,
    REDIS_MS_PER_MESSAGE,
    Load,
    month_for,
    requirements_for,
)
from mitto_phone_hook.cli.cloud_facts import FACTS, HOURS, REDIS_GIB_HOUR, REDIS_SOURCE, instance_month, redis_month
from mitto_phone_hook.cli.command import run
from support.processes import ROOT


def test_the_cpu_is_the_limit_when_mitto_is_fast() -> None:
    needed = requirements_for(Load(1000, mitto_seconds=0.05, cpu_ms=1, concurrency=100, utilisation=0.5))
    assert (needed.per_instance, needed.is_limited_by_cpu, needed.instances) == (500, True, 2)
    assert (needed.in_flight, needed.redis_calls_per_second, needed.redis_utilisation) == (50, 2000, REDIS_MS_PER_MESSAGE)


def test_concurrency_is_the_limit_when_mitto_is_slow() -> None:
    needed = requirements_for(Load(1000, mitto_seconds=2, cpu_ms=1, concurrency=100, utilisation=1))
    assert (needed.per_instance, needed.is_limited_by_cpu, needed.instances) == (50, False, 20)


def test_a_redis_that_is_too_busy_needs_more_masters() -> None:
    def masters(messages_per_second: float) -> int:
        return requirements_for(Load(messages_per_second, mitto_seconds=0.3, cpu_ms=1, concurrency=80, utilisation=0.5)).redis_masters

    carries = 0.5 * 1000 / REDIS_MS_PER_MESSAGE
    assert [masters(carries * share) for share in (0.01, 0.99, 1.01, 3.01)] == [1, 1, 2, 6], "in a cluster a message costs more"


def test_a_month_is_that_of_the_average_and_of_two_instances_at_least() -> None:
    # One instance carries 500 a second, and half of 2,000 come on average.
    month = month_for(Load(2000, mitto_seconds=0.05, cpu_ms=1, concurrency=100, utilisation=0.5), average=0.5)
    assert month.messages == 1000 * 730 * 3600
    assert month.compute == pytest.approx(instance_month(2) + month.messages / 1e6 * 0.40)
    assert month.redis_gib == -(-1000 * 86400 * REDIS_BYTES_PER_RECIPIENT // int(0.8 * 2**30))
    quiet = month_for(Load(0.001, mitto_seconds=0.05, cpu_ms=1, concurrency=100, utilisation=0.5), average=0.5)
    assert quiet.compute == pytest.approx(instance_month(2), rel=0.01)
    assert (quiet.redis, quiet.redis_gib) == (redis_month(1), 1)


def test_what_no_redis_holds_is_shared_by_several() -> None:
    month = month_for(Load(100_000, mitto_seconds=0.3, cpu_ms=0.5, concurrency=1000, utilisation=1), average=1)
    assert month.redis_gib <= max(REDIS_GIB_HOUR)
    with pytest.raises(ValueError, match="300 GiB"):
        redis_month(301)


def test_prices_by_hand() -> None:
    assert instance_month(1) == pytest.approx(2_628_000 * (0.000024 + 0.5 * 0.0000025))
    assert redis_month(1) == pytest.approx(46.72)
    assert redis_month(5) == pytest.approx(197.10)
    assert HOURS == 730


def test_every_fact_has_its_source() -> None:
    assert list(REDIS_GIB_HOUR) == sorted(REDIS_GIB_HOUR)
    for fact in FACTS.values():
        assert fact.value > 0
        assert fact.meaning
        assert fact.source.startswith("https://")
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert {fact.source for fact in FACTS.values()} | {REDIS_SOURCE} <= {word.strip("()[].,;|") for word in page.replace("](", " ").split()}


def test_the_table_has_a_line_for_every_load() -> None:
    stream = io.StringIO()
    assert run(["capacity", "--per-second", "10", "1000", "--cpu-ms", "1"], {}, stream) == 0
    lines = stream.getvalue().splitlines()
    assert lines[1].split()[0] == "10"
    assert lines[2].split()[0] == "1,000"
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[7].split() == ["10", "7,884,000", "$136", "$47", "1"]


def test_sms_cost_what_their_price_says() -> None:
    stream = io.StringIO()
    assert run(["capacity", "--per-second", "10", "--sms-price", "0.05"], {}, stream) == 0
    assert "394,200\n" in stream.getvalue()
    assert "--sms-price" not in stream.getvalue()


def test_what_becomes_the_limit_is_said() -> None:
    def said(*words: str) -> str:
        stream = io.StringIO()
        run(["capacity", *words], {}, stream)
        return stream.getvalue()

    assert "a quota" not in said("--per-second", "10000")
    assert "a quota" in said("--per-second", "10000", "--mitto-seconds", "2")
    assert "cluster" not in said("--per-second", "1000")
    assert "cluster" in said("--per-second", "10000")


@pytest.mark.parametrize(
    "words",
    [
        ["--per-second", "0"],
        ["--per-second", "many"],
        ["--utilisation", "1.5"],
        ["--cpu-ms", "inf"],
        ["--concurrency", "0"],
        ["--concurrency", "x"],
        ["--average", "0"],
        ["--sms-price", "-1"],
    ],
)
def test_a_load_that_is_none_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["capacity", *words], {}, io.StringIO())
    assert ended.value.code == 2


def test_the_defaults_and_the_page_about_scale_are_what_the_benchmark_printed() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    measurements = json.loads((ROOT / "benchmarks" / "results" / "results.json").read_text(encoding="utf-8"))["measurements"]

    def ours(figure: str, name: str = "ours") -> float:
        return median(float(m["value"]) for m in measurements if (m["contestant"], m["figure"], m["fault"]) == (name, figure, None))

    stream = io.StringIO()
    run(["capacity"], {}, stream)
    load, _, month, *_ = stream.getvalue().split("\n\n")
    assert load in page
    assert month in page
    assert round(ours("cpu_ms", "ours_redis"), 2) == CPU_MS_PER_MESSAGE
    assert round(ours("redis_cpu_us", "ours_redis") / 1000, 2) == REDIS_MS_PER_MESSAGE
    quoted = [
        f"| {ours('cpu_ms'):.2f} ms |",
        f"| {CPU_MS_PER_MESSAGE} ms |",
        f"| {ours('memory_10000_mib'):.1f} MiB |",
        f"took {REDIS_MS_PER_MESSAGE} ms of its one processor",
    ]
    quoted += [f"| {ours(figure):,.0f} " for figure in ("rps_instant", "rps_delayed", "rps_delayed_many")]
    assert [words for words in quoted if words not in page] == []
