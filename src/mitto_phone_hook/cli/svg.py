"""Coloured lines of a terminal as an SVG picture, for documents. Pure."""

import re
from collections.abc import Iterator, Sequence
from html import escape

from mitto_phone_hook.cli.columns import width

_COLUMN, _ROW, _MARGIN = 8.4, 19, 22
_RUN = re.compile(r"(?:\x1b\[([0-9;]*)m)?([^\x1b]+)(?:\x1b\[0m)?")
_SPACES = re.compile(" {2,}")
_STYLES = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y"}
"""The classes of the picture, by the codes of ``report``."""

_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="{width:g}" height="{height}" role="img">
<title>{title}</title>
<style>
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3; white-space: pre }}
.b {{ font-weight: bold }} .d {{ fill: #848d97 }} .r {{ fill: #ff7b72 }} .g {{ fill: #56d364 }} .y {{ fill: #e3b341 }}
</style>
<rect width="100%" height="100%" rx="10" fill="#0d1117"/>
"""


def picture(rows: Sequence[str], title: str) -> str:
    """Draw lines with the colours of ``report``. Each run of one colour is put to its column, whatever the font's widths are."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", row) for row in rows]
    size = {"width": 2 * _MARGIN + _COLUMN * max(map(width, plain), default=0), "height": 2 * _MARGIN + _ROW * len(rows)}
    drawn = [text for number, row in enumerate(rows) for text in _texts(row, _MARGIN + _ROW * number + 14)]
    return "\n".join([_HEAD.format(title=escape(title), **size) + "\n".join(drawn), "</svg>", ""])


def _texts(row: str, y: int) -> Iterator[str]:
    column = 0
    for run in _RUN.finditer(row):
        classes = " ".join(_STYLES[code] for code in (run[1] or "").split(";") if code in _STYLES)
        start = 0
        # Every word group is put to its own place, so that no difference between fonts adds up.
        for gap in [*_SPACES.finditer(run[2]), None]:
            text = run[2][start : gap.start() if gap else None]
            if text.strip():
                x, length = _MARGIN + _COLUMN * (column + width(run[2][:start])), _COLUMN * width(text)
                yield (
                    f'<text x="{x:g}" y="{y}"{f" class={chr(34)}{classes}{chr(34)}" if classes else ""} '
                    f'textLength="{length:g}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
                )
            start = gap.end() if gap else len(run[2])
        column += width(run[2])
