"""The report of a run: tables for the terminal and ``results.md``, all data in ``results.json``."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.configuration import DELAY_MS, IN_FLIGHT, MANY_IN_FLIGHT, Lengths
from benchmarks.contestants import ALL, DIRECT, TITLES
from benchmarks.goals import Judgement, goals
from benchmarks.results import Results, Spread, spread
from benchmarks.tables import table


class Column(NamedTuple):
    """One column of a table: its title, its format and its values by round."""

    title: str
    form: str
    values: Callable[[Results, str], dict[int, float]]


def _plain(title: str, figure: str, form: str) -> Column:
    return Column(title, form, lambda results, contestant: results.by_round(contestant, figure))


def _added(title: str, figure: str) -> Column:
    return Column(title, ".2f", lambda results, contestant: results.added(contestant, figure))


def tables_of(lengths: Lengths) -> Mapping[str, tuple[Column, ...]]:
    """Return the tables by title. Every contestant is a row."""
    middle = lengths.memory_steps[1]
    return {
        "Latency at one connection, upstream 0 ms (milliseconds; added: without the stub's own time)": (
            _plain("p50", "p50_ms", ".2f"),
            _plain("p99", "p99_ms", ".2f"),
            _added("added p50", "p50_ms"),
            _added("added p99", "p99_ms"),
        ),
        "Requests per second on one core": (
            _plain(f"{IN_FLIGHT} in flight, 0 ms", "rps_instant", ".0f"),
            _plain(f"{IN_FLIGHT}, TLS, 0 ms", "rps_tls", ".0f"),
            _plain(f"{IN_FLIGHT}, {DELAY_MS} ms", "rps_delayed", ".0f"),
            _plain(f"{MANY_IN_FLIGHT}, {DELAY_MS} ms", "rps_delayed_many", ".0f"),
        ),
        "Cost": (
            _plain("CPU ms per request", "cpu_ms", ".3f"),
            _plain(f"MiB after {middle:,}", f"memory_{middle}_mib", ".1f"),
            _plain("start to first 200, ms", "start_ms", ".0f"),
            _plain(f"connections opened per request, {IN_FLIGHT} in flight", "opened_many", ".4f"),
            _plain("CPU us of Redis per request", "redis_cpu_us", ".0f"),
        ),
    }


def as_markdown(results: Results, lengths: Lengths, about: Mapping[str, str]) -> str:
    """Return the whole report as Markdown."""
    parts = ["# Benchmarks", _about(about), "## Goals", _goal_table(results, lengths), "## Figures"]
    parts.append(
        f"Median over the rounds ({lengths.rounds}), in brackets the least and the greatest. Absolute figures hold for this machine only."
    )
    for title, columns in tables_of(lengths).items():
        rows = [[TITLES[name], *(_cell(column, results, name) for column in columns)] for name in (*(one.name for one in ALL), DIRECT)]
        filled = [row for row in rows if any(row[1:])]
        parts += [f"### {title}", table(["", *(column.title for column in columns)], filled)]
    if faults := results.faults():
        parts += [
            "## Loads that do not count",
            "\n".join(f"- round {m.round_number}, {TITLES[m.contestant]}, {m.figure}: {m.fault}" for m in faults),
        ]
    return "\n\n".join(parts) + "\n"


def write(folder: Path, results: Results, lengths: Lengths, about: Mapping[str, str]) -> Path:
    """Write ``results.md`` and ``results.json``. Returns the path of ``results.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(as_markdown(results, lengths, about), encoding="utf-8")
    judged = [_judged(judgement) for judgement in judgements(results, lengths)]
    figures = {title: [_figures(column, results) for column in columns] for title, columns in tables_of(lengths).items()}
    document = {
        "about": about,
        "goals": judged,
        "tables": figures,
        "titles": TITLES,
        "measurements": [measurement._asdict() for measurement in results.measurements],
    }
    path = folder / "results.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def judgements(results: Results, lengths: Lengths) -> list[Judgement]:
    """Judge every goal."""
    return [goal.judge(results) for goal in goals(lengths)]


def _goal_table(results: Results, lengths: Lengths) -> str:
    rows = [
        [
            judgement.goal.title,
            judgement.goal.sentence,
            _spread(judgement.measured, judgement.goal.form),
            f"{judgement.ceiling.median:.2f}" if judgement.ceiling else "",
            judgement.verdict,
        ]
        for judgement in judgements(results, lengths)
    ]
    return table(["figure", "goal", "measured", "nothing between", "verdict"], rows)


def _judged(judgement: Judgement) -> dict[str, object]:
    measured = judgement.measured._asdict() if judgement.measured else None
    goal = judgement.goal
    return {"title": goal.title, "limit": goal.limit, "at_most": goal.is_at_most, "measured": measured, "verdict": judgement.verdict}


def _figures(column: Column, results: Results) -> dict[str, object]:
    found = {name: spread(column.values(results, name)) for name in TITLES}
    return {"title": column.title, "values": {name: value._asdict() for name, value in found.items() if value}}


def _about(about: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in about.items())


def _cell(column: Column, results: Results, contestant: str) -> str:
    return _spread(spread(column.values(results, contestant)), column.form)


def _spread(values: Spread | None, form: str) -> str:
    if values is None:
        return ""
    median, low, high = (format(value, form) for value in values)
    return median if low == high else f"{median} ({low}-{high})"
