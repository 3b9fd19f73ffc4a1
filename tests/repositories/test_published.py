"""How far NATS has it: nothing before it began, and never back."""

from __future__ import annotations

from repositories.store import Store


async def test_before_publishing_began_there_are_no_positions(store: Store) -> None:
    assert await store.published.load() is None
    await store.published.begin({})
    assert await store.published.load() == {}


async def test_a_beginning_and_what_follows_are_kept_and_never_move_back(store: Store) -> None:
    await store.published.begin({"chain:1": 7, "exchange:binance:eu.1": 2})
    for seq in (9, 8):
        await store.published.save("chain:1", seq)
    await store.published.save("chain:2", 1)
    await store.published.begin({"chain:1": 1})
    assert await store.published.load() == {"chain:1": 9, "exchange:binance:eu.1": 2, "chain:2": 1}
