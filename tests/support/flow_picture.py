"""The README's picture: the way of one call, drawn from ``docs/pictures/flow.txt``."""

from html import escape
from typing import NamedTuple

from support.processes import ROOT

SOURCE = ROOT / "docs" / "pictures" / "flow.txt"
PICTURE = ROOT / "docs" / "pictures" / "flow.svg"

_WIDTH, _ROW, _TOP = 880, 46, 24
_STEP_X, _STEP_WIDTH, _TEXT_X, _FAILURE_X = 28, 150, 204, 632
_HEAD = """\
<style>
text { font: 15px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1f2328 }
.card { fill: #ffffff; stroke: #d1d9e0 } .step { fill: #ddf4ff; stroke: #54aeff } .end { fill: #0969da; stroke: #0969da }
.name { font-weight: 600; text-anchor: middle } .on-end { fill: #ffffff } .failure { fill: #9a6700; font-size: 14px }
.way { stroke: #54aeff; stroke-width: 2 } .out { stroke: #d4a72c; stroke-width: 1.5; stroke-dasharray: 3 4 }
</style>
"""


class Step(NamedTuple):
    """One line of the source: its name, what it does, and the status and code that the caller gets if it fails."""

    name: str
    does: str
    failure: str


def steps() -> list[Step]:
    """Read the source. The first and the last step are the platform and the handset."""
    lines = [line for line in SOURCE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [Step(*(cell.strip() for cell in line.split("|"))) for line in lines]


def draw() -> str:
    """Give the picture as SVG."""
    read = steps()
    height = 2 * _TOP + _ROW * len(read) - 12
    middle = _STEP_X + _STEP_WIDTH / 2
    rows = "".join(_row(number, step, is_end=number in {0, len(read) - 1}) for number, step in enumerate(read))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img">\n'
        f"<title>The way of one call: {escape(', '.join(step.name for step in read))}</title>\n{_HEAD}"
        f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="10"/>\n'
        f'<path class="way" d="M{middle:g} {_TOP}V{height - _TOP}"/>\n{rows}</svg>\n'
    )


def _row(number: int, step: Step, *, is_end: bool) -> str:
    top = _TOP + number * _ROW
    base = top + 22
    box, name = ("end", "name on-end") if is_end else ("step", "name")
    drawn = (
        f'<rect class="{box}" x="{_STEP_X}" y="{top}" width="{_STEP_WIDTH}" height="34" rx="8"/>\n'
        f'<text class="{name}" x="{_STEP_X + _STEP_WIDTH // 2}" y="{base}">{escape(step.name)}</text>\n'
        f'<text x="{_TEXT_X}" y="{base}">{escape(step.does)}</text>\n'
    )
    if not step.failure:
        return drawn
    # Where the text ends nobody knows without the font: the dashes begin where the longest one has ended.
    line = f'<path class="out" d="M{_FAILURE_X - 72} {top + 17}H{_FAILURE_X - 8}"/>\n'
    return f'{drawn}{line}<text class="failure" x="{_FAILURE_X}" y="{base}">{escape(step.failure)}</text>\n'
