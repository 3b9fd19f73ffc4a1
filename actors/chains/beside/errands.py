"""All work beside the heads of one chain, each at its own pace; what it finds is posted to the chain's actor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from actors.chains.beside.describing import Describer
from actors.chains.beside.syncing import Syncer
from actors.chains.beside.tags import Settler, TagReader
from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.chains.nodes import Node, Tokens
from actors.chains.reading.unanswered import Unanswered
from actors.messages import TagsRead


class Errands:
    """Which blocks are settled, whether all is as recorded, what tokens say of themselves, and who does not tell."""

    def __init__(
        self,
        *,
        chain: str,
        chain_id: int,
        node: Node,
        ledger: Ledger,
        followed: Followed,
        tokens: Tokens,
        misnamed: Callable[[], frozenset[str]],
        unanswered: Unanswered,
        sync_seconds: float,
        may: Callable[[], bool],
        breathe: Callable[[], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._chain = chain
        self._unanswered = unanswered
        self._may = may
        self._tag_reader = TagReader(node, followed)
        self._settler = Settler(ledger, followed)
        self._first_tags: TagsRead | None = None
        self._syncer = Syncer(
            chain=chain,
            node=node,
            followed=followed,
            records=ledger,
            seconds=sync_seconds,
            may=may,
            breathe=breathe,
            jitter=jitter,
        )
        self._describer = Describer(
            chain_id=chain_id,
            tokens=tokens,
            followed=followed,
            awaited=misnamed,
            seconds=lambda: self._syncer.seconds,
            may=may,
            breathe=breathe,
        )

    def sync_every(self, seconds: float) -> None:
        self._syncer.every(seconds)

    def all(self, found: Callable[[object], None]) -> Iterator[tuple[Coroutine[Any, Any, None], str]]:
        """Until cancelled, each with its name."""
        yield self._tag_reader.run(found), f"tags {self._chain}"
        yield self._syncer.run(found), f"sync {self._chain}"
        yield self._describer.run(found), f"tokens {self._chain}"
        yield self._unanswered.ask_again(found, self._may, lambda: self._syncer.seconds), f"unread {self._chain}"

    async def ask_first(self) -> None:
        """Which blocks are settled, so that the first commit can say so."""
        self._first_tags = await self._tag_reader.first()

    async def settle_first(self) -> None:
        """By that answer, once we have caught up: before, the tags are of blocks that we do not know."""
        if self._first_tags is not None:
            tags, self._first_tags = self._first_tags, None
            await self._settler.settle(tags)

    async def settle(self, answer: TagsRead) -> None:
        await self._settler.settle(answer)
