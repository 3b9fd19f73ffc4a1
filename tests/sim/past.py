"""What history that was before us must be: true where it is told, complete where it claims to be, else marked."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from actors.history.jobs import KEPT_JOBS
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Holding
from indexer.domain.history.jobs import Job
from indexer.domain.history.orders import orders_of
from indexer.domain.recording.records import HISTORY_SEQ, fold
from indexer.domain.telling.facts import HistoryFilled, StreamResync
from tests.sim.passed import Stretch
from tests.sim.store import Kept
from tests.sim.world import CHAIN_ID, SILENT, World, changes_in


def job_is_over(job: Job, world: World, known: Container[str]) -> bool:
    """A settling job stays so while no block is mined; what it filled last must be canonical."""
    if job.state == "queued" and job.id not in known and job.after is None:
        return True  # ordered right before a kill, without an answer: the next start finds it
    if job.state == "settling":
        # One that was not told to its end is filled anew, whatever its highest block is by then.
        return job.is_told and job.highest is not None and world.is_canonical(job.highest.hash)
    return job.is_over


def past_is_true(
    world: World,
    kept: Kept,
    known: Container[str],
    watch: Watch,
    start_block: int | None,
    passed: Sequence[Stretch],
    *,
    natives_are_late: bool,
    away: Container[Holding],
) -> Iterator[str]:
    """That each row is true is looked at with all others; here: nothing is left out, and nothing left undone.

    Those that were `away` were unwatched for a while.
    """
    for gap in fold(kept.commits).gaps:
        for order in orders_of(gap):
            if order.id not in kept.jobs and len(kept.jobs) < KEPT_JOBS:
                yield f"nobody fills what was passed over: {order}"
    for job in kept.jobs.values():
        if job.state == "failed" or not job_is_over(job, world, known):
            yield f"history is not filled: {job}"
    for job in kept.jobs.values():
        if job.state in ("done", "settling"):
            for holding in job.anchors:
                yield from _is_complete(world, kept, job, holding, passed, away)
    yield from _holes_are_filled(kept, world, watch, start_block, natives_are_late=natives_are_late)
    for holding in sorted(uncovered(kept, watch, start_block)):
        yield f"{holding} is not covered from {start_block} on, and nothing says why"


def uncovered(kept: Kept, watch: Watch, start_block: int | None) -> set[Holding]:
    """What is to be filled by itself and is not, nor is it said why: another job is to come."""
    if start_block is None:
        return set()
    explained = {holding for job in kept.jobs.values() for holding in job.reasons}
    covered = kept.covered.get(CHAIN_ID, {})
    open_ones = {
        key.holding for key, hole in kept.holes.items() if hole is not None and max(hole.first, start_block) < hole.end
    }
    return {
        key
        for key in watch.holdings() - explained
        if key in open_ones or covered.get(key, start_block + 1) > start_block
    }


def _holes_are_filled(
    kept: Kept, world: World, watch: Watch, start_block: int | None, *, natives_are_late: bool
) -> Iterator[str]:
    """What changed while nobody watched, or followed, is there where all of history is to be.

    Natives that are read now and then may have changed in any block since. Where blocks are passed over, they are
    filled of those only that were followed up to there.
    """
    if start_block is None:
        return
    explained = {holding for job in kept.jobs.values() for holding in job.reasons}
    unread = {key for job in kept.jobs.values() if job.unread is not None for key in job.holdings if job.is_native}
    resyncs = [fact for commit in kept.commits for fact in commit.facts if isinstance(fact, StreamResync)]
    deep = {fact.block.hash for fact in resyncs if fact.above is not None}
    for row in kept.records.values():
        is_loose = row.apart or row.joined or row.cause == "first" or row.block.hash in deep
        if row.seq == HISTORY_SEQ or not is_loose:
            continue  # history that was ordered from some block on begins there
        holding = row.holding
        if holding not in watch.holdings() - explained - unread or holding.token == SILENT:
            continue
        if natives_are_late and holding.token == NATIVE and not row.apart:
            continue
        rows = list(kept.records.newest_first(CHAIN_ID, holding))
        below = [each.block.number for each in rows if each.seq != HISTORY_SEQ and each.block.number < row.block.number]
        first = max(start_block, max(below, default=-1) + 1)
        there = {each.block.hash for each in rows}
        for block in changes_in(world.canonical[first : row.block.number], holding).keys() - there:
            yield f"nobody followed {holding} at block {world.blocks[block].head.number}, and nobody filled that in"


def _is_complete(
    world: World, kept: Kept, job: Job, holding: Holding, passed: Sequence[Stretch], away: Container[Holding]
) -> Iterator[str]:
    """Every change from its first block on, unless the job says why not; a silent one is found when it is read."""
    if holding in job.reasons or holding.token == SILENT or (holding.token == NATIVE and job.unread is not None):
        return
    there = {row.block.hash for row in kept.records.values() if row.holding == holding}
    blocks = world.canonical[job.first : min(job.end_of(holding) + 1, _taken_back(kept, job, holding, away))]
    told = max((place for place, fact in _filled(kept, holding) if fact.job == job.id), default=0)
    followed = _is_followed_since(kept, job, holding)
    for block in changes_in(blocks, holding).keys() - there:
        number = world.blocks[block].head.number
        if any(each.took_back(number, told) for each in passed):
            continue  # a reorg went deeper than where the job was over
        if followed and any(each.has(number) for each in passed):
            continue
        yield f"history of {holding} from {job.first} on leaves out what changed at block {number} ({job.id})"


def _is_followed_since(kept: Kept, job: Job, holding: Holding) -> bool:
    """A reorg took it back as a whole, and the one in its place found nothing to fill below the newest record.

    All that comes after that record is followed live, and may be passed over as for anybody who ordered nothing. What
    told nothing may also find the same order there already, by which its own is not made.
    """
    again = [each for each in kept.jobs.values() if each.first == job.first and _is_in_its_place(each, job)]
    for each in again:
        is_nothing = holding in each.wanted and holding not in each.anchors and holding not in each.reasons
        if (is_nothing and each.state == "done") or _is_followed_since(kept, each, holding):
            return True
    return False


def _is_in_its_place(later: Job, job: Job) -> bool:
    is_same = later.created > job.created and (later.wanted, later.last) == (job.wanted, job.last)
    return later.in_place_of == job.id or (is_same and job.told is None)


def _taken_back(kept: Kept, job: Job, holding: Holding, away: Container[Holding]) -> int:
    """From this block on a reorg took back what it filled, and the job in its place says why it cannot fill that.

    Of what was unwatched by then it fills what is below the block that the reorg left.
    """
    voids = [fact.first for _, fact in _filled(kept, holding) if fact.void and fact.job == job.id]
    # One of which nothing was told takes nothing back; the one in its place begins where it began.
    first = min(voids, default=job.first if job.told is None else None)
    later = [each for each in kept.jobs.values() if each.created > job.created]
    # It has no upper end, whatever the first one had; that one may also have been ordered once more.
    again = [each for each in later if each.first == first and each.last in (None, job.last)]
    if first is not None and any(holding in each.reasons for each in again):
        return first
    left = [each for each in again if holding in each.anchors and holding in away]
    # Another reorg may have taken back that one as well, and left less of it.
    ends = [min(each.end_of(holding) + 1, _taken_back(kept, each, holding, away)) for each in left]
    return min(ends, default=job.top + 1)


def _filled(kept: Kept, holding: Holding) -> Iterator[tuple[int, HistoryFilled]]:
    """What was told of its history, and by which commit."""
    for place, commit in enumerate(kept.commits):
        for fact in commit.facts:
            if isinstance(fact, HistoryFilled) and fact.holding == holding:
                yield place, fact
