"""Runs schedules from the command line, and tells the shortest story of one that fails."""

import argparse
import sys
import time
from collections.abc import Sequence

from tunesmith.testing.faults.simulate import Outcome, simulate


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line says, or ``words``; return 1 if anything was broken."""
    parser = argparse.ArgumentParser(prog="python -m tunesmith.testing.faults", description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="from:to, the end excluded")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--limit", type=int, help="let no more than so many mishaps happen")
    parser.add_argument("--served", action="store_true", help="over a server")
    parser.add_argument("--verbose", action="store_true", help="tell every call")
    options = parser.parse_args(words)
    first, _, last = options.seeds.partition(":")
    seeds = [options.seed] if options.seed is not None else range(int(first), int(last or first))
    began, failed, mishaps, calls = time.monotonic(), 0, 0, 0
    for seed in seeds:
        outcome = simulate(seed, limit=options.limit, served=options.served)
        mishaps += len(outcome.mishaps)
        calls += len(outcome.calls)
        if options.verbose:
            print(outcome.scenario, *outcome.story, *outcome.mishaps, sep="\n")
        if outcome.problems:
            failed += 1
            if options.limit is None:
                outcome = _shortest(outcome, served=options.served)
            _tell(outcome, served=options.served)
    seconds = time.monotonic() - began
    count = len(seeds)
    print(
        f"{count} schedules, {failed} broken; {mishaps} mishaps, {calls} calls,"
        f" {count / seconds:.1f} schedules a second"
    )
    return 1 if failed else 0


def _shortest(outcome: Outcome, *, served: bool) -> Outcome:
    """Return the outcome with the fewest mishaps that is still broken."""
    for limit in range(len(outcome.mishaps)):
        shorter = simulate(outcome.seed, limit=limit, served=served)
        if shorter.problems:
            return shorter
    return outcome


def _tell(outcome: Outcome, *, served: bool) -> None:
    print(f"seed {outcome.seed} is broken after {len(outcome.mishaps)} mishaps:")
    for mishap in outcome.mishaps:
        print(f"  {mishap}")
    for problem in outcome.problems[:10]:
        print(f"  BROKEN {problem}")
    again = f"{'--served ' * served}--seed {outcome.seed} --limit {len(outcome.mishaps)} --verbose"
    print(f"  again: {again}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
