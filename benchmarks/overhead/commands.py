"""What a command trial costs beyond the command itself.

    python benchmarks/overhead/commands.py [--trials 100]

Times a study of trivial commands, one at a time, against a loop that starts the same command as often
and waits for it. The difference, divided by the number of trials, is the overhead.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tunesmith import Double, Space
from tunesmith.execution import CommandExecutor
from tunesmith.model import MetricReading, Objective, Program, StudySpec
from tunesmith.study import Study
from tunesmith.tuner import LEASE_S, Tuner

COMMAND = ("sh", "-c", "echo y=1")


def seconds_of_study(trials: int, folder: Path) -> float:
    spec = StudySpec(
        Space({"x": Double(0.0, 1.0)}), (Objective("y", "minimize"),), max_trials=trials, seed=0
    )
    storage = f"sqlite:///{folder / 'tunesmith.db'}"
    with Study.from_spec(spec, name="s", storage=storage, lease_s=LEASE_S) as study:
        program = Program(COMMAND, directory=os.getcwd())  # noqa: PTH109 - a Program holds text
        executor = CommandExecutor(program, study="s", spec=spec, root=folder, worker=study.worker)
        tuner = Tuner(study, executor, reading=MetricReading())
        began = time.perf_counter()
        tuner.work()
        return time.perf_counter() - began


def seconds_of_loop(trials: int, folder: Path) -> float:
    began = time.perf_counter()
    for _ in range(trials):
        with (folder / "stdout").open("wb") as out:
            subprocess.run([*COMMAND, "--x=0.5"], stdout=out, start_new_session=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    study_ms, loop_ms = [], []
    for _ in range(arguments.turns):
        with tempfile.TemporaryDirectory() as folder:
            study_ms.append(
                1000 * seconds_of_study(arguments.trials, Path(folder)) / arguments.trials
            )
            loop_ms.append(
                1000 * seconds_of_loop(arguments.trials, Path(folder)) / arguments.trials
            )
    beyond = statistics.median(a - b for a, b in zip(study_ms, loop_ms, strict=True))
    print("| a command trial, ms | the command alone, ms | overhead, ms |")
    print("| --- | --- | --- |")
    print(
        f"| {statistics.median(study_ms):.1f} | {statistics.median(loop_ms):.1f} | {beyond:.1f} |"
    )


if __name__ == "__main__":
    main()
