"""What queries read: each step of a projection is a write of its own, and may be the last before a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice, takewhile

from indexer.domain.chain import Address, BlockRef, Holding, Token
from indexer.domain.following.finality import Settled
from indexer.domain.measuring.stats import Statistics, Stats, Tally
from indexer.domain.recording.records import (
    FOUND_LATE,
    HISTORY_SEQ,
    JOINED,
    BalanceRecord,
    Filled,
    HoldingKey,
    Projection,
    RecordKey,
    Settling,
    Void,
    key_of,
    read_anew,
)
from indexer.domain.recording.uncounted import counted, over, recounted, uncounted
from indexer.domain.telling.facts import Joint
from tests.sim.store.disk import Kept
from tests.sim.store.ports import Wire
from tests.sim.store.records import Records


class SimBalances:
    """`balance_records`, `current_balances` and `finality`, in the steps of `repositories.balances`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._settled: dict[int, Settling] = {}

    # --- writing -----------------------------------------------------------------------------------------------------

    async def project(self, projection: Projection) -> None:
        if projection.orphaned:
            await self._delete(lambda row: (row.chain_id, row.block.hash) in projection.orphaned)
        await self._add({key_of(row): row for row in read_anew(projection)})
        for chain_id, cut in projection.cuts.items():
            await self._delete(_above(chain_id, cut.above, cut.seq))
        for void in projection.voided:
            await self._delete(void.has)
        records = counted(projection, await self.all_below(uncounted(projection)))
        if projection.restored:
            await self._add(records)
            rows = [await self._holding_again(projection, key, row) for key, row in projection.current.items()]
            await self._replace_current(rows)
        else:
            writes = (self._add(records), self._replace_current(list(projection.current.values())))
            for outcome in await asyncio.gather(*writes, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        await self._settle(projection.settled)
        await self._join(projection)
        for chain_id, cut in projection.cuts.items():
            await self._wire.write(_deleting_current(_above(chain_id, cut.above, cut.seq)))

    async def _join(self, projection: Projection) -> None:
        parted = await self._heard_over(projection.voided)
        nearest = [await self.oldest(*void.end[:2], above=void.last) for void in sorted(projection.voided)]
        over_voids = {key_of(row): row for row in nearest if row is not None and row.seq != HISTORY_SEQ} | parted
        below = await self.all_below(over_voids)
        if over_voids:
            rows = {key: (over if key in parted else recounted)(row, below.get(key)) for key, row in over_voids.items()}
            await self._wire.write(_counting(rows))
        above = [await self.oldest(*key[:2], above=key.number) for key in projection.ends]
        over_ends = {key_of(row): row for row in above if row is not None} | await self._oldest_within(
            projection.filled
        )
        below = await self.all_below(over_ends)
        if below:
            await self._wire.write(_counting({key: recounted(over_ends[key], row) for key, row in below.items()}))
        for place, joint in projection.joints.items():
            await self._wire.write(_joining(HoldingKey(place.chain_id, place.holding), joint))

    async def _oldest_within(self, filled: Collection[Filled]) -> dict[RecordKey, BalanceRecord]:
        def look(kept: Kept) -> dict[RecordKey, BalanceRecord]:
            found = {key: row for key, row in kept.records.items() if row.cause == "first" and row.seq > HISTORY_SEQ}
            return {key: row for key, row in found.items() if any(one.has_within(row) for one in filled)}

        return await self._wire.read(look) if filled else {}

    async def _heard_over(self, voided: Collection[Void]) -> dict[RecordKey, BalanceRecord]:
        def fits(row: BalanceRecord) -> bool:
            return row.seq > HISTORY_SEQ and (row.cause in JOINED or row.joined or row.apart)

        def look(kept: Kept) -> dict[RecordKey, BalanceRecord]:
            found = {key: row for key, row in kept.records.items() if fits(row)} if voided else {}
            return {key: row for key, row in found.items() if any(void.may_part(key) for void in voided)}

        return await self._wire.read(look)

    async def _add(self, records: Mapping[RecordKey, BalanceRecord]) -> None:
        if records:
            await self._wire.write(lambda kept: _add(kept, records))

    async def _replace_current(self, rows: list[BalanceRecord]) -> None:
        if rows:
            await self._wire.write(lambda kept: _replace_current(kept, rows))

    async def _holding_again(self, projection: Projection, key: HoldingKey, row: BalanceRecord) -> BalanceRecord:
        if key not in projection.restored:
            return row
        older = await self.at_block(key.chain_id, key.holding, row.block.number)
        return row if older is None else replace(older, seq=row.seq)

    async def _settle(self, settled: Mapping[int, Settling]) -> None:
        moved = {
            chain_id: new
            for chain_id, new in settled.items()
            if (last := self._settled.get(chain_id)) is None or (new.seq > last.seq and new.settled != last.settled)
        }
        if moved:
            await self._wire.write(lambda kept: _replace_settlings(kept, moved))
        self._settled.update(moved)

    async def _delete(self, gone: Callable[[BalanceRecord], bool]) -> None:
        def delete(kept: Kept) -> None:
            kept.records = Records((key, row) for key, row in kept.records.items() if not gone(row))

        await self._wire.write(delete)

    async def forget(self, before: datetime) -> int:
        """In one step, where the real one deletes balance by balance."""

        def delete(kept: Kept) -> int:
            last: dict[HoldingKey, int] = {}
            for key, row in kept.records.items():
                if row.block.timestamp < before.timestamp():
                    last[HoldingKey(*key[:2])] = max(key.number, last.get(HoldingKey(*key[:2]), -1))
            left = Records(
                (key, row)
                for key, row in kept.records.items()
                if (held := HoldingKey(*key[:2])) not in kept.current or key.number >= last.get(held, -1)
            )
            gone = len(kept.records) - len(left)
            kept.records = left
            return gone

        return await self._wire.write(delete)

    # --- reading -----------------------------------------------------------------------------------------------------

    async def current(
        self,
        *,
        chain_id: int | None = None,
        token: Token | None = None,
        solver: Address | None = None,
        after: tuple[int, Token, Address] | None = None,
        limit: int = 100,
    ) -> list[BalanceRecord]:
        def look(kept: Kept) -> list[BalanceRecord]:
            rows = [
                row
                for (chain, holding), row in kept.current.items()
                if chain_id in (None, chain) and token in (None, holding.token) and solver in (None, holding.solver)
            ]
            rows.sort(key=_place)
            return [row for row in rows if after is None or _place(row) > after][:limit]

        return await self._as_settled(await self._wire.read(look))

    async def settled(self, chain_id: int) -> Settled:
        return await self._wire.read(
            lambda kept: kept.settlings[chain_id].settled if chain_id in kept.settlings else Settled()
        )

    async def balances_of(self, chain_id: int) -> dict[Holding, BalanceRecord]:
        return await self._wire.read(
            lambda kept: {key.holding: row for key, row in kept.current.items() if key.chain_id == chain_id}
        )

    async def block_at_or_below(self, chain_id: int, number: int, *, heard: bool = False) -> BlockRef | None:
        def look(kept: Kept) -> BlockRef | None:
            blocks = (
                row.block
                for row in kept.records.values()
                if row.chain_id == chain_id and row.block.number <= number and not (heard and row.seq == HISTORY_SEQ)
            )
            return max(blocks, key=lambda block: block.number, default=None)

        return await self._wire.read(look)

    async def one(self, chain_id: int, holding: Holding) -> BalanceRecord | None:
        row = await self._wire.read(lambda kept: kept.current.get(HoldingKey(chain_id, holding)))
        return None if row is None else (await self._as_settled([row]))[0]

    async def at_block(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        return await self._newest(chain_id, holding, lambda row: row.block.number <= number)

    async def at_time(self, chain_id: int, holding: Holding, time: datetime) -> BalanceRecord | None:
        return await self._newest(chain_id, holding, lambda row: row.block.timestamp <= time.timestamp())

    async def next_after(self, chain_id: int, holding: Holding, number: int) -> BalanceRecord | None:
        return await self.oldest(chain_id, holding, number)

    async def newest_loose(self, chain_id: int, holding: Holding, above: int) -> BalanceRecord | None:
        def is_loose(row: BalanceRecord) -> bool:
            return row.change is None or row.apart or row.cause == "resync"

        rows = await self._rows(chain_id, holding, is_loose, above=above, limit=1)
        return rows[0] if rows else None

    async def all_below(self, keys: Collection[RecordKey], *, heard: bool = False) -> dict[RecordKey, BalanceRecord]:
        found = {key: await self._newest(key.chain_id, key.holding, _below(key.number, heard=heard)) for key in keys}
        return {key: row for key, row in found.items() if row is not None}

    async def found_late(self, chain_id: int, holding: Holding, first: int, last: int) -> list[BalanceRecord]:
        def fits(row: BalanceRecord) -> bool:
            return row.block.number <= last and (row.cause in FOUND_LATE or row.joined)

        return (await self._rows(chain_id, holding, fits, above=first - 1))[::-1]

    async def oldest(self, chain_id: int, holding: Holding, above: int = -1) -> BalanceRecord | None:
        rows = await self._rows(chain_id, holding, above=above)
        return rows[-1] if rows else None

    async def history(
        self,
        chain_id: int,
        holding: Holding,
        *,
        limit: int,
        before: int | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[BalanceRecord]:
        def fits(row: BalanceRecord) -> bool:
            return (
                (before is None or row.block.number < before)
                and (start is None or row.block.timestamp >= start.timestamp())
                and (end is None or row.block.timestamp <= end.timestamp())
            )

        return await self._as_settled(await self._rows(chain_id, holding, fits, limit=limit))

    async def stats(
        self,
        chain_id: int,
        holding: Holding,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        until: datetime | None = None,
    ) -> Statistics[Stats]:
        tally = Tally()
        for row in reversed(await self.history(chain_id, holding, limit=10**9, start=start, end=end)):
            tally.add(datetime.fromtimestamp(row.block.timestamp, UTC), row.balance)
        return tally.statistics(until)

    async def _newest(
        self, chain_id: int, holding: Holding, fits: Callable[[BalanceRecord], bool]
    ) -> BalanceRecord | None:
        rows = await self._as_settled(await self._rows(chain_id, holding, fits, limit=1))
        return rows[0] if rows else None

    async def _rows(
        self,
        chain_id: int,
        holding: Holding,
        fits: Callable[[BalanceRecord], bool] = lambda _row: True,
        *,
        above: int = -1,
        limit: int | None = None,
    ) -> list[BalanceRecord]:
        """Newest first."""

        def look(kept: Kept) -> list[BalanceRecord]:
            rows = takewhile(lambda row: row.block.number > above, kept.records.newest_first(chain_id, holding))
            return list(islice(filter(fits, rows), limit))

        return await self._wire.read(look)

    async def _as_settled(self, rows: list[BalanceRecord]) -> list[BalanceRecord]:
        settled = {chain_id: await self.settled(chain_id) for chain_id in {row.chain_id for row in rows}}
        return [replace(row, finality=settled[row.chain_id].at_least(row.finality, row.block.number)) for row in rows]


def _above(chain_id: int, number: int, seq: int) -> Callable[[BalanceRecord], bool]:
    return lambda row: row.chain_id == chain_id and row.block.number > number and row.seq < seq


def _add(kept: Kept, records: Mapping[RecordKey, BalanceRecord]) -> None:
    for key, row in records.items():
        there = kept.records.get(key)
        if there is None or there.seq <= row.seq:
            kept.records[key] = row.upon(there)


def _replace_current(kept: Kept, rows: list[BalanceRecord]) -> None:
    for row in rows:
        key = HoldingKey(row.chain_id, row.holding)
        if key not in kept.current or kept.current[key].seq <= row.seq:
            kept.current[key] = replace(row, transfers=(), unexplained=None, joined=False, apart=False)


def _replace_settlings(kept: Kept, settlings: Mapping[int, Settling]) -> None:
    for chain_id, settling in settlings.items():
        if chain_id not in kept.settlings or kept.settlings[chain_id].seq <= settling.seq:
            kept.settlings[chain_id] = settling


def _below(number: int, *, heard: bool) -> Callable[[BalanceRecord], bool]:
    return lambda row: row.block.number < number and (row.seq != HISTORY_SEQ or not heard)


def _counting(rows: Mapping[RecordKey, BalanceRecord]) -> Callable[[Kept], None]:
    def count(kept: Kept) -> None:
        for key, row in rows.items():
            if key in kept.records and kept.records[key].block == row.block:
                kept.records[key] = row

    return count


def _joining(key: HoldingKey, joint: Joint) -> Callable[[Kept], None]:
    def join(kept: Kept) -> None:
        place = RecordKey(*key, joint.number)
        row = kept.records.get(place)
        if row is None:
            return
        if not (row.is_open if joint.block_hash is None else row.block.hash == joint.block_hash):
            return
        kept.records[place] = row.on(joint)

    return join


def _deleting_current(gone: Callable[[BalanceRecord], bool]) -> Callable[[Kept], None]:
    def delete(kept: Kept) -> None:
        kept.current = {key: row for key, row in kept.current.items() if not gone(row)}

    return delete


def _place(row: BalanceRecord) -> tuple[int, Token, Address]:
    return row.chain_id, row.holding.token, row.holding.solver
