"""Whom a header's bloom names: never too few, and only where it says anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.addresses import checksum
from indexer.clients.evm.transfers.blooms import Sought, bits
from indexer.clients.evm.transfers.logs import TRANSFER, topic_of
from indexer.demo.anvil import Anvil
from indexer.demo.contracts import Deployed
from indexer.domain.balances import Watch
from indexer.domain.chain import Address, BlockHash, Holding, Transfer, TxHash
from tests.clients.evm.builders import mined_head, node_at
from tests.fixtures.chain import wallets

TOKEN = checksum("0x" + "a1" * 20)
ALICE, BOB, CAROL = (checksum("0x" + digit * 40) for digit in "123")
WATCH = Watch(frozenset([TOKEN]), frozenset([ALICE, BOB]))


def bloom_of(*transfers: tuple[Address, Address, Address]) -> int:
    """Of a block with these token, sender and recipient."""
    found = 0
    for token, sender, recipient in transfers:
        for item in (token, TRANSFER, topic_of(sender), topic_of(recipient)):
            found |= bits(item)
    return found


def transfer(sender: Address, recipient: Address) -> Transfer:
    return Transfer(TOKEN, sender, recipient, 1, BlockHash("0x" + "77" * 32), TxHash("0x" + "88" * 32), 0, 1)


def test_a_bloom_names_those_whose_transfers_it_was_made_of() -> None:
    sought = Sought(WATCH)
    assert sought.may_name(bloom_of((TOKEN, ALICE, CAROL))) == {ALICE}
    assert sought.may_name(bloom_of((TOKEN, CAROL, CAROL))) == set()
    assert sought.may_name(bloom_of((CAROL, ALICE, BOB))) == set()  # of a token that nobody watches
    assert sought.may_name(0) == set()


ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: checksum("0x" + raw.hex()))


@given(st.lists(st.tuples(ADDRESSES, ADDRESSES, ADDRESSES), max_size=5))
def test_no_transfer_of_ours_is_ever_ruled_out(moves: list[tuple[Address, Address, Address]]) -> None:
    ours = Watch(frozenset(token for token, _, _ in moves), frozenset(sender for _, sender, _ in moves))
    assert Sought(ours).may_name(bloom_of(*moves)) == ours.solvers


def test_whoever_is_named_by_the_bloom_and_by_no_log_is_missed() -> None:
    sought, bloom = Sought(WATCH), bloom_of((TOKEN, ALICE, CAROL))
    assert sought.suspects(bloom, ()) == {Holding(TOKEN, ALICE)}
    assert sought.suspects(bloom, (transfer(BOB, CAROL),))
    assert not sought.suspects(bloom, (transfer(ALICE, CAROL),))


def test_a_bloom_that_is_full_or_not_told_says_nothing() -> None:
    sought = Sought(WATCH)
    assert not sought.suspects((1 << 2048) - 1, ())
    assert not sought.suspects(None, ())


@pytest.mark.node
async def test_a_real_node_makes_its_blooms_as_we_read_them(anvil: Anvil, token: Deployed) -> None:
    some, stranger = wallets(5), checksum("0x" + "7e" * 20)
    await token.send("mintMany", some, 7, gas=5_000_000)
    async with node_at(anvil.http_url) as node:
        head = await mined_head(anvil, node)
        empty = await mined_head(anvil, node)
    sought = Sought(Watch(frozenset([token.address]), frozenset([*some, stranger])))
    assert head.bloom is not None
    assert sought.may_name(head.bloom) == set(some)
    assert sought.suspects(head.bloom, ())
    assert empty.bloom is None  # it names nobody, as on chains that keep none
