"""Coloured lines of a terminal as an SVG picture, for documents. Pure."""

import re
from collections.abc import Iterator, Sequence
from html import escape

from mitto_phone_hook.cli.columns import width

_COLUMN, _ROW, _BASELINE, _MARGIN = 8.4, 17, 13, 18
_RUN = re.compile(r"\x1b\[([0-9;]*)m([^\x1b]*)\x1b\[0m|()([^\x1b]+)")
_WORDS = re.compile(r"\S+(?: \S+)*")
_CLASSES = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y"}
"""By the codes of ``report``."""

_PICTURE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="{width:g}" height="{height}" role="img">
<title>{title}</title>
<style>
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3; white-space: pre }}
.b {{ font-weight: bold }} .d {{ fill: #848d97 }} .r {{ fill: #ff7b72 }} .g {{ fill: #56d364 }} .y {{ fill: #e3b341 }}
</style>
<rect width="100%" height="100%" rx="10" fill="#0d1117"/>
{texts}
</svg>
"""


def picture(rows: Sequence[str], title: str) -> str:
    """Draw lines with the colours of ``report``. Every group of words is put to its column, whatever the font's widths are."""
    columns = max((sum(width(run[2] or run[4]) for run in _RUN.finditer(row)) for row in rows), default=0)
    texts = [text for number, row in enumerate(rows) for text in _texts(row, _MARGIN + _ROW * number + _BASELINE)]
    size = {"width": 2 * _MARGIN + _COLUMN * columns, "height": 2 * _MARGIN + _ROW * len(rows)}
    return _PICTURE.format(title=escape(title), texts="\n".join(texts), **size)


def _texts(row: str, y: int) -> Iterator[str]:
    column = 0
    for run in _RUN.finditer(row):
        text = run[2] or run[4] or ""
        classes = " ".join(_CLASSES[code] for code in (run[1] or "").split(";") if code in _CLASSES)
        for words in _WORDS.finditer(text):
            x = _MARGIN + _COLUMN * (column + width(text[: words.start()]))
            length = f'textLength="{_COLUMN * width(words[0]):g}" lengthAdjust="spacingAndGlyphs"'
            yield f'<text x="{x:g}" y="{y}" class="{classes}" {length}>{escape(words[0])}</text>'.replace(' class=""', "")
        column += width(text)
