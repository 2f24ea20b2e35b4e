"""What `make demo` runs: train with the script's defaults, tune and compare; then stop early, and compare."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TRAIN = Path(os.path.relpath(HERE / "train.py"))
FILE = Path(os.path.relpath(HERE / "tune.yaml"))
EARLY = Path(os.path.relpath(HERE / "early.yaml"))
RULES = ("none", "median:min_steps=2", "asha:min_steps=2")


def main() -> int:
    # tune.yaml says `python`; here that is the Python which has Tunesmith and numpy.
    bin_folder = os.path.dirname(sys.executable)  # noqa: PTH120 - as given, links and all
    os.environ["PATH"] = os.pathsep.join([bin_folder, os.environ.get("PATH", os.defpath)])

    say(f"1. A training program, with its own defaults: python {TRAIN}")
    printed = output([sys.executable, str(TRAIN)])
    before = {name: float(value) for name, value in re.findall(r"(\w+) accuracy ([\d.]+)", printed)}
    say("\n".join(f"   {line}" for line in ["...", *printed.splitlines()[-3:]]))

    say(f"\n2. The same program, tuned: tunesmith run {FILE} --new")
    status = subprocess.run(tunesmith("run", str(FILE), "--new"), check=False).returncode
    if status:
        return status

    best = best_trial()
    values = shlex.join(f"--{name}={value}" for name, value in best["values"].items())
    after = best["metrics"]
    say(f"\n3. The best of the trials is number {best['number']}: {values}")
    say("                                        defaults   tuned")
    say(
        f"   validation images, tuned for          {before['validation']:.4f}   {after['accuracy']:.4f}"
    )
    say(
        f"   test images, which nobody has seen    {before['test']:.4f}   {after['test_accuracy']:.4f}"
    )

    status = stop_early()
    if status:
        return status

    python, command, tuned = shown("python"), shown("tunesmith"), best["study"]
    say("\nLook around:")
    for words, meaning in {
        f"{command} ls": "the studies",
        f"{command} show {tuned}": "the tuned one and its best trials",
        f"{command} trials @": "all trials of the last one, and why each was stopped",
        f"{command} show {tuned}/best": "the best trial, with its curve and its files",
        f"{python} {TRAIN} $({command} best {tuned} --as args)": "train with the best values",
    }.items():
        say(f"   {words}\n      {meaning}")
    say(f"Then tune a program of your own: {command} init YOUR_SCRIPT.py")
    return 0


def stop_early() -> int:
    """Run the same trials with several stopping rules, and say what each saves; return an exit status."""
    words = f"tunesmith run {EARLY} --new --stopping RULE"
    say(
        f"\n4. Values at random over wide ranges, and rules that end hopeless trials early: {words}"
    )
    rows = []
    for rule in RULES:
        command = tunesmith("run", str(EARLY), "--new", "--quiet", "--stopping", rule)
        status = subprocess.run(command, check=False).returncode
        if status:
            return status
        trials = json.loads(output(tunesmith("trials", "@", "--json")))["trials"]
        epochs = sum(trial["steps"] for trial in trials)
        rows.append((rule, len(trials), epochs, best_trial()["metrics"]["accuracy"]))
    whole = rows[0][2]
    say("\n   stopping            trials   epochs   saved   best")
    for rule, trials, epochs, best in rows:
        saved = f"{1 - epochs / whole:.0%}"
        say(f"   {rule:<18} {trials:7}  {epochs:7}   {saved:>5}   {best:.4f}")
    return 0


def say(text: str) -> None:
    print(text, flush=True)


def output(words: list[str]) -> str:
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def tunesmith(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tunesmith", *arguments]


def best_trial() -> dict[str, Any]:
    """Return the best trial of the study that was run last."""
    found: dict[str, Any] = json.loads(output(tunesmith("best", "@", "--json")))
    return found


def shown(program: str) -> str:
    """Return how to type a program here: its name alone where the shell finds this very one."""
    ours = Path(sys.executable).with_name(program)
    path = os.environ["PATH"].partition(os.pathsep)[2]
    found = shutil.which(program, path=path)
    return program if found and Path(found) == ours else os.path.relpath(ours)


if __name__ == "__main__":
    sys.exit(main())
