from __future__ import annotations

import random
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from indexer.demo.traffic import Move, TokenMoved, moves
from tests.fixtures.chain import wallets

SOLVERS = wallets(4)
OUTSIDE = wallets(3, start=0x9000)


def script(seed: int, purse: int = 10_000, unit: int = 10**6, count: int = 400) -> list[Move]:
    held = dict.fromkeys((*SOLVERS, *OUTSIDE), purse * unit)
    rng = random.Random(seed)  # noqa: S311 - a script, not a secret
    return list(islice(moves(rng, solvers=SOLVERS, outside=OUTSIDE, held=held, unit=unit), count))


@given(seed=st.integers(0, 10**6), purse=st.integers(1, 10**9), unit=st.sampled_from([10**2, 10**6, 10**18]))
def test_nobody_spends_tokens_that_he_has_not_got(seed: int, purse: int, unit: int) -> None:
    held = dict.fromkeys((*SOLVERS, *OUTSIDE), purse * unit)
    for move in script(seed, purse, unit, 60):
        if isinstance(move, TokenMoved):
            held[move.sender] -= move.amount
            held[move.recipient] += move.amount
            assert held[move.sender] >= 0
            assert move.amount > 0


def test_the_same_seed_plays_the_same_script() -> None:
    assert script(7) == script(7)
    assert script(7) != script(8)


def test_every_kind_of_move_happens_into_out_of_and_between_solvers() -> None:
    seen = {(type(move).__name__, move.sender in SOLVERS, move.recipient in SOLVERS) for move in script(1)}
    ways = [(False, False), (False, True), (True, False), (True, True)]
    assert seen == {(kind, *way) for kind in ("TokenMoved", "NativeSent", "PaidInside") for way in ways}
