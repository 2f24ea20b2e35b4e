"""What ``run --json`` prints: one event a line, each with its schema."""

import time
from types import TracebackType
from typing import Self

from tunesmith.cli.console import out, say
from tunesmith.model import TrialState
from tunesmith.reporting import (
    Training,
    iso_time,
    json_text,
    measurement_document,
    study_document,
    trial_document,
)
from tunesmith.study import Study
from tunesmith.tuner import BestChanged, Event, Note, TrialEnded, TrialMeasured, TrialStarted

__all__ = ["EventStream"]


class EventStream:
    """Prints events as JSON lines."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def __enter__(self) -> Self:
        summary = self._study.storage.summary(self._study.name)
        self._print("study_started", study=study_document(summary))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def observe(self, event: Event) -> None:
        """Print what happened."""
        match event:
            case TrialStarted(trial):
                self._print("trial_started", trial=trial_document(trial))
            case TrialMeasured(trial, measurement):
                self._print("report", number=trial.number, **measurement_document(measurement))
            case TrialEnded(trial) if trial.is_final:
                self._print("trial_finished", trial=trial_document(trial))
            case TrialEnded(trial) if trial.state is TrialState.PAUSED:
                self._print("trial_paused", trial=trial_document(trial))
            case TrialEnded(trial):
                self._print("trial_requeued", trial=trial_document(trial))
            case BestChanged(trial):
                self._print("best_changed", trial=trial_document(trial))
            case Note(text):
                self._print("note", text=text)

    def note(self, text: str) -> None:
        """Say something to a person who watches."""
        say(f"tunesmith: {text}")

    def summarize(self) -> None:
        """Print the last event."""
        summary = self._study.storage.summary(self._study.name)
        training = Training.of(self._study.history)
        self._print("study_finished", study=study_document(summary, training))

    def _print(self, event: str, **fields: object) -> None:
        head = {"schema": "tunesmith.events/1", "event": event, "time": iso_time(time.time())}
        out(json_text({**head, **fields}))
