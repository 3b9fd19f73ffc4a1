"""Tables and single lines for people's eyes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WITHOUT_TERMINAL = 400
"""Wide enough to cut nothing: what is piped is searched, not looked at."""


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """On a terminal long cells are folded; where there is nothing to show it is said."""
    if not rows:
        print("nothing yet")
        return
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    width = None if sys.stdout.isatty() else _WITHOUT_TERMINAL
    Console(width=width, highlight=False).print(table)


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
