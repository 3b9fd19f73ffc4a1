"""What a token says of itself, as several answers tell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from indexer.domain.chain import TokenInfo

T = TypeVar("T")

NOTHING_TOLD = TokenInfo()


def is_whole(info: TokenInfo) -> bool:
    return None not in (info.decimals, info.symbol, info.name)


def agreed(known: TokenInfo, answers: Sequence[TokenInfo]) -> TokenInfo:
    """What those tell who tell something, where they tell the same; else what was known.

    Who tells nothing may lag, or have lost its contracts: what was told before holds.
    """
    return TokenInfo(
        _one(known.decimals, [answer.decimals for answer in answers]),
        _one(known.symbol, [answer.symbol for answer in answers]),
        _one(known.name, [answer.name for answer in answers]),
    )


def _one(known: T | None, answers: Sequence[T | None]) -> T | None:
    told = {answer for answer in answers if answer is not None}
    return told.pop() if len(told) == 1 else known
