"""How far a run is, and the words it ends with."""

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tunesmith.model import Front, StudySummary, TrialState
from tunesmith.reporting import (
    Outlook,
    Training,
    assignments,
    choice_text,
    counts_text,
    duration,
    reached_text,
    saved_text,
    shown_metrics,
)
from tunesmith.study import Choices, Study
from tunesmith.tuner import BestChanged, Event, TrialEnded, TrialStarted

__all__ = ["Progress", "summary_line", "write_github_summary"]


class Progress:
    """How far the study is, and how long it may still take."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.started = time.monotonic()
        self.ended_here = 0
        summary = study.storage.summary(study.name)
        self.best = summary.best
        self.front = summary.front
        self.done_before = summary.done
        self._outlook = Outlook.of(study.spec)
        self._steps_before = self._steps()
        self._choices = Choices(summary.choices[-1] if summary.choices else None)

    def observe(self, event: Event) -> None:
        """Count."""
        if isinstance(event, TrialEnded) and event.trial.is_final:
            self.ended_here += 1
        elif isinstance(event, BestChanged):
            self.best = event.trial
            if self.front is not None:
                self.front = Front.of(self.study.history.trials, self.study.spec)

    def takes_over(self, event: Event) -> str:
        """Return who suggests trials from this one on, where the algorithm has just chosen; else ``""``."""
        if not isinstance(event, TrialStarted) or not self._choices.takes_over(event.trial):
            return ""
        return choice_text(event.trial, self.study.spec.algorithm.name)

    @property
    def elapsed_s(self) -> float:
        """Seconds since this tuner began."""
        return time.monotonic() - self.started

    @property
    def done(self) -> int:
        """How many trials of the study have ended."""
        history = self.study.history
        return len(history.trials) - len(history.open) - history.count(TrialState.CANCELLED)

    @property
    def outlook(self) -> Outlook:
        """What the study takes in all, by the budget in force."""
        if self._outlook.spec is not self.study.spec:
            self._outlook = Outlook.of(self.study.spec)
        return self._outlook

    @property
    def total(self) -> int | None:
        """How many trials it will have at most."""
        return self.outlook.trials

    @property
    def share(self) -> float | None:
        """How much of the study is done: of its steps where a schedule counts them, else of its trials."""
        if self.outlook.plan is not None:
            expected = self.outlook.plan.steps
            return min(1.0, self._steps() / expected) if expected else None
        return min(1.0, self.done / self.total) if self.total else None

    def left(self) -> str:
        """Return how long it may still take, as ``, about 2m left``; ``""`` while nobody can tell."""
        if self.total is None or self.done >= self.total:
            return ""
        if self.outlook.plan is not None:
            here, more = self._steps() - self._steps_before, self.outlook.plan.steps - self._steps()
        else:
            here, more = self.ended_here, self.total - self.done
        if here < 2 or more <= 0:
            return ""
        return f", about {duration(self.elapsed_s / here * more)} left"

    def _steps(self) -> int:
        """Return how many steps all trials have done; 0 where nobody counts them."""
        if self._outlook.plan is None:
            return 0
        training = Training.of(self.study.history, counted=False)
        return 0 if training is None else training.steps

    def of_total(self) -> str:
        """Return ``12/30``."""
        return f"{self.done}/{self.total}" if self.total is not None else str(self.done)


def summary_line(summary: StudySummary, progress: Progress) -> str:
    """Return the last line of a run."""
    record = summary.record
    ended = record.state if record.state != "active" else "interrupted"
    line = f"{ended} {progress.of_total()} in {duration(progress.elapsed_s)}: {counts_text(summary.counts)}"
    training = Training.of(progress.study.history)
    return "; ".join(part for part in (line, reached_text(summary), saved_text(training)) if part)


def write_github_summary(summary: StudySummary, line: str) -> None:
    """Write the job summary of GitHub Actions, where that is what runs us."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    rows = ""
    if summary.front is not None:
        metrics = shown_metrics(summary.record.spec)
        rows = _markdown(
            ["trial", *metrics, "values"],
            [
                [t.number, *(t.metrics.get(m, "") for m in metrics), assignments(t.values)]
                for t in summary.front.trials
            ],
        )
    elif summary.best is not None:
        rows = _markdown(["parameter", "best value"], summary.best.values.items())
    with contextlib.suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
        file.write(f"### tunesmith: {summary.record.name}\n\n{line}\n{rows}\n")


def _markdown(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join("| " + " | ".join(map(str, cells)) + " |\n" for cells in lines)
