"""``mitto-phone-hook capacity``: its numbers, checked by hand, and its table."""

import io
import json
from statistics import median

import pytest

from mitto_phone_hook.cli.capacity import CPU_MS_PER_MESSAGE, REDIS_MS_PER_MESSAGE, Load, requirements_for
from mitto_phone_hook.cli.command import run
from support.processes import ROOT


def test_the_cpu_is_the_limit_when_mitto_is_fast() -> None:
    needed = requirements_for(Load(1000, mitto_seconds=0.05, cpu_ms=1, concurrency=100, utilisation=0.5))
    assert (needed.per_instance, needed.is_limited_by_cpu, needed.instances) == (500, True, 2)
    assert (needed.in_flight, needed.redis_calls_per_second, needed.redis_utilisation) == (50, 2000, REDIS_MS_PER_MESSAGE)


def test_concurrency_is_the_limit_when_mitto_is_slow() -> None:
    needed = requirements_for(Load(1000, mitto_seconds=2, cpu_ms=1, concurrency=100, utilisation=1))
    assert (needed.per_instance, needed.is_limited_by_cpu, needed.instances) == (50, False, 20)


def test_the_table_has_a_line_for_every_load() -> None:
    stream = io.StringIO()
    assert run(["capacity", "--per-second", "10", "1000", "--cpu-ms", "1"], {}, stream) == 0
    lines = stream.getvalue().splitlines()
    assert lines[1].split()[0] == "10"
    assert lines[2].split()[0] == "1,000"
    assert len({len(line) for line in lines[:3]}) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--per-second", "0"],
        ["--per-second", "many"],
        ["--utilisation", "1.5"],
        ["--cpu-ms", "inf"],
        ["--concurrency", "0"],
        ["--concurrency", "x"],
    ],
)
def test_a_load_that_is_none_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["capacity", *words], {}, io.StringIO())
    assert ended.value.code == 2


def test_the_defaults_and_the_page_about_scale_are_what_the_benchmark_printed() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    measurements = json.loads((ROOT / "benchmarks" / "results" / "results.json").read_text(encoding="utf-8"))["measurements"]

    def ours(figure: str) -> float:
        return median(float(m["value"]) for m in measurements if (m["contestant"], m["figure"], m["fault"]) == ("ours", figure, None))

    assert round(ours("cpu_ms"), 2) == CPU_MS_PER_MESSAGE
    quoted = [
        f"| {CPU_MS_PER_MESSAGE} ms |",
        f"| {ours('memory_10000_mib'):.1f} MiB |",
        f"took {REDIS_MS_PER_MESSAGE} ms of its one processor",
    ]
    quoted += [f"| {ours(figure):,.0f} " for figure in ("rps_instant", "rps_delayed", "rps_delayed_many")]
    assert [words for words in quoted if words not in page] == []
