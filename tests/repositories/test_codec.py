"""Whatever a commit holds comes back exactly, through real BSON."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import bson
from bson import CodecOptions
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Head, Holding, TokenInfo, Transfer, TxHash
from indexer.domain.following.finality import Settled
from indexer.domain.resuming.resyncs import in_parts
from indexer.domain.telling.commits import Commit, parts
from indexer.domain.telling.facts import (
    BalanceReverted,
    ChainFact,
    ChainFinalized,
    Checkpoint,
    Confirmed,
    Fact,
    HistoryFilled,
    HistoryRow,
    Joint,
    Orphaned,
    Passed,
    StreamLive,
    StreamResync,
    StreamStale,
)
from repositories.documents.codec import _TYPES, commit_document, commit_of
from tests.repositories.samples import INFO, TIME, USDC, commit_at, head_at, solver_at

LARGEST = 16 * 2**20
"""MongoDB takes no larger document."""

int64s = st.integers(0, 2**63 - 1)
uint256s = st.integers(0, 2**256 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)  # half a surrogate pair is no text
hashes = st.integers(0, 3).map(lambda n: BlockHash(f"0x{n:064x}"))
transactions = hashes.map(TxHash)
transaction_lists = st.lists(transactions, max_size=3).map(tuple)
integers = st.integers(-(2**256), 2**256)
addresses = st.integers(0, 3).map(lambda n: Address(f"0x{n:040x}"))
infos = st.builds(TokenInfo, st.none() | st.integers(0, 255), st.none() | texts, st.none() | texts)
blocks = st.builds(BlockRef, int64s, hashes, int64s)
heads = st.builds(Head, int64s, hashes, hashes, int64s)
holdings = st.builds(Holding, addresses | st.just(NATIVE), addresses)
levels = st.sampled_from(["latest", "safe", "finalized"])
gone_on = st.lists(holdings, max_size=3, unique=True).map(lambda found: tuple(sorted(found)))
causes = st.sampled_from(["first", "transfer", "native", "sync", "refresh", "resync"])
orphans = st.lists(st.builds(Orphaned, int64s, hashes, uint256s), max_size=3).map(tuple)
left = st.lists(st.tuples(int64s, hashes), max_size=3).map(tuple)
chain_ids = st.integers(1, 3)
logs = st.builds(Transfer, addresses, addresses, addresses, uint256s, hashes, transactions, int64s, int64s)


def own_logs(fact: BalanceUpdated, moves: list[Transfer]) -> BalanceUpdated:
    """Some of the logs made those that a fact usually has: of its token, wallet, block and transactions."""
    token, solver = fact.holding
    return replace(
        fact,
        transactions=(*fact.transactions, *(log.transaction for log in moves[::2])),
        transfers=tuple(
            log._replace(
                token=Address(token),
                block_hash=fact.block.hash,
                block_number=fact.block.number,
                sender=solver if log.log_index % 3 else log.sender,
                recipient=log.recipient if log.log_index % 3 else solver,
            )
            if index % 2 == 0
            else log
            for index, log in enumerate(moves)
        ),
    )


def own_row_logs(row: HistoryRow, of: Holding, moves: list[Transfer]) -> HistoryRow:
    """The same for a record of history."""
    fact = BalanceUpdated(1, of, None, row.balance, row.block, "transfer", TokenInfo(), row.transactions)
    fact = own_logs(fact, moves)
    return row._replace(transactions=fact.transactions, transfers=fact.transfers)


unexplained = st.none() | st.just(0) | integers
rows = st.builds(
    HistoryRow,
    blocks,
    uint256s,
    st.none() | integers,
    transaction_lists,
    levels,
    st.booleans(),
    st.just(()),
    unexplained,
)


def fillings(of: Holding) -> st.SearchStrategy[HistoryFilled]:
    return st.builds(
        HistoryFilled,
        chain_ids,
        st.just(of),
        int64s,
        int64s,
        st.lists(st.builds(own_row_logs, rows, st.just(of), st.lists(logs, max_size=3)), max_size=3).map(tuple),
        infos,
        texts,
        st.none() | texts,
        st.none()
        | st.builds(Joint, int64s, integers, transaction_lists, st.lists(logs, max_size=2).map(tuple), unexplained),
        st.booleans(),
        st.booleans(),
    )


updates = st.builds(
    BalanceUpdated,
    chain_ids,
    holdings,
    st.none() | uint256s,
    uint256s,
    blocks,
    causes,
    infos,
    st.lists(transactions, max_size=3, unique=True).map(tuple),
    unexplained=unexplained,
    apart=st.booleans(),
    known_to=st.none() | st.integers(0, 2**53),
)
facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(own_logs, updates, st.lists(logs, max_size=4)),
    st.builds(BalanceReverted, chain_ids, holdings, uint256s, uint256s, blocks, infos, orphans, st.booleans(), left),
    st.builds(ChainFinalized, chain_ids, blocks, levels),
    st.builds(StreamStale, chain_ids, texts, st.none() | int64s),
    st.builds(StreamLive, chain_ids, texts, st.none() | int64s),
    st.builds(
        StreamResync,
        chain_ids,
        texts,
        blocks,
        st.none() | int64s,
        st.lists(st.builds(Confirmed, holdings, uint256s, infos), max_size=3).map(tuple),
        st.none() | st.builds(Passed, blocks, gone_on, gone_on),
        st.booleans(),
    ),
    holdings.flatmap(fillings),
)
times = st.integers(0, 10**13).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
commits = st.builds(
    Commit,
    id=texts,
    stream=texts,
    first_seq=st.integers(1, 2**62),
    time=times,
    facts=st.lists(facts, min_size=1, max_size=5).map(tuple),
    checkpoint=st.none()
    | st.builds(
        Checkpoint,
        heads,
        st.none() | st.builds(Settled, st.integers(-1, 2**63 - 1), st.integers(-1, 2**63 - 1)),
    ),
    noted=st.lists(logs, max_size=2).map(tuple),
    lost=st.lists(holdings, max_size=2).map(tuple),
)


@given(commits)
def test_every_commit_comes_back_exactly(commit: Commit) -> None:
    stored = bson.encode(commit_document(commit))
    assert commit_of(bson.decode(stored, CodecOptions(tz_aware=True))) == commit


def test_history_of_before_logs_were_kept_says_that_nothing_is_known_of_them() -> None:
    row = HistoryRow(head_at(3).ref, 5, 2, (TxHash("0xa"),), "safe", derived=True, unexplained=0)
    joint = Joint(9, 1, (), block_hash=row.block.hash)
    fact = HistoryFilled(1, Holding(USDC, solver_at(0)), 1, 9, (row,), TokenInfo(), "job", joint=joint)
    document = commit_document(Commit("c", "history:1", 1, TIME, (fact,)))
    for each in (document["facts"][0], document["facts"][0]["joint"]):
        del each["l"], each["u"]
    assert commit_of(document).facts == (replace(fact, rows=(row._replace(unexplained=None),)),)


def test_a_record_of_history_takes_little_room() -> None:
    """A commit holds thousands of them, and a document 16 MB."""
    log = Transfer(
        Address(USDC), solver_at(1), solver_at(0), 10**21, head_at(3).ref.hash, TxHash("0x" + 64 * "a"), 7, 3
    )
    row = HistoryRow(head_at(3).ref, 10**24, 10**21, (log.transaction,), "finalized", True, (log,), 0)
    fact = HistoryFilled(1, Holding(USDC, solver_at(0)), 1, 9, (row,), TokenInfo(), "job")
    one, many = (
        len(bson.encode(commit_document(Commit("c", "history:1", 1, TIME, (replace(fact, rows=(row,) * count),)))))
        for count in (1, 501)
    )
    assert (many - one) / 500 < 420


def test_every_type_of_fact_has_a_codec() -> None:
    assert set(_TYPES) == set(get_args(ChainFact))


def test_what_facts_share_is_written_once() -> None:
    one, many = commit_document(commit_at(5, seq=1)), commit_document(commit_at(5, seq=1, count=500))
    assert len(many["tokens"]) == 1
    assert not any("block" in fact or "chain" in fact for fact in many["facts"])
    assert (len(bson.encode(many)) - len(bson.encode(one))) / 499 < 220


def test_a_resync_of_a_hundred_thousand_balances_fits_into_documents() -> None:
    many = tuple(Holding(USDC, solver_at(index)) for index in range(100_000))
    confirmed = tuple(Confirmed(holding, 10**24 + index, INFO) for index, holding in enumerate(many))
    whole = StreamResync(1, "why", head_at(9).ref, 6, confirmed, Passed(head_at(5).ref, many, many))
    assert len(bson.encode(commit_document(Commit("id", "chain:1", 1, TIME, (whole,))))) > LARGEST
    sizes = []
    for part in parts(in_parts(whole), 5_000):
        commit = Commit("id", "chain:1", 1, TIME, part)
        document = commit_document(commit)
        sizes.append(len(bson.encode(document)))
        assert commit_of(document) == commit
    assert len(sizes) == 5
    assert max(sizes) < LARGEST / 2
