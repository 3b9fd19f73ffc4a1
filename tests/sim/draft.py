"""What the configuration file of a story says, and the mistakes that are made in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from indexer.domain.chain import Address, TokenInfo
from tests.sim.rpc.fleet import Fleet
from tests.sim.world import CHAIN_ID, TOKENS, WALLETS

OTHER_CHAIN_ID: Final = 8
NOBODY: Final = "http://nobody.sim/"

MISTAKES: Final = (
    "[service\n",
    "[sollvers.zoe]\n",
    '[solvers.zoe]\naddress = "0x12"\n',
    '[chains.bad]\nchain_id = 0\nrpc_urls = ["http://one.sim/"]\n',
    "".join(f'[chains.{name}]\nchain_id = 9\nrpc_urls = ["http://one.sim/"]\n' for name in ("one", "two")),
    '[chains.unset]\nchain_id = 9\nrpc_urls = ["${NOT_SET_ANYWHERE}"]\n',
)
"""Appended to a file that is right."""


@dataclass(frozen=True)
class Draft:
    """Our chain, unless it is left out, beside one of which nobody answers; what `chain` has as in the file."""

    rpc_urls: tuple[str, ...]
    ws_urls: tuple[str, ...]
    chain: Mapping[str, Any]
    name: str = "sim"
    is_followed: bool = True
    has_other: bool = False
    tokens: tuple[Address, ...] = tuple(TOKENS)
    solvers: Mapping[str, Address] = field(default_factory=lambda: dict(zip(("s0", "s1", "s2"), WALLETS, strict=True)))

    @property
    def coin(self) -> TokenInfo:
        return TokenInfo(18, self.chain["native_symbol"], self.chain["native_symbol"])

    @property
    def start_block(self) -> int | None:
        """Where history is to begin."""
        first = self.chain["start_block"]
        return None if first == "latest" else int(first)

    def text(self) -> str:
        ours = {
            "chain_id": CHAIN_ID,
            "rpc_urls": self.rpc_urls,
            "ws_urls": self.ws_urls,
            "tokens": self.tokens,
            **self.chain,
        }
        other = {"chain_id": OTHER_CHAIN_ID, "rpc_urls": [NOBODY]}
        chains = {**({self.name: ours} if self.is_followed else {}), **({"other": other} if self.has_other else {})}
        lines = [line for name, table in chains.items() for line in _table(f"chains.{name}", table)]
        for name, wallet in self.solvers.items():
            lines += _table(f"solvers.{name}", {"address": wallet})
        return "\n".join(lines) + "\n"


def drafted(fleet: Fleet, window: int, start_block: int | None, native_interval: int) -> Draft:
    """As a story begins."""
    chain = {
        "native_symbol": "ETH",
        "start_block": "latest" if start_block is None else start_block,
        "sync_interval_seconds": 60,
        "reorg_window_blocks": window,
        "native_interval_blocks": native_interval,
    }
    return Draft(tuple(fleet.rpc_urls), tuple(fleet.ws_urls), chain)


def _table(title: str, table: Mapping[str, Any]) -> Sequence[str]:
    """Strings, numbers and lists are written as in JSON."""
    return [f"[{title}]", *(f"{key} = {orjson.dumps(value).decode()}" for key, value in table.items())]
