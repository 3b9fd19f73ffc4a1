"""A chain's endpoints, as its settings name them, with everything counted that they do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from indexer.config import ChainSettings
from indexer.metrics import Metrics

if TYPE_CHECKING:
    from indexer.clients.evm import EvmNode, HeadFeed


def connected(chain: ChainSettings, metrics: Metrics) -> tuple[EvmNode, HeadFeed]:
    """Nothing is asked of them yet."""
    from indexer.clients.evm import connect  # noqa: PLC0415 - web3 takes a second and 30 MB to import

    return connect(
        chain=chain.name,
        chain_id=chain.chain_id,
        rpc_urls=chain.rpc_urls,
        ws_urls=chain.ws_urls,
        on_request=partial(metrics.rpc_request, chain.name),
        on_switch=partial(metrics.endpoint_switched, chain.name),
        on_reconnect=partial(metrics.websocket_reconnected, chain.name),
        on_hedge=partial(metrics.endpoint_hedged, chain.name),
        on_health=partial(metrics.endpoint_health, chain.name),
        on_pace=partial(metrics.endpoint_pace, chain.name),
        on_other_block=partial(metrics.endpoint_other_block, chain.name),
        on_left_out=metrics.chain(chain.name).left_out,
    )
