"""What a chain passed over, because its blocks could not be followed one by one: it is filled as history."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from indexer.domain.facts import Passed, StreamResync


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
