"""What is asked about one block: its watched transfers, and balances at it, in one request."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from indexer.clients.evm.asking.calls import Limits, Plan, Reply
from indexer.clients.evm.reading.readings import Found, Natives, readings
from indexer.clients.evm.transfers.logs import Filters, transfers_at
from indexer.domain.chain import Head, Holding, Transfer

Looked = tuple[tuple[Transfer, ...], Found]


def looking_at(
    head: Head, filters: Filters, natives: Natives, pairs: Collection[Holding], limits: Limits
) -> Plan[Looked]:
    """The watched transfers of this block, all of `natives`, and the tokens' balances in `pairs`."""
    balances = readings(head, natives, pairs, limits)
    logs = transfers_at(head.ref, filters, limits, beside_reads=bool(balances.calls))
    at = len(balances.calls)

    def read(replies: Sequence[Reply]) -> Looked:
        found = balances.read(replies[:at])
        return logs.read(replies[at:]), found

    return Plan([*balances.calls, *logs.calls], read)
