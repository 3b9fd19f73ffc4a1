"""The words in which facts are told: one JSON shape per type, the same live, replayed and polled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.domain.accounts.events import ACCOUNT_EVENT_TYPES, account_fact_json
from indexer.domain.amounts import amount_text
from indexer.domain.balances import BalanceUpdated
from indexer.domain.telling.commits import Event
from indexer.domain.telling.facts import (
    BalanceReverted,
    ChainFinalized,
    Fact,
    HistoryFilled,
    StreamLive,
    StreamResync,
    StreamStale,
)
from indexer.domain.times import time_text

EVENT_TYPES = {
    BalanceUpdated: "balance.updated",
    BalanceReverted: "balance.reverted",
    ChainFinalized: "chain.finalized",
    StreamStale: "stream.stale",
    StreamLive: "stream.live",
    StreamResync: "stream.resync",
    HistoryFilled: "history.filled",
    **ACCOUNT_EVENT_TYPES,
}


def event_json(event: Event, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The event as docs/api.md shows it, ready for any JSON encoder; `data` where it was made of the fact already."""
    return {
        "type": EVENT_TYPES[type(event.fact)],
        "id": event.id,
        "stream": event.stream,
        "seq": event.seq,
        "time": time_text(event.time),
        "data": fact_json(event.fact) if data is None else data,
    }


def fact_json(fact: Fact) -> dict[str, Any]:
    match fact:
        case BalanceUpdated():
            data = _updated(fact)
        case BalanceReverted():
            data = _reverted(fact)
        case ChainFinalized(chain_id=chain_id, block=block):
            data = {"chainId": chain_id, "blockNumber": block.number, "blockHash": block.hash, "level": fact.level}
        case StreamResync():
            data = {"chainId": fact.chain_id, "reason": fact.reason, "block": fact.block.number}
        case StreamStale() | StreamLive():
            data = {"chainId": fact.chain_id, "reason": fact.reason, "block": fact.block}
        case HistoryFilled():
            data = _filled(fact)
        case _:
            data = account_fact_json(fact)
    return data


def _updated(fact: BalanceUpdated) -> dict[str, Any]:
    change = fact.change
    return {
        "chainId": fact.chain_id,
        "tokenAddress": fact.holding.token,
        "solverAddress": fact.holding.solver,
        "previousBalance": None if fact.previous is None else str(fact.previous),
        "newBalance": str(fact.balance),
        "changeAmount": None if change is None else str(change),
        "amount": amount_text(fact.balance, fact.info.decimals),
        "decimals": fact.info.decimals,
        "tokenSymbol": fact.info.symbol,
        "blockNumber": fact.block.number,
        "blockHash": fact.block.hash,
        "transactionHash": fact.transactions[-1] if fact.transactions else None,
        "cause": fact.cause,
        "finality": "latest",
    }


def _reverted(fact: BalanceReverted) -> dict[str, Any]:
    return {
        "chainId": fact.chain_id,
        "tokenAddress": fact.holding.token,
        "solverAddress": fact.holding.solver,
        "previousBalance": str(fact.previous),
        "newBalance": str(fact.balance),
        "changeAmount": str(fact.balance - fact.previous),
        "amount": amount_text(fact.balance, fact.info.decimals),
        "decimals": fact.info.decimals,
        "tokenSymbol": fact.info.symbol,
        "blockNumber": fact.block.number,
        "blockHash": fact.block.hash,
        "orphaned": [
            {"blockNumber": row.number, "blockHash": row.hash, "balance": str(row.balance)} for row in fact.orphaned
        ],
    }


def _filled(fact: HistoryFilled) -> dict[str, Any]:
    return {
        "chainId": fact.chain_id,
        "solverAddress": fact.holding.solver,
        "tokenAddress": fact.holding.token,
        "fromBlock": fact.first,
        "toBlock": fact.last,
        "records": len(fact.rows),
        "derived": fact.derived,
        "reason": fact.reason,
    }
