"""Draw ``results.json``: ``python plot.py results.json`` writes ``benchmarks.png`` and ``benchmarks.svg`` beside it.

It runs in its own environment, which has matplotlib; see ``install.py``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]  # only where it draws

mpl.use("Agg")

from matplotlib import pyplot as plt  # type: ignore[import-not-found, unused-ignore]  # the same

OURS, BEATEN, OTHERS = "#0b6e4f", "#c8553d", "#9aa5b1"
COLOURS = {"ours": OURS, "node_kept": BEATEN}
LABELS = {
    "ours": "this function,\neverything on",
    "node_kept": "(b) Node, axios,\nkept connections",
    "bare_handler": "our transport,\nbare handler",
    "bare_httpcore": "httpcore,\nbare handler",
    "asyncio_relay": "floor: bare\nasyncio relay",
    "node_new": "(a) Node, axios,\nconnection per call",
    "python_sync": "(c) Python, httpx,\nsynchronous",
    "python_async": "(c) Python, httpx,\nasynchronous",
    "nginx": "floor: nginx",
}
MEMORY_LABELS = {"ours": "this function", "node_kept": "(b) Node", "ours_short": "windows\nof 10 s"}
# Title of the panel, which direction is better, index of the table and of its column, whether the axis is logarithmic.
PANELS = (
    ("Added latency p50, 1 connection (ms)", "less is better", 0, 2, False),
    ("Added latency p99, 1 connection (ms)", "less is better", 0, 3, False),
    ("Requests/s, 64 in flight, upstream 0 ms", "more is better", 1, 0, True),
    ("Requests/s, 64 in flight, upstream 50 ms", "more is better", 1, 2, False),
    ("Requests/s, 256 in flight, upstream 50 ms", "more is better", 1, 3, False),
    ("CPU per request (ms)", "less is better", 2, 0, False),
    ("Start to first 200 (ms)", "less is better", 2, 2, False),
)


def draw(document: dict[str, Any], folder: Path) -> None:
    """Draw panels of bars with whiskers from minimum to maximum, and memory over the number of requests."""
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"})
    figure, axes = plt.subplots(4, 2, figsize=(11, 15), layout="constrained")
    tables = list(document["tables"].values())
    *bars, last = axes.flat
    for axis, (title, direction, number, column, is_log) in zip(bars, PANELS, strict=True):
        if values := tables[number][column]["values"]:
            _panel(axis, values, is_log=is_log)
        axis.set_title(title, loc="left", fontweight="bold")
        axis.set_xlabel(direction + (", logarithmic" if is_log else ""), color="#52606d")
    _memory(last, document["measurements"])
    about = document["about"]
    figure.suptitle(
        f"mitto-phone-hook and what people would use instead\n{about['machine']}; median, least and greatest of {about['rounds']}",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    for name in ("benchmarks.png", "benchmarks.svg"):
        figure.savefig(folder / name, dpi=120)


def _panel(axis: Any, values: dict[str, dict[str, float]], *, is_log: bool) -> None:  # noqa: ANN401 - matplotlib's axis
    names = [name for name in LABELS if name in values]
    for place, name in enumerate(names):
        median, low, high = (values[name][part] for part in ("median", "low", "high"))
        colour = COLOURS.get(name, OTHERS)
        if is_log:
            # On a logarithmic axis the length of a bar means nothing.
            axis.plot(median, place, "o", color=colour, markersize=11)
        else:
            axis.barh(place, median, color=colour, height=0.68)
        axis.plot((low, high), (place, place), "|-", color="#1f2933", linewidth=1.2, markersize=7)
        text = f"{median:,.0f}" if median >= 100 else f"{median:.3g}"  # noqa: PLR2004 - three digits are enough
        axis.annotate(text, (max(high, median), place), xytext=(9, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(names)), [LABELS[name] for name in names])
    axis.set_ylim(len(names) - 0.4, -0.6)
    if is_log:
        axis.set_xscale("log")
        axis.grid(axis="x", color="#e4e7eb")
        axis.set_axisbelow(True)
    axis.margins(x=0.3 if is_log else 0.18)
    axis.tick_params(axis="y", length=0)


def _memory(axis: Any, measurements: list[dict[str, Any]]) -> None:  # noqa: ANN401 - matplotlib's axis
    for name, label in MEMORY_LABELS.items():
        own = {m["figure"]: m["value"] for m in measurements if m["contestant"] == name and not m["fault"]}
        steps = sorted(figure.removesuffix("_mib") for figure in own if figure.startswith("memory_") and figure.endswith("_mib"))
        points = sorted((own[f"{step}_after"], own[f"{step}_mib"]) for step in steps)
        if not points:
            continue
        axis.plot(*zip(*points, strict=True), "o-", color=COLOURS.get(name, OTHERS))
        for requests, mib in points:
            axis.annotate(f"{mib:.0f}", (requests, mib), xytext=(0, 7), textcoords="offset points", ha="center")
        axis.annotate(label, points[-1], xytext=(10, 0), textcoords="offset points", va="center")
    axis.set_title("Memory (MiB) after so many requests", loc="left", fontweight="bold")
    axis.set_xlabel("requests, logarithmic; less memory is better", color="#52606d")
    axis.set_xscale("log")
    axis.margins(x=0.4)
    axis.set_ylim(0, 1.12 * axis.get_ylim()[1])


if __name__ == "__main__":
    path = Path(sys.argv[1])
    draw(json.loads(path.read_text(encoding="utf-8")), path.parent)
