"""What a chain passed over, because its blocks could not be followed one by one: it is filled as history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, Holding
from indexer.domain.telling.commits import Commit
from indexer.domain.telling.facts import BalanceReverted, Passed, StreamResync


class Gap(NamedTuple):
    """The blocks above `passed.after` and below `number`, where everything was read anew."""

    chain_id: int
    number: int
    passed: Passed
    seq: int
    """Of the event that told it."""
    time: datetime


def gap_of(fact: StreamResync, seq: int, time: datetime) -> Gap | None:
    """Nothing where there is no block in between, or nobody whose records could be gone on from."""
    passed = fact.passed
    if passed is None or not passed.followed or fact.block.number - passed.after.number < 2:
        return None
    return Gap(fact.chain_id, fact.block.number, passed, seq, time)


class Later(NamedTuple):
    """What was told of blocks above one says of what held there, also where it was of another branch."""

    told: frozenset[Holding]
    doubtful: frozenset[Holding]
    """Of these nobody knows: they were not watched there, or were found changed by a read that may have come late."""
    trailing: frozenset[Holding]
    """Logs up to there led to no record, as far as anybody knows."""


def later_than(number: int, commits: Iterable[Commit]) -> Later:
    """All `commits` that told of blocks above that one."""
    told, doubtful, trailing = set[Holding](), set[Holding](), set[Holding]()
    known: dict[str, frozenset[Holding]] = {}
    """By the block of a resync those that it says were followed at block `number`."""
    for commit in commits:
        for fact in commit.facts:
            match fact:
                case BalanceUpdated() if fact.block.number > number:
                    read_anew = known.get(fact.block.hash) if fact.cause == "resync" else None
                    told.add(fact.holding)
                    if fact.apart or not _follows(fact, read_anew):
                        doubtful.add(fact.holding)
                    elif read_anew is None and _trails(fact, number):
                        trailing.add(fact.holding)
                case BalanceReverted(anchor=True) if fact.block.number > number:
                    doubtful.add(fact.holding)
                case StreamResync() if fact.block.number > number:
                    followed = _followed_at(number, fact)
                    before = known.get(fact.block.hash, followed) if fact.more else followed
                    known[fact.block.hash] = before | followed
                    confirmed = {row.holding for row in fact.confirmed}
                    told |= confirmed
                    doubtful |= confirmed - followed
                    trailing |= set(fact.passed.trailing) if fact.passed is not None else set()
                case _:
                    pass
    return Later(frozenset(told), frozenset(doubtful), frozenset(trailing))


def _follows(fact: BalanceUpdated, read_anew: frozenset[Holding] | None) -> bool:
    """Whether what it calls the previous held below; of what was `read_anew`, of these alone."""
    if read_anew is not None:
        return fact.holding in read_anew
    return fact.cause in ("transfer", "native") and fact.previous is not None


def _followed_at(number: int, resync: StreamResync) -> frozenset[Holding]:
    passed = resync.passed
    return frozenset(passed.followed) if passed is not None and passed.after.number >= number else frozenset()


def _trails(fact: BalanceUpdated, number: int) -> bool:
    """Whether it accounts for a log up to block `number`, or may do so."""
    is_unsure = fact.unexplained is None and fact.holding.token != NATIVE
    return is_unsure or any(log.block_number <= number for log in fact.transfers)
