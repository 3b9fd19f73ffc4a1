"""What endpoints refuse for good, held against a like question that they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

from indexer.clients.evm.endpoints.contrast import Ask, MakePair, Pair, Refusal, refused_for_good
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.errors import BadAnswer, NodeUnreachable

LIKE, REFUSED, HEADERS = cast(Any, "like"), cast(Any, "refused"), cast(Any, "headers")
TURNS = 3


async def _the_pair(_: Ask) -> Pair:
    return Pair(REFUSED, LIKE)


async def _the_pair_by_its_headers(ask: Ask) -> Pair:
    await ask(HEADERS)
    return Pair(REFUSED, LIKE)


async def found(*answers: Callable[[Any], None], make_pair: MakePair = _the_pair) -> Refusal | None:
    """What is found of endpoints that answer so."""

    def endpoint(name: str, answer: Callable[[Any], None]) -> SimpleNamespace:
        async def ask(make: Any, _terms: Any) -> None:
            answer(make)

        return SimpleNamespace(name=name, ask=ask, sleep=_at_once, is_aside=False, acquit=lambda: None)

    every: Sequence[Any] = [endpoint(name, answer) for name, answer in zip("abc", answers, strict=False)]
    endpoints = cast(Endpoints, SimpleNamespace(every=every, chain_id=1))
    return await refused_for_good(endpoints, make_pair, TURNS)


async def _at_once(_seconds: float) -> None: ...


def refuses(make: Any) -> None:
    if make is REFUSED:
        raise BadAnswer("strange words")


def hangs_with_it(make: Any) -> None:
    if make is REFUSED:
        raise NodeUnreachable("no answer within 5 s")


def hangs_with_both(make: Any) -> None:
    if make is not HEADERS:
        raise NodeUnreachable("no answer within 5 s")


def is_away(_make: Any) -> None:
    raise NodeUnreachable("nobody is there")


async def test_what_all_that_are_there_refuse_each_time_is_refused_for_good() -> None:
    refusal = await found(refuses, is_away, refuses)
    assert refusal is not None
    assert (str(refusal.words), refusal.by) == ("strange words", frozenset("ac"))


async def test_nothing_is_found_where_one_of_them_may_only_be_slow() -> None:
    """It answers the like question: an archive that takes long for an old state."""
    assert await found(hangs_with_it, refuses) is None


async def test_nor_where_it_is_slow_with_both_and_told_its_headers() -> None:
    assert await found(hangs_with_both, refuses, make_pair=_the_pair_by_its_headers) is None
    assert await found(is_away, refuses, make_pair=_the_pair_by_its_headers) is not None


async def test_nothing_is_found_of_those_that_are_all_away() -> None:
    assert await found(is_away, is_away) is None
