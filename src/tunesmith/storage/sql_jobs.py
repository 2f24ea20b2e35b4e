"""Jobs that a server was asked to run: rows of the table ``job``."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Row, insert, or_, select, update

from tunesmith.errors import NotFoundError, StateError
from tunesmith.storage.engine import Database, Now
from tunesmith.storage.jobs import Job, JobState
from tunesmith.storage.manifest import StoredFile
from tunesmith.storage.schema import job

__all__ = ["SqlJobs"]


_OPEN = job.c.state.in_([JobState.QUEUED, JobState.RUNNING])


class SqlJobs:
    """The jobs of one project, and, for the server that runs them, those of all.

    Args:
        database: Where the table is.
        project: The project.
    """

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    # For those who hand in jobs

    def submit(  # noqa: D417 - the others are those of Job
        self,
        id: str,  # noqa: A002 - the attribute's name
        *,
        study: str,
        file: str,
        code: StoredFile,
        submitter: str,
    ) -> Job:
        """Queue a job; return the one of that ``id`` if it was handed in before.

        Args:
            id: A name that no other job has.
        """
        row = {
            "id": id,
            "project": self._project,
            "study": study,
            "file": file,
            "code": code.sha256,
            "code_size": code.size,
            "state": JobState.QUEUED,
            "reason": "",
            "stop_requested": "",
            "owner": "",
            "starts": 0,
            "token": "",
            "submitter": submitter,
        }

        def write(connection: Connection) -> Job:
            known = connection.execute(select(job).where(job.c.id == id)).first()
            if known is None:
                connection.execute(insert(job), {**row, "submitted": self._now(connection)})
            return _job(self._row(connection, id))

        return self._database.writing(write, durable=True)

    def job(self, id: str) -> Job:  # noqa: A002 - the attribute's name
        """Return a job of the project; raise `NotFoundError` if there is none of that name."""
        return self._database.reading(lambda connection: _job(self._row(connection, id)))

    def all(self, limit: int = 1000) -> Sequence[Job]:
        """Return the project's jobs, the last handed in first."""
        query = (
            select(job)
            .where(job.c.project == self._project)
            .order_by(job.c.submitted.desc(), job.c.id)
            .limit(limit)
        )
        return self._database.reading(lambda c: [_job(row) for row in c.execute(query)])

    def request_stop(self, id: str, reason: str) -> Job:  # noqa: A002 - the attribute's name
        """End a job that waits, and ask for the end of one that runs.

        Raises:
            StateError: it has ended otherwise.
        """

        def write(connection: Connection) -> Job:
            found = _job(self._row(connection, id, lock=True))
            if found.state is JobState.STOPPED or found.stop_requested:
                return found
            if found.has_ended:
                msg = f"Job {id} has {found.state} already."
                raise StateError(msg)
            change: dict[str, object] = {"stop_requested": reason}
            if found.state is JobState.QUEUED:
                change |= {
                    "state": JobState.STOPPED,
                    "reason": reason,
                    "finished": self._now(connection),
                }
            connection.execute(update(job).where(job.c.id == id).values(change))
            return _job(self._row(connection, id))

        return self._database.writing(write, durable=True)

    def digests(self) -> frozenset[str]:
        """Return the hashes of the code of the project's jobs that have not ended."""
        query = select(job.c.code).where(job.c.project == self._project, _OPEN)
        return self._database.reading(lambda c: frozenset(c.execute(query).scalars()))

    # For the server that runs them, of all projects

    def claim(self, owner: str, lease_s: float, has_code: Callable[[Job], bool]) -> None:
        """Take the first job that nobody runs and whose code is here."""

        def write(connection: Connection) -> None:
            now = self._now(connection)
            free = or_(job.c.state == JobState.QUEUED, job.c.lease_until < now)
            rows = connection.execute(
                select(job).where(_OPEN, free).order_by(job.c.submitted, job.c.id).with_for_update()
            ).all()
            row = next((row for row in rows if has_code(_job(row))), None)
            if row is not None:
                change = {
                    "state": JobState.RUNNING,
                    "owner": owner,
                    "lease_until": now + lease_s,
                    "started": now if row.started is None else row.started,
                    "starts": row.starts + 1,
                    "reason": "",
                }
                connection.execute(update(job).where(job.c.id == row.id).values(change))

        self._database.writing(write, durable=True)

    def unended(self) -> Sequence[Job]:
        """Return the jobs that wait or run, in the order in which they were handed in."""
        query = select(job).where(_OPEN).order_by(job.c.submitted, job.c.id)
        return self._database.reading(lambda c: [_job(row) for row in c.execute(query)])

    def renew(self, owner: str, lease_s: float) -> None:
        """Begin anew the leases of the jobs that this server runs."""
        own = (job.c.owner == owner, job.c.state == JobState.RUNNING)

        def write(connection: Connection) -> None:
            until = self._now(connection) + lease_s
            connection.execute(update(job).where(*own).values(lease_until=until))

        self._database.writing(write)

    def free(self, is_dead: Callable[[str], bool]) -> None:
        """Put back at once the running jobs of servers that are known to be dead."""

        def write(connection: Connection) -> None:
            running = job.c.state == JobState.RUNNING
            owners = connection.execute(select(job.c.owner).distinct().where(running)).scalars()
            for owner in [owner for owner in owners if is_dead(owner)]:
                connection.execute(
                    update(job)
                    .where(job.c.owner == owner, running)
                    .values(state=JobState.QUEUED, owner="", lease_until=None)
                )

        self._database.writing(write, durable=True)

    def note_token(self, id: str, owner: str, token: str) -> None:  # noqa: A002 - as above
        """Note with which token a job asks the server."""
        query = update(job).where(job.c.id == id, job.c.owner == owner).values(token=token)
        self._database.writing(lambda connection: connection.execute(query), durable=True)

    def release(self, id: str, owner: str, reason: str) -> None:  # noqa: A002 - as above
        """Put back a job that this server no longer runs, to be started again."""
        self._change(
            id, owner, state=JobState.QUEUED, owner_now="", lease_until=None, reason=reason
        )

    def finish(
        self,
        id: str,  # noqa: A002 - as above
        owner: str,
        state: JobState,
        *,
        exit_status: int | None,
        reason: str,
    ) -> None:
        """Note the end of a job that this server ran; nothing if another has taken it over."""
        self._change(
            id,
            owner,
            state=state,
            owner_now=owner,
            lease_until=None,
            reason=reason,
            exit_status=exit_status,
        )

    def _change(
        self,
        id: str,  # noqa: A002 - as above
        owner: str,
        *,
        state: JobState,
        owner_now: str,
        **change: object,
    ) -> None:
        def write(connection: Connection) -> None:
            ended = {} if state is JobState.QUEUED else {"finished": self._now(connection)}
            connection.execute(
                update(job)
                .where(job.c.id == id, job.c.owner == owner, job.c.state == JobState.RUNNING)
                .values(state=state, owner=owner_now, **change, **ended)
            )

        self._database.writing(write, durable=True)

    def _now(self, connection: Connection) -> float:
        return self._database.now(connection.execute(select(Now())).scalar())

    def _row(self, connection: Connection, id: str, *, lock: bool = False) -> Row[tuple[object]]:  # noqa: A002
        query = select(job).where(job.c.id == id, job.c.project == self._project)
        row = connection.execute(query.with_for_update() if lock else query).first()
        if row is None:
            msg = f"There is no job {id!r}. `tunesmith jobs` lists them."
            raise NotFoundError(msg)
        return row


def _job(row: Row[tuple[object]]) -> Job:
    return Job(
        id=row.id,
        project=row.project,
        study=row.study,
        file=row.file,
        code=StoredFile(row.code, row.code_size),
        state=JobState(row.state),
        submitted=row.submitted,
        started=row.started,
        finished=row.finished,
        exit_status=row.exit_status,
        reason=row.reason,
        stop_requested=row.stop_requested,
        starts=row.starts,
        owner=row.owner,
        token=row.token,
        submitter=row.submitter,
    )
