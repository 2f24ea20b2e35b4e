"""How long the commands that look take on a study of 100,000 trials, with a learning curve each.

    python benchmarks/overhead/large_study.py [--trials 100000]

Prints wall seconds of whole processes, so the interpreter's start is in them.
"""

import argparse
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tunesmith import Categorical, Discrete, Double, Integer, Space
from tunesmith.model import Objective, StudySpec, Suggestion
from tunesmith.storage import open_storage

COMMANDS = ["ls", "show big", "trials big --limit 5", "best big", "show big/77777", "ls --json"]
STEPS = 3


def build(url: str, trials: int) -> None:
    """Make a study whose trials have all ended; by SQL, since nobody waits for 100,000 tells."""
    space = Space(
        {
            "lr": Double(1e-5, 1e-1, scale="log"),
            "units": Discrete([64, 128, 512]),
            "optimizer": Categorical(["sgd", "adam"]),
            "layers": Integer(1, 12),
        }
    )
    spec = StudySpec(space, (Objective("accuracy", "maximize"),), max_trials=trials)
    storage = open_storage(url)
    storage.create_study("big", spec)
    rng = np.random.default_rng(0)
    suggestions = [Suggestion(space.sample(rng), "random") for _ in range(trials)]
    storage.add_trials("big", suggestions, after=0)
    storage.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute(
            "UPDATE trial SET state = 'completed', attempt = 1, started = queued, finished = queued + 9,"
            " loss = -(number * 7919 % 10007) / 10007.0,"
            " metrics = '{\"accuracy\":' || ((number * 7919 % 10007) / 10007.0) || '}'"
        )
        rows = ((n, step, n % 97 / 97) for n in range(1, trials + 1) for step in range(STEPS))
        database.executemany(
            "INSERT INTO measurement (study_id, number, attempt, metric, step, value, elapsed_s)"
            " VALUES (1, ?, 1, 'accuracy', ?, ?, 1.0)",
            rows,
        )
        database.execute("UPDATE study SET state = 'finished'")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'big.db'}"
        build(url, arguments.trials)
        print("| command | seconds |")
        print("| --- | --- |")
        for command in COMMANDS:
            words = [sys.executable, "-m", "tunesmith", *command.split(), "--storage", url]
            seconds = []
            for _ in range(arguments.turns):
                began = time.perf_counter()
                subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
                seconds.append(time.perf_counter() - began)
            print(f"| {command} | {statistics.median(seconds):.2f} |", flush=True)


if __name__ == "__main__":
    main()
