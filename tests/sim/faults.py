"""What goes wrong, how often: one rate per kind, all drawn from the run's seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from random import Random
from typing import Final


@dataclass(frozen=True)
class Faults:
    """Chances between 0 and 1. The comments say of what: a block, a head, a request, or the whole story."""

    # per block of the world
    reorg: float = 0.05
    deep_reorg: float = 0.0
    set_back: float = 0.006
    """The new branch ends below the old one, and grows from there."""
    reorg_again: float = 0.2
    """After a reorg another one, while the first is still being repaired."""
    reorg_at_start: float = 0.3
    """After a restart, while what was missed is being caught up with."""
    kill: float = 0.02
    outage: float = 0.02
    """An endpoint is gone, or hangs, for a while."""

    # per head that a websocket announces
    skipped_head: float = 0.05
    repeated_head: float = 0.05
    late_head: float = 0.05
    """So late that others come before it."""
    late_logs: float = 0.1
    """The head is announced before its logs."""
    silent_socket: float = 0.01
    """Open, and no word on it any more."""
    closed_socket: float = 0.01
    half_closed_socket: float = 0.005
    """Heads come, questions are never answered."""
    flood: float = 0.002
    lost_feed: float = 0.01

    # per request
    slow: float = 0.1
    unreachable: float = 0.03
    late: float = 0.005
    """Answered after everybody stopped waiting."""
    throttled: float = 0.02
    unavailable: float = 0.01
    page: float = 0.01
    """A web page, or nothing, instead of JSON."""
    refused: float = 0.01
    """One error object for all that was asked at once."""
    refused_item: float = 0.01
    bad_answer: float = 0.02
    """Cut off in the middle."""
    lost_reply: float = 0.01
    shuffled: float = 0.1
    lie: float = 0.01
    """A log of another block, a header of another number, a balance that is no number."""
    lagging: float = 0.05

    # per block, of whoever is asked first for its logs
    left_out: float = 0.03
    """There are none, as where a block is announced before its logs are indexed."""

    # per answer about the logs of a range
    left_out_of_range: float = 0.1
    """One of them is not there."""
    other_hash: float = 0.05
    """They are told as of another block."""

    # per read of many balances
    other_block: float = 0.01
    """It is answered for the block above or below."""

    # per endpoint, for the whole story
    slow_node: float = 0.3
    """It has blocks some time after the others."""
    pruned: float = 0.2
    limited: float = 0.4
    """Each of the limits on batch, range, results and gas, and of the ways not to take state overrides."""
    twin: float = 0.3
    """Two nodes behind one URL."""
    twin_lags: float = 0.3
    twin_forks: float = 0.3
    twin_syncs: float = 0.3

    stands_still: float = 0.15
    """One of several endpoints, from some block on, and for good: it answers everything."""
    lags_for_good: float = 0.1
    """One of several endpoints is some blocks behind, and stays so."""

    # per block, of the second node behind one URL
    begins_anew: float = 0.01
    """It was well, and syncs from zero."""

    # per call to the store
    store_down: float = 0.02
    store_lost_answer: float = 0.02

    # per block, to the store and to those who listen
    step_down: float = 0.02
    lost_connection: float = 0.05
    slow_reader: float = 0.02
    order: float = 0.05
    silent_mint: float = 0.03
    rename: float = 0.01
    """A token says something else of itself: its decimals, its symbol or its name."""
    reload: float = 0.03
    """The configuration file is saved: other tokens, solvers, settings, endpoints, chains, or with a mistake."""
    reorg_in_gap: float = 0.01
    """Many blocks come at once, and some of them are orphaned while they are caught up with."""
    hang_before_reorg: float = 0.01
    """An endpoint takes questions and answers none; a reorg comes up to 2.5 s later."""

    # per reorg
    hang_at_reorg: float = 0.2
    """The same, from about the moment on in which it comes."""
    reorg_back: float = 0.1
    """The branch that was left is canonical again, a moment later."""
    kill_at_reorg: float = 0.1
    """While it is being repaired."""

    # per life of the service
    kill_at_start: float = 0.1
    """Before it is up."""
    clean_stop: float = 0.2
    """It is not killed, but asked to stop."""
    reorg_while_away: float = 0.2

    # per call to the store
    slow_store: float = 0.005


OF_RANGES: Final = ("left_out_of_range", "other_hash")
NONE = Faults(**{field.name: 0.0 for field in fields(Faults)})


RARELY: Final = Faults(
    **{
        **{field.name: 0.0 for field in fields(Faults)},
        **{
            name: getattr(Faults(), name) / 10 for name in ("reorg", "set_back", "kill", "outage", "order", "step_down")
        },
        **{name: getattr(Faults(), name) / 10 for name in ("skipped_head", "late_head", "silent_socket", "lost_feed")},
        **{
            name: getattr(Faults(), name) / 10 for name in ("unreachable", "throttled", "bad_answer", "lost_connection")
        },
        **{name: getattr(Faults(), name) / 10 for name in ("store_down", "store_lost_answer", "left_out", *OF_RANGES)},
    }
)
"""For a whole day: now and then something that every service meets."""


_SCALES: Final = (0, 0, 0.3, 1, 3)
MEANER: Final = (
    "rename",
    "reload",
    "reorg_in_gap",
    "hang_before_reorg",
    "hang_at_reorg",
    "reorg_back",
    "kill_at_reorg",
    "kill_at_start",
    "clean_stop",
    "reorg_while_away",
    "slow_store",
)
"""What was added last."""
LATER: Final = (
    "left_out",
    "other_block",
    "stands_still",
    "lags_for_good",
    "begins_anew",
    "set_back",
    *OF_RANGES,
    *MEANER,
)
"""Each drawn apart, so that seeds which were told before these faults were known tell the same stories."""


def dice_of(seed: int) -> dict[str, Random]:
    """A generator for each of those."""
    names = {name: "apart" if name == "left_out" else name for name in LATER}
    return {name: Random(f"{words} {seed}") for name, words in names.items()}  # noqa: S311 - a story, not a secret


def drawn(random: Random, apart: Mapping[str, Random]) -> Faults:
    """Some runs are calm in most respects, some are bad in all: each rate is scaled by its own draw."""
    scaled = {
        field.name: min(1.0, getattr(Faults(), field.name) * random.choice(_SCALES))
        for field in fields(Faults)
        if field.name not in LATER
    }
    deep = random.choice((0.0, 0.0, 0.0, 0.01))
    later = {name: min(1.0, getattr(Faults(), name) * apart[name].choice(_SCALES)) for name in LATER}
    return Faults(**{**scaled, "deep_reorg": deep, **later})
