"""Transfer logs as text: a block can bring 5,000 of them, and a string is the cheapest thing that BSON has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Address, BlockHash, BlockRef, Holding, Transfer, TxHash


def packed(transfers: Iterable[Transfer]) -> list[str]:
    """Each log in full."""
    return [
        f"{log.token} {log.sender} {log.recipient} {log.amount} {log.block_hash} {log.transaction} {log.log_index}"
        f" {log.block_number}"
        for log in transfers
    ]


def unpacked(texts: Iterable[str]) -> tuple[Transfer, ...]:
    return tuple(_whole(text) for text in texts)


def packed_here(fact: BalanceUpdated) -> str:
    """All logs of a fact; those of its own block without what the fact says already."""
    if len(fact.transfers) == 1 == len(fact.transactions):
        return _short(fact.transfers[0], fact, {fact.transactions[0]: 0})
    transactions = {transaction: index for index, transaction in enumerate(fact.transactions)}
    return ";".join([_short(log, fact, transactions) for log in fact.transfers])


def _short(log: Transfer, fact: BalanceUpdated, transactions: Mapping[TxHash, int]) -> str:
    (token, solver), block = fact.holding, fact.block
    transaction = transactions.get(log.transaction)
    if (
        transaction is None
        or log.block_hash != block.hash
        or log.block_number != block.number
        or log.token != token
        or solver not in (log.sender, log.recipient)
    ):
        return packed((log,))[0]
    if log.sender == solver:
        return f">{transaction} {log.log_index} {log.recipient} {log.amount}"
    return f"<{transaction} {log.log_index} {log.sender} {log.amount}"


def unpacked_here(text: str, holding: Holding, block: BlockRef, transactions: Sequence[TxHash]) -> tuple[Transfer, ...]:
    token, solver = holding
    logs = []
    for part in text.split(";"):
        if part[0] not in "<>":
            logs.append(_whole(part))
            continue
        transaction, index, other, amount = part[1:].split(" ")
        sender, recipient = (solver, Address(other)) if part[0] == ">" else (Address(other), solver)
        logs.append(
            Transfer(
                Address(token),
                sender,
                recipient,
                int(amount),
                block.hash,
                transactions[int(transaction)],
                int(index),
                block.number,
            )
        )
    return tuple(logs)


def _whole(text: str) -> Transfer:
    token, sender, recipient, amount, block, transaction, index, number = text.split(" ")
    return Transfer(
        Address(token),
        Address(sender),
        Address(recipient),
        int(amount),
        BlockHash(block),
        TxHash(transaction),
        int(index),
        int(number),
    )
