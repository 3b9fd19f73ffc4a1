"""Exchange accounts that were added over the API, with what was said of their keys."""

from __future__ import annotations

from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.registry import Account
from repositories.store import Store

DESK = Account(AccountKey("binance", "desk"), ("spot",), poll_seconds=7.0)
HEDGE = Account(AccountKey("okx", "hedge"), ("unified", "earn"), sandbox=True)


async def test_what_a_key_may_do_is_kept_with_its_account(store: Store) -> None:
    await store.account_list.save(HEDGE, "v1:b", None)
    for may in (Permissions(can_trade=True, can_withdraw=True), Permissions(can_trade=True, can_withdraw=None)):
        await store.account_list.save(DESK, "v1:a", may)
    assert await store.account_list.all() == [(DESK, "v1:a", may), (HEDGE, "v1:b", None)]
    await store.account_list.remove(DESK.key)
    assert [one.account for one in await store.account_list.all()] == [HEDGE]


async def test_of_an_account_of_an_earlier_release_it_is_not_known(store: Store) -> None:
    await store.account_list.save(DESK, "v1:a", Permissions(can_trade=True))
    await store._database["accounts"].update_one({"_id": "binance/desk"}, {"$unset": {"permissions": 1}})
    (kept,) = await store.account_list.all()
    assert kept == (DESK, "v1:a", None)
