"""`python -m tests.sim --seed N --runs M`: many stories, told in as many processes as there are cores; or one day."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import structlog

from tests.sim.clock import play
from tests.sim.faults import NONE, RARELY, Faults
from tests.sim.run import Outcome, Story, run
from tests.sim.telling import tell

_CHUNK = 20
_DAY_BLOCKS = 7_200
_DAY_PAUSE_SECONDS = 12.0
_REPORT_SECONDS = 60.0
_OBJECTS_PER_COLLECTION = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(description="Run seeded stories against the service; each must end in the truth.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=200, help="how many seeds, one after another")
    parser.add_argument("--tell", action="store_true", help="only the first seed, with all that happens in it")
    parser.add_argument("--day", action="store_true", help="only the first seed, as a calm day of 7,200 blocks")
    parser.add_argument("--faults", action="store_true", help="with --day: now and then something goes wrong")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="how many processes")
    args = parser.parse_args()
    if args.tell:
        return _told(tell(args.seed))
    if args.day:
        return _day(args.seed, RARELY if args.faults else NONE)
    started = reported = time.monotonic()
    bad, totals = 0, [0, 0, 0, 0]
    with ProcessPoolExecutor(args.workers, initializer=_collect_seldom) as pool:
        seeds = range(args.seed, args.seed + args.runs)
        for outcome in pool.map(run, seeds, chunksize=_CHUNK):
            bad += _told(outcome)
            now = (outcome.blocks, outcome.reorgs, outcome.kills, outcome.asked)
            totals = [a + b for a, b in zip(totals, now, strict=True)]
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                print(f"{outcome.seed + 1 - args.seed} of {args.runs}", file=sys.stderr)  # noqa: T201 - patience
    blocks, reorgs, kills, asked = totals
    print(  # noqa: T201 - a command's answer
        f"{args.runs} runs in {time.monotonic() - started:.0f} s: {blocks} blocks, {reorgs} reorgs, {kills} kills,"
        f" {asked} requests, {bad} with violations"
    )
    return 1 if bad else 0


def _day(seed: int, faults: Faults) -> int:
    _collect_seldom()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    started = time.monotonic()
    outcome = play(Story(seed, _DAY_BLOCKS, faults, _DAY_PAUSE_SECONDS).tell())
    print(  # noqa: T201 - a command's answer
        f"a day of {outcome.blocks} blocks in {time.monotonic() - started:.0f} s: {outcome.events} events,"
        f" {outcome.reorgs} reorgs, {outcome.kills} kills, {outcome.asked} requests"
    )
    return _told(outcome)


def _collect_seldom() -> None:
    """What was imported is no garbage: of twenty stories the collector took 1.9 s, and so 0.7 s (one run each)."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_COLLECTION, 10, 10)


def _told(outcome: Outcome) -> int:
    if outcome.violations:
        print(outcome, flush=True)  # noqa: T201 - the line that repeats it
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
