"""EVM chains: heads, logs and reads pinned to a block's hash.

Importing this costs nothing: web3, which takes a second and 30 MB, is loaded when one of these names is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from indexer.clients.evm.lean import without_pairings

if TYPE_CHECKING:
    from indexer.clients.evm.hearing.heads import HeadFeed
    from indexer.clients.evm.node import EvmNode
    from indexer.clients.evm.wiring import connect

__all__ = ["EvmNode", "HeadFeed", "connect"]

_HOMES: Final = {"EvmNode": "node", "HeadFeed": "hearing.heads", "connect": "wiring"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    with without_pairings():
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
