"""Print lines and tables for the scripts."""

from __future__ import annotations

from collections.abc import Sequence
import sys


def print_line(text: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_error(text: str) -> None:
    """Print a line to the standard error stream."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return columns, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(_is_number(row[at]) for row in cells[1:]) for at in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join(f"  {line}" for line in (lines[0], rule, *lines[1:]))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == "-"
    return True
