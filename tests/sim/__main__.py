"""`python -m tests.sim --seed N --runs M`: many stories, told in as many processes as there are cores."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.sim.run import Outcome, run


def main() -> int:
    parser = argparse.ArgumentParser(description="Run seeded stories against the spine; each must end in the truth.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=200, help="how many seeds, one after another")
    args = parser.parse_args()
    started, bad, totals = time.monotonic(), 0, [0, 0, 0]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for outcome in pool.map(run, range(args.seed, args.seed + args.runs), chunksize=20):
            bad += _told(outcome)
            totals = [a + b for a, b in zip(totals, (outcome.blocks, outcome.kills, outcome.reorgs), strict=True)]
    blocks, kills, reorgs = totals
    seconds = time.monotonic() - started
    print(  # noqa: T201 - a command's answer
        f"{args.runs} runs in {seconds:.0f} s: {blocks} blocks, {reorgs} reorgs, {kills} kills, {bad} with violations"
    )
    return 1 if bad else 0


def _told(outcome: Outcome) -> int:
    if outcome.violations:
        print(outcome)  # noqa: T201 - the line that repeats it
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
