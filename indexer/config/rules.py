"""`[rules]`, and the rules of one exchange account: what is not set there is as it is set for all."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, cast, get_args

from indexer.config.settings import Rule, RulesSettings, Severity
from indexer.config.table import Table
from indexer.config.values import integer, number, one_of

_MOST: Final = Decimal(10) ** 60


def rules(table: Table, known: RulesSettings) -> RulesSettings:
    """`known` holds where nothing else is said."""
    settings = RulesSettings(
        change_absolute=table.optional("change_absolute", number(0, _MOST), known.change_absolute),
        change_percent=table.optional("change_percent", number(0, 1_000_000), known.change_percent),
        tolerance=table.optional("tolerance", number(0, _MOST), known.tolerance),
        relative_tolerance=table.optional("relative_tolerance", number(0, 1), known.relative_tolerance),
        largest_balance=table.optional("largest_balance", number(1, _MOST), known.largest_balance),
        largest_jump=table.optional("largest_jump", number(1, _MOST), known.largest_jump),
        stale_seconds=table.optional("stale_seconds", integer(1, 31_536_000), known.stale_seconds),
        most_digits=table.optional("most_digits", integer(1, 200), known.most_digits),
        most_decimals=table.optional("most_decimals", integer(0, 200), known.most_decimals),
        severities={**known.severities, **_severities(table.table("severities"))},
    )
    table.close()
    return settings


def _severities(table: Table) -> Mapping[Rule, Severity]:
    found: dict[Rule, Severity] = {}
    for rule in get_args(Rule):
        severity = table.optional(rule, one_of(Severity), "")
        if severity:
            found[rule] = cast("Severity", severity)
    table.close()
    return found
