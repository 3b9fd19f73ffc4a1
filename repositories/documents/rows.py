"""Balance records as the documents of which docs/api.md shows the fields."""

from __future__ import annotations

from typing import Any

from bson import Decimal128, Int64

from indexer.domain.chain import BlockRef, Holding, TokenInfo
from indexer.domain.recording.records import BalanceRecord, cause_over
from indexer.domain.telling.facts import Joint
from indexer.domain.times import block_time
from repositories.documents.logs import packed, packed_here, unpacked_here

Document = dict[str, Any]


def row_of(record: BalanceRecord) -> Document:
    """One record, with what made it where that is known.

    Its logs are text, as in the log of commits: a quarter of the room and work of a document for each.
    """
    row = current_row_of(record)
    if record.transfers:
        row["logs"] = packed_here(record.transfers, record.holding, record.block, record.transactions)
    if record.unexplained is not None:
        row["unexplained"] = str(record.unexplained)
    if record.joined:
        row["joined"] = True
    if record.apart:
        row["apart"] = True
    return row


def joint_row_of(joint: Joint) -> Document:
    """What is known now of the record that was the oldest."""
    # Also where there are none: those of an earlier joint may be of a branch that was orphaned.
    row: Document = {"changeAmount": str(joint.change), "logs": ";".join(packed(joint.transfers))}
    if joint.transactions:
        row |= {
            "cause": "transfer",
            "joined": True,
            "transactionHash": joint.transactions[-1],
            "transactionHashes": list(joint.transactions),
        }
    row["unexplained"] = None if joint.unexplained is None else str(joint.unexplained)
    return row


def counted_row_of(record: BalanceRecord) -> Document:
    """What is known of its change, once the record below it is another one."""
    return {
        "changeAmount": None if record.change is None else str(record.change),
        "cause": record.cause,
        "unexplained": None if record.unexplained is None else str(record.unexplained),
        "joined": record.joined,
        "apart": record.apart,
    }


def current_row_of(record: BalanceRecord) -> Document:
    """One balance; `seq` is ours beyond docs/api.md: the higher one wins where a key is written twice."""
    token, solver = record.holding
    block, info, transactions = record.block, record.info, record.transactions
    return {
        "chainId": Int64(record.chain_id),
        "tokenAddress": token,
        "solverAddress": solver,
        "balance": str(record.balance),
        "amount": amount_of(record.balance, info.decimals),
        "blockNumber": Int64(block.number),
        "blockHash": block.hash,
        "timestamp": block_time(block.timestamp),
        "transactionHash": transactions[-1] if transactions else None,
        "transactionHashes": list(transactions),
        "decimals": info.decimals,
        "tokenSymbol": info.symbol,
        "tokenName": info.name,
        "changeAmount": None if record.change is None else str(record.change),
        "cause": record.cause,
        "finality": record.finality,
        "derived": record.derived,
        "seq": Int64(record.seq),
    }


def record_of(row: Document) -> BalanceRecord:
    change, unexplained = row["changeAmount"], row.get("unexplained")
    holding = Holding(row["tokenAddress"], row["solverAddress"])
    block = BlockRef(int(row["blockNumber"]), row["blockHash"], int(row["timestamp"].timestamp()))
    transactions = tuple(row["transactionHashes"])
    # Earlier releases left the cause of a record that was not the first any more.
    was_first = row["cause"] == "first" and change is not None
    return BalanceRecord(
        chain_id=int(row["chainId"]),
        holding=holding,
        balance=int(row["balance"]),
        block=block,
        change=None if change is None else int(change),
        cause=cause_over(holding, int(change)) if was_first else row["cause"],
        info=TokenInfo(row["decimals"], row["tokenSymbol"], row["tokenName"]),
        seq=int(row["seq"]),
        transactions=transactions,
        finality=row["finality"],
        derived=row["derived"],
        transfers=unpacked_here(row.get("logs", ""), holding, block, transactions),
        unexplained=None if unexplained is None else int(unexplained),
        joined=was_first or row.get("joined", False),
        apart=row.get("apart", False),
    )


def amount_of(raw: int, decimals: int | None) -> Decimal128 | None:
    """The scaled amount for queries, exact or absent.

    Decimal128 has 34 digits. A longer number (a uint256 has up to 78) is left out rather than rounded, which would be
    a lie in a column that people sum; `balance` always has all digits. Absent too where the token tells no decimals.
    As in the API, there are no trailing zeros: 7.5, not 7.500000.
    """
    if decimals is None or decimals > _BIAS:
        return None
    exponent = -decimals
    while raw % 10 == 0 and (exponent < 0 or raw >= _35_DIGITS):
        raw //= 10
        exponent += 1
    if raw >= _35_DIGITS:
        return None
    # The bits of IEEE 754-2008 decimal128 for a short coefficient; by way of Decimal it takes ten times as long.
    halves = ((exponent + _BIAS) << 49 | raw >> 64, raw & _LOW_HALF)
    return Decimal128(halves)  # type: ignore[arg-type] # it is documented to take these, and typed for Decimal's tuples


_LOW_HALF = 2**64 - 1
_35_DIGITS = 10**34
_BIAS = 6176
