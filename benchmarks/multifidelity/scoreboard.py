"""How many steps of training it takes to find what whole trials find.

    python -m benchmarks.multifidelity.scoreboard [--methods auto,median] [--problems network,noisy]
        [--harness FOLDER] [--workers 1,8] [--seeds 3] [--trials 50] [--jobs 2] [--print-only]

Runs what is not yet in ``benchmarks/multifidelity/results`` and prints tables. Each run is one line of
JSON, written when the run ends, so that the command can be broken off and given again.

    budget     the steps of so many whole trials, all together
    incumbent  of the trials that have come furthest so far, the one that measured the least loss there
    quality    the loss with which the incumbent ends, or would end, if it trained to its last step
    random     the median quality of so many whole trials at random points
    bayesian   the median quality of so many whole trials of Bayesian search
    cost       the part of the budget after which the quality is as good as one of these; 1 if never.
               As good as Bayesian search is what has come 99 % of the way there from random
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.multifidelity.methods import METHODS, Step, installed, train
from benchmarks.multifidelity.problems import OWN, CurveProblem, problem

RESULTS = Path(__file__).parent / "results"
REFERENCE = "bayesian, whole trials"
SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)
_DRAWN = 200
_CLOSE = 0.01


@dataclass(frozen=True, slots=True)
class Run:
    """What is run: it has a line when it is done.

    Attributes:
        method: Who tunes.
        problem: What.
        seed: The method's seed.
        workers: How many trials train at once.
        trials: The budget, in whole trials.
    """

    method: str
    problem: str
    seed: int
    workers: int
    trials: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    Attributes:
        at: The parts of the budget at which the incumbent changed.
        quality: The quality from there on.
        begun: How many trials were begun.
        cpu_s: CPU seconds, the problem's own apart.
    """

    at: Sequence[float]
    quality: Sequence[float]
    begun: int
    cpu_s: float

    def cost(self, wanted: float) -> float:
        """Return the part of the budget that it took to be as good as ``wanted``; 1 if it never was."""
        reached = (
            at for at, quality in zip(self.at, self.quality, strict=True) if quality <= wanted
        )
        return min(next(reached, 1.0), 1.0)

    def quality_at(self, share: float) -> float:
        """Return the quality after a part of the budget."""
        known = [q for at, q in zip(self.at, self.quality, strict=True) if at <= share]
        return known[-1] if known else math.inf


@cache
def _problem(name: str, harness: str) -> CurveProblem:
    return problem(name, 1, harness)


def measure(run: Run, harness: str) -> Result:
    """Run a method on a problem."""
    target = _problem(run.problem, harness)
    budget = run.trials * target.steps
    before = time.process_time()
    steps = train(run.method, target, run.seed, run.workers, budget)
    cpu_s = time.process_time() - before
    at, quality = incumbents(steps, target)
    return Result([n / budget for n in at], quality, max(s.trial for s in steps), cpu_s)


def incumbents(steps: Iterable[Step], target: CurveProblem) -> tuple[list[int], list[float]]:
    """Return after how many steps the incumbent changed, and its quality from there on."""
    furthest, least, holder = 0, math.inf, 0
    at: list[int] = []
    quality: list[float] = []
    for done, step in enumerate(steps, start=1):
        loss = float(target.curve(step.values)[step.step - 1])
        if step.step > furthest or (step.step == furthest and loss < least):
            furthest, least = step.step, loss
            if step.trial != holder:
                holder = step.trial
                at.append(done)
                quality.append(target.final(step.values))
    return at, quality


def random_quality(target: CurveProblem, trials: int) -> float:
    """Return the median quality of whole trials at random points."""
    rng = np.random.default_rng(0)
    finals = np.sort([target.final(target.space.sample(rng)) for _ in range(_DRAWN)])
    # The i-th best of those drawn is the best of a part of them with the probability that none of
    # the better ones is in it.
    better = 1.0
    for i, final in enumerate(finals):
        better *= 1.0 - trials / (_DRAWN - i)
        if better <= 0.5:
            return float(final)
    raise AssertionError


# Runs


def _file(run: Run) -> Path:
    name = "".join(c if c.isalnum() else "-" for c in run.method)
    return RESULTS / f"{name}.jsonl"


def read() -> dict[Run, Result]:
    """Return what has been run."""
    found: dict[Run, Result] = {}
    for path in sorted(RESULTS.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            data = json.loads(line)
            found[Run(**data["run"])] = Result(**data["result"])
    return found


def _measured(given: tuple[Run, str]) -> tuple[Run, Result]:
    return given[0], measure(*given)


def carry_out(runs: Sequence[Run], harness: str, jobs: int) -> None:
    """Carry out runs and write down each when it is done."""
    RESULTS.mkdir(exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=4) as pool:
        for run, result in pool.imap_unordered(_measured, [(run, harness) for run in runs]):
            with _file(run).open("a") as file:
                file.write(json.dumps({"run": asdict(run), "result": asdict(result)}) + "\n")
            print(f"{run}: {result.begun} trials, {result.cpu_s:.0f} s", flush=True)


# Tables


def _mean(costs: Iterable[float]) -> float:
    """Return the geometric mean."""
    return math.exp(statistics.fmean(math.log(cost) for cost in costs))


def table(
    found: Mapping[Run, Result],
    wanted: Mapping[str, float],
    methods: Sequence[str],
    workers: int,
    trials: int,
) -> str:
    """Return the costs of reaching what is wanted of each problem, as Markdown."""
    rows = []
    for method in methods:
        cells, costs = [], []
        for name, loss in wanted.items():
            results = [
                result
                for run, result in found.items()
                if (run.method, run.problem, run.workers, run.trials)
                == (method, name, workers, trials)
            ]
            if not results:
                continue
            each = [result.cost(loss) for result in results]
            missed = sum(result.quality_at(1.0) > loss for result in results)
            costs.append(_mean(each))
            cells.append(
                f"{costs[-1]:.3f}" + (f" ({missed} of {len(each)} never)" if missed else "")
            )
        if len(cells) == len(wanted):
            rows.append(
                (_mean(costs), f"| {method} | {_mean(costs):.3f} | " + " | ".join(cells) + " |")
            )
    head = "| | mean | " + " | ".join(wanted) + " |\n|---|---|" + "---|" * len(wanted)
    return "\n".join([head, *(row for _, row in sorted(rows))])


def main() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--methods", default="", help="separated by ';', since names have commas")
    parser.add_argument("--problems", default=",".join(OWN))
    parser.add_argument("--harness", default="", help="folder of the optimizer harness")
    parser.add_argument("--workers", default="1,8")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--print-only", action="store_true")
    given = parser.parse_args()
    methods = [m for m in given.methods.split(";") if m] or installed()
    if unknown := set(methods) - set(METHODS):
        parser.error(f"no method {', '.join(unknown)}; there are: {'; '.join(METHODS)}")
    names = given.problems.split(",")
    workers = [int(n) for n in given.workers.split(",")]
    found = read()
    runs = [
        run
        for seed in range(given.seeds)
        for name in names
        for n in workers
        for method in methods
        if (run := Run(method, name, seed, n, given.trials)) not in found
    ]
    if not given.print_only:
        carry_out(runs, given.harness, given.jobs)
        found = read()
    asked = {m for m in METHODS if any(run.method == m for run in found)}
    shown = [m for m in METHODS if m in asked]
    by_random = {n: random_quality(_problem(n, given.harness), given.trials) for n in names}
    for n in workers:
        print(f"\n{n} workers, to the quality of {given.trials} whole random trials\n")
        print(table(found, by_random, shown, n, given.trials))
        by_model = {}
        for name in names:
            finals = [
                result.quality_at(1.0)
                for run, result in found.items()
                if (run.method, run.problem, run.workers, run.trials)
                == (REFERENCE, name, n, given.trials)
            ]
            if finals:
                model = statistics.median(finals)
                by_model[name] = model + _CLOSE * abs(by_random[name] - model)
        print(f"\n{n} workers, to the quality of {given.trials} whole trials of Bayesian search\n")
        print(table(found, by_model, shown, n, given.trials))


if __name__ == "__main__":
    main()
