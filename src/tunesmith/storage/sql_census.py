"""Counts studies, trials and jobs in a SQL database."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, func, select

from tunesmith.model import StudyState, TrialState
from tunesmith.storage.census import Census
from tunesmith.storage.engine import Database, Now
from tunesmith.storage.schema import job, study, trial

__all__ = ["take_census"]


def take_census(database: Database, project: str | None = None) -> Census:
    """Count a project's studies, trials and jobs; all projects' if None."""
    own = () if project is None else (study.c.project == project,)
    jobs_own = () if project is None else (job.c.project == project,)
    of_trials = select(trial.c.state, func.count()).group_by(trial.c.state)
    running = select(trial.c.lease_until).where(trial.c.state == TrialState.RUNNING)
    if own:
        of_trials = of_trials.join(study, study.c.id == trial.c.study_id).where(*own)
        running = running.join(study, study.c.id == trial.c.study_id).where(*own)

    def count(connection: Connection) -> Census:
        studies = connection.execute(
            select(study.c.state, func.count()).where(*own).group_by(study.c.state)
        )
        jobs = connection.execute(
            select(job.c.state, func.count()).where(*jobs_own).group_by(job.c.state)
        )
        now = database.now(connection.execute(select(Now())).scalar())
        leases = connection.execute(running).scalars()
        return Census(
            dict.fromkeys(StudyState, 0) | _by_state(studies),
            dict.fromkeys(TrialState, 0) | _by_state(connection.execute(of_trials)),
            _by_state(jobs),
            sum(until is None or until > now for until in leases),
        )

    return database.reading(count)


def _by_state(rows: Iterable[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in rows}
