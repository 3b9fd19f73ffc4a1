"""Balance records as the documents that the contract shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bson import Decimal128, Int64

from indexer.domain.chain import Address, BlockHash, BlockRef, Holding, TokenInfo, Transfer, TxHash
from indexer.domain.records import BalanceRecord

Document = dict[str, Any]


def row_of(record: BalanceRecord) -> Document:
    """One record, with what made it where that is known."""
    return current_row_of(record) | explanation_of(record.transfers, record.block.hash, record.unexplained)


def explanation_of(transfers: Sequence[Transfer], block: BlockHash | None, unexplained: int | None) -> Document:
    """What made the record, and what that leaves; logs tell their block where it is not this one."""
    row: Document = {}
    if transfers:
        row["transfers"] = [_log_row(log, block) for log in transfers]
    if unexplained is not None:
        row["unexplained"] = str(unexplained)
    return row


def current_row_of(record: BalanceRecord) -> Document:
    """One balance; `seq` is ours beyond the contract: the higher one wins where a key is written twice."""
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
        "timestamp": datetime.fromtimestamp(block.timestamp, UTC),
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
    return BalanceRecord(
        chain_id=int(row["chainId"]),
        holding=Holding(row["tokenAddress"], row["solverAddress"]),
        balance=int(row["balance"]),
        block=BlockRef(int(row["blockNumber"]), row["blockHash"], int(row["timestamp"].timestamp())),
        change=None if change is None else int(change),
        cause=row["cause"],
        info=TokenInfo(row["decimals"], row["tokenSymbol"], row["tokenName"]),
        seq=int(row["seq"]),
        transactions=tuple(row["transactionHashes"]),
        finality=row["finality"],
        derived=row["derived"],
        transfers=tuple(_log_of(log, row["tokenAddress"], row["blockHash"]) for log in row.get("transfers", ())),
        unexplained=None if unexplained is None else int(unexplained),
    )


def _log_row(log: Transfer, block: BlockHash | None) -> Document:
    row: Document = {
        "transactionHash": log.transaction,
        "logIndex": Int64(log.log_index),
        "blockNumber": Int64(log.block_number),
        "from": log.sender,
        "to": log.recipient,
        "value": str(log.amount),
    }
    if log.block_hash != block:
        row["blockHash"] = log.block_hash
    return row


def _log_of(row: Document, token: str, block: BlockHash) -> Transfer:
    return Transfer(
        token=Address(token),
        sender=Address(row["from"]),
        recipient=Address(row["to"]),
        amount=int(row["value"]),
        block_hash=BlockHash(row.get("blockHash", block)),
        transaction=TxHash(row["transactionHash"]),
        log_index=int(row["logIndex"]),
        block_number=int(row["blockNumber"]),
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
    return Decimal128.from_bid(((exponent + _BIAS) << 113 | raw).to_bytes(16, "little"))


_35_DIGITS = 10**34
_BIAS = 6176
