"""The SQL storage: SQLite, PostgreSQL, MySQL and MariaDB, by the same statements.

A verb that changes a study runs under the lock of the study's row (`changing`); what it does there is
in `studies` and `life`. A verb that reads sees one state of the database (`reading`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, select

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
    joined,
)
from tunesmith.storage import answers, life, reading, studies
from tunesmith.storage.base import DEFAULT_PROJECT, Changes, Claim, Measured, Order, Reply
from tunesmith.storage.census import Census
from tunesmith.storage.changing import KEPT_S, Changer, Work
from tunesmith.storage.engine import Database, Now
from tunesmith.storage.sql_census import take_census
from tunesmith.storage.sql_files import SqlFiles
from tunesmith.storage.sql_jobs import SqlJobs
from tunesmith.storage.sql_tokens import SqlTokens
from tunesmith.storage.tokens import ALL_PROJECTS

__all__ = ["SqlStorage"]

T = TypeVar("T")


class SqlStorage:
    """Keeps studies in a SQL database; see `ServedStorage` for the verbs.

    Args:
        url: As SQLAlchemy takes it; ``sqlite://`` is a database in memory. ``postgresql://`` and
            ``mysql://`` need no driver's name.
        create: Whether to make a SQLite file that is not there.
        clock: Gives the time in seconds since the epoch; None for the database server's own clock, or
            this machine's with SQLite.
        project: Whose studies it sees.
    """

    def __init__(
        self,
        url: str,
        *,
        create: bool = True,
        clock: Callable[[], float] | None = None,
        project: str = DEFAULT_PROJECT,
    ) -> None:
        self.database = Database(url, create=create, clock=clock)
        self.project = project
        self.tokens = SqlTokens(self.database)
        self._changer = Changer(self.database)

    def in_project(self, project: str) -> "SqlStorage":
        """Return this storage as another project sees it."""
        if not project or project == ALL_PROJECTS:
            msg = f"A project is named by up to 100 characters, not {project!r}."
            raise ValueError(msg)
        other = copy(self)
        other.project = project
        return other

    @property
    def url(self) -> str:
        """Where it is."""
        return self.database.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    # For servers

    @contextmanager
    def once(self, key: str, request: str = "") -> Iterator[Sequence[Trial]]:
        """Let what this thread changes within happen once for ``key``."""
        with answers.one_request(key, request):
            yield answers.HandedOut.under(key, request, self.database.reading)

    @property
    def files(self) -> SqlFiles:
        """The files of the project's trials."""
        return SqlFiles(self.database, self.project)

    @property
    def jobs(self) -> SqlJobs:
        """The project's jobs."""
        return SqlJobs(self.database, self.project)

    def census(self, project: str | None) -> Census:
        """Return how many studies, trials and jobs a project has; all projects if None."""
        return take_census(self.database, project)

    @property
    def fault_counts(self) -> Mapping[str, int]:
        """How many faults of the database there were, by what came of them."""
        return self.database.fault_counts

    def revisions(self) -> Mapping[str, int]:
        """Return the revisions of all studies by name."""
        return self._read(reading.revisions)

    def ping(self) -> None:
        """Ask the database for a sign of life; raise `StorageError` if there is none at once."""
        with self.database.read() as connection:
            connection.execute(select(Now()))

    def sweep(self) -> int:
        """Forget the answers of `once` that nobody will ask for any more; return how many."""

        def forget(connection: Connection) -> int:
            now = self.database.now(connection.execute(select(Now())).scalar())
            return answers.forget_before(connection, now - KEPT_S)

        return self.database.writing(forget)

    # Studies

    def create_study(self, name: str, spec: StudySpec, *, command: str = "") -> StudyRecord:
        """Make an empty study; raise `ConflictError` if the name is taken."""
        create = studies.Creation(self.project, name, spec, command, self.database.now)
        return self._changer.make("create_study", create)

    def import_study(self, name: str, whole: Changes) -> None:
        """Make a study of what `changes` since -1, with curves, gave of another."""
        self._changer.make("import_study", studies.Import(self.project, name, whole))

    def study(self, name: str) -> StudyRecord:
        """Return one study's record."""
        return self._read(reading.record, name)

    def study_names(self) -> Sequence[str]:
        """Return the names of all studies, the last used first."""
        return self._read(reading.names)

    def summary(self, name: str) -> StudySummary:
        """Return one study with what its trials add up to."""
        return self._read(reading.summary, name)

    def delete_study(self, name: str) -> None:
        """Delete a study, its trials and their measurements."""
        self._change(name, "delete_study", studies.delete_whole, durable=True)
        self.database.forget(self._topic(name))

    def set_state(
        self, study: str, state: StudyState, reason: str = "", *, at: int | None = None
    ) -> None:
        """Set whether the study asks for more trials, and why."""
        self._change(
            study,
            "set_state",
            lambda _, s: studies.set_state(s, state, reason, at=at),
            durable=True,
        )

    def set_budget(
        self,
        study: str,
        *,
        max_trials: int | None = None,
        parallel_trials: int | None = None,
        ending: Ending | None = None,
    ) -> None:
        """Change the budget of a living study; what is None stays as it is."""
        self._change(
            study,
            "set_budget",
            lambda _, s: studies.set_budget(
                s, max_trials=max_trials, parallel_trials=parallel_trials, ending=ending
            ),
            durable=True,
        )

    def touch(self, study: str, command: str = "") -> None:
        """Note that the study is being run now, and by what command."""
        self._change(study, "touch", lambda _, s: studies.touch(s, command))

    # A trial's life

    def add_trials(
        self,
        study: str,
        suggestions: Sequence[Suggestion],
        *,
        after: int,
        claim: Claim | None = None,
    ) -> Sequence[Trial]:
        """Add trials ``after + 1, after + 2, …``: queued, or running for ``claim``."""
        return self._change(
            study, "add_trials", lambda c, s: life.add(c, s, suggestions, after=after, claim=claim)
        )

    def asking(self, study: str) -> AbstractContextManager[None]:
        """Let one at a time think about a study's next trials."""
        return self.database.alone(self._topic(study))

    def claim(self, study: str, claim: Claim) -> Trial | None:
        """Hand out the first queued trial, or one whose lease ran out; None if there is neither."""
        return self._change(study, "claim", lambda c, s: life.claim(c, s, claim))

    def renew(self, study: str, claim: Claim) -> None:
        """Begin anew the lease of every running trial that this worker holds."""
        # No revision, and so no lock: that somebody still lives is no change that others want to hear of.
        self.database.writing(
            lambda c: life.renew(
                c, reading.study_row(c, self.project, study), claim, self.database.now
            )
        )

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
        """Store measurements; return what a person wants of the trial."""
        return self._change(
            study,
            "report",
            lambda c, s: life.report(
                c,
                s,
                number,
                attempt,
                measurements,
                superseded=superseded,
                of_attempt=of_attempt,
                claim=claim,
            ),
            number=number,
        )

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
        """Move a running or paused trial to a final state; a second delivery changes nothing."""
        return self._change(
            study,
            "finish",
            lambda c, s: life.finish(
                c, s, number, attempt, state, metrics=metrics, step=step, reason=reason
            ),
            number=number,
            durable=True,
        )

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
        """Pause a running trial with what it measured so far; a second delivery changes nothing."""
        return self._change(
            study,
            "pause",
            lambda c, s: life.pause(c, s, number, attempt, reason, metrics=metrics, step=step),
            number=number,
            durable=True,
        )

    def resume(
        self, study: str, number: int, reason: str = "", *, budget: int | None = None
    ) -> Trial:
        """Put a paused trial back in the queue, whoever paused it; with ``budget`` it trains so far."""
        return self._change(
            study,
            "resume",
            lambda c, s: life.resume(c, s, number, reason, budget=budget),
            number=number,
            durable=True,
        )

    def extend(self, study: str, number: int, attempt: int, budget: int) -> Trial:
        """Let a running trial train further."""
        return self._change(
            study, "extend", lambda c, s: life.extend(c, s, number, attempt, budget), number=number
        )

    def requeue(
        self, study: str, number: int, attempt: int, reason: str, *, fault: bool = False
    ) -> None:
        """Put a running trial back in the queue; ``fault`` counts it against the allowed retries."""
        self._change(
            study,
            "requeue",
            lambda c, s: life.requeue(c, s, number, attempt, reason, fault=fault),
            number=number,
            durable=True,
        )

    def retry(self, study: str, number: int) -> None:
        """Put an ended trial back in the queue; raise `StateError` if its state does not allow it."""
        self._change(
            study, "retry", lambda c, s: life.retry(c, s, number), number=number, durable=True
        )

    def request_stop(self, study: str, number: int, reason: str) -> Trial:
        """Cancel a trial that does not run; ask the worker of one that runs to stop it."""
        return self._change(
            study,
            "request_stop",
            lambda c, s: life.request_stop(c, s, number, reason),
            number=number,
            durable=True,
        )

    def request_pause(self, study: str, number: int, reason: str) -> Trial:
        """Hold a trial that does not run; ask the worker of one that runs to pause it."""
        return self._change(
            study,
            "request_pause",
            lambda c, s: life.request_pause(c, s, number, reason),
            number=number,
            durable=True,
        )

    # Reading

    def changes(self, study: str, since: int, *, curves: bool = False) -> Changes:
        """Return the record, and the trials changed after revision ``since`` in number order."""
        found, by_database = self._read(reading.changes, study, since, curves=curves)
        return replace(found, now=self.database.now(by_database))

    def trial(self, study: str, number: int) -> Trial:
        """Return one trial."""
        return self._read(reading.one_trial, study, number)

    def trials(
        self, study: str, *, order: Order = "number", limit: int | None = None
    ) -> Sequence[Trial]:
        """Return trials by number, newest first, or best first (only those that count)."""
        return self._read(reading.trials, study, order, limit)

    def measurements(
        self, study: str, number: int, *, attempt: int | None = None
    ) -> Sequence[Measurement]:
        """Return what an attempt measured, by step; by default all of them, joined to one curve."""
        found = self.measured(study, number)
        return joined((m.attempt, m.measurement) for m in found if attempt in (None, m.attempt))

    def measured(self, study: str, number: int) -> Sequence[Measured]:
        """Return what all attempts of a trial measured, in the order in which it was stored."""
        return self._read(reading.measured, study, number)

    def _change(
        self,
        study: str,
        verb: str,
        work: Work[T],
        *,
        number: int | None = None,
        durable: bool = False,
    ) -> T:
        of = (self.project, study)
        return self._changer.change(of, verb, work, number=number, durable=durable)

    def _read(self, read: Callable[..., T], *of: object, **how: object) -> T:
        return self.database.reading(lambda c: read(c, self.project, *of, **how))

    def _topic(self, study: str) -> str:
        return study if self.project == DEFAULT_PROJECT else f"{self.project}/{study}"
