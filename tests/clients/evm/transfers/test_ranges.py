"""What is asked for a range of blocks says so, since the same refusal means another thing there."""

from __future__ import annotations

from typing import Any

import pytest

from indexer.clients.evm.asking.calls import Limits
from indexer.clients.evm.transfers.ranges import logs_between
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.balances import Watch
from indexer.errors import ResponseTooLarge
from tests.clients.evm.builders import node_at
from tests.fixtures.chain import wallets
from tests.fixtures.liar import Liar


@pytest.mark.parametrize(("last", "of_range"), [(9, True), (8, True), (7, False)])
def test_only_logs_of_several_blocks_are_a_range(last: int, of_range: bool) -> None:
    plan = logs_between(7, last, b"", None, Limits())
    assert [call.of_range for call in plan.calls] == [of_range, False]


@pytest.mark.node
async def test_fewer_blocks_are_asked_for_where_bsc_says_that_a_limit_is_exceeded(
    anvil: Anvil, token: Deployed
) -> None:
    people = wallets(2)
    await token.send("mintMany", people, 7, gas=20_000_000)
    await anvil.mine(20)
    last = int((await anvil.block())["number"], 16)

    def alter(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getLogs" or "fromBlock" not in call["params"][0]:
            return answer
        first, end = (int(call["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
        if end - first < 10:
            return answer
        return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32005, "message": "limit exceeded"}}

    watch = Watch(frozenset([token.address]), frozenset(people))
    async with Liar(anvil.http_url) as liar:
        liar.alter = alter
        async with node_at(liar.url) as node:
            with pytest.raises(ResponseTooLarge):
                await node.moved(last - 20, last, watch)
            assert len(await node.moved(last - 20, last - 11, watch)) == 2
