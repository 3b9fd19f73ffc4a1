"""Which wallets are followed, and told whole: never forgotten by a restart, and never taken for others'."""

from __future__ import annotations

from indexer.domain.accounts.amounts import AccountKey, Wallet
from repositories.store import Store

SPOT: tuple[Wallet, ...] = ("spot",)
BOTH: tuple[Wallet, ...] = ("funding", "spot")
DESK, HEDGE = AccountKey("binance", "desk"), AccountKey("binance", "hedge")


async def test_of_an_account_that_was_never_followed_nothing_is_known(store: Store) -> None:
    await store.followings.narrow(DESK, SPOT)
    assert (await store.followings.of(DESK), await store.followings.all()) == (None, {})


async def test_wallets_are_added_and_go_when_others_alone_are_followed(store: Store) -> None:
    for wallets in (SPOT, BOTH, BOTH):
        await store.followings.add(DESK, wallets)
    await store.followings.add(HEDGE, SPOT)
    assert await store.followings.of(DESK) == frozenset(BOTH)
    await store.followings.narrow(DESK, ("funding", "futures"))
    assert await store.followings.all() == {DESK: frozenset({"funding"}), HEDGE: frozenset(SPOT)}


async def test_of_an_account_that_nobody_follows_it_is_known_that_nobody_does(store: Store) -> None:
    await store.followings.add(DESK, SPOT)
    await store.followings.narrow(DESK, ())
    assert await store.followings.of(DESK) == frozenset()
