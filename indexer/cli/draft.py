"""A configuration before it is written, and its text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

KNOWN_CHAINS: Final[Mapping[str, tuple[int, str]]] = {
    "ethereum": (1, "ETH"),
    "optimism": (10, "ETH"),
    "bnb": (56, "BNB"),
    "gnosis": (100, "xDAI"),
    "polygon": (137, "POL"),
    "base": (8453, "ETH"),
    "arbitrum": (42161, "ETH"),
    "avalanche": (43114, "AVAX"),
    "sepolia": (11155111, "ETH"),
}

_HEAD = """\
# Written by `indexer init`. Every other setting, with its default: chains.example.toml and docs/configuration.md.
# ${NAME} is taken from the environment: keep keys there, not in this file.

[service]
host = "127.0.0.1"  # another address needs [[service.api_keys]]
port = 8080
data_dir = "data"   # a relative path begins at this file's folder

[store]
url = "embedded"    # a private mongod under data_dir; or memory, or mongodb://...
"""


@dataclass(slots=True)
class ChainDraft:
    """A chain as somebody told of it; the id of a well-known name is known."""

    name: str
    rpc_urls: list[str]
    ws_urls: list[str] = field(default_factory=list)
    chain_id: int | None = None
    tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.chain_id is None and self.name in KNOWN_CHAINS:
            self.chain_id = KNOWN_CHAINS[self.name][0]

    @property
    def native_symbol(self) -> str:
        return next((symbol for known, symbol in KNOWN_CHAINS.values() if known == self.chain_id), "ETH")


@dataclass(slots=True)
class Draft:
    """What `init` was told: chains, and solvers by name."""

    chains: list[ChainDraft] = field(default_factory=list)
    solvers: dict[str, str] = field(default_factory=dict)


def rendered(draft: Draft) -> str:
    """As TOML, commented."""
    chains = (_chain(chain) for chain in draft.chains)
    solvers = [f"[solvers.{_key(name)}]\naddress = {_text(address)}\n" for name, address in draft.solvers.items()]
    none_yet = ["# No solver yet: add [solvers.<name>] with an address here, or POST /api/v1/solvers while it runs.\n"]
    return "\n".join((_HEAD, *chains, *(solvers or none_yet)))


def _chain(chain: ChainDraft) -> str:
    lines = [
        f"[chains.{_key(chain.name)}]",
        f"chain_id = {chain.chain_id}",
        f"rpc_urls = {_list(chain.rpc_urls)}",
        f"ws_urls = {_list(chain.ws_urls)}" + ("" if chain.ws_urls else "  # none: new blocks are asked for over HTTP"),
        f"native_symbol = {_text(chain.native_symbol)}",
        f"tokens = {_list(chain.tokens)}" + ("" if chain.tokens else "  # none: only the native coin is watched"),
    ]
    return "\n".join(lines) + "\n"


def _list(texts: list[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    # A JSON string is a TOML string, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
