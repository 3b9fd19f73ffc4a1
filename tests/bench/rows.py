"""One measured figure beside its floor, and the table that `make bench` prints."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is what the target speaks of: at least that much, or at most where `at_most` is set.

    Where there is nothing to compare with, `floor` is not a number and `ratio` is the figure that is bounded. Where
    `target` is none, the row is there to be looked at.
    """

    name: str
    ours: float
    floor: float
    ratio: float
    target: float
    unit: str = "ms"
    at_most: bool = False

    @property
    def ok(self) -> bool:
        if math.isnan(self.target):
            return True
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def print_rows(rows: Iterable[Row]) -> bool:
    """Whether every target holds."""
    kept = list(rows)
    table = Table(box=None, header_style="bold")
    table.add_column("what")
    for column in ("ours", "floor", "unit", "ratio", "target", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for row in kept:
        sign = "≤" if row.at_most else "≥"
        is_judged = not math.isnan(row.target)
        verdict = "" if not is_judged else "[green]ok[/]" if row.ok else "[red]missed[/]"
        table.add_row(
            row.name,
            f"{row.ours:,.2f}",
            "" if math.isnan(row.floor) else f"{row.floor:,.2f}",
            row.unit,
            f"{row.ratio:.2f}",
            f"{sign} {row.target:g}" if is_judged else "",
            verdict,
        )
    console = Console()
    console.width = max(console.width, 110)
    console.print(table)
    return all(row.ok for row in kept)
