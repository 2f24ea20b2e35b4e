"""The one place where studies live, as a role: what every storage can do.

Every verb is one transaction: it happens whole or not at all, and survives the death of any process
once it has returned; what ends a trial or is a person's word survives a power cut too. A trial is
changed only by who holds it: ``attempt`` is the fencing token that `Storage.claim` and
`Storage.add_trials` hand out, and a verb that names an older attempt raises `LeaseLostError`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from tunesmith.errors import StudyError
from tunesmith.model import (
    Ending,
    Measurement,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.storage.census import Census
from tunesmith.storage.files import Files
from tunesmith.storage.jobs import Jobs
from tunesmith.storage.tokens import Tokens

__all__ = [
    "DEFAULT_PROJECT",
    "Changes",
    "Claim",
    "KeyReusedError",
    "Measured",
    "Order",
    "Reply",
    "ServedStorage",
    "Storage",
    "TakesStudies",
]

Order = Literal["number", "newest", "best"]

DEFAULT_PROJECT = "default"
"""The project of studies for which none was named."""


class KeyReusedError(StudyError):
    """A key of `ServedStorage.once` stands for another request already."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who takes a trial, and for how long.

    Attributes:
        worker: A name that no other worker has.
        lease_s: Seconds until others may take the trial, unless `Storage.renew` comes first; None
            for ever.
    """

    worker: str
    lease_s: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What an attempt of a trial measured at one step."""

    number: int
    attempt: int
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in a study since a revision.

    Attributes:
        record: Its record as it is now.
        trials: The trials that changed, in the order of their numbers.
        measurements: What was measured since, in the order in which it was stored; empty unless
            asked for.
        now: When this was read, by the clock that leases go by; no other clock may be compared with it.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    measurements: Sequence[Measured] = ()
    now: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a report.

    Attributes:
        revision: The study's revision that holds the report.
        stop: Why a person wants the trial stopped; ``""`` while nobody does.
        pause: Why a person wants it paused; ``""`` while nobody does.
    """

    revision: int
    stop: str = ""
    pause: str = ""


class Storage(Protocol):
    """Keeps studies. All verbs may be called from several threads, processes and machines.

    Every verb raises `NotFoundError` for a study or trial that does not exist, and `StorageError`
    when the storage can't be reached, read or written.
    """

    @property
    def url(self) -> str:
        """Where it is, as `open_storage` takes it."""
        ...

    def create_study(self, name: str, spec: StudySpec, *, command: str = "") -> StudyRecord:
        """Make an empty study; raise `ConflictError` if the name is taken."""
        ...

    def study(self, name: str) -> StudyRecord:
        """Return one study's record."""
        ...

    def study_names(self) -> Sequence[str]:
        """Return the names of all studies, the last used first."""
        ...

    def summary(self, name: str) -> StudySummary:
        """Return one study with what its trials add up to; see `StudySummary`.

        With one objective and no constraints, without reading its trials.
        """
        ...

    def delete_study(self, name: str) -> None:
        """Delete a study, its trials and their measurements."""
        ...

    def set_state(
        self, study: str, state: StudyState, reason: str = "", *, at: int | None = None
    ) -> None:
        """Set whether the study asks for more trials, and why.

        Raises:
            ConflictError: ``at`` is given, and the study has changed since that revision.
        """
        ...

    def set_budget(
        self,
        study: str,
        *,
        max_trials: int | None = None,
        parallel_trials: int | None = None,
        ending: Ending | None = None,
    ) -> None:
        """Change the budget of a living study; what is None stays as it is."""
        ...

    def touch(self, study: str, command: str = "") -> None:
        """Note that the study is being run now, and by what command."""
        ...

    def add_trials(
        self,
        study: str,
        suggestions: Sequence[Suggestion],
        *,
        after: int,
        claim: Claim | None = None,
    ) -> Sequence[Trial]:
        """Add trials ``after + 1, after + 2, …``: queued, or running for ``claim``.

        Each keeps its suggestion's explanation.

        Raises:
            ConflictError: the study does not have exactly ``after`` trials.
            StudyEnded: they would be more than ``max_trials``; cancelled trials are not counted.
        """
        ...

    def asking(self, study: str) -> AbstractContextManager[None]:
        """Let one at a time think about a study's next trials, as far as the storage can.

        Only to spare work, since two who think at once would collide in `add_trials`, where one of
        them has to think again; nothing relies on it.
        """
        ...

    def claim(self, study: str, claim: Claim) -> Trial | None:
        """Hand out the first queued trial, or one whose lease ran out; None if there is neither."""
        ...

    def renew(self, study: str, claim: Claim) -> None:
        """Begin anew the lease of every running trial that this worker holds."""
        ...

    def report(
        self,
        study: str,
        number: int,
        attempt: int,
        measurements: Sequence[Measurement],
        *,
        superseded: frozenset[str] = frozenset(),
        of_attempt: int | None = None,
        claim: Claim | None = None,
    ) -> Reply:
        """Store measurements; return what a person wants of the trial.

        A metric is stored once per step: a repetition changes nothing. What the attempt stored of
        the ``superseded`` metrics is forgotten first; then the trial is among the `Changes`, since
        its curve is another. The trial's lease begins anew for ``claim``. Who holds the trial may add
        what an earlier attempt had measured and nobody read: ``of_attempt``.
        """
        ...

    def finish(
        self,
        study: str,
        number: int,
        attempt: int,
        state: TrialState,
        *,
        metrics: Mapping[str, float],
        step: int | None = None,
        reason: str = "",
    ) -> Trial:
        """Move a running or paused trial to a final state; a second delivery of the same end changes nothing.

        Raises:
            LeaseLostError: another attempt has the trial by now.
            StateError: the trial has ended otherwise.
        """
        ...

    def pause(
        self,
        study: str,
        number: int,
        attempt: int,
        reason: str,
        *,
        metrics: Mapping[str, float],
        step: int | None = None,
    ) -> Trial:
        """Pause a running trial with what it measured so far; a second delivery changes nothing.

        Raises:
            LeaseLostError: another attempt has the trial by now.
            StateError: the trial has ended.
        """
        ...

    def resume(
        self, study: str, number: int, reason: str = "", *, budget: int | None = None
    ) -> Trial:
        """Put a paused trial back in the queue, whoever paused it; with ``budget`` it trains so far.

        Raises:
            StateError: it is not paused.
        """
        ...

    def extend(self, study: str, number: int, attempt: int, budget: int) -> Trial:
        """Let a running trial train further.

        Raises:
            LeaseLostError: another attempt has the trial by now.
            StateError: the trial has ended.
        """
        ...

    def requeue(
        self, study: str, number: int, attempt: int, reason: str, *, fault: bool = False
    ) -> None:
        """Put a running trial back in the queue; ``fault`` counts it against the allowed retries.

        A trial that a person wants stopped is cancelled instead, and one that a person wants paused
        is paused; so it is when its lease ran out.
        """
        ...

    def retry(self, study: str, number: int) -> None:
        """Put an ended trial back in the queue.

        Raises:
            StateError: it has not ended, or was completed.
            StudyEnded: it was cancelled, and the study has ``max_trials`` others by now.
        """
        ...

    def request_stop(self, study: str, number: int, reason: str) -> Trial:
        """Cancel a trial that does not run; ask the worker of one that runs to stop it."""
        ...

    def request_pause(self, study: str, number: int, reason: str) -> Trial:
        """Hold a trial that does not run; ask the worker of one that runs to pause it.

        Raises:
            StateError: it has ended.
        """
        ...

    def changes(self, study: str, since: int, *, curves: bool = False) -> Changes:
        """Return the record, and the trials changed after revision ``since`` in number order.

        Args:
            study: The study.
            since: The revision that the caller knows; -1 for none.
            curves: Whether to read measurements too.
        """
        ...

    def trial(self, study: str, number: int) -> Trial:
        """Return one trial."""
        ...

    def trials(
        self, study: str, *, order: Order = "number", limit: int | None = None
    ) -> Sequence[Trial]:
        """Return trials by number, newest first, or best first (only those that count; see `rank`)."""
        ...

    def measurements(
        self, study: str, number: int, *, attempt: int | None = None
    ) -> Sequence[Measurement]:
        """Return what an attempt measured, by step; by default all of them, joined to one curve."""
        ...

    def measured(self, study: str, number: int) -> Sequence[Measured]:
        """Return what all attempts of a trial measured, in the order in which it was stored."""
        ...

    def close(self) -> None:
        """Give back connections; the storage is not used afterwards."""
        ...


@runtime_checkable
class TakesStudies(Protocol):
    """A storage into which studies of other storages can be copied."""

    def import_study(self, name: str, whole: Changes) -> None:
        """Make a study of what `Storage.changes` since -1, with curves, gave of another.

        Numbers, attempts, states, times and revisions are kept.

        Raises:
            ConflictError: the name is taken.
        """
        ...


class ServedStorage(Storage, TakesStudies, Protocol):
    """A storage that a server can stand before: it has projects and tokens, and answers only once.

    The verbs of `Storage` see the studies of one project; another project's are not found.
    """

    @property
    def project(self) -> str:
        """The project whose studies it sees."""
        ...

    @property
    def tokens(self) -> Tokens:
        """The tokens of all projects."""
        ...

    def in_project(self, project: str) -> "ServedStorage":
        """Return this storage as another project sees it; both share connections, closing is for the first."""
        ...

    def once(self, key: str, request: str = "") -> AbstractContextManager[Sequence[Trial]]:
        """Let what this thread changes within happen once for ``key``, however often it is asked.

        A verb that changes something keeps its answer under the key, its name and how many answers it
        has kept before, in the transaction of the change. Where there is such an answer already,
        nothing is changed and the first answer is given again; so it is too where the verb would
        raise an error, for an error may come of the first call's success.

        Args:
            key: What the asker calls the request, together with the asker's project; up to 200 characters.
            request: What is asked, or a hash of it; up to 64 characters.

        Yields:
            The running trials that were handed out under the key before. They are looked for when one
            first reads the sequence.

        Raises:
            KeyReusedError: by a verb within, or on reading the sequence: the key stands for something
                else that was asked.
        """
        ...

    @property
    def files(self) -> Files:
        """The files of the project's trials."""
        ...

    @property
    def jobs(self) -> Jobs:
        """The project's jobs."""
        ...

    def census(self, project: str | None) -> Census:
        """Return how many studies, trials and jobs a project has; all projects if None."""
        ...

    @property
    def fault_counts(self) -> Mapping[str, int]:
        """How many faults of the database there were, by what came of them."""
        ...

    def revisions(self) -> Mapping[str, int]:
        """Return the revisions of all studies by name; cheap enough to be asked several times a second."""
        ...

    def ping(self) -> None:
        """Ask the database for a sign of life; raise `StorageError` if there is none at once."""
        ...

    def sweep(self) -> int:
        """Forget the answers of `once` that nobody will ask for any more; return how many."""
        ...
