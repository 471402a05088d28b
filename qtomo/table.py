"""A small table that prints well on a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Table", "as_text"]


@dataclass(frozen=True)
class Table:
    """Rows of text under headings, the first column a label.

    Args:
        title: a line above.
        headings: one a column.
        rows: as long as the headings each.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        lines = [self.headings, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headings))]

        def render(line: Sequence[str]) -> str:
            cells = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
            return "  ".join([line[0].ljust(widths[0]), *cells]).rstrip()

        rule = "─" * len(render(self.headings))
        return "\n".join([self.title, rule, render(self.headings), rule, *map(render, self.rows), rule])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.headings)
        body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in self.rows)
        caption = f"<caption>{escape(self.title)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def as_text(tables: Iterable[Table], notes: Iterable[str]) -> str:
    """Tables, and notes as a list below them, with empty lines between."""
    return "\n\n".join([*map(str, tables), "\n".join(f"• {note}" for note in notes)])
