"""Who finds good points with few trials: Tunesmith's searchers beside the peers that are installed.

    python -m benchmarks.search.scoreboard [--searchers tunesmith:default,optuna-tpe] [--trials 100]
        [--seeds 3] [--parallel 1] [--problems tree-10] [--jobs 2] [--each] [--print-only]

Runs what is not yet in ``benchmarks/search/results`` and prints the table. Each run is one line of
JSON, written when the run ends, so that the command can be broken off and given again.

    regret  how far the best point is from the optimum, as a part of the way from the best of eight
            random points to the optimum
    score   100 ln(regret) / ln(close), from 0 (no better than eight random points) to 100 (solved)
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.search.problems import PROBLEMS, Crash, Problem, covered, problem
from benchmarks.search.searchers import installed, make

RESULTS = Path(__file__).parent / "results"
POINTS = (25, 50, 100, 200)


@dataclass(frozen=True, slots=True)
class Run:
    """What is run: it has a file's line when it is done.

    Attributes:
        searcher: Who searches.
        problem: On what.
        seed: The number of the problem's instance, and the searcher's seed.
        trials: How many.
        parallel: How many are asked for before their losses are told.
    """

    searcher: str
    problem: str
    seed: int
    trials: int
    parallel: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    Attributes:
        observed: The losses that the searcher was told, None for a crash.
        losses: The same without noise.
        cpu_s: CPU seconds that the searcher took.
    """

    observed: Sequence[Sequence[float] | None]
    losses: Sequence[Sequence[float] | None]
    cpu_s: float


def search(run: Run) -> Result:
    """Run one searcher on one problem."""
    target = problem(run.problem, run.seed)
    noise = np.random.default_rng([run.seed, 1])
    searcher = make(run.searcher, target.space, len(target.corner) or 1, run.seed, run.trials)
    observed: list[tuple[float, ...] | None] = []
    losses: list[tuple[float, ...] | None] = []
    cpu_s = 0.0
    while len(losses) < run.trials:
        began = time.process_time()
        points = searcher.ask(min(run.parallel, run.trials - len(losses)))
        cpu_s += time.process_time() - began
        for values in points:
            try:
                loss = target.losses(target.space.validate(values))
            except Crash:
                losses.append(None)
                observed.append(None)
                continue
            losses.append(loss)
            observed.append(tuple(x + target.noise * noise.standard_normal() for x in loss))
        began = time.process_time()
        searcher.tell(observed[-len(points) :])
        cpu_s += time.process_time() - began
    return Result(observed, losses, cpu_s)


def score(result: Result, target: Problem, trials: int) -> float:
    """Return the score that a run had after ``trials`` trials, 0 to 100."""
    ended = [
        (seen, true)
        for seen, true in zip(result.observed[:trials], result.losses[:trials], strict=True)
        if seen is not None and true is not None
    ]
    if not ended:
        return 0.0
    if target.corner:
        reached = -covered([tuple(true) for _, true in ended], target.corner)
    else:
        reached = min(ended)[1][0]  # the best as the searcher saw it, judged without noise
    regret = (reached - target.best) / (target.start - target.best)
    return 100 * min(max(math.log(max(regret, target.close)) / math.log(target.close), 0.0), 1.0)


# Running and keeping.


def _carried_out(run: Run) -> tuple[Run, str]:
    return run, json.dumps({**asdict(run), **asdict(_rounded(search(run)))}) + "\n"


def _rounded(result: Result) -> Result:
    def nine(losses: Iterable[float] | None) -> list[float] | None:
        return None if losses is None else [float(f"{loss:.9g}") for loss in losses]

    observed = [nine(losses) for losses in result.observed]
    return Result(observed, [nine(losses) for losses in result.losses], round(result.cpu_s, 4))


def kept() -> dict[Run, Result]:
    """Return all runs that are done."""
    found = {}
    for path in sorted(RESULTS.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            fields = json.loads(line)
            result = Result(fields.pop("observed"), fields.pop("losses"), fields.pop("cpu_s"))
            found[Run(**fields)] = result
    return found


def carry_out(runs: Sequence[Run], jobs: int) -> None:
    """Run what is not kept yet, each in a process with one thread."""
    if not runs:
        return
    for name in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before a new process loads numpy
    RESULTS.mkdir(exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs) as pool:
        for run, line in pool.imap_unordered(_carried_out, runs):
            with (RESULTS / f"{run.searcher.replace(':', '-')}.jsonl").open("a") as file:
                file.write(line)
            print(f"{run.searcher} {run.problem} {run.seed}", flush=True)


# The tables.


@cache
def _problem(name: str, seed: int) -> Problem:
    return problem(name, seed)


def _mean_scores(
    runs: Iterable[Run], results: Mapping[Run, Result], trials: int
) -> dict[str, dict[str, float]]:
    """Return the mean score over seeds, by searcher and problem."""
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        reached = score(results[run], _problem(run.problem, run.seed), trials)
        scores[run.searcher][run.problem].append(reached)
    return {
        searcher: {name: statistics.fmean(reached) for name, reached in by_problem.items()}
        for searcher, by_problem in scores.items()
    }


def _ranks(scores: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    """Return the mean rank over problems, 1 for the best; equal scores share theirs."""
    ranks: dict[str, list[float]] = defaultdict(list)
    for name in names:
        for searcher, by_problem in scores.items():
            others = [other[name] for key, other in scores.items() if key != searcher]
            better = sum(other > by_problem[name] for other in others)
            equal = sum(other == by_problem[name] for other in others)
            ranks[searcher].append(1 + better + equal / 2)
    return {searcher: statistics.fmean(places) for searcher, places in ranks.items()}


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def print_tables(wanted: Sequence[Run], *, each: bool) -> None:
    """Print the table of those searchers that are done with all of ``wanted``."""
    results = kept()
    missing = {run.searcher for run in wanted if run not in results}
    runs = [run for run in wanted if run.searcher not in missing]
    if missing:
        print(f"Not done: {', '.join(sorted(missing))}.\n")
    if not runs:
        return
    trials = runs[0].trials
    names = list(dict.fromkeys(run.problem for run in runs))
    counts = [n for n in POINTS if n < trials] + [trials]
    scores = {n: _mean_scores(runs, results, n) for n in counts}
    ranks = _ranks(scores[trials], names)
    cpu_ms: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        cpu_ms[run.searcher].append(1000 * results[run].cpu_s / trials)
    head = [f"score at {n}" for n in counts]
    print(_row(["searcher", *head, f"mean rank at {trials}", "CPU ms a trial"]))
    print(_row(["---"] * (len(head) + 3)))
    for searcher in sorted(ranks, key=lambda name: -_mean(scores[trials][name])):
        means = [f"{_mean(scores[n][searcher]):.1f}" for n in counts]
        cost = f"{statistics.fmean(cpu_ms[searcher]):.3g}"
        print(_row([searcher, *means, f"{ranks[searcher]:.2f}", cost]))
    if each:
        print()
        print(_row(["score at " + str(trials), *ranks]))
        print(_row(["---"] * (len(ranks) + 1)))
        for name in names:
            print(_row([name, *(f"{scores[trials][searcher][name]:.0f}" for searcher in ranks)]))


def _mean(by_problem: Mapping[str, float]) -> float:
    return statistics.fmean(by_problem.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searchers", help="separated by commas; all that are installed")
    parser.add_argument("--problems", help="separated by commas; all")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=1, help="trials asked for at once")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--each", action="store_true", help="a second table, by problem")
    parser.add_argument("--print-only", action="store_true")
    arguments = parser.parse_args()
    done = kept()
    known = dict.fromkeys([*installed(), *(run.searcher for run in done if arguments.print_only)])
    wanted = [
        Run(searcher, name, seed, arguments.trials, arguments.parallel)
        for seed in range(arguments.seeds)
        for searcher in _chosen(parser, arguments.searchers, list(known))
        for name in _chosen(parser, arguments.problems, list(PROBLEMS))
    ]
    if not arguments.print_only:
        carry_out([run for run in wanted if run not in done], arguments.jobs)
    print_tables(wanted, each=arguments.each)


def _chosen(
    parser: argparse.ArgumentParser, words: str | None, known: Sequence[str]
) -> Sequence[str]:
    chosen = known if words is None else words.split(",")
    if unknown := set(chosen) - set(known):
        parser.error(f"no {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return chosen


if __name__ == "__main__":
    main()
