"""Draw ``day.json``: ``python plot_day.py day.json`` writes ``day.svg`` beside it.

It runs in its own environment, which has matplotlib; see ``install.py``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]  # only where it draws

mpl.use("Agg")

from matplotlib import pyplot as plt  # type: ignore[import-not-found, unused-ignore]  # the same

OURS, ASKED, SLOW = "#0b6e4f", "#9aa5b1", "#c8553d"
TEXT, QUIET, GRID = "#1f2933", "#52606d", "#e4e7eb"
LEAST_MS, MOST_MS = 10, 30_000
HIDDEN = "20:00"
"""Too near to the time after it to be written."""

SCALE_NOTE = "The day passes 600 times faster than a real one, the last minutes before the deadline at 21:00 in real time"


def draw(document: dict[str, Any], folder: Path) -> None:
    """Draw four panels over the same seconds: codes per second, time to respond, calls in flight, memory."""
    fonts = {"font.size": 10, "font.family": "sans-serif", "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"]}
    colours = {"text.color": TEXT, "axes.edgecolor": ASKED, "axes.labelcolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET}
    plt.rcParams.update({**fonts, **colours, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"})
    figure, axes = plt.subplots(4, 1, figsize=(10.5, 10), sharex=True, height_ratios=(3, 2.4, 1.6, 1.2), layout="constrained")
    series, numbers, clock = document["series"], document["figures"], document["clock"]
    start, end = document["slow"]
    last = clock[-1][0]
    for axis in axes:
        axis.axvspan(start, end, color=SLOW, alpha=0.09, linewidth=0)
        axis.grid(axis="y", color=GRID)
        axis.set_axisbelow(True)
        axis.tick_params(length=0)
        axis.set_xlim(0, last)
    codes, times, waiting, memory = axes
    _codes(codes, series)
    codes.annotate(
        "Mitto is slow",
        ((start + end) / 2, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, -14),
        textcoords="offset points",
        ha="center",
        color=SLOW,
        fontweight="bold",
    )
    _times(times, series)
    _line(waiting, series["in_flight"], "calls in flight")
    _line(memory, series["memory_mib"], f"memory of all {document['about']['workers']} workers, MiB")
    memory.set_xlabel("seconds of the run")
    top = codes.secondary_xaxis("top")
    top.set_xticks([second for second, text in clock if text != HIDDEN], [text for _, text in clock if text != HIDDEN], fontsize=9)
    top.tick_params(length=0, labelcolor=QUIET)
    top.spines["top"].set_visible(False)
    is_good = all(finding["is_good"] for finding in document["findings"])
    verdict = "none lost, none twice" if is_good else "but a bound is broken"
    title = f"A day of logins: {numbers['users']:,.0f} users, {numbers['sms']:,.0f} SMS, {verdict}"
    figure.suptitle(f"{title}\n\n", x=0.01, ha="left", fontsize=13, fontweight="bold")
    about = document["about"]
    busy = f", load average {about['load_average_before']:g} by other programs" if about["load_average_before"] > 1 else ""
    figure.text(0.01, 0.953, f"{about['machine']}{busy}\n{SCALE_NOTE}", fontsize=9, color=QUIET, va="center")
    figure.savefig(folder / "day.svg", dpi=120)


def _codes(axis: Any, series: dict[str, Any]) -> None:  # noqa: ANN401 - matplotlib's axis
    seconds = range(len(series["asked"]))
    axis.fill_between(seconds, series["asked"], step="mid", color=ASKED, alpha=0.45, linewidth=0, label="codes that users asked for")
    axis.plot(seconds, series["sent"], color=OURS, linewidth=1.3, label="SMS that Mitto got")
    axis.set_ylim(0, 1.25 * max(series["asked"] + series["sent"]))
    axis.legend(loc="upper left", frameon=False)
    _title(axis, "per second; above: the time of the day", pad=24)


def _times(axis: Any, series: dict[str, Any]) -> None:  # noqa: ANN401 - matplotlib's axis
    for name, colour, width in (("p99", SLOW, 1.6), ("p50", OURS, 1.6)):
        points = [(second, 1000 * value) for second, value in enumerate(series[name]) if value is not None]
        axis.plot(*zip(*points, strict=True), color=colour, linewidth=width, label=name)
    axis.set_yscale("log")
    axis.set_yticks([10, 100, 1000, 10_000], ["10 ms", "100 ms", "1 s", "10 s"])
    axis.set_ylim(LEAST_MS, MOST_MS)
    axis.minorticks_off()
    axis.legend(loc="upper left", frameon=False, ncols=2)
    _title(axis, "until the caller has its response, by the second of the call (logarithmic)")


def _line(axis: Any, points: list[list[float]], title: str) -> None:  # noqa: ANN401 - matplotlib's axis
    xs, ys = zip(*points, strict=True)
    axis.fill_between(xs, ys, color=OURS, alpha=0.15, linewidth=0)
    axis.plot(xs, ys, color=OURS, linewidth=1.3)
    axis.set_ylim(0, 1.15 * max(ys))
    _title(axis, title)


def _title(axis: Any, text: str, **more: Any) -> None:  # noqa: ANN401 - matplotlib's axis
    axis.set_title(text, loc="left", fontsize=10, color=TEXT, fontweight="bold", **more)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    draw(json.loads(path.read_text(encoding="utf-8")), path.parent)
