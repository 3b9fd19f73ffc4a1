"""What tokens say of themselves is asked beside the heads, of a part of them in each round."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from actors.chains.beside.describing import Describer
from actors.chains.followed import Followed
from actors.messages import TokensChanged
from indexer.addresses import checksum
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockHash, Head, TokenInfo
from indexer.domain.following.headchain import HeadChain
from tests.sim.clock import in_virtual_time
from tests.sim.service import Infos

MANY = tuple(sorted(checksum(f"0x{number:040x}") for number in range(1, 61)))
TIP = Head(5, BlockHash("0x" + "05" * 32), BlockHash("0x" + "04" * 32), 5)
SECONDS = 10.0


class Telling(Infos):
    """Notes who is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[list[Address]] = []

    async def say_otherwise(
        self, _chain: int, tokens: Collection[Address], _block: BlockHash
    ) -> Mapping[Address, TokenInfo]:
        self.parts.append(list(tokens))
        return {}


async def asked(awaited: set[str], rounds: int) -> list[list[Address]]:
    """Whom each of the first rounds asks, where these are awaited until they are asked."""
    tokens, followed = Telling(), Followed(Watch(frozenset(MANY)), 8)
    followed.known = HeadChain(8, (TIP,))

    async def at_once() -> None:
        await asyncio.sleep(0)

    def found(said: TokensChanged) -> None:
        awaited.difference_update(said.asked)

    describer = Describer(
        chain_id=1,
        tokens=tokens,
        followed=followed,
        awaited=lambda: frozenset(awaited),
        seconds=lambda: SECONDS,
        may=lambda: True,
        breathe=at_once,
    )
    running = asyncio.create_task(describer.run(found))
    await asyncio.sleep(rounds * SECONDS - 1)
    running.cancel()
    return tokens.parts


@in_virtual_time
async def test_who_is_awaited_is_asked_in_the_first_round_however_many_there_are() -> None:
    parts = await asked({MANY[50], MANY[30]}, 1)
    assert set(parts[0]) == {*MANY[:23], MANY[30], MANY[50]}


@in_virtual_time
async def test_a_round_asks_no_more_where_more_are_awaited() -> None:
    awaited = {str(token) for token in MANY[20:]}
    assert await asked(awaited, 2) == [list(MANY[20:45]), [*MANY[45:], *MANY[:10]]]


@in_virtual_time
async def test_nobody_is_left_out_for_those_that_are_awaited() -> None:
    parts = await asked({MANY[50]}, 3)
    assert {token for part in parts for token in part} == set(MANY)
