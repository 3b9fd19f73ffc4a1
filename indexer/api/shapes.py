"""The JSON shapes of what the API shows; the websocket's snapshot uses the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from math import floor
from typing import Any

from indexer.domain.accounts.events import slot_json
from indexer.domain.accounts.stats import AssetStats
from indexer.domain.amounts import amount_text, plain
from indexer.domain.chain import Transfer
from indexer.domain.health.incidents import Incident
from indexer.domain.health.status import AccountStatus, StreamStatus
from indexer.domain.health.unread import Unread
from indexer.domain.measuring.course import Course
from indexer.domain.measuring.stats import Statistics, Stats
from indexer.domain.recording.audits import Audit, Wait
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.times import time_text, unix_text
from indexer.domain.watching import Solver, WatchedToken


def balance_json(record: BalanceRecord, verified_block: int | None) -> dict[str, Any]:
    """`verified_block` is how far the chain is followed; a record is never verified to less than its own block."""
    return {
        "chainId": record.chain_id,
        "tokenAddress": record.holding.token,
        "solverAddress": record.holding.solver,
        "balance": str(record.balance),
        "amount": amount_text(record.balance, record.info.decimals),
        "decimals": record.info.decimals,
        "tokenSymbol": record.info.symbol,
        "tokenName": record.info.name,
        "blockNumber": record.block.number,
        "blockHash": record.block.hash,
        "timestamp": unix_text(record.block.timestamp),
        "verifiedBlock": max(record.block.number, verified_block or 0),
    }


def record_json(record: BalanceRecord, verified_block: int | None) -> dict[str, Any]:
    """A row of history."""
    return balance_json(record, verified_block) | {
        "transactionHash": record.transactions[-1] if record.transactions else None,
        "transactionHashes": list(record.transactions),
        "changeAmount": None if record.change is None else str(record.change),
        "cause": record.cause,
        "finality": record.finality,
        "derived": record.derived,
    }


def explained_json(record: BalanceRecord, verified_block: int | None) -> dict[str, Any]:
    """A row of history with all Transfer logs that made it, and what they leave unexplained."""
    return record_json(record, verified_block) | {
        "transfers": [_transfer_json(log) for log in record.transfers],
        "unexplained": None if record.unexplained is None else str(record.unexplained),
    }


def _transfer_json(log: Transfer) -> dict[str, Any]:
    return {
        "transactionHash": log.transaction,
        "logIndex": log.log_index,
        "blockNumber": log.block_number,
        "from": log.sender,
        "to": log.recipient,
        "value": str(log.amount),
    }


def audit_json(audit: Audit) -> dict[str, Any]:
    return {
        "checked": audit.checked,
        "differing": [
            record_json(one.record, None)
            | {"stored": str(one.record.balance), "read": None if one.read is None else str(one.read)}
            for one in audit.differing
        ],
        "unreadable": audit.unreadable,
        "skipped": audit.skipped,
        "unanswered": [
            {
                "chainId": one.chain_id,
                "name": one.name,
                "endpoint": one.endpoint,
                "records": one.records,
                "reason": one.reason,
            }
            for one in audit.unanswered
        ],
    }


def audit_waits_json(waits: Sequence[Wait] | None) -> dict[str, Any]:
    return {
        "running": waits is not None,
        "waiting": [
            {
                "chainId": one.chain_id,
                "name": one.name,
                "endpoint": one.endpoint,
                "records": one.records,
                "seconds": round(one.seconds, 3),
            }
            for one in waits or ()
        ],
    }


def stats_json(statistics: Statistics[Stats]) -> dict[str, Any]:
    """Nulls where there is nothing to count: absent is not zero."""
    stats, course = statistics.records, statistics.course
    return records_json(stats, str) | {
        "timeWeightedAverage": None if course is None else str(floor(course.average)),
        **course_json(course),
    }


def records_json(stats: Stats | AssetStats | None, text: Callable[[Any], str | None]) -> dict[str, Any]:
    """`text` writes an amount."""
    if stats is None:
        names = ("first", "last", "min", "max", "average", "change", "changePercent")
        return {"count": 0} | dict.fromkeys(names)
    return {
        "count": stats.count,
        "first": text(stats.first),
        "last": text(stats.last),
        "min": text(stats.minimum),
        "max": text(stats.maximum),
        "average": text(stats.average),
        "change": text(stats.change),
        "changePercent": plain(stats.change_percent),
    }


def course_json(course: Course | None) -> dict[str, Any]:
    """What is the same of every kind of number."""
    if course is None:
        return {"volatility": None, "trend": None}
    trend = {"direction": course.direction, "strength": float(course.strength)}
    return {"volatility": plain(course.volatility), "trend": trend}


def solver_json(solver: Solver) -> dict[str, Any]:
    return {
        "name": solver.name,
        "address": solver.address,
        "chains": None if solver.chains is None else list(solver.chains),
        "source": solver.source,
    }


def token_json(token: WatchedToken) -> dict[str, Any]:
    return {
        "chainId": token.chain_id,
        "tokenAddress": token.address,
        "decimals": token.info.decimals,
        "tokenSymbol": token.info.symbol,
        "tokenName": token.info.name,
        "source": token.source,
    }


def stream_json(status: StreamStatus, projected: int, now: datetime) -> dict[str, Any]:
    time = status.block_time
    shown = {
        "name": status.name,
        "state": status.state,
        "block": status.block,
        "blockTime": None if time is None else unix_text(int(time.timestamp())),
        "lagBlocks": status.lag_blocks,
        "lagSeconds": round(status.lag_seconds(now), 3),
        "endpoint": status.endpoint,
        "heads": status.heads,
        "seq": status.seq,
        "projectedSeq": projected,
        "restarts": status.restarts,
        "lastError": status.last_error,
        "queueDepth": status.queue_depth,
    }
    if status.account is not None:
        return shown | {"account": account_status_json(status.account)}
    if status.stream.startswith("chain:"):
        resync, search = status.incidents
        incidents = {"lastResync": incident_json(resync), "lastSearchFailure": incident_json(search)}
        troubles = {"troubledEndpoints": [trouble._asdict() for trouble in status.troubles]}
        return shown | troubles | incidents | {"unreadableTokens": unread_json(status.unread)}
    return shown


def incident_json(incident: Incident | None) -> dict[str, Any] | None:
    if incident is None:
        return None
    return {"block": incident.block, "reason": incident.reason, "at": time_text(incident.at)}


def unread_json(unread: Unread) -> list[dict[str, Any]]:
    return [
        {
            "tokenAddress": token,
            "balances": unread.balances(token),
            "block": since.block,
            "reason": since.reason,
            "since": time_text(since.at),
        }
        for token, since in sorted(unread.tokens.items())
    ]


def account_status_json(status: AccountStatus) -> dict[str, Any]:
    """Only streams of exchange accounts have it."""
    breaker = status.breaker
    return {
        "breaker": {"state": breaker.state, "failures": breaker.failures, "reason": breaker.reason},
        "streamed": list(status.streamed),
        "unsupported": dict(status.unsupported),
        "stale": list(status.stale),
        "keptOut": [slot_json(slot) for slot in status.kept_out],
        "reads": {"answered": status.answered, "failed": status.failed},
    }
