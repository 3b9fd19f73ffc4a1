"""Orders to fill history as documents; what stores of before lack is read as nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bson import Int64

from indexer.domain.chain import BlockRef, Holding
from indexer.domain.history.jobs import Anchor, Job, Stage
from repositories.documents.blocks import block_document, block_of, holdings_document, holdings_of

Document = dict[str, Any]


def job_document(job: Job) -> Document:
    return {
        "_id": job.id,
        "chainId": Int64(job.chain_id),
        "first": Int64(job.first),
        "last": _int64(job.last),
        "holdings": [[token, solver] for token, solver in job.holdings],
        "wanted": [[token, solver] for token, solver in job.wanted],
        "anchors": [
            {
                "t": token,
                "s": solver,
                "n": Int64(anchor.number),
                "b": str(anchor.balance),
                "o": anchor.is_open,
                "h": anchor.hash,
                "c": None if anchor.change is None else str(anchor.change),
            }
            for (token, solver), anchor in job.anchors.items()
        ],
        "rests": _rests_document(job.rests),
        "stages": [_stage_document(stage) for stage in job.stages],
        "grounds": [_stage_document(stage) for stage in job.grounds],
        "reasons": [{"t": token, "s": solver, "r": reason} for (token, solver), reason in job.reasons.items()],
        "state": job.state,
        "top": Int64(job.top),
        "cursor": Int64(job.cursor),
        "unread": _int64(job.unread),
        "told": _int64(job.told),
        "seq": Int64(job.seq),
        "records": Int64(job.records),
        "derived": Int64(job.derived),
        "error": job.error,
        "settled": Int64(job.settled),
        "base": None if job.base is None else block_document(job.base),
        "highest": None if job.highest is None else block_document(job.highest),
        "created": Int64(job.created),
        "ended": _int64(job.ended),
        "orderedFrom": _int64(job.ordered_from),
        "filledFrom": _int64(job.filled_from),
        "inPlaceOf": job.in_place_of,
        "after": None if job.after is None else block_document(job.after),
        "trailing": holdings_document(sorted(job.trailing)),
    }


def _stage_document(stage: Stage) -> Document:
    rests, carried = _rests_document(stage.rests), _carried_document(stage.carried)
    return {"block": block_document(stage.block), "rests": rests, "carried": carried}


def _stage(found: Mapping[str, Any]) -> Stage:
    return Stage(block_of(found["block"]), _rests(found["rests"]), _carried(found["carried"]))


def _grounds(found: Mapping[str, Any]) -> tuple[Stage, ...]:
    """Jobs of before have one, if any."""
    if "grounds" in found:
        return tuple(_stage(row) for row in found["grounds"])
    ground = _block(found.get("ground"))
    return () if ground is None else (Stage(ground, _rests(found.get("rests", ()))),)


def _rests_document(rests: Mapping[Holding, int]) -> list[Document]:
    return [{"t": token, "s": solver, "n": Int64(number)} for (token, solver), number in rests.items()]


def _rests(found: Iterable[Mapping[str, Any]]) -> dict[Holding, int]:
    return {Holding(row["t"], row["s"]): int(row["n"]) for row in found}


def _carried_document(carried: frozenset[Holding] | None) -> Document | None:
    return None if carried is None else holdings_document(sorted(carried))


def _carried(found: Document | None) -> frozenset[Holding] | None:
    return None if found is None else frozenset(holdings_of(found))


def job_of(found: Mapping[str, Any]) -> Job:
    return Job(
        id=found["_id"],
        chain_id=int(found["chainId"]),
        first=int(found["first"]),
        last=_whole(found["last"]),
        holdings=tuple(Holding(token, solver) for token, solver in found["holdings"]),
        wanted=tuple(Holding(token, solver) for token, solver in found["wanted"]),
        anchors={
            Holding(a["t"], a["s"]): Anchor(int(a["n"]), int(a["b"]), a["o"], a.get("h"), _whole(a.get("c")))
            for a in found["anchors"]
        },
        rests=_rests(found.get("rests", ())),
        stages=tuple(_stage(row) for row in found.get("stages", ())),  # stores of before have none
        reasons={Holding(row["t"], row["s"]): row["r"] for row in found["reasons"]},
        state=found["state"],
        top=int(found["top"]),
        cursor=int(found["cursor"]),
        unread=_whole(found["unread"]),
        told=_whole(found["told"]),
        seq=int(found["seq"]),
        records=int(found["records"]),
        derived=int(found["derived"]),
        error=found["error"],
        settled=int(found["settled"]),
        base=_block(found.get("base")),  # stores of before have none
        highest=_block(found["highest"]),
        created=int(found["created"]),
        ended=_whole(found["ended"]),
        ordered_from=_whole(found.get("orderedFrom")),  # stores of before have none
        filled_from=_whole(found.get("filledFrom")),  # stores of before have none
        grounds=_grounds(found),
        in_place_of=found.get("inPlaceOf"),  # stores of before have none
        after=_block(found.get("after")),  # stores of before have none
        trailing=frozenset(holdings_of(found.get("trailing", {}))),
    )


def _block(document: Document | None) -> BlockRef | None:
    return None if document is None else block_of(document)


def _int64(value: int | None) -> Int64 | None:
    return None if value is None else Int64(value)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
