"""What the demo's wallets do all day: an endless, seeded script that never spends what it has not got."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from indexer.domain.chain import Address

_ETHER = 10**18


@dataclass(frozen=True, slots=True)
class TokenMoved:
    """A token transfer, sent by the wallet that pays."""

    sender: Address
    recipient: Address
    amount: int


@dataclass(frozen=True, slots=True)
class NativeSent:
    """A plain transfer of the native coin."""

    sender: Address
    recipient: Address
    amount: int


@dataclass(frozen=True, slots=True)
class PaidInside:
    """The native coin again, handed on by a contract: neither a log nor a transaction value shows who got it."""

    sender: Address
    recipient: Address
    amount: int


Move = TokenMoved | NativeSent | PaidInside


def moves(
    rng: random.Random,
    *,
    solvers: Sequence[Address],
    outside: Sequence[Address],
    held: Mapping[Address, int],
    unit: int,
) -> Iterator[Move]:
    """Moves for one chain, for ever; `held` is what each wallet has of the token, `unit` one whole token."""
    purse = dict(held)
    while True:
        sender, recipient = _pair(rng, solvers, outside)
        kind = rng.choices((TokenMoved, NativeSent, PaidInside), weights=(6, 2, 2))[0]
        if kind is not TokenMoved:
            yield kind(sender, recipient, rng.randint(1, 2_000) * _ETHER // 1_000)
            continue
        amount = _part(rng, purse[sender], unit)
        if amount > 0:
            purse[sender] -= amount
            purse[recipient] += amount
            yield TokenMoved(sender, recipient, amount)


def _pair(rng: random.Random, solvers: Sequence[Address], outside: Sequence[Address]) -> tuple[Address, Address]:
    """Between solvers, into one, out of one; now and then past all of them."""
    match rng.choices(("between", "in", "out", "past"), weights=(4, 3, 3, 1))[0]:
        case "between":
            sender, recipient = rng.sample(solvers, 2)
        case "in":
            sender, recipient = rng.choice(outside), rng.choice(solvers)
        case "out":
            sender, recipient = rng.choice(solvers), rng.choice(outside)
        case _:
            sender, recipient = rng.sample(outside, 2)
    return sender, recipient


def _part(rng: random.Random, purse: int, unit: int) -> int:
    """Up to a twentieth of the purse, in hundredths of a token as people would send it."""
    cent = unit // 100
    return rng.randint(0, purse // 20 // cent) * cent
