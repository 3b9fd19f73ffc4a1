"""One chain's node and ears, from plain settings."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import structlog

from indexer.clients.evm.asking.courier import Courier, HttpCourier
from indexer.clients.evm.asking.names import endpoint_names
from indexer.clients.evm.asking.transport import Transport
from indexer.clients.evm.endpoints.counts import Counts, Health, ignored
from indexer.clients.evm.endpoints.endpoint import Endpoint
from indexer.clients.evm.endpoints.endpoints import Endpoints
from indexer.clients.evm.endpoints.pace import Pace
from indexer.clients.evm.hearing.heads import HeadFeed
from indexer.clients.evm.hearing.line import OpenLine, open_line
from indexer.clients.evm.node import EvmNode
from indexer.clients.evm.transfers.hints import Hints

log = structlog.get_logger(__name__)


def connect(
    *,
    chain: str,
    rpc_urls: Sequence[str],
    ws_urls: Sequence[str] = (),
    chain_id: int | None = None,
    poll_seconds: float | None = None,
    timeout_seconds: float = 10.0,
    patience_seconds: float = 15.0,
    on_request: Callable[[str, str, str, float], None] = ignored,
    on_switch: Callable[[], None] = ignored,
    on_reconnect: Callable[[], None] = ignored,
    on_hedge: Callable[[], None] = ignored,
    on_health: Callable[[str, Health], None] = ignored,
    on_pace: Callable[[str, float], None] = ignored,
    on_other_block: Callable[[str], None] = ignored,
    on_left_out: Callable[[str, int], None] = ignored,
    courier: Callable[[str], Courier] = HttpCourier,
    opened: OpenLine = open_line,
    clock: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = random.random,
) -> tuple[EvmNode, HeadFeed]:
    """The node and the ears of one chain; nothing is opened before it is used.

    `rpc_urls` and `ws_urls` are in order of preference. Given a `chain_id`, endpoints of other chains are not asked.
    `on_request` is told endpoint, method, outcome and seconds of every HTTP request, `on_health` and `on_pace` an
    endpoint with what changed (docs/operations.md says what they mean). `courier` and `opened` lead to
    the network; the simulator has others, and its own time and chance.
    """
    counts = Counts(on_request, on_switch, on_reconnect, on_hedge, on_health, on_pace, on_other_block, on_left_out)
    hints = Hints()
    names = zip(rpc_urls, endpoint_names(rpc_urls), strict=True)
    endpoints = Endpoints(
        [
            Endpoint(name, Transport(url, name, courier(url)), counts, pace=Pace(clock), clock=clock)
            for url, name in names
        ],
        chain=chain,
        counts=counts,
        chain_id=chain_id,
        timeout_seconds=timeout_seconds,
        patience_seconds=patience_seconds,
        clock=clock,
        chance=chance,
    )
    if len(rpc_urls) == 1:
        log.info("single_endpoint", chain=chain, endpoint=endpoints.name)
    node = EvmNode(endpoints, counts=counts, hints=hints)
    feed = HeadFeed(
        ws_urls,
        node,
        chain=chain,
        hints=hints,
        poll_seconds=poll_seconds,
        opened=opened,
        clock=clock,
        chance=chance,
    )
    return node, feed
