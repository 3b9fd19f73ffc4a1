"""Which orders are worked off, which are kept, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pykka import ActorRef

from actors.base import end
from actors.history import jobs
from actors.history.backfill import BackfillActor, Fill
from actors.history.jobs import KEPT_JOBS
from actors.history.preparing import NEVER_READ
from actors.history.telling import NOBODY
from actors.messages import BalancesRead, Begin, PassedOver
from actors.statusboard import Line
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, BlockHash, BlockRef, Holding
from indexer.domain.history.jobs import Anchor, Job, Stage
from indexer.domain.history.stories import Depths
from indexer.domain.recording.holes import Hole
from indexer.errors import BadAnswer, Impossible, StoreUnavailable, WrongChain
from tests.actors.history.scene import HOLDING
from tests.sim.clock import play
from tests.sim.world import CHAIN_ID, WALLETS


class _Book:
    """Jobs; refuses as many saves as it is told."""

    def __init__(self) -> None:
        self.saved: dict[str, Job] = {}
        self.forgotten: list[str] = []
        self.refusals = 0
        self.filled_from: dict[Holding, int] = {}
        self.unwatched: dict[Holding, Hole] = {}

    async def save(self, job: Job) -> None:
        await asyncio.sleep(0.01)
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("no primary")
        self.saved[job.id] = job

    async def jobs(self, _chain: int) -> list[Job]:
        return list(self.saved.values())

    async def offered(self, _chain: int, known: Collection[str]) -> list[Job]:
        return [job for job in self.saved.values() if job.after is not None and job.id not in known]

    async def covered(self, _chain: int) -> dict[Holding, int]:
        return self.filled_from

    async def holes(self, _chain: int) -> dict[Holding, Hole]:
        return self.unwatched

    async def forget(self, job: str) -> None:
        self.forgotten.append(job)

    async def drop(self, job: str) -> None:
        del self.saved[job]

    async def count_on(self) -> None: ...


class _Filler:
    """Fills at once, while the store goes away."""

    def __init__(self, book: _Book) -> None:
        self._book = book
        self.filled: list[str] = []
        self.settled: list[str] = []

    async def fill(self, job: Job, _keep: object) -> Job:
        self.filled.append(job.id)
        self._book.refusals = 3
        return replace(job, state="done", reasons={HOLDING: "why"})

    async def left(self, job: Job) -> Job:
        return job

    async def depths(self) -> Depths:
        return Depths(0, 0, 0)

    async def settle(self, job: Job, _depths: Depths) -> tuple[Job, Job | None]:
        """Takes a while, so that an order comes in meanwhile."""
        await asyncio.sleep(1)
        self.settled.append(job.id)
        return replace(job, state="done"), None


async def _projected(_stream: str, _seq: int) -> None:
    await asyncio.sleep(3)


@asynccontextmanager
async def _actor(
    book: _Book,
    filler: Any,
    projected: Callable[[str, int], Awaitable[None]] = _projected,
    start_block: int | None = None,
) -> AsyncIterator[ActorRef[BackfillActor]]:
    ledger: Any = SimpleNamespace(seq=0, writer=SimpleNamespace(has_written=False), count_on=book.count_on)
    ref = BackfillActor.start(
        name="sim",
        chain_id=CHAIN_ID,
        stream=f"history:{CHAIN_ID}",
        start_block=start_block,
        watch=Watch(solvers=frozenset(WALLETS)),
        filler=filler,
        settler=filler,
        ledger=ledger,
        book=cast("Any", book),
        coverage=cast("Any", book),
        resumed=lambda _resumed: None,
        projected=projected,
        newest=lambda: PassedOver(f"chain:{CHAIN_ID}", 0),
        show=lambda _job: None,
        line=Line(stream="history:7", name="sim", seq=lambda: 0, waiting=lambda: 0, show=lambda _status: None),
        clock=asyncio.get_running_loop().time,
    )
    ref.tell(Begin())
    try:
        yield ref
    finally:
        await end(ref, 5)


def test_a_hole_is_filled_from_where_history_was_filled_before_even_below_the_first_block() -> None:
    """From the first block on it would begin with a record that knows nothing of the ones below."""

    async def story() -> list[tuple[int, int | None, tuple[Holding, ...]]]:
        book = _Book()
        book.filled_from = dict.fromkeys((Holding(NATIVE, wallet) for wallet in WALLETS), 3)
        book.unwatched = {HOLDING: Hole(0, 20)}
        async with _actor(book, _Filler(book), start_block=12):
            await asyncio.sleep(10)
        return [(job.first, job.last, job.wanted) for job in book.saved.values()]

    assert play(story()) == [(3, 19, (HOLDING,))]


@pytest.mark.parametrize("while_filling", [False, True])
def test_what_could_not_be_read_is_ordered_once_more_when_it_was_read(while_filling: bool) -> None:
    async def story() -> list[tuple[Holding, ...]]:
        book = _Book()
        others = [Holding(NATIVE, wallet) for wallet in WALLETS if wallet != HOLDING.solver]
        filler = _NothingToBeginWith(book, 2.0)
        book.filled_from = dict.fromkeys(others, 12)
        async with _actor(book, filler, start_block=12) as ref:
            await asyncio.sleep(4 if while_filling else 8)
            ref.tell(BalancesRead(frozenset(others)))
            ref.tell(BalancesRead(frozenset({HOLDING})))
            await asyncio.sleep(10)
            ref.tell(BalancesRead(frozenset(others)))
            await asyncio.sleep(10)
        return [job.wanted for job in book.saved.values()]

    assert play(story()) == [(HOLDING,), (HOLDING,)]


class _NothingToBeginWith(_Filler):
    """No record of what it is to fill."""

    def __init__(self, book: _Book, seconds: float) -> None:
        super().__init__(book)
        self._seconds = seconds

    async def fill(self, job: Job, _keep: object) -> Job:
        await asyncio.sleep(self._seconds)
        return replace(job, state="done", reasons={HOLDING: NEVER_READ})


def test_what_was_passed_over_is_taken_up_once_it_is_projected() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            await asyncio.sleep(1)
            ref.tell(PassedOver(f"chain:{CHAIN_ID}", 7))
            await asyncio.sleep(1)
            order = Job("gap", CHAIN_ID, 6, 8, (HOLDING,), after=BlockRef(5, BlockHash("0x5"), 0))
            book.saved |= {each.id: each for each in (order, replace(order, id="another's", after=None))}
            await asyncio.sleep(3)
            assert filler.filled == ["gap"]
            ref.tell(PassedOver(f"chain:{CHAIN_ID}", 8))
            await asyncio.sleep(5)
        assert filler.filled == ["gap"]

    play(story())


def test_an_order_that_was_projected_between_two_lives_is_taken_up_by_the_next() -> None:
    """Nobody was there to be told."""

    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler):
            await asyncio.sleep(1)  # it has loaded what is stored, and waits for what is still to be projected
            book.saved["gap"] = Job("gap", CHAIN_ID, 6, 8, (HOLDING,), after=BlockRef(5, BlockHash("0x5"), 0))
            await asyncio.sleep(5)
        assert filler.filled == ["gap"]

    play(story())


def test_what_was_passed_over_is_not_forgotten_over_what_was_told_before_it_began() -> None:
    class Slow(_Book):
        async def jobs(self, chain: int) -> list[Job]:
            stored = await super().jobs(chain)
            await asyncio.sleep(2)
            return stored

    async def waits(_stream: str, seq: int) -> None:
        await asyncio.sleep(3 if seq else 0)

    async def story() -> None:
        book = Slow()
        filler = _Filler(book)
        async with _actor(book, filler, projected=waits) as ref:
            await asyncio.sleep(1)
            ref.tell(PassedOver(f"chain:{CHAIN_ID}", 7))
            await asyncio.sleep(2)  # it has begun
            book.saved["gap"] = Job("gap", CHAIN_ID, 6, 8, (HOLDING,), after=BlockRef(5, BlockHash("0x5"), 0))
            await asyncio.sleep(5)
        assert filler.filled == ["gap"]

    play(story())


def test_what_is_never_projected_holds_up_nothing_else() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)

        async def never(_stream: str, _seq: int) -> None:
            await asyncio.Event().wait()

        async with _actor(book, filler, projected=never) as ref:
            (job,), _ = await ref.ask(Fill((HOLDING,), 0), block=False)
            await asyncio.sleep(60)
        assert filler.filled == [job.id]

    play(story())


def test_of_all_that_was_passed_over_again_and_again_the_newest_jobs_are_kept() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            await asyncio.sleep(1)
            orders = [
                Job(f"gap{n:03}", CHAIN_ID, 6, 8, (HOLDING,), created=n, after=BlockRef(5, BlockHash("0x5"), 0))
                for n in range(KEPT_JOBS + 20)
            ]
            book.saved |= {each.id: each for each in orders}
            ref.tell(PassedOver(f"chain:{CHAIN_ID}", 7))
            await asyncio.sleep(600)
        assert filler.filled == [each.id for each in orders]
        assert sorted(book.saved) == [each.id for each in orders[-KEPT_JOBS:]]

    play(story())


def test_a_job_that_ends_while_the_store_is_away_is_stored_as_it_ended() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            (job,), _ = await ref.ask(Fill((HOLDING,), 0), block=False)
            await asyncio.sleep(5)
        assert book.saved[job.id].state == "done"
        assert book.saved[job.id].reasons == {HOLDING: "why"}
        assert filler.filled == [job.id]

    play(story())


def test_an_order_that_the_store_did_not_confirm_is_worked_off_all_the_same_and_once() -> None:
    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            book.refusals = 1
            with pytest.raises(StoreUnavailable):
                await ref.ask(Fill((HOLDING,), 0), block=False)
            await asyncio.sleep(5)
        (job,) = book.saved.values()
        assert (job.state, filler.filled) == ("done", [job.id])

    play(story())


@pytest.mark.parametrize("bound", ["MOST_JOBS", "MOST_BALANCES"])
def test_orders_past_a_bound_are_refused_until_others_are_done_and_nothing_that_was_accepted_is_lost(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(jobs, bound, 3)

    async def story() -> None:
        book = _Book()
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            made = [(await ref.ask(Fill((HOLDING,), first), block=False))[0] for first in range(3)]
            with pytest.raises(Impossible, match=r"3 jobs of chain .* are not done yet"):
                await ref.ask(Fill((HOLDING,), 3), block=False)
            assert await ref.ask(Fill((HOLDING,), 2), block=False) == (made[2], False)
            await asyncio.sleep(60)
            later, is_new = await ref.ask(Fill((HOLDING,), 3), block=False)
            assert is_new
            made.append(later)
            await asyncio.sleep(60)
        assert filler.filled == [job.id for (job,) in made]

    play(story())


def test_an_order_that_comes_in_while_an_older_job_is_compared_with_the_chain_is_worked_off() -> None:
    async def story() -> None:
        book = _Book()
        book.saved["old"] = Job("old", CHAIN_ID, 0, None, (HOLDING,), state="settling")
        filler = _Filler(book)
        async with _actor(book, filler) as ref:
            await asyncio.sleep(0.5)
            (job,), _ = await ref.ask(Fill((HOLDING,), 0), block=False)
            await asyncio.sleep(60)
        assert (filler.settled, filler.filled) == (["old"], [job.id])

    play(story())


def test_a_job_that_waits_for_a_reorg_to_be_taken_back_holds_it_up_no_longer() -> None:
    class Standing(_Filler):
        """Stands on a record that the settling job has to take back first."""

        async def fill(self, job: Job, keep: object) -> Job:
            if not self.settled:
                raise BadAnswer("block 41 is being replaced")
            return await super().fill(job, keep)

    async def story() -> None:
        book = _Book()
        filler = Standing(book)
        for name, state in (("first", "settling"), ("second", "queued")):
            job = Job(name, CHAIN_ID, 3, None, (HOLDING,))
            book.saved[name] = replace(job, state=state)  # type: ignore[arg-type] # one of the states
        async with _actor(book, filler):
            await asyncio.sleep(20)
            assert filler.settled == ["first"]
            assert filler.filled == ["second"]

    play(story())


def test_what_a_reorg_took_back_is_filled_anew_whatever_else_was_ordered_before() -> None:
    """The other order may have found a record in the midst of what was taken back, and end there."""

    class TakingBack(_Filler):
        async def fill(self, job: Job, keep: object) -> Job:
            if not self.settled:
                raise BadAnswer("block 41 is being replaced")
            return await super().fill(job, keep)

        async def settle(self, job: Job, _depths: Depths) -> tuple[Job, Job | None]:
            self.settled.append(job.id)
            return replace(job, state="done"), job

    async def story() -> None:
        book = _Book()
        filler = TakingBack(book)
        anchors = {HOLDING: Anchor(20, 7, True)}
        other = Job("other", CHAIN_ID, 3, None, (HOLDING,), (HOLDING,))
        old = replace(other, id="old", state="settling", anchors=anchors)
        book.saved = {"old": old, "other": other}
        async with _actor(book, filler):
            await asyncio.sleep(40)
        (again,) = set(book.saved) - {"old", "other"}
        assert book.saved[again].anchors == anchors
        assert filler.filled == [again, "other"]

    play(story())


def test_what_was_taken_back_is_filled_before_what_would_go_on_from_it_the_lowest_part_first() -> None:
    async def story() -> list[str]:
        book = _Book()
        order = Job("order", CHAIN_ID, 20, None, (HOLDING,))
        high = replace(order, id="high", first=9, created=2, in_place_of="one")
        low = replace(order, id="low", first=3, created=3, in_place_of="two")
        book.saved = {job.id: job for job in (order, high, low)}
        filler = _Filler(book)
        async with _actor(book, filler):
            await asyncio.sleep(20)
        return filler.filled

    assert play(story()) == ["low", "high", "order"]


def test_nothing_is_filled_before_all_is_taken_back_that_a_reorg_left() -> None:
    """An earlier life may have been killed when it had just taken it back, and ordered nothing in its place."""

    class TakingBack(_Filler):
        async def settle(self, job: Job, _depths: Depths) -> tuple[Job, Job | None]:
            return replace(job, state="done"), job

    async def story() -> list[str]:
        book = _Book()
        order = Job("order", CHAIN_ID, 20, None, (HOLDING,))
        book.saved = {"order": order, "old": replace(order, id="old", first=3, state="settling", created=1)}
        filler = TakingBack(book)
        async with _actor(book, filler):
            await asyncio.sleep(20)
        (again,) = [job.id for job in book.saved.values() if job.in_place_of == "old"]
        return ["again" if each == again else each for each in filler.filled]

    assert play(story()) == ["again", "order"]


def test_what_was_told_in_part_is_taken_back_before_what_it_overlaps_is_filled_again() -> None:
    """Later it would take the new records with it, and a wider order may prove less than a narrower one."""

    class Leaving(_Filler):
        async def left(self, job: Job) -> Job:
            return replace(job, state="settling")

        async def settle(self, job: Job, _depths: Depths) -> tuple[Job, Job | None]:
            self.settled.append(job.id)
            return replace(job, state="done"), job

    async def story() -> list[str]:
        book = _Book()
        again = Job("again", CHAIN_ID, 9, None, (HOLDING,), in_place_of="old")
        part = Job("part", CHAIN_ID, 3, None, (HOLDING,), state="telling")
        book.saved = {"again": again, "part": part}
        filler = Leaving(book)
        async with _actor(book, filler):
            await asyncio.sleep(20)
        assert filler.settled == ["part"]
        assert book.forgotten.count("part") == 1
        (new,) = [job.id for job in book.saved.values() if job.in_place_of == "part"]
        return ["new" if each == new else each for each in filler.filled]

    assert play(story()) == ["new", "again"]


def test_what_a_reorg_took_back_is_filled_anew_up_to_the_records_whatever_its_end_was() -> None:
    """Those that it reached up to may be gone as well."""

    class TakingBack(_Filler):
        async def settle(self, job: Job, _depths: Depths) -> tuple[Job, Job | None]:
            return replace(job, state="done"), replace(job, grounds=(ground,))

    ground = Stage(BlockRef(2, NOBODY, 0))

    async def story() -> None:
        book = _Book()
        old = Job("old", CHAIN_ID, 3, 15, (HOLDING,), (HOLDING,), state="settling")
        book.saved = {"old": old}
        async with _actor(book, TakingBack(book)):
            await asyncio.sleep(40)
        (again,) = set(book.saved) - {"old"}
        assert (book.saved[again].first, book.saved[again].last) == (3, None)
        assert book.saved[again].grounds == (ground,)

    play(story())


@pytest.mark.parametrize("state", ["queued", "settling"])
def test_while_all_endpoints_follow_another_chain_history_waits_as_its_chain_does(state: Any) -> None:
    """What was set wrong is corrected, with the orders that there were."""

    class Stranger(_Filler):
        is_corrected = False

        async def fill(self, job: Job, keep: object) -> Job:
            self._refuse()
            return await super().fill(job, keep)

        async def settle(self, job: Job, depths: Depths) -> tuple[Job, Job | None]:
            self._refuse()
            return await super().settle(job, depths)

        def _refuse(self) -> None:
            if not self.is_corrected:
                raise WrongChain("all endpoints follow another chain")

    async def story() -> None:
        book = _Book()
        filler = Stranger(book)
        book.saved["job"] = Job("job", CHAIN_ID, 3, None, (HOLDING,), state=state)
        async with _actor(book, filler) as ref:
            await asyncio.sleep(60)
            assert ref.is_alive()
            assert book.saved["job"].state == state
            filler.is_corrected = True
            await asyncio.sleep(60)
        assert [*filler.filled, *filler.settled] == ["job"]

    play(story())
