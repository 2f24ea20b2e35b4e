"""Trials per second of ask + report + tell, beside Optuna on the same disk in the same run.

    python benchmarks/overhead/ask_tell.py [--trials 200] [--processes 1,8] [--dir .]

Both use random search over six doubles and keep all in one SQLite file. Every trial is asked for,
reports one intermediate value, and is told its result. Tunesmith and Optuna take turns, so that both
meet the same noise; the ratio is what to quote. Needs optuna beside tunesmith.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

DIMENSIONS = 6


def tunesmith_work(folder: str, count: int) -> None:
    import tunesmith as ts

    space = {f"x{i}": ts.Double(0.0, 1.0) for i in range(DIMENSIONS)}
    storage = f"sqlite:///{folder}/tunesmith.db"
    with ts.Study(space, minimize="y", name="s", storage=storage, algorithm="random") as study:
        for _ in range(count):
            trial = study.ask()
            y = sum(float(value) for value in trial.values.values())
            study.report(trial, 1, y=y)
            study.tell(trial, y=y)


def optuna_work(folder: str, count: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{folder}/optuna.db"
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 100}})
    sampler = optuna.samplers.RandomSampler()
    study = optuna.create_study(
        study_name="s", storage=storage, sampler=sampler, load_if_exists=True
    )
    for _ in range(count):
        trial = study.ask()
        y = sum(trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(DIMENSIONS))
        trial.report(y, 1)
        study.tell(trial, y)


def _worker(work: Callable[[str, int], None], folder: str, count: int, start: Barrier) -> None:
    work(folder, 1)  # imports, connections, first-use caches
    start.wait()
    work(folder, count)


def trials_per_second(work: Callable[[str, int], None], processes: int, trials: int) -> float:
    """Return how many trials a second ``processes`` processes get through together."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=ARGUMENTS.dir) as folder:
        work(folder, 1)  # the tables are there before anybody is timed
        start = context.Barrier(processes + 1)
        each = trials // processes
        arguments = (work, folder, each, start)
        workers = [context.Process(target=_worker, args=arguments) for _ in range(processes)]
        for worker in workers:
            worker.start()
        start.wait()
        began = time.perf_counter()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            message = f"a process of {work.__name__} failed"
            raise SystemExit(message)
        return each * processes / (time.perf_counter() - began)


def main() -> None:
    print("| processes | tunesmith, trials/s | optuna, trials/s | ratio (median of turns) |")
    print("| --- | --- | --- | --- |")
    for processes in map(int, ARGUMENTS.processes.split(",")):
        ours, theirs = [], []
        for _ in range(ARGUMENTS.turns):
            ours.append(trials_per_second(tunesmith_work, processes, ARGUMENTS.trials * 5))
            theirs.append(trials_per_second(optuna_work, processes, ARGUMENTS.trials))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(
            f"| {processes} | {statistics.median(ours):.0f} | {statistics.median(theirs):.1f}"
            f" | {ratio:.1f} |",
            flush=True,
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=96, help="of Optuna; Tunesmith does 5 times")
    parser.add_argument("--processes", default="1,8")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=Path.cwd(), help="on the disk to measure")
    return parser.parse_args()


ARGUMENTS = _arguments() if __name__ == "__main__" else argparse.Namespace()

if __name__ == "__main__":
    main()
