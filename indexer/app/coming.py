"""Exchange accounts that nobody follows yet and somebody will in a moment: at a start, and while one is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from actors.statusboard import StatusBoard
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.registry import Account
from indexer.domain.health.status import AccountStatus, StreamState, StreamStatus
from indexer.domain.telling.streams import exchange_stream


class Coming:
    """They are known all the time: opening hundreds takes seconds, and who asks meanwhile would miss them for good."""

    def __init__(self, *, board: StatusBoard, told: Callable[[], Mapping[str, int]]) -> None:
        self._board = board
        self._told = told
        self._accounts: dict[AccountKey, Account] = {}

    def __contains__(self, key: AccountKey) -> bool:
        return key in self._accounts

    def all(self) -> Sequence[Account]:
        return tuple(self._accounts.values())

    def one(self, key: AccountKey) -> Account | None:
        return self._accounts.get(key)

    def keep(self, account: Account) -> None:
        """Known, and shown as it was last."""
        self._accounts[account.key] = account

    def expect(self, account: Account) -> None:
        """Known, and shown as one of which only what was known last can be told."""
        self.keep(account)
        stream = exchange_stream(*account.key)
        state: StreamState = "catching_up" if self._told().get(stream, 0) else "starting"
        said = AccountStatus(stale=account.wallets)
        self._board.show(StreamStatus(stream, str(account.key), state, account=said))

    def forget(self, key: AccountKey) -> None:
        """Somebody follows it, or nobody will; what is shown of it is theirs."""
        self._accounts.pop(key, None)
