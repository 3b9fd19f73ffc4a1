"""What is encoded while it is being written is told once it is there, and no sooner."""

from __future__ import annotations

from typing import Any

import pytest

from indexer.api.hub import frames
from indexer.domain.telling import events
from tests.hub.fakes import updated
from tests.hub.stage import Stage, stage


def _count(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    encoded: list[Any] = []
    event_json = events.event_json

    def counted(event: Any, data: Any) -> Any:
        encoded.append(event.seq)
        return event_json(event, data)

    monkeypatch.setattr(frames, "event_json", counted)
    return encoded


async def _written_and_told(on: Stage) -> None:
    commit = on.world.commit(updated(1, 7), updated(2, 8))
    on.hub.prepare(commit)
    on.world.project()
    on.hub.deliver(commit)


@pytest.mark.parametrize(("filters", "seqs"), [([{}], [1, 2]), ([{"token": "native"}], [1, 2])])
async def test_what_was_encoded_meanwhile_is_not_encoded_again(
    filters: list[dict[str, str]], seqs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe(filters=filters)
        encoded = _count(monkeypatch)
        await _written_and_told(on)
        assert [(await client.read_event())["seq"] for _ in seqs] == seqs
        assert encoded == seqs


async def test_only_what_somebody_wants_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as on:
        encoded = _count(monkeypatch)
        on.hub.prepare(on.world.commit(updated(1, 7)))
        client = await on.client()
        await client.subscribe(filters=[{"chain": 8453}])
        on.hub.prepare(on.world.commit(updated(1, 8)))
        assert not encoded


async def test_a_write_that_never_came_through_is_not_told() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe()
        lost = on.world.commit(updated(1, 7))
        on.hub.prepare(lost)
        assert await client.until_pong() == []
        on.world.commits[lost.stream].remove(lost)
        on.tell(updated(1, 9))
        event = await client.read_event()
        assert (event["seq"], event["data"]["newBalance"]) == (lost.first_seq, "9")


async def test_what_was_made_of_a_fact_before_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe()
        made: list[Any] = []
        monkeypatch.setattr(events, "fact_json", made.append)
        commit = on.world.commit(updated(1, 7), updated(2, 8))
        on.hub.prepare(commit, [{"newBalance": "7"}, {"newBalance": "8"}])
        on.world.project()
        on.hub.deliver(commit)
        assert [(await client.read_event())["data"] for _ in commit.facts] == [{"newBalance": "7"}, {"newBalance": "8"}]
        assert not made
