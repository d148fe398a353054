"""Aligned columns, laid out by the rule of Go's ``text/tabwriter``, so that spacing equals Docker's.

A cell is what a tab ends; the text after a line's last tab belongs to no column. A column is a run of
neighbouring lines that have that cell, and is as wide as its widest cell plus the padding, at least
``minimum``.
"""

from __future__ import annotations


def align(text: str, minimum: int = 10, padding: int = 3) -> str:
    """``text``, whose cells are separated by tabs, with the tabs replaced by blanks."""
    lines = [line.split("\t") for line in text.split("\n")]
    return "\n".join(_layout(lines, minimum, padding))


def _layout(lines: list[list[str]], minimum: int, padding: int) -> list[str]:
    widths: list[list[int]] = [[] for _ in lines]
    _measure(lines, widths, 0, len(lines), minimum, padding)
    return [
        "".join(cell.ljust(width) for cell, width in zip(cells, [*row, 0], strict=True))
        for cells, row in zip(lines, widths, strict=True)
    ]


def _measure(
    lines: list[list[str]], widths: list[list[int]], first: int, end: int, minimum: int, padding: int
) -> None:
    """Give each block of lines in ``first … end`` that goes on in the next column that column's width."""
    column = len(widths[first]) if first < end else 0
    at = first
    while at < end:
        if column >= len(lines[at]) - 1:
            at += 1
            continue
        start = at
        while at < end and column < len(lines[at]) - 1:
            at += 1
        width = max([minimum, *(len(lines[n][column]) + padding for n in range(start, at))])
        for number in range(start, at):
            widths[number].append(width)
        _measure(lines, widths, start, at, minimum, padding)
