"""What was added over the API, and the file hides: told when that begins, and when it is watched again.

The file goes first. Nothing of what it hides is forgotten: it is back as soon as the file does not name it any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.watching import HiddenSolver, WatchedToken

log = structlog.get_logger(__name__)


class Watched(Protocol):
    """Who knows of solvers and tokens."""

    def hidden_solvers(self) -> Sequence[HiddenSolver]: ...

    def hidden_tokens(self) -> Sequence[WatchedToken]: ...

    def chains(self) -> Mapping[str, int]: ...


class Followed(Protocol):
    """Who knows of exchange accounts."""

    def hidden(self) -> Sequence[AccountKey]: ...


@dataclass(frozen=True, slots=True)
class Hidden:
    """All of it at one moment."""

    solvers: tuple[HiddenSolver, ...] = ()
    tokens: tuple[WatchedToken, ...] = ()
    accounts: tuple[AccountKey, ...] = ()
    chains: frozenset[int] = frozenset()
    """What there is to be watched on: a token of another chain is not back."""

    def json(self) -> dict[str, Any]:
        """As `/status` shows it."""
        return {
            "solvers": [_solver(one) for one in self.solvers],
            "tokens": [_token(token) for token in self.tokens],
            "accounts": [_account(key) for key in self.accounts],
        }

    def without(self, other: Hidden) -> Hidden:
        """What is hidden here and was not in the same way there; a token is the same whatever it says of itself."""
        known = {(token.chain_id, token.address) for token in other.tokens}
        return Hidden(
            tuple(one for one in self.solvers if one not in other.solvers),
            tuple(token for token in self.tokens if (token.chain_id, token.address) not in known),
            tuple(key for key in self.accounts if key not in other.accounts),
        )

    def gone(self, after: Hidden) -> Hidden:
        """What is hidden here and no more afterwards, in whatever way."""
        names = {one.solver.name for one in after.solvers}
        rest = self.without(after)
        solvers = tuple(one for one in rest.solvers if one.solver.name not in names)
        return Hidden(solvers, tuple(t for t in rest.tokens if t.chain_id in after.chains), rest.accounts)

    def tell(self, before: Hidden) -> None:
        """Log what differs. It is a warning where something is not watched any more, or with other credentials."""
        new, back = self.without(before), before.gone(self)
        for one in new.solvers:
            what = {"solver": one.solver.name, "address": one.solver.address, "by": one.by}
            if one.unwatched:
                log.warning("solver_hidden", **what, unwatched=list(one.unwatched))
            else:
                log.info("solver_hidden", **what, unwatched=[])
        for token in new.tokens:
            log.info("token_hidden", chain=token.chain_id, token=token.address)
        for key in new.accounts:
            log.warning("account_hidden", exchange=key.exchange, account=key.name)
        for one in back.solvers:
            log.info("solver_back", solver=one.solver.name, address=one.solver.address)
        for token in back.tokens:
            log.info("token_back", chain=token.chain_id, token=token.address)
        for key in back.accounts:
            log.info("account_back", exchange=key.exchange, account=key.name)


def hidden(watching: Watched, accounts: Followed) -> Hidden:
    solvers, tokens = tuple(watching.hidden_solvers()), tuple(watching.hidden_tokens())
    return Hidden(solvers, tokens, tuple(accounts.hidden()), frozenset(watching.chains().values()))


def merged(applied: Mapping[str, Any], before: Hidden, after: Hidden) -> dict[str, Any]:
    """The difference of two files, and what it hides from now on or gives back."""
    new, back = after.without(before), before.gone(after)
    parts = {
        "solvers": {
            "hidden": [_solver(one) for one in new.solvers],
            "back": [{"name": one.solver.name, "address": one.solver.address} for one in back.solvers],
        },
        "tokens": {"hidden": [_token(token) for token in new.tokens], "back": [_token(token) for token in back.tokens]},
        "exchanges": {
            "hidden": [_account(key) for key in new.accounts],
            "back": [_account(key) for key in back.accounts],
        },
    }
    return {**applied, **{part: {**applied[part], **told} for part, told in parts.items()}}


def _solver(one: HiddenSolver) -> dict[str, Any]:
    solver = one.solver
    return {"name": solver.name, "address": solver.address, "by": one.by, "unwatchedOn": list(one.unwatched)}


def _token(token: WatchedToken) -> dict[str, Any]:
    return {"chainId": token.chain_id, "address": token.address}


def _account(key: AccountKey) -> dict[str, Any]:
    return {"exchange": key.exchange, "name": key.name}
