"""What a changed file changes: named, and no more than that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from indexer.app.reload import difference, is_other_chain, watch_file
from indexer.config import ChainSettings, Settings
from indexer.config.settings import (
    ApiKey,
    ExchangeSettings,
    NatsSettings,
    ServiceSettings,
    SolverSettings,
    StoreSettings,
)
from indexer.masking import Secret
from tests.actors.fakes import DAI, USDC, wallet

ETHEREUM = ChainSettings("ethereum", 1, ("http://127.0.0.1:8545",), tokens=(USDC,))
BASE = ChainSettings("base", 8453, ("http://127.0.0.1:8546",))
ACME = SolverSettings("acme", wallet(0))
OLD = Settings(chains={"ethereum": ETHEREUM, "base": BASE}, solvers={"acme": ACME})

NOTHING: dict[str, Any] = {
    "chains": {"added": [], "removed": [], "changed": []},
    "tokens": {"added": [], "removed": []},
    "solvers": {"added": [], "removed": [], "changed": []},
    "apiKeys": {"added": [], "removed": [], "changed": []},
    "exchanges": {"added": [], "removed": [], "changed": []},
    "nats": "unchanged",
    "restartNeeded": [],
}

OTHER: Mapping[str, Any] = {
    "name": "mainnet",
    "chain_id": 10,
    "rpc_urls": ("http://127.0.0.1:1",),
    "ws_urls": ("ws://127.0.0.1:1",),
    "native_symbol": "POL",
    "start_block": 7,
    "sync_interval_seconds": 1,
    "reorg_window_blocks": 9,
    "native_interval_blocks": 3,
}


def with_chains(*chains: ChainSettings) -> Settings:
    return replace(OLD, chains={chain.name: chain for chain in chains})


def test_the_same_file_changes_nothing() -> None:
    assert difference(OLD, replace(OLD)) == NOTHING


def test_chains_that_come_and_go_are_named() -> None:
    polygon = ChainSettings("polygon", 137, ("http://127.0.0.1:8547",), tokens=(DAI,))
    told = difference(OLD, with_chains(BASE, polygon))
    assert told["chains"] == {"added": ["polygon"], "removed": ["ethereum"], "changed": []}
    assert told["tokens"] == {
        "added": [{"chainId": 137, "address": DAI}],
        "removed": [{"chainId": 1, "address": USDC}],
    }


def test_other_tokens_are_told_to_the_chain_that_runs() -> None:
    told = difference(OLD, with_chains(replace(ETHEREUM, tokens=(DAI,)), BASE))
    assert told == {
        **NOTHING,
        "tokens": {"added": [{"chainId": 1, "address": DAI}], "removed": [{"chainId": 1, "address": USDC}]},
    }


def test_the_order_of_chains_and_tokens_means_nothing() -> None:
    both = replace(ETHEREUM, tokens=(USDC, DAI))
    assert difference(with_chains(both, BASE), with_chains(BASE, replace(both, tokens=(DAI, USDC)))) == NOTHING
    assert not is_other_chain(both, replace(both, tokens=(DAI, USDC)))


LIVE = ("tokens", "start_block", "sync_interval_seconds")


@pytest.mark.parametrize("key", ["start_block", "sync_interval_seconds"])
def test_what_the_actors_of_a_chain_can_be_told_is_a_change_and_no_restart(key: str) -> None:
    changed = replace(ETHEREUM, **{key: OTHER[key]})
    assert not is_other_chain(ETHEREUM, changed)
    assert difference(OLD, with_chains(changed, BASE))["chains"]["changed"] == ["ethereum"]


@pytest.mark.parametrize("key", [field.name for field in fields(ChainSettings) if field.name not in LIVE])
def test_any_other_key_of_a_chain_starts_it_anew(key: str) -> None:
    assert is_other_chain(ETHEREUM, replace(ETHEREUM, **{key: OTHER[key]}))


def test_a_chain_with_another_name_is_the_same_chain_changed() -> None:
    told = difference(OLD, with_chains(replace(ETHEREUM, name="mainnet"), BASE))
    assert told["chains"] == {"added": [], "removed": [], "changed": ["mainnet"]}


def test_solvers_that_come_go_and_change_are_named() -> None:
    old = replace(OLD, solvers={"acme": ACME, "beta": SolverSettings("beta", wallet(1))})
    new = replace(OLD, solvers={"acme": replace(ACME, chains=("base",)), "gamma": SolverSettings("gamma", wallet(2))})
    assert difference(old, new)["solvers"] == {"added": ["gamma"], "removed": ["beta"], "changed": ["acme"]}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("service", ServiceSettings(port=9)),
        ("store", StoreSettings(url="memory")),
    ],
)
def test_what_a_running_service_cannot_change_waits_for_a_restart(part: str, value: Any) -> None:
    changed: dict[str, Any] = {part: value}
    new = replace(OLD, **changed)
    assert difference(OLD, new) == {**NOTHING, "restartNeeded": [part]}


def test_a_restart_is_needed_for_as_long_as_the_file_says_other_than_what_runs() -> None:
    moved = replace(OLD, service=ServiceSettings(port=9))
    assert difference(moved, moved, OLD) == {**NOTHING, "restartNeeded": ["service"]}
    assert difference(moved, OLD, OLD) == NOTHING


def test_accounts_that_come_go_and_change_are_named() -> None:
    main = ExchangeSettings("main", "binance", Secret("key"), Secret("secret"))
    old, new = replace(OLD, exchanges={"main": main}), replace(OLD, exchanges={"main": replace(main, sandbox=True)})
    assert difference(OLD, old)["exchanges"] == {"added": ["main"], "removed": [], "changed": []}
    assert difference(old, new)["exchanges"] == {"added": [], "removed": [], "changed": ["main"]}


def test_publishing_starts_changes_and_stops_without_a_restart() -> None:
    here, there = (replace(OLD, nats=NatsSettings(f"nats://{host}:4222")) for host in ("127.0.0.1", "127.0.0.2"))
    steps = ((OLD, here, "started"), (here, there, "changed"), (there, OLD, "stopped"), (there, there, "unchanged"))
    for old, new, told in steps:
        assert difference(old, new) == {**NOTHING, "nats": told}
    assert difference(OLD, replace(OLD, nats=NatsSettings(stream="other"))) == NOTHING


def with_keys(**keys: str) -> Settings:
    return replace(
        OLD, service=ServiceSettings(api_keys=tuple(ApiKey(name, Secret(key)) for name, key in keys.items()))
    )


def test_api_keys_change_without_a_restart() -> None:
    told = difference(with_keys(desk="one", night="two"), with_keys(desk="new", day="three"))
    assert told == {**NOTHING, "apiKeys": {"added": ["day"], "removed": ["night"], "changed": ["desk"]}}


@pytest.mark.parametrize("steps", range(5))
async def test_a_watch_that_was_asked_this_moment_still_ends_when_it_is_told_to(tmp_path: Path, steps: int) -> None:
    asked = asyncio.Event()

    async def reload() -> bool:
        return True

    watch = asyncio.create_task(watch_file(tmp_path / "chains.toml", asked, reload))
    await asyncio.sleep(0.01)
    asked.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    watch.cancel()
    await asyncio.wait((watch,), timeout=3)
    assert watch.cancelled()


async def test_what_could_not_be_done_yet_is_tried_again_until_it_is_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.app.reload.LOOK_SECONDS", 0.005)
    (path := tmp_path / "chains.toml").touch()
    answers, tries = [False, False, True], 0
    done = asyncio.Event()

    async def reload() -> bool:
        nonlocal tries
        tries += 1
        if answers[tries - 1]:
            done.set()
        return answers[tries - 1]

    watch = asyncio.create_task(watch_file(path, asyncio.Event(), reload))
    await asyncio.wait_for(done.wait(), 20)
    await asyncio.sleep(0.05)  # ten looks at a file that nobody saved
    watch.cancel()
    await asyncio.wait((watch,), timeout=3)
    assert (tries, watch.cancelled()) == (3, True)
