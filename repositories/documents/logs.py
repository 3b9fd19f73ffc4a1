"""Transfer logs as text: a block can bring 5,000 of them, and a string is the cheapest thing that BSON has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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


def packed_here(
    transfers: Sequence[Transfer], holding: Holding, block: BlockRef, transactions: Sequence[TxHash]
) -> str:
    """All logs behind a record; those of its own block without what the record says already."""
    if len(transfers) == 1 == len(transactions):
        return _short(transfers[0], holding, block, {transactions[0]: 0})
    places = {transaction: index for index, transaction in enumerate(transactions)}
    return ";".join([_short(log, holding, block, places) for log in transfers])


def _short(log: Transfer, holding: Holding, block: BlockRef, places: Mapping[TxHash, int]) -> str:
    token, solver = holding
    transaction = places.get(log.transaction)
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
    """The same logs; nothing where the text is empty."""
    token, solver = holding
    logs = []
    if not text:
        return ()
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
