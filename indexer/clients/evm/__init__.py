"""EVM chains: heads, logs and reads pinned to a block's hash.

Importing this costs nothing: web3, which takes a second and 30 MB, is loaded when `connect` is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.clients.evm.wiring import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    if name != "connect":
        raise AttributeError(name)
    from indexer.clients.evm.wiring import connect  # noqa: PLC0415 - late on purpose, see above

    return connect
