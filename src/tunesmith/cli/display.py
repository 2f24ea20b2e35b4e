"""What a person sees while a study runs: a live block on a terminal, plain lines elsewhere."""

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tunesmith.cli.console import say
from tunesmith.cli.follow import Follower
from tunesmith.model import Front, StudyState, StudySummary, Trial, TrialState, is_feasible
from tunesmith.reporting import (
    assignments,
    choice_text,
    counts_text,
    duration,
    front_text,
    goal_text,
    metrics_text,
    nearest_text,
    new_best_text,
    number,
    reached_text,
    shown_metrics,
)
from tunesmith.storage import files_root
from tunesmith.study import Choices, Study
from tunesmith.tuner import BestChanged, Event, Note, TrialEnded, TrialMeasured, TrialStarted

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

__all__ = ["LiveDisplay", "PlainDisplay"]

_HEARTBEAT_S = 60.0
_RUNNING_SHOWN = 8
_PARAMETERS_SHOWN = 8
_ENDED_SHOWN = 4
_STYLES = {
    TrialState.COMPLETED: "green",
    TrialState.STOPPED: "yellow",
    TrialState.RUNNING: "cyan",
    TrialState.FAILED: "red",
    TrialState.INFEASIBLE: "magenta",
}


class _Progress:
    """How far the study is, and how long it may still take."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.started = time.monotonic()
        self.ended_here = 0
        summary = study.storage.summary(study.name)
        self.best = summary.best
        self.front = summary.front
        self.done_before = summary.done
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
    def total(self) -> int | None:
        """How many trials it will have at most."""
        bounds = [b for b in (self.study.spec.max_trials, self.study.space.size) if b is not None]
        return min(bounds, default=None)

    def left(self) -> str:
        """Return how long it may still take, as ``, about 2m left``; ``""`` while nobody can tell."""
        if self.total is None or self.ended_here < 2 or self.done >= self.total:
            return ""
        seconds = self.elapsed_s / self.ended_here * max(0, self.total - self.done)
        return f", about {duration(seconds)} left"

    def of_total(self) -> str:
        """Return ``12/30``."""
        return f"{self.done}/{self.total}" if self.total is not None else str(self.done)


def _summary_line(summary: StudySummary, progress: _Progress) -> str:
    """Return the last line of a run."""
    record = summary.record
    ended = record.state if record.state != "active" else "interrupted"
    line = f"{ended} {progress.of_total()} in {duration(progress.elapsed_s)}: {counts_text(summary.counts)}"
    reached = reached_text(summary)
    return f"{line}; {reached}" if reached else line


def _write_github_summary(summary: StudySummary, line: str) -> None:
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


def _head(study: Study) -> str:
    trials = _trials(study.spec.max_trials or study.space.size)
    return (
        f"study {study.name} · {goal_text(study.spec)} · {trials},"
        f" {study.spec.parallel_trials} at a time · algorithm {study.spec.algorithm.name}"
    )


def _trials(count: int | None) -> str:
    if count is None:
        return "no bound on trials"
    return "1 trial" if count == 1 else f"{count} trials"


def _space_lines(study: Study) -> list[str]:
    """Return how the parameters were understood, one a line."""
    names = list(study.space)
    lines = [f"{name} {study.space.describe(name)}" for name in names[:_PARAMETERS_SHOWN]]
    return lines + ([f"… {len(names) - len(lines)} more"] if len(names) > len(lines) else [])


def _finish(study: Study, progress: _Progress) -> StudySummary:
    study.refresh()
    summary = study.storage.summary(study.name)
    _write_github_summary(summary, _summary_line(summary, progress))
    return summary


class PlainDisplay:
    """Prints a line for every improvement and a sign of life each minute.

    Args:
        study: The study.
        quiet: 1 for the last line only, 2 for nothing.
        follow: Gives a trial's directory, to print what trials print; None to leave that.
    """

    def __init__(
        self, study: Study, *, quiet: int = 0, follow: Callable[[int], Path] | None = None
    ) -> None:
        self._study = study
        self._quiet = quiet
        self._progress = _Progress(study)
        self._follower = None if follow is None else Follower(follow)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._live, daemon=True)]
        if self._follower is not None:
            self._threads.append(threading.Thread(target=self._follow, daemon=True))

    def __enter__(self) -> Self:
        spec = self._study.spec
        trials = _trials(spec.max_trials or self._study.space.size)
        done = self._progress.done_before
        begins = f"goes on after {done}," if done else "started,"
        self.note(f"{self._study.name} {begins} {trials}, {spec.parallel_trials} parallel")
        for line in _space_lines(self._study):
            self.note(f"  {line}")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def observe(self, event: Event) -> None:
        """Print what a person who reads the log later wants to know."""
        self._progress.observe(event)
        if taken := self._progress.takes_over(event):
            self._line(taken)
        if self._follower is not None:
            if isinstance(event, TrialStarted):
                self._follower.add(event.trial.number)
            elif isinstance(event, TrialEnded):
                self._follower.remove(event.trial.number)
        match event:
            case BestChanged(trial):
                reached = new_best_text(trial, self._study.spec)
                words = f"{self._progress.of_total()}  {assignments(trial.values)}"
                leads = f" (#{trial.number})" if is_feasible(trial, self._study.spec) else ""
                self._line(f"{reached}{leads} {words}")
            case TrialEnded(trial) if trial.state in (TrialState.FAILED, TrialState.QUEUED):
                words = "failed" if trial.state is TrialState.FAILED else "starts again"
                self._line(f"trial {trial.number} {words}: {trial.reason}")
            case Note(text):
                self._line(text)

    def note(self, text: str) -> None:
        """Say something to a person who watches."""
        if not self._quiet:
            say(f"tunesmith: {text}")

    def summarize(self) -> None:
        """Print the last line."""
        summary = _finish(self._study, self._progress)
        if self._quiet < 2:
            say(f"tunesmith: {_summary_line(summary, self._progress)}")

    def _line(self, text: str) -> None:
        self.note(f"{time.strftime('%H:%M:%S')} {text}")

    def _live(self) -> None:
        while not self._over.wait(_HEARTBEAT_S):
            running = self._study.history.count(TrialState.RUNNING)
            state = self._study.record.state
            paused = "" if state is StudyState.ACTIVE else f", {state}"
            self._line(
                f"{self._progress.of_total()}, {running} running{paused}{self._progress.left()}"
            )

    def _follow(self) -> None:
        assert self._follower is not None
        while not self._over.wait(0.2):
            while self._follower.print_new():
                pass
        self._follower.print_rest()


class LiveDisplay:
    """One block that is rewritten in place: progress, the best so far, the trials that run."""

    def __init__(self, study: Study) -> None:
        from rich.console import Console  # noqa: PLC0415 - loads as long as all of the command line
        from rich.live import Live  # noqa: PLC0415

        self._study = study
        self._metrics = shown_metrics(study.spec)
        self._progress = _Progress(study)
        self._running: dict[int, tuple[Trial, float]] = {}
        self._latest: dict[int, tuple[int, dict[str, float]]] = {}
        self._ended: deque[Trial] = deque(maxlen=_ENDED_SHOWN)
        self._message = ""
        self._console = Console(file=sys.stderr, highlight=False, markup=False)
        self._live = Live(
            self, console=self._console, refresh_per_second=5, transient=True, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        say(_head(self._study))
        for line in _space_lines(self._study):
            say(f"  {line}")
        say(f"files {files_root(self._study.storage.url) / 'trials' / self._study.name}")
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def observe(self, event: Event) -> None:
        """Take in what the next refresh will show."""
        self._progress.observe(event)
        if taken := self._progress.takes_over(event):
            self._console.print(taken)  # above the block, where it stays
        match event:
            case TrialStarted(trial):
                self._running[trial.number] = (trial, time.monotonic())
            case TrialMeasured(trial, measurement):
                _, known = self._latest.get(trial.number, (0, {}))
                self._latest[trial.number] = (measurement.step, known | dict(measurement.metrics))
            case TrialEnded(trial):
                self._running.pop(trial.number, None)
                self._ended.append(trial)
            case Note(text):
                self._message = text

    def note(self, text: str) -> None:
        """Show a line beneath the block."""
        self._message = text

    def summarize(self) -> None:
        """Print the last state of the block as lines that stay."""
        summary = _finish(self._study, self._progress)
        say(_summary_line(summary, self._progress))
        if summary.best is not None:
            if summary.front is None and is_feasible(summary.best, self._study.spec):
                say(f"best values: {assignments(summary.best.values)}")
            look = "show" if summary.front is None else "best"
            say(f"look: tunesmith {look} {self._study.name}")

    def __rich__(self) -> "Group":
        """Return the block as it is now."""
        from rich.console import Group  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415

        parts: list[Text | Table] = [self._bar()]
        best, front, spec = self._progress.best, self._progress.front, self._study.spec
        if best is not None and not is_feasible(best, spec):
            parts.append(Text(f" {nearest_text(best, spec)}", "yellow"))
        elif front is not None and front.trials:
            parts.append(Text(f" {front_text(front)}", "green"))
        elif best is not None:
            value = metrics_text(best, spec)
            parts.append(
                Text.assemble(
                    " best ", (value, "bold green"), f"  #{best.number}  {assignments(best.values)}"
                )
            )
        parts.append(self._table())
        if self._message:
            parts.append(Text(self._message, "yellow"))
        return Group(*parts)

    def _bar(self) -> "Text":
        from rich.text import Text  # noqa: PLC0415 - as above

        total = self._progress.total
        share = min(1.0, self._progress.done / total) if total else 0.0
        filled = round(28 * share)
        history = self._study.history
        counts = {s: n for s in TrialState if (n := history.count(s))}
        text = Text(f" {self._progress.of_total()} ")
        text.append("█" * filled, "green").append("·" * (28 - filled), "dim")
        text.append(f"  {counts_text(counts)}")
        if self._study.record.state is not StudyState.ACTIVE:
            text.append(f"  {self._study.record.state}", "yellow")
        text.append(f"   {duration(self._progress.elapsed_s)}{self._progress.left()}", "dim")
        return text

    def _table(self) -> "Table":
        from rich.table import Table  # noqa: PLC0415 - as above

        names = list(self._study.space)[:_PARAMETERS_SHOWN]
        table = Table(box=None, pad_edge=True, padding=(0, 2, 0, 1))
        for head in ("#", "state", *self._metrics, "step", *names, "time"):
            table.add_column(head, header_style="dim", no_wrap=True)
        now = time.monotonic()
        for trial, since in list(self._running.values())[-_RUNNING_SHOWN:]:
            step, metrics = self._latest.get(trial.number, (None, {}))
            table.add_row(
                *self._row(trial, "running", metrics, step, names, duration(now - since)),
                style="cyan",
            )
        for trial in reversed(list(self._ended)):
            took = ""
            if trial.started is not None and trial.finished is not None:
                took = duration(trial.finished - trial.started)
            row = self._row(trial, trial.state.value, trial.metrics, trial.step, names, took)
            if trial.state is TrialState.FAILED:
                row[2] = trial.reason[:40]
            table.add_row(*row, style=_STYLES.get(trial.state, "dim"))
        return table

    def _row(
        self,
        trial: Trial,
        state: str,
        metrics: Mapping[str, float],
        step: int | None,
        names: list[str],
        took: str,
    ) -> list[str]:
        values = [number(trial.values[n]) if n in trial.values else "" for n in names]
        measured = [number(metrics[m]) if m in metrics else "" for m in self._metrics]
        return [
            str(trial.number),
            state,
            *measured,
            "" if step is None else str(step),
            *values,
            took,
        ]
