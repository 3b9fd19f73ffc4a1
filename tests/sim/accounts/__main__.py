"""`python -m tests.sim.accounts --seed N --runs M`: many stories of accounts, told on all cores."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.sim.accounts.run import Outcome, run
from tests.sim.accounts.telling import tell

_CHUNK = 20
_REPORT_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Run seeded stories of exchange accounts; each must end in the truth.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=200, help="how many seeds, one after another")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many processes")
    parser.add_argument("--tell", action="store_true", help="only the first seed, with all that happens in it")
    args = parser.parse_args()
    if args.tell:
        return _told(tell(args.seed))
    started = reported = time.monotonic()
    bad, outcomes = 0, list[Outcome]()
    with ProcessPoolExecutor(args.jobs) as pool:
        for outcome in pool.map(run, range(args.seed, args.seed + args.runs), chunksize=_CHUNK):
            bad += _told(outcome)
            outcomes.append(outcome)
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                print(f"{len(outcomes)} of {args.runs}", file=sys.stderr)  # noqa: T201 - patience
    print(summary(outcomes, time.monotonic() - started))  # noqa: T201 - a command's answer
    return 1 if bad else 0


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """What they came to, and how long it took until all was right: in how many of them, and at the longest."""
    settled = Counter(why for outcome in outcomes for why in outcome.settled)
    slowest = {why: max(one.settled.get(why, 0.0) for one in outcomes) for why in settled}
    faults, events, kills = (sum(getattr(one, name) for one in outcomes) for name in ("faults", "events", "kills"))
    bad = sum(bool(one.violations) for one in outcomes)
    told = f"{faults} faults, {kills} kills, {events} events, {bad} with violations"
    lines = [f"  {why}: {settled[why]} runs, at most {slowest[why]:.1f} s" for why in sorted(settled)]
    return "\n".join((f"{len(outcomes)} runs in {seconds:.0f} s: {told}", *lines))


def _told(outcome: Outcome) -> int:
    if outcome.violations:
        print(outcome, flush=True)  # noqa: T201 - the line that repeats it
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
