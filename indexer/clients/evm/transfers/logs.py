"""Transfer logs: what to ask for, so that only watched ones come, and what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from indexer.addresses import ZERO, checksum
from indexer.clients.evm.asking.answers import block_hash, log_index, quantity, raw_bytes, shown
from indexer.clients.evm.asking.calls import Call, Limits, Plan, Reply, TookLong, TooMuch
from indexer.clients.evm.asking.wording import TimedOut
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockHash, BlockRef, Transfer, TxHash
from indexer.errors import BadAnswer, BlockUnknown, ResponseTooLarge

TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_NO_WALLET: Final = "0x" + "0" * 64
_TOPIC: Final = re.compile(r"0x[0-9a-f]{64}")


class Filters:
    """A watch as node filters: watched tokens, watched wallets as sender or as recipient."""

    def __init__(self, watch: Watch) -> None:
        self.by_token = {token.lower(): token for token in watch.tokens}
        self.by_topic = {topic_of(solver): solver for solver in watch.solvers}
        self._encoded: dict[int, tuple[bytes, ...]] = {}

    @property
    def widest(self) -> int:
        return max(len(self.by_token), len(self.by_topic))

    def encoded(self, most: int) -> tuple[bytes, ...]:
        """The inside of each filter object, at most `most` addresses and topics in one (geth takes 1,000)."""
        if most not in self._encoded:
            self._encoded[most] = tuple(orjson.dumps(part)[1:-1] for part in self.parts(most))
        return self._encoded[most]

    def parts(self, most: int) -> Iterable[dict[str, Any]]:
        for tokens in chunks(sorted(self.by_token), most):
            for wallets in chunks(sorted(self.by_topic), most):
                yield {"address": tokens, "topics": [TRANSFER, wallets]}
                yield {"address": tokens, "topics": [TRANSFER, None, wallets]}

    def wallets(self, log: Mapping[str, Any]) -> tuple[Address, list[Address]] | None:
        """The watched token and wallets that a log names; nothing where it is none of ours."""
        ours = self.topics(log)
        if ours is None:
            return None
        token, topics = ours
        return token, [self.by_topic[topic] for topic in topics[1:] if topic in self.by_topic]

    def topics(self, log: Mapping[str, Any]) -> tuple[Address, list[str]] | None:
        """The watched token, and what kind of log it is, from whom and to whom, where one of them is watched.

        Nodes may write them in letters of either case, as they may an address and a hash.
        """
        token, topics = self.by_token.get(str(log.get("address")).lower()), log.get("topics")
        if token is None or not isinstance(topics, list):
            return None
        lowered = [str(topic).lower() for topic in topics[:3]]
        return None if self.by_topic.keys().isdisjoint(lowered[1:]) else (token, lowered)


def transfers_at(
    block: BlockRef, filters: Filters, limits: Limits, *, beside_reads: bool
) -> Plan[tuple[Transfer, ...]]:
    """The watched transfers in this very block."""
    calls = [
        Call("eth_getLogs", [_at_block(block.hash, inside)], 100 + len(inside))
        for inside in filters.encoded(limits.filter)
    ]
    # Not every endpoint refuses logs of a block that it does not have: without a read beside them, ask.
    proof = [] if beside_reads else [Call("eth_getBlockTransactionCountByHash", [block.hash])]
    tried = min(limits.filter, filters.widest)

    def read(replies: Sequence[Reply]) -> tuple[Transfer, ...]:
        if proof and replies[-1].get() is None:
            raise BlockUnknown(f"no block {block.hash}")
        try:
            results = [reply.get() for reply in replies[: len(calls)]]
        except ResponseTooLarge as error:
            raise TooMuch(str(error), "filter", tried) from error
        except TimedOut as error:
            raise TookLong(str(error), "filter", tried) from error
        if None in results:
            raise BlockUnknown(f"no logs for block {block.hash}")
        return _transfers_of(results, block, filters)

    return Plan([*calls, *proof], read)


def _at_block(block: BlockHash, inside: bytes) -> orjson.Fragment:
    return orjson.Fragment(b'{"blockHash":"' + block.encode() + b'",' + inside + b"}")


def _transfers_of(results: Iterable[Any], block: BlockRef, filters: Filters) -> tuple[Transfer, ...]:
    """The watched transfers in a block's answers, each once: one between two watched wallets comes twice."""
    found: dict[int, Transfer] = {}
    for result in results:
        if not isinstance(result, list):
            raise BadAnswer(f"no list of logs: {shown(result)}")
        for log in result:
            transfer = transfer_of(log, block, filters)
            if transfer is not None:
                found[transfer.log_index] = transfer
    return tuple(found[index] for index in sorted(found))


def topic_of(wallet: Address) -> str:
    return "0x" + "0" * 24 + wallet[2:].lower()


def chunks(items: Sequence[str], most: int) -> Iterable[Sequence[str]]:
    return (items[start : start + most] for start in range(0, len(items), most))


def transfer_of(log: Any, block: BlockRef, filters: Filters) -> Transfer | None:
    """The transfer in a log of this very block; nothing where it is none of ours."""
    if not isinstance(log, dict):
        raise BadAnswer(f"not a log: {shown(log)}")
    if str(log.get("blockHash")).lower() != block.hash or log.get("removed"):
        raise BadAnswer("a log of another block than the one asked for")
    ours = filters.topics(log)
    if ours is None:
        return None
    if (number := quantity(log.get("blockNumber"))) != block.number:
        raise BadAnswer(f"a log of block {block.number} that says to be of {number}")
    # A contract may have left `to` unindexed: it is still a hint that the sender's balance changed.
    kind, sender, recipient = (*ours[1], _NO_WALLET)[:3]
    if kind != TRANSFER:
        return None
    return Transfer(
        ours[0],
        _wallet(sender, filters),
        _wallet(recipient, filters),
        _amount(len(log["topics"]), raw_bytes(log.get("data") or "0x")),
        block.hash,
        TxHash(block_hash(log.get("transactionHash"))),
        log_index(log.get("logIndex")),
        number,
    )


def _amount(topics: int, data: bytes) -> int | None:
    """Of ERC-20 the one word that is not indexed; ERC-721, where all are, counts pieces. Else nobody knows."""
    if topics == 3 and len(data) == 32:
        return int.from_bytes(data)
    return 1 if topics == 4 and not data else None


def _wallet(topic: str, filters: Filters) -> Address:
    ours = filters.by_topic.get(topic)
    if ours is not None:
        return ours
    if topic == _NO_WALLET:
        return ZERO
    if not _TOPIC.fullmatch(topic):
        raise BadAnswer(f"not a topic: {shown(topic)}")
    return checksum("0x" + topic[26:])
