"""One account across the lives of its actor."""

from __future__ import annotations

from typing import Any, cast

from indexer.app.lives import Followed
from indexer.app.posts import Post
from indexer.config import RulesSettings
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.registry import Account


async def test_whoever_prints_one_sees_no_credentials() -> None:
    account = Account(key=AccountKey("binance", "main"), wallets=("spot",))
    connection = cast(Any, None)  # nobody is asked
    one = Followed(account, {"apiKey": "hush", "secret": "hush"}, connection, Post(), RulesSettings())
    assert "binance" in repr(one)
    assert "hush" not in repr(one)
