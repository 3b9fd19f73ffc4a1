"""Tables and single lines for people's eyes, and JSON for programs."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WITHOUT_TERMINAL = 400
"""Wide enough to cut nothing: what is piped is searched, not looked at."""

_EDGES = 2
_GAP, _INDENT = "   ", "  "


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Where a terminal is too narrow a record takes several lines; where there is nothing to show it is said."""
    if not rows:
        print("nothing yet")
        return
    console = Console(width=None if sys.stdout.isatty() else _WITHOUT_TERMINAL, highlight=False)
    cells = [[plain(cell) for cell in row] for row in rows]
    lines = _Lines([*map(max, *(map(cell_len, row) for row in (columns, *cells)))], console.width - _EDGES)
    if lines.are_several:
        to_right = [column in right for column in columns]
        console.print(_table([lines.of(columns, to_right)], [[lines.of(row, to_right)] for row in cells]))
    else:
        console.print(_table(columns, cells, right))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


class _Lines:
    """Columns on lines one below the other, each line as full as it gets: no cell is broken that fits on one."""

    def __init__(self, widths: Sequence[int], most: int) -> None:
        self._widths = widths
        self._room = most - len(_INDENT)
        self._lines: list[list[int]] = [[]]
        for column in range(len(widths)):
            line = [*self._lines[-1], column]
            indent = len(_INDENT) if len(self._lines) > 1 else 0
            if self._lines[-1] and indent + sum(self._widths[one] + len(_GAP) for one in line) - len(_GAP) > most:
                self._lines.append([column])
            else:
                self._lines[-1] = line

    @property
    def are_several(self) -> bool:
        return len(self._lines) > 1

    def of(self, cells: Sequence[str], to_right: Sequence[bool]) -> str:
        lines = [_GAP.join(self._padded(cells[one], one, to_right[one]) for one in line) for line in self._lines]
        return f"\n{_INDENT}".join(line.rstrip() for line in lines)

    def _padded(self, cell: str, column: int, is_right: bool) -> str:
        width = self._widths[column]
        if width > self._room:
            return cell  # on a line of its own, and folded where it is as long
        blanks = " " * (width - cell_len(cell))
        return f"{blanks}{cell}" if is_right else f"{cell}{blanks}"


def show_json(value: object) -> None:
    """On one line, which can be read again whatever the output's encoding has no letters for."""
    encoding = codecs.lookup(sys.stdout.encoding or "utf-8").name
    print(json.dumps(value, ensure_ascii=not encoding.startswith("utf")), flush=True)


def plain(value: object) -> str:
    """A token may call itself anything, a terminal's escape sequence included."""
    if value is None:
        return "-"
    return "".join(char if char.isprintable() else "?" for char in str(value))


def note(text: object) -> None:
    """One line on stderr, whatever strangers wrote into it."""
    print(f"indexer: {plain(text)}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
