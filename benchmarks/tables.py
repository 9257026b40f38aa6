"""Aligned tables, for a terminal and for Markdown alike."""

from collections.abc import Sequence

Row = Sequence[str]


def table(head: Row, rows: Sequence[Row], *, left_columns: int = 1) -> str:
    """Return a Markdown table with aligned columns: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = ["-" * width if column < left_columns else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join(_line(row, widths, left_columns) for row in (head, rule, *rows))


def _line(row: Row, widths: Sequence[int], left_columns: int) -> str:
    cells = (
        cell.ljust(width) if column < left_columns else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return f"| {' | '.join(cells)} |"
