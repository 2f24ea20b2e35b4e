"""Tunes a Python function in one call."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from tunesmith.execution import FunctionExecutor, Slots, mirrored, pack_function
from tunesmith.model import (
    Constraint,
    Ending,
    MetricReading,
    Resources,
    Selection,
    Setting,
    StudySpec,
    Trial,
    TrialState,
)
from tunesmith.reporting import assignments, new_best_text
from tunesmith.space import Parameter, Space, Value
from tunesmith.storage import Storage, default_url, make_files_root, open_storage
from tunesmith.study import Study, refuse_endless
from tunesmith.study.opening import StoppingLike, objectives
from tunesmith.study.opening import algorithm as read_algorithm
from tunesmith.study.opening import stopping as read_stopping
from tunesmith.tuner.events import BestChanged, Event, TrialEnded
from tunesmith.tuner.tuner import LEASE_S, Tuner

__all__ = ["tune"]


def tune(
    function: Callable[..., object],
    space: Space | Mapping[str, Parameter],
    *,
    minimize: str | Sequence[str] = (),
    maximize: str | Sequence[str] = (),
    max_trials: int | None = None,
    parallel_trials: int = 1,
    name: str | None = None,
    storage: Storage | str | None = None,
    algorithm: str | Mapping[str, Setting] = "default",
    seed: int | None = None,
    max_failed_trials: int | None = None,
    measurement: Selection = "last",
    initial: Iterable[Mapping[str, Value]] = (),
    constraints: Mapping[str, str] | Iterable[Constraint] = (),
    standard_error: str | Mapping[str, str] = "",
    warm_start: Iterable[str | Study] = (),
    stopping: StoppingLike | Sequence[StoppingLike] = (),
    max_steps: int | None = None,
    ending: Ending | None = None,
    time_limit_s: float | None = None,
    memory_limit_mib: float | None = None,
    cpus: int = 0,
    gpus: int = 0,
    grace_s: float = 10.0,
    retries: int = 2,
    quiet: bool = False,
) -> Study:
    """Call ``function`` with values from ``space`` until the budget is spent; return the study.

    Trials run in worker processes, ``parallel_trials`` at once. All is kept in ``.tunesmith`` of
    the working directory: the same call with the same ``name`` goes on where the last one ended. With
    the URL of a server as ``storage``, the same call on several machines shares one study.

    Args:
        function: Takes the trial (``trial.values``, ``trial.report(step, accuracy=...)``), or the
            parameters by name. Returns the objective, a mapping of metrics, or None after reports.
        space: The parameters by name.
        minimize: The metric that should be small; a list for several.
        maximize: The metric that should be large; a list for several.
        max_trials: How many trials the study may have; needed unless the space is finite, or
            ``ending`` ends it after some time or without improvement.
        parallel_trials: How many run at once.
        name: The study's name; a new one after the function's if None.
        storage: A storage or its URL; None is the default storage of the working directory.
        algorithm: The searcher's name, or a mapping with its ``name`` and settings.
        seed: Seeds every random choice.
        max_failed_trials: The study fails when more trials than this have failed.
        measurement: Which of a trial's measurements counts.
        initial: Points to try first.
        constraints: Bounds that the metrics of a good trial keep, such as ``{"latency_ms": "<= 20"}``.
        standard_error: The metric that holds the standard error of the objective, for functions that
            return theirs; with several objectives a mapping of theirs.
        warm_start: Earlier studies of the same storage, or their names, to learn from.
        stopping: What ends hopeless trials early: the name of a stopping rule or schedule, a mapping
            with its ``name`` and settings, or several in a list.
        max_steps: How many steps (epochs, mostly) a whole trial trains; ``trial.budget`` has it.
        ending: When the study has enough, beside its number of trials.
        time_limit_s: Seconds after which a trial is ended and fails.
        memory_limit_mib: Memory of a trial's processes above which it is ended and fails.
        cpus: CPUs set aside for each trial; 0 leaves the choice to the operating system.
        gpus: GPUs set aside for each trial.
        grace_s: Seconds between SIGTERM and SIGKILL.
        retries: How often a trial starts again after a fault that is not its program's.
        quiet: Whether to print nothing.

    Raises:
        SpaceError: a fault in the space or an initial point.
        SpecError: a fault in the other arguments, or a function that can't be called so.
        NotFoundError: an earlier study is not there.
        MismatchError: the stored study of that name has another space, other objectives or
            constraints.
        StorageError: the storage failed; the same call goes on once it is well.
        KeyboardInterrupt: after Ctrl-C, once all that ran has ended; the same call goes on.
    """
    resources = Resources(cpus, gpus, time_limit_s, memory_limit_mib, grace_s)
    Slots(resources)  # what can't work is refused before anything is made
    space = space if isinstance(space, Space) else Space(space)
    packed = pack_function(function, space)
    refuse_endless(
        StudySpec(
            space,
            objectives(minimize, maximize, standard_error),
            read_algorithm(algorithm),
            max_trials=max_trials,
            stopping=read_stopping(stopping),
            max_steps=max_steps,
            ending=ending or Ending(),
        )
    )
    url = default_url() if storage is None else storage
    opened = open_storage(url) if isinstance(url, str) else url
    study = Study(
        space,
        minimize=minimize,
        maximize=maximize,
        name=name or _free_name(function, opened),
        storage=opened,
        algorithm=algorithm,
        seed=seed,
        max_trials=max_trials,
        parallel_trials=parallel_trials,
        max_failed_trials=max_failed_trials,
        measurement=measurement,
        initial=initial,
        constraints=constraints,
        standard_error=standard_error,
        warm_start=warm_start,
        stopping=stopping,
        max_steps=max_steps,
        ending=ending,
        lease_s=LEASE_S,
    )
    executor = FunctionExecutor(
        packed,
        study=study.name,
        spec=study.spec,
        root=make_files_root(opened.url),
        worker=study.worker,
        resources=resources,
    )
    opened.touch(study.name)
    study.continue_up_to(max_trials)
    printer = None if quiet else _Printer(study)
    tuner = Tuner(
        study,
        mirrored(executor, opened, study.record),
        parallel_trials=parallel_trials,
        retries=retries,
        # What a function prints is its own affair: it returns or reports what it measures.
        reading=MetricReading(sources=("report", "hypertune", "tensorboard")),
        observe=printer or (lambda _: None),
    )
    tuner.work()
    if printer is not None:
        printer.end()
    return study


class _Printer:
    """Prints a line whenever a trial fails or beats all before it, and one at the end."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def __call__(self, event: Event) -> None:
        match event:
            case BestChanged(t):
                reached = new_best_text(t, self._study.spec)
                self._say(t, f"{reached} {assignments(t.values)}")
            case TrialEnded(t) if t.state is TrialState.FAILED:
                self._say(t, f"failed: {t.reason}")

    def end(self) -> None:
        """Print what became of the study."""
        print(repr(self._study), file=sys.stderr)

    def _say(self, trial: Trial, words: str) -> None:
        of = f"/{self._study.spec.max_trials}" if self._study.spec.max_trials else ""
        print(f"{self._study.name} #{trial.number}{of}: {words}", file=sys.stderr)


def _free_name(function: Callable[..., object], storage: Storage) -> str:
    stem = getattr(function, "__name__", type(function).__name__)
    stem = re.sub(r"\W+", "", stem) or "study"
    taken = set(storage.study_names())
    return next(n for i in range(1, len(taken) + 2) if (n := f"{stem}-{i}") not in taken)
