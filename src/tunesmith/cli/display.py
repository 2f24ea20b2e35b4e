"""What a person sees while a study runs: a live block on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tunesmith.cli.console import say
from tunesmith.cli.follow import Follower
from tunesmith.cli.printed import from_folders
from tunesmith.cli.progress import Progress, summary_line, write_github_summary
from tunesmith.model import StudyState, StudySummary, Trial, TrialState, is_feasible
from tunesmith.reporting import (
    assignments,
    counts_text,
    duration,
    ending_text,
    front_text,
    goal_text,
    metrics_text,
    nearest_text,
    new_best_text,
    number,
    shown_metrics,
    step_text,
    stopped_text,
    stopping_text,
)
from tunesmith.storage import files_root
from tunesmith.study import Study
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
_WITHOUT_REASON = (TrialState.COMPLETED, TrialState.PAUSED)  # these ended as they were meant to


def _head(study: Study, total: int | None) -> str:
    spec = study.spec
    parts = [
        f"study {study.name}",
        goal_text(spec),
        f"{_trials(total)}, {spec.parallel_trials} at a time",
        f"algorithm {spec.algorithm.name}",
    ]
    parts += [f"stopping {stopping}"] if (stopping := stopping_text(spec)) else []
    parts += [f"until {ending}"] if (ending := ending_text(spec)) else []
    return " · ".join(parts)


def _trials(count: int | None) -> str:
    if count is None:
        return "no bound on trials"
    return "1 trial" if count == 1 else f"{count} trials"


def _space_lines(study: Study) -> list[str]:
    """Return how the parameters were understood, one a line."""
    names = list(study.space)
    lines = [f"{name} {study.space.describe(name)}" for name in names[:_PARAMETERS_SHOWN]]
    return lines + ([f"… {len(names) - len(lines)} more"] if len(names) > len(lines) else [])


def _finish(study: Study, progress: Progress) -> StudySummary:
    study.refresh()
    summary = study.storage.summary(study.name)
    write_github_summary(summary, summary_line(summary, progress))
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
        self._progress = Progress(study)
        self._budgets: dict[int, int | None] = {}
        self._follower = None if follow is None else Follower(from_folders(follow))
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._live, daemon=True)]
        if self._follower is not None:
            self._threads.append(threading.Thread(target=self._follow, daemon=True))

    def __enter__(self) -> Self:
        spec = self._study.spec
        trials = _trials(self._progress.total)
        done = self._progress.done_before
        begins = f"goes on after {done}," if done else "started,"
        stopping = f", stopping {text}" if (text := stopping_text(spec)) else ""
        until = f", until {text}" if (text := ending_text(spec)) else ""
        head = f"{self._study.name} {begins} {trials}, {spec.parallel_trials} parallel"
        self.note(head + stopping + until)
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
            case TrialStarted(trial):
                self._budgets[trial.number] = trial.budget
            case TrialEnded(trial):
                self._tell_end(trial)
            case Note(text):
                self._line(text)

    def _tell_end(self, trial: Trial) -> None:
        if trial.state is TrialState.FAILED:
            self._line(f"trial {trial.number} failed: {trial.reason}")
        elif trial.state is TrialState.STOPPED:
            self._line(f"trial {trial.number} {stopped_text(trial, self._study.spec)}")
        elif trial.state is TrialState.PAUSED and trial.pause_requested:
            self._line(f"trial {trial.number} paused: {trial.reason}")
        elif trial.state is TrialState.QUEUED and trial.budget == self._budgets[trial.number]:
            # One that goes on with a larger budget does what its schedule meant it to.
            self._line(f"trial {trial.number} starts again: {trial.reason}")

    def note(self, text: str) -> None:
        """Say something to a person who watches."""
        if not self._quiet:
            say(f"tunesmith: {text}")

    def summarize(self) -> None:
        """Print the last line."""
        summary = _finish(self._study, self._progress)
        if self._quiet < 2:
            say(f"tunesmith: {summary_line(summary, self._progress)}")

    def _line(self, text: str) -> None:
        self.note(f"{time.strftime('%H:%M:%S')} {text}")

    def _live(self) -> None:
        while not self._over.wait(_HEARTBEAT_S):
            history = self._study.history
            words = [self._progress.of_total(), f"{history.count(TrialState.RUNNING)} running"]
            if waiting := history.count(TrialState.PAUSED):
                words.append(f"{waiting} paused")
            if self._study.record.state is not StudyState.ACTIVE:
                words.append(f"the study is {self._study.record.state}")
            self._line(", ".join(words) + self._progress.left())

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
        self._progress = Progress(study)
        self._running: dict[int, tuple[Trial, float]] = {}
        self._latest: dict[int, tuple[int, dict[str, float]]] = {}
        self._ended: deque[Trial] = deque(maxlen=_ENDED_SHOWN)
        self._message = ""
        self._console = Console(file=sys.stderr, highlight=False, markup=False)
        self._live = Live(
            self, console=self._console, refresh_per_second=5, transient=True, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        say(_head(self._study, self._progress.total))
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
                for paused in [t for t in self._ended if t.number == trial.number]:
                    self._ended.remove(paused)
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
        say(summary_line(summary, self._progress))
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

        filled = round(28 * (self._progress.share or 0.0))
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
        from rich.text import Text  # noqa: PLC0415

        names = list(self._study.space)[:_PARAMETERS_SHOWN]
        # As they are by now: what was paused may have been ended since.
        trials = self._study.history.trials
        latest = [(t, trials[t.number - 1]) for t in reversed(self._ended)]
        ended = [max(pair, key=lambda t: t.revision) for pair in latest]
        told = [t for t in ended if t.reason and t.state not in _WITHOUT_REASON]
        table = Table(box=None, pad_edge=True, padding=(0, 2, 0, 1))
        for head in ("#", "state", *self._metrics, "step", *names, "time"):
            table.add_column(head, header_style="dim", no_wrap=True)
        if told:
            table.add_column("why", header_style="dim")  # gives way first where it gets narrow
        now = time.monotonic()
        for trial, since in list(self._running.values())[-_RUNNING_SHOWN:]:
            step, metrics = self._latest.get(trial.number, (None, {}))
            row = self._row(trial, "running", metrics, step, names, duration(now - since))
            table.add_row(*row, style="cyan")
        for trial in ended:
            took = ""
            if trial.started is not None and trial.finished is not None:
                took = duration(trial.finished - trial.started)
            row = self._row(trial, trial.state.value, trial.metrics, trial.step, names, took)
            why = Text(trial.reason if trial in told else "", no_wrap=True, overflow="ellipsis")
            style = _STYLES.get(trial.state, "dim")
            table.add_row(*row, *([why] if told else []), style=style)
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
            "" if step is None else step_text(step, trial, self._study.spec),
            *values,
            took,
        ]
