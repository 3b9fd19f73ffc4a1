"""What endpoints refuse for good, in whatever words: they refuse it each time, and answer a like question each time.

An outage, a limit on calls a second, or an answer that was garbage once would meet both questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from indexer.clients.evm.asking.calls import Limits, Plan
from indexer.clients.evm.asking.provenance import OtherBlock
from indexer.clients.evm.endpoints.endpoint import Endpoint, Terms
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.errors import BadAnswer, IndexerError, NodeUnreachable, StateMissing, Throttled, WrongChain

_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 20.0
_TIMEOUT_SECONDS: Final = 5.0

Make = Callable[[Limits], Plan[Any]]
Ask = Callable[[Make], Awaitable[Any]]


class Pair(NamedTuple):
    """A question that was refused, and one that differs from it in nothing but what may be the reason."""

    refused: Make
    like: Make


MakePair = Callable[[Ask], Awaitable[Pair | None]]
"""Of one endpoint, which may be asked for what it takes; nothing where its refusal would say nothing."""


class Refusal(NamedTuple):
    """What one of them says, and who refuses it."""

    words: IndexerError
    by: frozenset[str]


class _Undecided(Exception):
    """Something else is the matter with an endpoint, or it does answer."""


async def refused_for_good(endpoints: Endpoints, make_pair: MakePair, turns: int) -> Refusal | None:
    """Where all that can be reached refuse the one question and answer the other, each turn.

    Those that are set aside are left out where there are others: whoever asks has asked them before, after the others.
    """
    asked = [each for each in endpoints.every if not each.is_aside] or endpoints.every
    trials = [asyncio.ensure_future(_words(each, endpoints.chain_id, make_pair, turns)) for each in asked]
    try:
        said = await asyncio.gather(*trials)
    except _Undecided:
        return None
    finally:
        for trial in trials:
            trial.cancel()
        await asyncio.gather(*trials, return_exceptions=True)
    refusals = {each.name: words for each, words in zip(asked, said, strict=True) if words is not None}
    for each in asked:
        if each.name in refusals:
            each.acquit()
    return Refusal(next(iter(refusals.values())), frozenset(refusals)) if refusals else None


async def _words(endpoint: Endpoint, chain_id: int | None, make_pair: MakePair, turns: int) -> IndexerError | None:
    """What it says each time; nothing where it is not there at all."""
    terms = Terms(_TIMEOUT_SECONDS, chain_id, paced=False)
    is_there = False

    async def ask(make: Make) -> Any:
        nonlocal is_there
        answer = await endpoint.ask(make, terms)
        is_there = True
        return answer

    words: IndexerError | None = None
    for _ in range(turns):
        if words is not None:
            await endpoint.sleep(_pause(words))
        try:
            pair = await make_pair(ask)
            if pair is None:
                raise _Undecided
            await ask(pair.like)
            words = await _refusal(ask, pair.refused)
            await ask(pair.like)
        except (NodeUnreachable, WrongChain) as error:
            if not is_there:
                return None
            raise _Undecided from error
        except IndexerError as error:
            raise _Undecided from error
    return words


async def _refusal(ask: Ask, make: Make) -> IndexerError:
    try:
        await ask(make)
    except OtherBlock:
        raise
    except (BadAnswer, StateMissing, Throttled) as error:
        return error
    raise _Undecided


def _pause(words: IndexerError) -> float:
    """One that asks for a pause gets it: it may help."""
    asked = words.retry_after_seconds if isinstance(words, Throttled) else None
    return min(_LONGEST_PAUSE_SECONDS, max(_PAUSE_SECONDS, asked or 0.0))
