"""The words in which facts are told: one JSON shape per type, the same live, replayed and polled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from indexer.domain.amounts import amount_text
from indexer.domain.balances import BalanceUpdated
from indexer.domain.commits import Event
from indexer.domain.facts import (
    BalanceReverted,
    ChainFinalized,
    Fact,
    HistoryFilled,
    StreamLive,
    StreamResync,
    StreamStale,
)

EVENT_TYPES = {
    BalanceUpdated: "balance.updated",
    BalanceReverted: "balance.reverted",
    ChainFinalized: "chain.finalized",
    StreamStale: "stream.stale",
    StreamLive: "stream.live",
    StreamResync: "stream.resync",
    HistoryFilled: "history.filled",
}


def event_json(event: Event) -> dict[str, Any]:
    """The event as the contract shows it, ready for any JSON encoder."""
    return {
        "type": EVENT_TYPES[type(event.fact)],
        "id": event.id,
        "stream": event.stream,
        "seq": event.seq,
        "time": time_text(event.time),
        "data": fact_json(event.fact),
    }


def fact_json(fact: Fact) -> dict[str, Any]:
    match fact:
        case BalanceUpdated():
            return _updated(fact)
        case BalanceReverted():
            return _reverted(fact)
        case ChainFinalized():
            return {
                "chainId": fact.chain_id,
                "blockNumber": fact.block.number,
                "blockHash": fact.block.hash,
                "level": fact.level,
            }
        case StreamResync():
            return {"chainId": fact.chain_id, "reason": fact.reason, "block": fact.block.number}
        case StreamStale() | StreamLive():
            return {"chainId": fact.chain_id, "reason": fact.reason, "block": fact.block}
        case HistoryFilled():
            return _filled(fact)


def time_text(time: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, which is what MongoDB keeps."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix_text(seconds: int) -> str:
    """A block's timestamp as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


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
