"""Stories of one kind of trouble: files, names, branches that come back, lives that end at the worst time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from indexer.config import load
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, Holding, TokenInfo
from indexer.domain.recording.records import HoldingKey
from indexer.domain.telling.facts import BalanceReverted
from indexer.errors import ConfigError
from tests.sim.clock import play
from tests.sim.draft import MISTAKES, drafted
from tests.sim.faults import MEANER, NONE, Faults
from tests.sim.oracle import violations
from tests.sim.rpc.fleet import Fleet
from tests.sim.run import Story
from tests.sim.world import CHAIN_ID, PLAIN, TOKENS, WALLETS, World

NATIVE_NAMES = {"ETH", "POL", "XYZ"}


def told(seeds: range, **rates: float) -> Sequence[Story]:
    """Each ends right."""
    stories = [Story(seed, blocks=40, faults=replace(NONE, **rates)) for seed in seeds]
    for story in stories:
        outcome = play(story.tell())
        assert not outcome.violations, str(outcome)
    return stories


def words(story: Story, token: str) -> set[str | None]:
    """What it was called in all that was told."""
    facts = (fact for commit in story.disk.kept.commits for fact in commit.facts)
    return {
        fact.info.symbol
        for fact in facts
        if isinstance(fact, BalanceUpdated | BalanceReverted) and fact.holding.token == token
    }


def test_a_file_that_changes_all_the_time_is_in_force_and_nothing_is_lost() -> None:
    editors = [story._editor for story in told(range(3), reload=0.5, order=0.2)]
    assert sum(editor.edits for editor in editors if editor) > 25
    assert sum(editor.refused for editor in editors if editor) > 2


def test_nor_is_it_where_the_service_ends_in_the_midst_of_that() -> None:
    stories = told(range(3), reload=0.4, kill=0.1, clean_stop=0.3, kill_at_start=0.3, reorg=0.1)
    assert sum(story._lives.kills for story in stories) > 5


def test_the_native_coin_is_called_as_the_file_says() -> None:
    named = [words(story, NATIVE) for story in told(range(3), reload=0.4)]
    assert all(names <= NATIVE_NAMES for names in named)
    assert len(set().union(*named)) > 1


def test_tokens_are_called_as_they_say_at_our_tip_whatever_a_reorg_takes_back() -> None:
    stories = told(range(3), rename=0.2, reorg=0.15, reorg_back=0.3, kill=0.05)
    assert sum(story.world.renamed for story in stories) > 15
    assert sum(len(words(story, token)) > 1 for story in stories for token in TOKENS) > 1


def test_a_branch_that_comes_back_is_followed_back() -> None:
    stories = told(range(3), reorg=0.2, reorg_back=0.8, reorg_again=0.3, order=0.1)
    assert sum(story.branches.returns for story in stories) > 5


def test_reorgs_of_what_is_caught_up_with_or_came_while_nobody_was_there_lose_nothing() -> None:
    stories = told(range(3), reorg_in_gap=0.1, kill=0.05, reorg_while_away=0.8, order=0.1)
    assert sum(story.branches.reorgs for story in stories) > 5


def test_endpoints_that_hang_when_a_reorg_comes_delay_the_truth_and_no_more() -> None:
    stories = told(range(3), limited=0.3, hang_at_reorg=0.9, hang_before_reorg=0.05, reorg=0.1)
    assert sum(story.fleet.hangs.count for story in stories) > 5


def test_kills_while_a_reorg_is_repaired_or_before_the_service_is_up_lose_nothing() -> None:
    stories = told(range(3), reorg=0.2, kill_at_reorg=0.9, kill_at_start=0.4, order=0.1)
    assert sum(story._lives.kills for story in stories) > 15


def test_a_store_that_takes_its_time_loses_nothing() -> None:
    stories = told(range(2), slow_store=0.1, reorg=0.1, order=0.1)
    assert sum(story.disk.delays for story in stories) > 20


@pytest.mark.parametrize("name", MEANER)
def test_what_never_happens_draws_nothing(name: str) -> None:
    """So a seed tells the same story with a fault that is known since and left out."""
    assert getattr(NONE, name) == 0
    assert 0 < getattr(Faults(), name) <= 1


def test_the_oracle_sees_a_balance_that_is_kept_with_another_name() -> None:
    (story,) = told(range(3, 4))
    key = HoldingKey(CHAIN_ID, Holding(TOKENS[0], WALLETS[0]))
    current = story.disk.kept.current
    current[key] = replace(current[key], info=TokenInfo(18, "SIM", "SIM"))
    assert any("is kept with" in line for line in violations(story.evidence()))


def test_the_oracle_sees_a_client_that_was_told_another_name() -> None:
    (story,) = told(range(3, 4))
    story.crowd.witnesses[0].words[Holding(NATIVE, WALLETS[0])] = (18, "POL")
    assert any("subscriber was told (18, 'POL')" in line for line in violations(story.evidence()))


def test_the_oracle_sees_that_something_else_is_watched_than_the_file_says() -> None:
    (story,) = told(range(1), reload=0.3)
    assert story._editor is not None
    story._editor.draft = replace(story._editor.draft, tokens=())
    assert any("the file says" in line for line in violations(story.evidence()))


def test_a_branch_is_canonical_again_when_it_is_the_longest() -> None:
    world = World(Random(7))  # noqa: S311 - a story, not a secret
    for _ in range(9):
        world.mine()
    left = world.canonical[6:]
    world.reorg(len(left), longer=2)
    assert not world.is_canonical(left[-1].head.hash)
    assert world.return_to(left)
    assert all(world.is_canonical(block.head.hash) for block in left)
    assert world.tip.number == 12
    world.finalize(world.canonical[-1])
    assert not world.return_to(left)


def test_what_a_token_says_is_taken_back_with_its_block() -> None:
    world = World(Random(7))  # noqa: S311 - as above
    world.renames = 1.0
    world.mine()
    named = [token for token in TOKENS if world.canonical[-1].info(token) != PLAIN]
    world.renames = 0.0
    world.reorg(1)
    assert world.renamed == 1
    assert len(named) <= 1
    assert all(world.canonical[-1].info(token) == PLAIN for token in TOKENS)


@pytest.mark.parametrize("mistake", ["", *MISTAKES])
def test_a_file_is_right_but_for_the_mistake_that_is_made_in_it(tmp_path: Path, mistake: str) -> None:
    fleet = Fleet(World(Random(7)), Random(7), lambda: NONE)  # noqa: S311 - as above
    path = tmp_path / "chains.toml"
    path.write_text(drafted(fleet, 16, None, 1).text() + mistake)
    with pytest.raises(ConfigError) if mistake else nullcontext():
        assert load(path, {}).chains["sim"].reorg_window_blocks == 16
