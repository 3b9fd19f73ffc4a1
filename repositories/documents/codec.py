"""Commits as documents: compact, exact, and one table that knows every type of fact.

To add a type of fact: a pair of functions beside those of its like, and a line in `_TYPES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from bson import Int64

from indexer.domain.accounts.facts import AccountFact
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import Address, Holding
from indexer.domain.following.finality import Settled
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import (
    BalanceReverted,
    ChainFact,
    ChainFinalized,
    Checkpoint,
    HistoryFilled,
    StreamLive,
    StreamResync,
    StreamStale,
)
from repositories.documents.accounts import account_commit_document, account_commit_of
from repositories.documents.blocks import block_document, block_of, head_document, head_of, info_document, info_of
from repositories.documents.facts import (
    decode_finalized,
    decode_live,
    decode_resync,
    decode_reverted,
    decode_stale,
    decode_updated,
    encode_finalized,
    encode_live,
    encode_resync,
    encode_reverted,
    encode_stale,
    encode_updated,
)
from repositories.documents.history import decode_filled, encode_filled
from repositories.documents.logs import packed, unpacked
from repositories.documents.shared import Shared, TokenTable

Document = dict[str, Any]


def commit_document(commit: Commit) -> Document:
    """The commit as the one document that is inserted."""
    first = commit.facts[0]
    if isinstance(first, AccountFact):
        return account_commit_document(commit, first.account)
    shared = _shared_by(commit, first.chain_id)
    facts = [_TYPES[type(fact)].encode(fact, shared) for fact in commit.facts if not isinstance(fact, AccountFact)]
    document: Document = {
        "_id": commit.id,
        "stream": commit.stream,
        "firstSeq": Int64(commit.first_seq),
        "lastSeq": Int64(commit.last_seq),
        "time": commit.time,
        "checkpoint": None if commit.checkpoint is None else _checkpoint_document(commit.checkpoint),
        "chainId": Int64(shared.chain_id),
        "block": None if shared.block is None else block_document(shared.block),
        "tokens": [{"address": token, **info_document(info)} for token, info in shared.tokens],
        "facts": facts,
    }
    if commit.noted:
        document["noted"] = packed(commit.noted)
    if commit.lost:
        document["lost"] = [f"{token} {solver}" for token, solver in commit.lost]
    return document


def commit_of(document: Document) -> Commit:
    if "account" in document:
        return account_commit_of(document)
    block = document["block"]
    shared = Shared(
        chain_id=int(document["chainId"]),
        block=None if block is None else block_of(block),
        tokens={(token["address"], info_of(token)): index for index, token in enumerate(document["tokens"])},
    )
    table = list(shared.tokens)
    checkpoint = document["checkpoint"]
    return Commit(
        id=document["_id"],
        stream=document["stream"],
        first_seq=int(document["firstSeq"]),
        time=document["time"],
        facts=tuple(_DECODERS[fact["k"]](fact, shared, table) for fact in document["facts"]),
        checkpoint=None if checkpoint is None else _checkpoint_of(checkpoint),
        noted=unpacked(document.get("noted", ())),
        lost=tuple(_holding_of(text) for text in document.get("lost", ())),
    )


def _holding_of(text: str) -> Holding:
    token, solver = text.split()
    return Holding(token, Address(solver))


def _checkpoint_document(checkpoint: Checkpoint) -> Document:
    document = head_document(checkpoint.head)
    if checkpoint.settled is not None:
        document["safe"], document["finalized"] = Int64(checkpoint.settled.safe), Int64(checkpoint.settled.finalized)
    return document


def _checkpoint_of(document: Document) -> Checkpoint:
    settled = Settled(int(document["safe"]), int(document["finalized"])) if "safe" in document else None
    return Checkpoint(head_of(document), settled)


def _shared_by(commit: Commit, chain_id: int) -> Shared:
    in_block = BalanceUpdated | BalanceReverted | ChainFinalized | StreamResync
    blocks = (fact.block for fact in commit.facts if isinstance(fact, in_block))
    return Shared(chain_id=chain_id, block=next(blocks, None))


class _Codec(NamedTuple):
    tag: str
    encode: Callable[[Any, Shared], Document]
    decode: Callable[[Document, Shared, TokenTable], ChainFact]


_TYPES: Final[dict[type[ChainFact], _Codec]] = {
    BalanceUpdated: _Codec("updated", encode_updated, decode_updated),
    BalanceReverted: _Codec("reverted", encode_reverted, decode_reverted),
    ChainFinalized: _Codec("finalized", encode_finalized, decode_finalized),
    StreamStale: _Codec("stale", encode_stale, decode_stale),
    StreamLive: _Codec("live", encode_live, decode_live),
    StreamResync: _Codec("resync", encode_resync, decode_resync),
    HistoryFilled: _Codec("filled", encode_filled, decode_filled),
}

_DECODERS: Final = {codec.tag: codec.decode for codec in _TYPES.values()}
