"""Every record of history tells the Transfer logs that made it, and the part of its change that they leave."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from indexer.app import Indexer
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed, deploy
from indexer.domain.recording.records import BalanceRecord
from tests.fixtures.chain import wallets
from tests.history.service import consistent, filled, history, odd, running, settings

pytestmark = [pytest.mark.node]

ALICE, BOB = wallets(2)
NODES = pytest.mark.parametrize("args", [(), ("--prune-history", "1")], ids=["archive", "pruned"])


def amounts(row: BalanceRecord) -> list[int]:
    """What its logs brought in (or, negative, took out)."""
    solver = row.holding.solver
    return [(log.amount or 0) * ((log.recipient == solver) - (log.sender == solver)) for log in row.transfers]


@NODES
async def test_transfers_since_the_record_before_explain_each_one(args: tuple[str, ...], tmp_path: Path) -> None:
    async with Anvil(args=args) as anvil:
        token = await deploy(anvil, "PlainToken", "Demo Dollar", "DUSD", 6)
        moved = [await token.send("mint", ALICE, 100)]
        await anvil.mine()
        # In and out in one block: no record, but logs that the next record has to account for.
        moved += [await token.send("move", ALICE, BOB, 30), await token.send("move", BOB, ALICE, 30)]
        await anvil.mine()
        moved += [await token.send("move", ALICE, BOB, 1), await token.send("move", ALICE, ALICE, 7)]
        await anvil.mine()
        moved += [await token.send("move", ALICE, BOB, 2), await token.send("move", BOB, ALICE, 2)]
        await anvil.mine(4)
        async with running(settings(anvil, tmp_path, (token.address,), (ALICE, BOB), start_block=0)) as service:
            await filled(service)
            first, second, joint = await history(service, token.address, ALICE)
            assert (amounts(first), first.unexplained) == ([100], None)
            assert (amounts(second), second.unexplained) == ([-30, 30, -1, 0], 0)
            assert [log.transaction for log in second.transfers] == moved[1:5]
            assert [log.log_index for log in second.transfers] == [0, 1, 0, 1]
            assert second.transactions == tuple(moved[3:5])
            # The record that was the oldest: what came after the last of history is its part.
            assert (joint.change, amounts(joint), joint.unexplained) == (0, [-2, 2], 0)
            assert {log.block_number for log in joint.transfers} == {second.block.number + 1}
            for row in await history(service, "native", ALICE):
                assert (row.transfers, row.unexplained) == ((), None)


async def test_a_fee_and_a_rebase_show_themselves_where_balances_are_read(tmp_path: Path) -> None:
    async with Anvil() as anvil:
        for kind, expected in {
            "FeeToken": [([1_000], None), ([-500], 0)],
            "RebasingToken": [([1_000], None), ([-500], 0), ([200], 70)],
        }.items():
            token = await odd(anvil, kind, ALICE, BOB)
            folder = tmp_path / kind
            wanted = settings(anvil, folder, (token.address,), (ALICE, BOB), start_block=0)
            async with running(wanted, serve=True) as service:
                jobs = await filled(service)
                assert not any(job.reasons for job in jobs)
                alice, bob = [await history(service, token.address, who) for who in (ALICE, BOB)]
                consistent(alice)
                consistent(bob)
                assert [(amounts(row), row.unexplained) for row in alice[:-1]] == expected
                assert await shown(service, token, BOB) == [
                    ([str(each) for each in amounts(row)], None if row.unexplained is None else str(row.unexplained))
                    for row in reversed(bob)
                ]
                if kind == "FeeToken":
                    # Of 500 and of 100 that were sent, a hundredth did not arrive.
                    assert [(amounts(row), row.change, row.unexplained) for row in bob[:-1]] == [
                        ([500], None, None),
                        ([100], 99, -1),
                    ]


async def shown(service: Indexer, token: Deployed, wallet: str) -> list[tuple[list[str], str | None]]:
    """What `?explain=true` answers, newest first."""
    path = f"/api/v1/balances/local/{token.address}/{wallet}/history?explain=true"
    async with aiohttp.ClientSession() as http, http.get(f"{service.url}{path}") as answer:
        assert answer.status == 200
        rows = (await answer.json())["items"]
    sign = {True: "", False: "-"}
    return [
        ([sign[log["to"] == wallet] + log["value"] for log in row["transfers"]], row["unexplained"]) for row in rows
    ]
