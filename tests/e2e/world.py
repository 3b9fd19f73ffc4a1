"""One chain with everything on it that a solver may own, and ways to move it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.addresses import checksum
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.chain import Address
from tests.e2e.service import Config, Json, chain_table
from tests.fixtures.chain import wallets

ETHER = 10**18
MINTED = 10**12


@dataclass(frozen=True)
class World:
    """`acme` and `bolt` can send (and pay gas); `cold` has no key."""

    anvil: Anvil
    token: Deployed
    payer: Deployed
    acme: Address
    bolt: Address
    cold: Address

    @property
    def solvers(self) -> dict[str, Json]:
        return {name: {"address": getattr(self, name)} for name in ("acme", "bolt", "cold")}

    @property
    def stream(self) -> str:
        return f"chain:{self.anvil.chain_id}"

    def holdings(self, *tokens: str) -> list[tuple[str, str]]:
        return [
            (token, wallet)
            for token in ("native", *(tokens or (self.token.address,)))
            for wallet in (self.acme, self.bolt, self.cold)
        ]

    def table(self, *tokens: str, **more: Any) -> Json:
        tokens = tokens or (self.token.address,)
        return chain_table(self.anvil, **{"tokens": [*tokens], **more})

    def config(self, folder: Path, **parts: Any) -> Config:
        """This chain alone, as `first`."""
        return Config(folder, **{"chains": {"first": self.table()}, "solvers": self.solvers, **parts})

    async def stir(self, rng: random.Random, moves: int = 3) -> None:
        """One block with that many random moves, some of them of nobody's that is watched."""
        people = (self.acme, self.bolt, self.cold, *wallets(1, 0x9000))
        for _ in range(moves):
            sender, recipient = rng.sample(people, 2)
            match rng.choice(("token", "token", "plain", "inside")):
                case "token":
                    amount = rng.randrange(1, MINTED // 100_000)
                    source = sender if sender in (self.acme, self.bolt, self.cold) else self.acme
                    await self.token.send("move", source, recipient, amount)
                case "plain":
                    await self.anvil.send(recipient, value=rng.randrange(1, 10**15), sender=self.key_of(sender))
                case "inside":
                    amount = rng.randrange(1, 10**15)
                    await self.payer.send("pay", recipient, amount, value=amount, sender=self.key_of(sender))
        await self.anvil.mine()

    def key_of(self, wallet: str) -> str:
        return wallet if wallet in (self.acme, self.bolt) else self.anvil.accounts[0]


@asynccontextmanager
async def world(chain_id: int = 31337, *, args: Sequence[str] = ()) -> AsyncIterator[World]:
    async with Anvil(chain_id=chain_id, args=args) as anvil:
        yield await _furnished(anvil)


async def _furnished(anvil: Anvil) -> World:
    token = await deploy(anvil, "PlainToken", "Demo Dollar", "DUSD", 6)
    payer = await deploy(anvil, "Payer")
    acme, bolt = (checksum(each) for each in anvil.accounts[1:3])
    cold = wallets(1)[0]
    for wallet in (acme, bolt, cold):
        await token.send("mint", wallet, MINTED)
    await anvil.mine()
    return World(anvil, token, payer, acme, bolt, cold)
