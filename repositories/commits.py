"""The append-only log: one document is one commit, and its unique key fences off a second writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError

from indexer.domain.telling.commits import Commit
from indexer.errors import CommitTooLarge, Fenced, StoreUnavailable
from repositories.database import MAJORITY_SECONDS, Database
from repositories.documents.codec import commit_document, commit_of
from repositories.failures import duplicates, translating
from repositories.turns import in_turns

_LASTING_MS: Final = int(MAJORITY_SECONDS * 1000)


class CommitLog:
    """Everything that was ever told, in order, stream by stream."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = database["commits"]

    async def append(self, commit: Commit) -> None:
        """Durable on return. Repeating the same commit is harmless; `Fenced` when another has its number."""
        document = commit_document(commit)
        if await self._inserted((document,)):
            return
        try:
            with translating:
                await self._commits.insert_one(document)
        except DuplicateKeyError:
            await self._refuse_other_writers(commit)
        except DocumentTooLarge:
            raise CommitTooLarge(
                f"a commit of {len(commit.facts)} facts to {commit.stream} does not fit a document; split it"
            ) from None

    async def append_all(self, commits: Sequence[Commit]) -> None:
        """The same for many of one stream with one wait for the journal; whatever happens, a prefix is written."""
        left = list(commits)
        documents = [commit_document(commit) for commit in left]
        if await self._inserted(documents):
            return
        while left:
            try:
                with translating:
                    await self._commits.insert_many(documents, ordered=True)
            except BulkWriteError as error:
                place = duplicates(error)[0]
                await self._refuse_other_writers(left[place])
                left, documents = left[place + 1 :], documents[place + 1 :]
            except DocumentTooLarge:
                # Which one it was the driver does not say: one by one the others get through.
                for commit in left:
                    await self.append(commit)
                return
            else:
                return

    async def _inserted(self, documents: Sequence[Mapping[str, Any]]) -> bool:
        direct = self._database.direct
        return direct is not None and await direct.insert("commits", documents)

    async def _refuse_other_writers(self, commit: Commit) -> None:
        """Ours, from an unanswered attempt, counts only once it is sure to stay: a new primary may not know it."""
        in_the_way = {"$or": [{"_id": commit.id}, {"stream": commit.stream, "firstSeq": commit.first_seq}]}
        async with self._database.proven() as session:
            with translating:
                fields = {"stream": 1, "firstSeq": 1}
                cursor = self._commits.find(in_the_way, fields, session=session).max_time_ms(_LASTING_MS)
                found = [(each["_id"], each["stream"], each["firstSeq"]) async for each in cursor]
        if not found:
            raise StoreUnavailable(f"number {commit.first_seq} of {commit.stream} went with the primary that had it")
        if found != [(commit.id, commit.stream, commit.first_seq)]:
            raise Fenced(f"another process has written number {commit.first_seq} of {commit.stream}")

    async def since(self, stream: str, after: int, limit: int) -> list[Commit]:
        """At most `limit` commits, oldest first, that hold an event numbered above `after`."""
        with translating:
            cursor = self._commits.find({"stream": stream, "lastSeq": {"$gt": after}}).sort("lastSeq", 1).limit(limit)
            return [commit_of(document) async for document in in_turns(cursor, weight=_facts)]

    async def above_block(self, stream: str, number: int) -> list[Commit]:
        """Commits whose checkpoint lies above block `number`, oldest first."""
        with translating:
            cursor = self._commits.find({"stream": stream, "checkpoint.number": {"$gt": number}})
            commits = [commit_of(document) async for document in in_turns(cursor, weight=_facts)]
        return sorted(commits, key=lambda commit: commit.first_seq)

    async def forget(self, before: datetime, keep: int) -> int:
        """Delete commits told before that time, never a stream's newest `keep` numbers; how many went."""
        gone = 0
        for stream, last in (await self.positions()).items():
            with translating:
                answer = await self._commits.delete_many(
                    {"stream": stream, "lastSeq": {"$lte": last - keep}, "time": {"$lt": before}}
                )
            gone += answer.deleted_count
        return gone

    async def first_seq(self, stream: str) -> int | None:
        """The oldest number that is kept; nothing where the stream has no commit."""
        with translating:
            oldest = await self._commits.find_one({"stream": stream}, {"firstSeq": 1}, sort=[("firstSeq", 1)])
        return None if oldest is None else int(oldest["firstSeq"])

    async def last_seq(self, stream: str) -> int:
        """The newest number that will stay; 0 where the stream has no commit."""
        async with self._database.proven() as session:
            return await self._last_seq(stream, session)

    async def positions(self) -> dict[str, int]:
        """The last number of every stream."""
        async with self._database.proven() as session:
            with translating:
                streams = await self._commits.distinct("stream", session=session)
            return {stream: await self._last_seq(stream, session) for stream in streams}

    async def _last_seq(self, stream: str, session: Any) -> int:
        with translating:
            newest = await self._commits.find_one(
                {"stream": stream}, {"lastSeq": 1}, sort=[("lastSeq", -1)], max_time_ms=_LASTING_MS, session=session
            )
        return 0 if newest is None else int(newest["lastSeq"])


def _facts(document: Mapping[str, Any]) -> int:
    return len(document["facts"])
